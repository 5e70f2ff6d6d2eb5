"""The machinery: which faults it finds to seed, that it kills a wrong formula and spares one that says the same."""

import ast
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.mutants.__main__ import sample, share
from tests.mutants.modules import (
    GROUPS,
    ROOT,
    all_mutants,
    equivalents,
    group_of,
    judges_of,
    own_test,
    sources,
    told_apart,
)
from tests.mutants.mutations import mutants_of

JUDGE = """
import json, sys
from pathlib import Path
from tests.mutants import runner
from tests.mutants.mutations import Mutant

def seeded(line, before, after):
    path = "costmodel/formulas/caches.py"
    original = (root / path).read_bytes()
    start = original.index(before.encode(), original.index(line.encode()))
    return Mutant(path, 1, 1, start, start + len(before), before, after, line)

root = Path(sys.argv[1])
wrong = seeded("expression=rho * E / B,", "rho * E / B", "rho * B / E")
same = seeded("expression=rho * E / B,", "rho * E / B", "E / B * rho")
dead = seeded("expression=rho * E / B,", "rho * E / B", "exit()")
with runner.prepared(["formulas"], root) as bench:
    outcomes = runner.run(bench, [wrong, same, dead], 2, lambda outcome: None)
print(json.dumps([outcome.by for outcome in outcomes]))
"""


@pytest.fixture
def few_tests(tmp_path):
    """A checkout with the tests of one formula module only."""
    ignore = shutil.ignore_patterns("__pycache__")
    for part in ("costmodel", "data"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=ignore)
    for name in ("pyproject.toml", "tests/__init__.py", "tests/conftest.py", "tests/samples.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "tests/formulas").mkdir()
    for name in ("__init__.py", "domain.py", "test_caches.py"):
        shutil.copy(ROOT / "tests/formulas" / name, tmp_path / "tests/formulas" / name)
    return tmp_path


@pytest.mark.nightly
def test_a_wrong_formula_is_killed_and_one_that_says_the_same_is_not(few_tests):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", JUDGE, str(few_tests)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    wrong, same, dead = json.loads(done.stdout.splitlines()[-1])
    assert wrong == "tests/formulas/test_caches.py::test_what_is_used_again_comes_at_the_bandwidth"
    assert same == ""
    assert dead


def changes(tmp_path, text, path="costmodel/cost/one.py"):
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return {mutant.change for mutant in mutants_of(tmp_path, path)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("y = a - b", {"a - b -> (a + b)", "a - b -> (a)", "a - b -> (b)", "a - b -> (b - a)"}),
        ("y = a * b", {"a * b -> (a / b)", "a * b -> (a)", "a * b -> (b)"}),
        ("y = -a", {"-a -> (a)"}),
        ("y = a < b", {"a < b -> (a <= b)", "a < b -> (a > b)"}),
        ("y = Max(a, b)", {"Max(a, b) -> Min(a, b)", "Max(a, b) -> (a)", "Max(a, b) -> (b)"}),
        ("y = exp(a)", {"exp(a) -> (a)"}),
        ("y = a and b", {"a and b -> (a or b)", "a and b -> (a)", "a and b -> (b)"}),
        ("y = a if b else c", {"a if b else c -> (c if b else a)"}),
        ("if a:\n    b()", {"a -> (not (a))"}),
        ("y = 2", {"2 -> 3"}),
        ("y = 0.5", {"0.5 -> 1.0"}),
        ("y = True", {"True -> False"}),
        ('"""Text of 2 lines - no code."""\nraise E(f"{a - b}", 2)\ny: 3 = z', set()),
    ],
)
def test_every_single_fault_of_a_line_is_found(tmp_path, text, expected):
    assert changes(tmp_path, text) == expected


def test_predicates_and_labels_of_rules_are_faulty_too(tmp_path):
    text = (
        'R = Rule("an-id", lambda g, t, s: g.has("asid_keyed"), "yes", "pfn_known && !under_mmu_lock", "why", "where")'
    )
    assert changes(tmp_path, text, "costmodel/kvm/rules.py") == {
        "\"yes\" -> 'conditional'",
        "\"pfn_known && !under_mmu_lock\" -> '!pfn_known && !under_mmu_lock'",
        "\"pfn_known && !under_mmu_lock\" -> 'pfn_known && under_mmu_lock'",
        "\"pfn_known && !under_mmu_lock\" -> 'pfn_known'",
        "\"pfn_known && !under_mmu_lock\" -> '!under_mmu_lock'",
        "\"pfn_known && !under_mmu_lock\" -> 'pfn_known || !under_mmu_lock'",
    }


def test_a_mutant_changes_one_place_and_stays_python(few_tests):
    path = "costmodel/formulas/caches.py"
    original = (few_tests / path).read_bytes()
    for mutant in mutants_of(few_tests, path):
        text = mutant.text(original)
        ast.parse(text)
        assert text.startswith(original[: mutant.start]) and text.endswith(original[mutant.end :])
        assert original[mutant.start : mutant.end].decode() == mutant.before


def test_the_groups_hold_the_formulas_and_every_source_has_tests():
    formulas = {path.rpartition("/")[2] for path in sources(GROUPS["formulas"])}
    assert {"waits.py", "flush.py", "caches.py"} <= formulas
    for name, group in GROUPS.items():
        assert sources(group) and judges_of(group)
        assert {group_of(path) for path in sources(group)} == {name}
    assert own_test("costmodel/cost/event.py") == "tests/cost/test_event.py"


def test_every_source_that_a_group_names_is_there_and_none_was_printed():
    for name, group in GROUPS.items():
        modules = {path.stem for path in (ROOT / "costmodel" / group.package).glob("*.py")}
        assert {*group.sources, *group.left_out} <= modules, name
        heads = {path: (ROOT / path).read_text().split("\n")[0] for path in sources(group)}
        assert not [path for path, head in heads.items() if "not written by hand" in head]


def test_the_sample_is_the_same_again_and_another_with_another_seed():
    mutants = all_mutants("*formulas/waits*")
    one, again, other = (sample(mutants, 20, seed) for seed in (1, 1, 2))
    assert one == again != other
    assert len(set(one)) == 20
    without = [mutant for mutant in mutants if mutant != one[0]]
    assert len(set(sample(without, 20, 1)) & set(one)) == 19
    assert len(sample(mutants[:5], 20, 1)) == 5


def test_the_interval_is_that_of_clopper_and_pearson():
    # 0 of 10: 1 - 0.025^(1/10) = 30.8 %.
    assert share(0, 10) == "0/10 = 0.0% (95 % interval 0.0% to 30.8%)"
    assert share(95, 100) == "95/100 = 95.0% (95 % interval 88.7% to 98.4%)"


def test_an_equivalent_is_a_mutant_of_today():
    """Of the modules with the first entries; those of all are tried nightly."""
    entries = equivalents()
    for file in sorted({entry.file for entry in entries})[:4]:
        keys = {mutant.key for mutant in mutants_of(ROOT, file)}
        for entry in (entry for entry in entries if entry.file == file):
            assert entry.key in keys, f"no such mutant: {entry.key}"


@pytest.mark.nightly
def test_every_equivalent_is_a_mutant_of_today_with_a_reason():
    entries = equivalents()
    mutants = all_mutants()
    keys = {mutant.key for mutant in mutants}
    assert len(keys) == len(mutants)
    for entry in entries:
        assert entry.key in keys, f"no such mutant: {entry.key}"
        assert len(entry.why.split()) >= 5, entry
    assert len({entry.key for entry in entries}) == len(entries)
    count, equivalent = told_apart(mutants)
    assert len(count) + len(equivalent) == len(mutants)
