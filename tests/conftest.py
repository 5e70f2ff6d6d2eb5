"""Property tests draw the same examples in every run: a failure is never a matter of luck. With every push they draw a
fifth of those that `--hypothesis-profile full` draws nightly.
"""

import shutil
import signal
import sys
from dataclasses import replace

import pytest
from hypothesis import settings

from costmodel.evidence import package, paths
from costmodel.evidence.store import TOLD, load
from costmodel.kvm import releases
from tests.samples import FULL

SAME = settings(derandomize=True, deadline=None, print_blob=True)
settings.register_profile("full", SAME, max_examples=FULL)
settings.register_profile("few", SAME, max_examples=FULL // 5)
settings.load_profile("few")

sys.modules.setdefault("rfc3987_syntax", None)
"""jsonschema would compile IRI grammars for seconds, in each process that reads a notebook; none of them uses any."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Tests that a shell started in the background inherit an ignored Ctrl-C, and so would every process that they
    # interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _machines_are_told_to_one_test_only(monkeypatch):
    """A machine that a test describes to its process is forgotten after it."""
    monkeypatch.setenv(TOLD, "")
    monkeypatch.delenv(TOLD)


@pytest.fixture(autouse=True)
def _machines_of_the_user_are_none(monkeypatch, tmp_path_factory):
    """What whoever runs the tests has added is in no answer."""
    monkeypatch.setenv("COSTMODEL_MACHINES", str(tmp_path_factory.getbasetemp() / "no-machines"))


@pytest.fixture
def mended(monkeypatch):
    """The flush at intra-host migration as if 6.18.55 and 7.2.9 had it whole: none of the releases that were seen
    has.
    """
    first = {(6, 18): (6, 18, 55), (7, 2): (7, 2, 9)}
    rows = tuple(
        replace(fix, status="released", first=first[fix.series]) if fix.series in first else fix
        for fix in releases.backports()
    )
    monkeypatch.setattr(releases, "backports", lambda: rows)


@pytest.fixture
def data(tmp_path):
    """A writable copy of data/ whose description is current."""
    root = tmp_path / "data"
    shutil.copytree(paths.data_dir(), root)
    return root


@pytest.fixture
def edit(data):
    """Replace text in one file of the copy (exactly one place) and describe the copy anew."""

    def change(name, old, new):
        path = data / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        package.main([str(data)])
        return data

    return change


@pytest.fixture(scope="session")
def evidence():
    """All of data/."""
    return load()


@pytest.fixture(scope="session")
def answer():
    """recommend(), each question asked once."""
    from costmodel.report.record import recommend

    asked = {}

    def ask(guest, machine="epyc-7763-2s", workload="autonuma-default", kernel="newest", **numbers):
        key = (guest, machine, workload, kernel, tuple(sorted(numbers.items())))
        if key not in asked:
            given = {name: dict(value) if name == "rates" else value for name, value in numbers.items()}
            asked[key] = recommend(guest, machine, workload, kernel, **given)
        return asked[key]

    return ask


@pytest.fixture(scope="session")
def study():
    """The study of one trigger, each case studied once; `changes` go into the scenario."""
    from costmodel.calibration.parameters import parameters_of
    from costmodel.cost.scenario import scenario
    from costmodel.decision.findings import study_all

    known = {}

    def find(trigger, guest="sev", workload="autonuma-default", kernel="newest", machine="epyc-7763-2s", **changes):
        key = (guest, workload, kernel, machine, tuple(sorted(changes.items())))
        if key not in known:
            evidence = load()
            case = replace(scenario(evidence, guest, machine, workload, kernel), **changes)
            studies = study_all(evidence, case, parameters_of(evidence, machine))
            known[key] = {one.trigger.id: one for one in studies}
        return known[key][trigger]

    return find


@pytest.fixture(scope="session")
def milan():
    """The parameters of a Milan host of two sockets."""
    from costmodel.calibration.parameters import parameters_of

    return parameters_of(load(), "epyc-7763-2s")


@pytest.fixture(scope="session")
def milan_ksm():
    """A guest on it whose pages KSM merges."""
    from costmodel.cost.scenario import scenario

    return scenario(load(), "sev", "epyc-7763-2s", "ksm-default", "6.6", pinned=False, mergeable=True)
