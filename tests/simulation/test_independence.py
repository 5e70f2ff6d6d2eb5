"""The simulator knows nothing of the formulas: it imports none of the package, and runs without it."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ALLOWED = {"__future__", "collections", "dataclasses", "heapq", "itertools", "numpy", "scipy", "simpy", "typing"}
SIMULATOR = ("__init__", "statistics", "host", "invalidations", "samples")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("name", SIMULATOR)
def test_it_imports_nothing_of_the_package(name):
    for one in imported(Path(__file__).with_name(f"{name}.py")):
        own = one.startswith("tests.simulation.") and one.split(".")[2] in SIMULATOR
        assert own or one.partition(".")[0] in ALLOWED, one


def test_running_it_loads_no_part_of_the_package():
    code = """
import sys
from tests.simulation import invalidations, samples
invalidations.simulate(invalidations.Invalidations(flush_s=(1.0,), rate_per_s=0.1), ["in_progress"], 1)
print(sorted(name for name in sys.modules if name.startswith("costmodel")))
"""
    root = Path(__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
