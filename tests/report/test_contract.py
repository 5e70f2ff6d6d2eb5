"""Parameters that make no report are refused by name, before any kernel starts."""

import math

import pytest

from costmodel.cli import main
from costmodel.errors import BadInput, CostModelError, UnknownName
from costmodel.report import build, contract

GOOD = {"guest": "sev", "machine": "epyc-7763-2s", "workload": "autonuma-default", "kernel": "newest"}


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch):
    """Any attempt to run a notebook, here or in a worker, fails the test."""
    import papermill

    def refuse(*_, **__):
        pytest.fail("a notebook was started")

    monkeypatch.setattr(papermill, "execute_notebook", refuse)
    monkeypatch.setattr(build, "build_all", refuse)


def test_a_good_set_passes_and_what_is_not_given_is_none():
    arguments = contract.arguments(contract.check(GOOD))
    assert {name: arguments[name] for name in GOOD} == GOOD
    assert arguments["vcpus"] is None
    assert arguments["cpus_that_ran"] is None
    assert arguments["event_fraction"] is None


def test_given_numbers_reach_the_model():
    arguments = contract.arguments(contract.check({**GOOD, "vcpus": 4, "cpus_that_ran": 8, "event_fraction": 0.0}))
    assert (arguments["vcpus"], arguments["cpus_that_ran"], arguments["event_fraction"]) == (4, 8, 0.0)


def test_unknown_parameter_is_named_with_the_near_one():
    with pytest.raises(UnknownName) as caught:
        contract.check({**GOOD, "vcpu": 4})
    assert "vcpu" in str(caught.value)
    assert "'vcpus'" in str(caught.value)


@pytest.mark.parametrize("name", ["guest", "machine", "workload"])
@pytest.mark.parametrize("value", ["no-such-thing", "", "SEV ", "../../etc/passwd"])
def test_unknown_ids(name, value):
    with pytest.raises(CostModelError):
        contract.check({**GOOD, name: value})


@pytest.mark.parametrize("value", ["", "6", "six", "5.3", "9.1", "6.6; rm -rf /", "6.6\n"])
def test_unknown_kernels(value):
    with pytest.raises(CostModelError):
        contract.check({**GOOD, "kernel": value})


@pytest.mark.parametrize("name", list(GOOD))
def test_a_missing_name_is_refused(name):
    with pytest.raises(BadInput) as caught:
        contract.check({key: value for key, value in GOOD.items() if key != name})
    assert caught.value.field == name


WRONG = [
    ("guest", 1),
    ("guest", None),
    ("machine", ["epyc-7763-2s"]),
    ("kernel", 6.6),
    ("vcpus", "8"),
    ("vcpus", 8.5),
    ("vcpus", True),
    ("vcpus", 0),
    ("vcpus", -1),
    ("vcpus", math.nan),
    ("vcpus", 10**400),
    ("cpus_that_ran", -1),
    ("cpus_that_ran", 0),
    ("cpus_that_ran", 257),
    ("cpus_that_ran", 10**12),
    ("cpus_that_ran", "all"),
    ("event_fraction", "0.5"),
    ("event_fraction", 2),
    ("event_fraction", 1.0000001),
    ("event_fraction", -0.5),
    ("event_fraction", -1.0),
    ("event_fraction", -2.0),
    ("event_fraction", math.nan),
    ("event_fraction", math.inf),
    ("event_fraction", -math.inf),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=lambda v: str(v)[:20])
def test_wrong_types_and_impossible_values(name, value):
    with pytest.raises(BadInput) as caught:
        contract.check({**GOOD, name: value})
    assert caught.value.field == name


@pytest.mark.parametrize(
    "arguments",
    [
        ["--guest", "sve"],
        ["--machine", "epyc-1"],
        ["--workload", "none"],
        ["--kernel", "2.6"],
        ["-p", "vcpu=4"],
        ["-p", "vcpus=-1"],
        ["-p", "vcpus=many"],
        ["-p", "vcpus=nan"],
        ["-p", "event_fraction=2"],
        ["-p", "event_fraction=nan"],
        ["-p", "event_fraction"],
        ["-p", "=4"],
        ["--guest", "sev", "--machine", "epyc-7763-2s", "-p", "guest=nonsense"],
        ["--guest", "sev", "--machine", "epyc-7763-2s", "-p", "machine=nonsense"],
        ["--guest", "sev", "-p", "cpus_that_ran=200"],
    ],
    ids=" ".join,
)
def test_the_command_refuses_and_writes_nothing(arguments, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    monkeypatch.setattr("sys.argv", ["costmodel", "report", "--out", str(out), *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not out.exists()
