"""The simulator knows nothing of the formulas: it imports none of the package but itself, and SimPy only to run."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import costmodel.simulation
from costmodel.simulation.engine import SimulationUnavailable, environment

FOLDER = Path(costmodel.simulation.__file__).parent
ALLOWED = {"__future__", "collections", "dataclasses", "heapq", "itertools", "numpy", "scipy", "simpy", "typing"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield node.module


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_it_imports_nothing_else_of_the_package(path):
    foreign = {
        name
        for name in imported(path)
        if name.partition(".")[0] not in ALLOWED and not name.startswith("costmodel.simulation")
    }
    assert foreign <= ({"costmodel"} if path.name == "__init__.py" else set())


def test_running_it_loads_no_other_part_of_the_package():
    code = """
import sys
from costmodel.simulation import address, cache, invalidations, mask, numa, response, run, whole
run.simulate(invalidations.Invalidations(flush_s=(1.0,), rate_per_s=0.1), ["in_progress"], 1)
print(sorted(name for name in sys.modules if name.startswith("costmodel.")
             and not name.startswith("costmodel.simulation")))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_without_simpy_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "simpy", None)
    with pytest.raises(SimulationUnavailable, match=r"pip install 'kvm-costmodel\[sim\]'"):
        environment()
