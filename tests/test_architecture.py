"""Data flows one way: evidence -> calibration -> cost -> decision -> traces, validation -> report -> mail -> cli."""

import ast
import re
from pathlib import Path

import pytest

import costmodel

ROOT = Path(costmodel.__file__).parent
ORDER = (
    "evidence",
    "measure",
    "kvm",
    "formulas",
    "calibration",
    "cost",
    "decision",
    "traces",
    "validation",
    "report",
    "mail",
    "api",
    "cli",
)
# kvm is facts: of the evidence it takes where data/ lies and the reader of tables, and nothing else.
LEAVES = ("cache", "cluster", "errors", "hashing", "numbers", "plain")
SOURCES = sorted(ROOT.rglob("*.py"))


def imported(path):
    """costmodel subpackages that the module imports, at any depth of nesting."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names = [node.module] if node.module != "costmodel" else [f"costmodel.{a.name}" for a in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("costmodel."))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_imports_point_backwards(path):
    top = path.relative_to(ROOT).with_suffix("").parts[0]
    if top not in ORDER:
        assert not set(imported(path)) - set(LEAVES) - ({"api", "report"} if top == "__init__" else {"cli"})
        return
    here = ORDER.index(top)
    later = [name for name in imported(path) if name in ORDER and ORDER.index(name) > here]
    assert not later, f"{path.name} imports {later}"


def test_every_subpackage_has_its_place():
    found = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert found == set(ORDER)


LITERAL = re.compile(r"""["'](\.\./[^"'\s]*|~/[^"'\s]*|/[\w.-]+/?[^"'\s]*)\\?["']""")
"""A text that is a path out of where one is, of a home, or from the root."""
OF_SOMEBODY = re.compile(r"(?<![\w.])/(?:work|home|root|Users|mnt|opt|data|scratch)/[\w.-]+|\.\./shared")
"""A path of one machine, wherever it stands."""
OF_THE_KERNEL = ("/proc", "/sys", "/dev")
LINKS = ("../index.html", "../{_suffixed(")
"""Links from a page of a report to the list of all."""


def outside(text):
    """Paths in the text that lead out of the project and are none of the kernel's."""
    found = [path for path in LITERAL.findall(text) if not path.startswith((*OF_THE_KERNEL, *LINKS))]
    return found + OF_SOMEBODY.findall(text)


@pytest.mark.parametrize("path", [*SOURCES, *(ROOT.parent / "notebooks").glob("*.ipynb")], ids=lambda path: path.name)
def test_nothing_reads_outside_the_project(path):
    assert outside(path.read_text()) == []


@pytest.mark.parametrize(
    "planted",
    [
        'open("/etc/hostname")',
        "Path('/home/me/data')",
        'load(f"/srv/{name}.csv")',
        'Path("~/notes.csv").expanduser()',
        'HERE / "../other/measurements.csv"',
        'read("../../notes/model.md")',
        "# see /home/me/model.md",
        '{"source": ["open(\\"/etc/hostname\\")"]}',
    ],
)
def test_a_path_that_leads_out_of_the_project_is_seen(planted):
    assert outside(planted)
    assert outside('Path("/proc/cpuinfo"); "../index.html"; "https://lore.kernel.org/all/"; a / b / "c"') == []


SENTENCE = re.compile(r"(?:[A-Za-z'-]+,? ){3}[A-Za-z'-]+")
"""Four words in a row."""


PARTS = ("problem", "problems", "remedy")
"""Names of what an error is about to say."""
KEPT = ("remark", "left_out")
"""Methods that note how a recording was read: what they are told is kept with it."""


def said(tree):
    """Texts of a module that a reader may see: no docstring, no message of an error or part of one, no remark that is
    kept with a recording, and no SQL.
    """
    told = [n.value for n in ast.walk(tree) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)]
    told += [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("stated", *KEPT):
            told.append(node)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in PARTS:
            told.append(node.value)
    left_out = {id(inner) for node in told for inner in ast.walk(node)}
    for node in ast.walk(tree):
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if id(node) not in left_out and not text.startswith("SELECT "):
            yield getattr(node, "lineno", 0), text


CLEARED = ("cost", "decision", "traces", "kvm", "validation", "api")
CLEARED_MODULES = (
    *(f"evidence/{name}.py" for name in ("described", "paths")),
    *(f"measure/{name}.py" for name in ("host", "running")),
    *(f"calibration/{name}.py" for name in ("anchors", "fit", "parameters")),
    *(f"formulas/{name}.py" for name in ("catalog", "formula", "recorded")),
)
FACTS = [path for package in CLEARED for path in sorted((ROOT / package).glob("*.py"))]
FACTS += [ROOT / module for module in CLEARED_MODULES]


@pytest.mark.parametrize("path", FACTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_what_is_found_is_facts_and_its_sentences_are_written_in_report_or_stand_in_data(path):
    found = [f"line {line}: {text}" for line, text in said(ast.parse(path.read_text())) if SENTENCE.search(text)]
    assert not found, f"{path.name} says {found}"


def test_a_sentence_is_seen_in_plain_and_in_formatted_text_and_an_error_may_have_one():
    plain, formatted, error = "x = 'no cost is to be had'", "x = f'{a} takes the time of {b}'", "raise E('a b c d e')"
    passed, docstring = "found.append('no cost is to be had')", "'no cost is to be had'"
    codes = (plain, formatted, error, passed, docstring)
    found = [[text for _, text in said(ast.parse(code)) if SENTENCE.search(text)] for code in codes]
    assert found == [["no cost is to be had"], [" takes the time of "], [], ["no cost is to be had"], []]


ONCE = ("BLASTED", "MOST_PER_S", "MOST_VCPUS", "SHUTDOWNS", "WALK", "ROUND", "ANCHORED", "OBSERVABLES")
"""Facts that several packages need: each is written down in one module."""


def written_in(name, sources):
    """The modules that give `name` a value of their own."""
    return [
        module
        for module, text in sources.items()
        for node in ast.parse(text).body
        if isinstance(node, ast.Assign) and name in [ast.unparse(target) for target in node.targets]
    ]


@pytest.mark.parametrize("name", ONCE)
def test_what_several_packages_need_is_written_down_once(name):
    sources = {path: path.read_text() for path in SOURCES}
    assert len(written_in(name, sources)) == 1
    assert len(written_in(name, {**sources, "planted": f"{name} = 1"})) == 2


def test_the_flush_of_the_thread_is_named_by_its_one_constant():
    """Beside the constant its id stands in the table of what the list decided and in what recognises it in a mail."""
    named = {path.relative_to(ROOT).as_posix() for path in SOURCES if re.search('"WBINVD_ALL"[^\\]]', path.read_text())}
    assert named - {"report/alternatives.py", "api/cases.py"} == {
        "kvm/kernels.py",
        "mail/question.py",
        "validation/upstream.py",
    }


NAMED = re.compile(r"(?:costmodel|tests|docs|notebooks|data)/[\w./-]+\.\w+|\b[A-Z]{4,}\.md\b")
"""A file that a docstring or a comment names, or a document in capitals."""


def missing_files(text):
    """Files named in the text that are not in the checkout; FOLDER/ID names stand for many."""
    found = {name.rstrip(".") for name in NAMED.findall(text)}
    return sorted(name for name in found if "ID." not in name and not (ROOT.parent / name).exists())


@pytest.mark.parametrize("path", sorted(ROOT.glob("*/__init__.py")), ids=lambda path: path.parent.name)
def test_the_docstring_of_a_package_names_modules_and_files_that_are_there(path):
    told = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert missing_files(told) == []
    assert missing_files("as MODEL.md says, and data/validation/no_such.toml") == [
        "MODEL.md",
        "data/validation/no_such.toml",
    ]
    in_package = {one.stem for one in path.parent.glob("*.py")}
    defined = {name for one in SOURCES for name in re.findall(r"^(?:def |class )?(\w+)", one.read_text(), re.MULTILINE)}
    for name in re.findall(r"`([a-z_]+)`", told):
        assert name in in_package | defined, name


def test_no_module_cites_a_document_that_is_not_in_the_project():
    for path in [*SOURCES, *(ROOT.parent / "tests").rglob("*.py")]:
        if path.name != Path(__file__).name:
            assert [name for name in missing_files(path.read_text()) if name.endswith(".md")] == [], path
