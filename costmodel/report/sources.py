"""Which rows of data/ stand behind an answer."""

from __future__ import annotations

from collections.abc import Iterable

from costmodel.cost.scenario import Scenario
from costmodel.decision.choice import Study
from costmodel.decision.result import SourceRow
from costmodel.evidence.hosts import FOLDER
from costmodel.evidence.records import RENDEZVOUS as LOGS
from costmodel.evidence.store import Evidence


def source_rows(evidence: Evidence, scenario: Scenario, studies: Iterable[Study]) -> list[SourceRow]:
    """Provenance of every number used, in the order of the row ids; CPUID dumps last."""
    ids: set[str] = set()
    for study in studies:
        for candidate in study.candidates:
            if candidate.verdict.label != "no":
                for name in study.cost(candidate.strategy).parameters:
                    if name in study.parameters.parameters:
                        ids.update(study.parameters[name].sources)
        load = scenario.workload.load(study.trigger.id)
        if load:
            ids.update(load.sources)
            numbers = [load.threads, load.events_per_cycle, load.sleep_s, load.event_fraction, *load.tunables.values()]
            ids.update(row for number in numbers if number is not None for row in number.sources)
    for number in (scenario.workload.vcpus, scenario.workload.resident_bytes):
        ids.update(number.sources)
    for rows in scenario.machine.provenance.values():
        ids.update(rows)
    ids.discard("scenario")
    measured = [source_row(evidence, name) for name in sorted(ids) if name in evidence.measurements]
    logs = [_logs(evidence)] if LOGS in ids else []
    hosts = [_host(evidence, name) for name in sorted(ids) if name.startswith(f"{FOLDER}/")]
    dumps = [
        _file(name, "CPUID dump: features and cache geometry", "InstLatx64 CPUID dumps", "InstLatx64", name, fits=False)
        for name in sorted(ids)
        if name not in evidence.measurements and name != LOGS and not name.startswith(f"{FOLDER}/")
    ]
    return measured + logs + hosts + dumps


def _file(id: str, what: str, title: str, author: str, locator: str, *, date: str = "", fits: bool = True) -> SourceRow:
    """A file of many numbers: measured ones that `fits` use, or what a machine is said to be."""
    kind, use = ("measured", "fit") if fits else ("specified", "machine")
    return SourceRow(
        id=id,
        quantity=what,
        value="",
        unit="",
        kind=kind,
        use=use,
        title=title,
        author=author,
        date=date,
        locator=locator,
    )


def _logs(evidence: Evidence) -> SourceRow:
    what = f"logs of {len(evidence.rendezvous)} boots and resumes, each with its lines, that bound WBINVD"
    return _file(LOGS, what, "kernel logs", "the owners of the machines, as the rows name them", f"data/{LOGS}")


def _host(evidence: Evidence, name: str) -> SourceRow:
    profile = evidence.hosts[name.removeprefix(f"{FOLDER}/")]
    what = "profile of a measured host: every repetition of each probe"
    author = "this project" if evidence.root in profile.folder.parents else "the user of this host"
    return _file(name, what, "costmodel measure", author, f"{name}/host.toml", date=profile.measured_on)


def source_row(evidence: Evidence, name: str) -> SourceRow:
    """Provenance of one row of data/measurements.csv."""
    row = evidence.one(name)
    return SourceRow(
        id=row.id,
        quantity=row.quantity,
        value=f"{row.value:g}",
        unit=row.unit,
        kind=row.kind,
        use=row.use,
        title=row.source_title,
        author=row.source_author,
        date=row.source_date,
        locator=row.source_locator,
    )
