"""The replay of one file for one guest on one machine: look up, replay, result."""

from __future__ import annotations

from pathlib import Path

from costmodel.calibration.calibrate import parameters_of
from costmodel.cost.scenario import Scenario, scenario
from costmodel.decision.recommend import not_applicable
from costmodel.errors import NotApplicable
from costmodel.evidence.store import Evidence, load
from costmodel.kvm.catalog import GUESTS
from costmodel.plain import file_argument, shell_line
from costmodel.traces import memslots as slots
from costmodel.traces import model, results, store
from costmodel.traces.replay import replay
from costmodel.traces.service import service


def study(
    path: Path,
    guest: str,
    machine: str,
    workload: str,
    kernel: str = "newest",
    *,
    arrivals: str = "closed",
    memslots: Path | None = None,
    evidence: Evidence | None = None,
    **numbers: float | None,
) -> model.Replay:
    """Replay the imported trace at `path`. `numbers` are those of `scenario`. Raises UnknownName or BadInput."""
    evidence = evidence or load()
    case = scenario(evidence, guest, machine, workload, kernel, **numbers)
    if reason := not_applicable(case, GUESTS[guest]):
        raise NotApplicable(reason)
    footer = store.footer_of(path)
    parameters = parameters_of(evidence, machine)
    costs = service(evidence, case, parameters, list(footer.groups))
    given = slots.read(memslots) if memslots else None
    found = replay(path, footer, costs, given, closed=arrivals == "closed")
    command = _command(path, case, arrivals, memslots)
    return results.result(found, path, evidence, arrivals, given is not None, command)


def _command(path: Path, case: Scenario, arrivals: str, memslots: Path | None) -> str:
    """The command line that gives this answer again; files by name only."""
    words = ["costmodel", "trace", "replay", file_argument(path.name), "--guest", case.guest]
    words += ["--machine", case.machine.word, "--workload", case.workload.id, "--kernel", case.version]
    if arrivals != "closed":
        words += ["--arrivals", arrivals]
    if memslots:
        words += ["--memslots", file_argument(memslots.name)]
    return shell_line([*words, *case.number_words])
