"""Errors travel between processes whole, and each has its exit code."""

import importlib
import inspect
import pickle
import pkgutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

import costmodel
from costmodel.errors import (
    EXTRAS,
    INSTALL,
    BadInput,
    CostModelError,
    ExitCode,
    MissingNumber,
    UnknownName,
    known_id,
    near_names,
)

VALUES = {
    "str": "x",
    "int": 3,
    "known": ("a", "b"),
    "reasons": {"sev/epyc-7763-2s": BadInput("is bad", row=1)},
    "code": -9,
}


def classes():
    """Every exception class of the package."""
    for module in pkgutil.walk_packages(costmodel.__path__, "costmodel."):
        if module.name.endswith("__main__"):
            continue
        for _, found in inspect.getmembers(importlib.import_module(module.name), inspect.isclass):
            if issubclass(found, Exception) and found.__module__ == module.name:
                yield found


def made(kind):
    """An instance, with a value for each argument that has no default."""
    wanted = [
        p
        for p in inspect.signature(kind.__init__).parameters.values()
        if p.name != "self" and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    values = [VALUES.get(p.name, VALUES.get(str(p.annotation).split(" ")[0], "x")) for p in wanted]
    return kind(*values) if wanted else kind("what is wrong")


ALL = sorted(set(classes()), key=lambda kind: f"{kind.__module__}.{kind.__name__}")


def test_there_are_errors():
    assert {BadInput, UnknownName, MissingNumber} < set(ALL)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_survives_its_way_to_another_process(kind):
    error = made(kind)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == str(error)
    assert {k: str(v) for k, v in again.__dict__.items()} == {k: str(v) for k, v in error.__dict__.items()}


@pytest.mark.parametrize("kind", [k for k in ALL if issubclass(k, CostModelError)], ids=lambda kind: kind.__name__)
def test_every_error_of_ours_has_a_listed_exit_code(kind):
    assert kind.exit_code in set(ExitCode) - {ExitCode.OK}


def test_a_name_never_breaks_the_line():
    assert str(BadInput("a\nb\u202ec\u2028\x00")) == "a\\nb\\u202ec\\u2028\\x00"
    assert "\n" not in str(UnknownName("guest", "a\nb", ["c"]))


def test_nobody_is_told_to_install_the_other_projects_package():
    """On the package index `costmodel` is somebody else's; text that users read names our distribution, or `.`."""
    import re
    from pathlib import Path

    root = Path(costmodel.__file__).parent.parent
    wrong = re.compile(r"pip3? install '?costmodel(?![\w-])|(?<![\w-])costmodel\[[a-z]")
    places = ["costmodel", "docs", "notebooks", "examples", "tests", "data", ".github"]
    files = [path for place in places for path in (root / place).rglob("*") if path.suffix in (".py", ".md", ".ipynb")]
    files += [root / name for name in ("README.md", "SECURITY.md", "Makefile", "pyproject.toml")]
    assert len(files) > 300
    for path in files:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            assert not wrong.search(line), f"{path.relative_to(root)}:{number}: {line.strip()}"
    assert wrong.search("pip install " + "'costmodel" + "[measure]'") and wrong.search("pip install " + "costmodel")


def test_an_extra_is_installed_from_our_own_distribution():
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(costmodel.__file__).parent.parent / "pyproject.toml").read_text())["project"]
    assert f"'{project['name']}[trace]'" in INSTALL.format("trace")
    for extra, libraries in EXTRAS.items():
        declared = " ".join(project["optional-dependencies"][extra]).replace("-", "_")
        assert all(library in declared for library in libraries), extra


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("recomend", ["recommend", "report"], ["recommend"]),
        ("MILAM", ["milan", "genoa"], ["milan"]),
        ("ksm", ["thp_split", "ksm_write_protect", "ksm_replace_page"], ["ksm_write_protect", "ksm_replace_page"]),
        ("xx", ["yyxxyy"], []),
        ("nothing like it", ["sev"], []),
    ],
)
def test_what_comes_near_is_offered_in_any_case(name, known, expected):
    assert near_names(name, known) == expected


def test_many_names_are_not_listed_where_something_else_helps():
    many = [f"machine-number-{number}" for number in range(40)]
    assert "machine-number-1" not in str(UnknownName("machine", "zzz", many, "see the list"))
    assert "machine-number-1" in str(UnknownName("machine", "zzz", many[:3], "see the list"))


@given(st.sampled_from(["sev", "sev-es", "WBNOINVD_MASK", "v7.3-rc"]), st.data())
def test_an_id_is_known_in_any_case(name, data):
    spelt = "".join(data.draw(st.sampled_from([c.upper(), c.lower()])) for c in name)
    assert known_id("id", spelt, ["sev", "sev-es", "WBNOINVD_MASK", "v7.3-rc"]) == name
