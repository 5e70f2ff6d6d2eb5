"""CONTRIBUTING.md: who adds what it shows of a machine and a strategy gets recommendations with them."""

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
MACHINE, STRATEGY = (next(content for how, _, content in BLOCKS if how == kind) for kind in ("file", "append to"))
MACHINE_ID = tomllib.loads(MACHINE)["id"]
STRATEGY_ID = tomllib.loads(STRATEGY)["strategy"][0]["id"]


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """A copy of data/ with what the blocks add."""
    root = tmp_path_factory.mktemp("followed") / "data"
    shutil.copytree(paths.data_dir(), root)
    for how, name, content in BLOCKS:
        path = root / name
        assert path.exists() == (how == "append to"), name
        before = path.read_text(encoding="utf-8") + "\n" if path.exists() else ""
        path.write_text(before + content, encoding="utf-8")
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


def test_every_file_and_directory_that_the_text_names_is_there():
    named = set(re.findall(r"`((?:data|costmodel|tests)/[\w./-]+)`", TEXT)) - {
        "data/machines/ID.toml",
        "data/workloads/ID.toml",
    }
    assert len(named) > 10
    assert [name for name in named if not (CHECKOUT / name).exists()] == []
