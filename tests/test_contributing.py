"""CONTRIBUTING.md: who adds what it shows of a machine, a workload and a strategy gets recommendations with them, and the
checks that it names pass.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from costmodel.evidence import package, paths
from costmodel.validation.audit import audit

CHECKOUT = paths.PACKAGE.parent
TEXT = (CHECKOUT / "CONTRIBUTING.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- (file|append to): data/(\S+) -->\n\n```toml\n(.*?)```", TEXT, re.DOTALL)
MACHINE, WORKLOAD, STRATEGY = (
    next(content for _, name, content in BLOCKS if name.startswith(folder))
    for folder in ("machines/", "workloads/", "kvm/")
)
MACHINE_ID = tomllib.loads(MACHINE)["id"]
WORKLOAD_ID = tomllib.loads(WORKLOAD)["id"]
STRATEGY_ID = tomllib.loads(STRATEGY)["strategy"][0]["id"]


def checks_named():
    """(section, command) of what the text says after each of its examples: the commands of the paragraph `Check:`."""
    for section in TEXT.split("\n## ")[1:]:
        title = section.splitlines()[0]
        told = re.search(r"^Check: (.*?)\n\n", section + "\n\n", re.DOTALL | re.MULTILINE)
        if told and "<!-- " in section:
            for command in re.findall(r"`((?:costmodel|pytest) [^`]+)`", " ".join(told[1].split())):
                yield title, command


CHECKS = list(checks_named())


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A copy of data/ with what the blocks add, but for those that somebody has added to data/ already."""
    root = tmp_path_factory.mktemp("followed") / "data"
    shutil.copytree(paths.data_dir(), root)
    for how, name, content in BLOCKS:
        path = root / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        if content in before:
            continue
        assert bool(before) == (how == "append to"), name
        path.write_text(before + "\n" * bool(before) + content, encoding="utf-8")
    package.main([str(root)])
    return root


def answered(root, *words):
    """What the command prints with the data under `root`."""
    done = subprocess.run(
        [sys.executable, "-m", "costmodel", *words],
        env={**os.environ, "COSTMODEL_DATA": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_audit_finds_nothing_in_what_the_text_adds(followed):
    assert audit(followed) == []


def test_a_machine_that_is_added_gets_a_recommendation_which_weighs_the_strategy_that_is_added(followed):
    words = ("--guest", "sev", "--machine", MACHINE_ID, "--kernel", "6.17", "--full")
    report = answered(followed, "recommend", *words)
    assert tomllib.loads(MACHINE)["title"] in " ".join(report.split())
    assert re.search(r"of 32 host CPUs", report)
    # No kernel does it, so that it is weighed and not recommended.
    assert re.search(rf"^ +! {STRATEGY_ID} +\d", report, re.MULTILINE)
    assert f"{STRATEGY_ID} (" not in report


def test_a_strategy_that_is_added_is_judged_by_the_rules(followed):
    words = ("--guest", "sev", "--trigger", "autonuma_prot_none_scan", "--machine", MACHINE_ID, "--json")
    verdicts = {row["strategy"]: row for row in json.loads(answered(followed, "admissible", *words))}
    like = verdicts["WBNOINVD_MASK"]
    assert verdicts[STRATEGY_ID] == {**like, "strategy": STRATEGY_ID}


def test_a_workload_that_is_added_shows_in_what_is_recommended(followed):
    """The check of the text, and not one of a guest at which the load cannot happen."""
    (command,) = (words for title, words in CHECKS if title == "A workload" and words.startswith("costmodel "))
    report = " ".join(answered(followed, *command.split()[1:]).split())
    assert tomllib.loads(WORKLOAD)["title"] in report
    assert "Nothing to do" not in report and "CPU time per event" in report


def test_a_strategy_that_is_added_costs_what_its_like_costs_and_needs_a_patch(followed):
    """What the text says one sees of the example: it stands in the table, marked, and it is not worth a patch."""
    words = ("--guest", "sev", "--machine", MACHINE_ID, "--kernel", "6.17", "--json")
    result = json.loads(answered(followed, "recommend", *words))
    costs = {row["strategy"]: row for row in result["costs"] if row["trigger"] == "autonuma_prot_none_scan"}
    added, like = costs[STRATEGY_ID], costs["WBNOINVD_MASK"]
    assert added["stolen_cpu_s_per_event"] == like["stolen_cpu_s_per_event"]
    assert (added["needs"], like["needs"]) == ("patch", "nothing")
    assert result["worth_patching"] and STRATEGY_ID not in json.dumps(result["worth_patching"])


def test_the_text_names_a_command_and_tests_after_each_of_its_examples():
    for title in ("A machine", "A workload", "A strategy"):
        assert {words.split()[0] for one, words in CHECKS if one == title} == {"costmodel", "pytest"}, title


@pytest.mark.nightly
@pytest.mark.parametrize(("title", "command"), CHECKS, ids=[command for _, command in CHECKS])
def test_the_checks_that_the_text_names_pass_when_it_was_followed(title, command, followed, tmp_path):
    program, *words = command.split()
    options = ("-q", "-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inner")) if program == "pytest" else ()
    done = subprocess.run(
        [sys.executable, "-m", program, *words, *options],
        env={**os.environ, "COSTMODEL_DATA": str(followed)},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{title}: {done.stdout[-3000:]}{done.stderr}"


def test_every_file_and_directory_that_the_text_names_is_there():
    named = set(re.findall(r"`((?:data|costmodel|tests)/[\w./-]+)`", TEXT)) - {
        "data/machines/ID.toml",
        "data/workloads/ID.toml",
    }
    assert len(named) > 10
    assert [name for name in named if not (CHECKOUT / name).exists()] == []
