"""Builds reports: the parameters that are asked for; each report in a process of its own, its answer found once and
shown as text, JSON, SVG and, by papermill, as a page; the index last; and how committed files differ from what the
inputs give.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from costmodel.cluster import map_in_order
from costmodel.cost.scenario import check_dma
from costmodel.decision.findings import Findings
from costmodel.decision.result import Recommendation
from costmodel.decision.views import view, worth_drawing
from costmodel.errors import BadInput, CostModelError, UnknownName
from costmodel.evidence import machine_input
from costmodel.evidence.paths import notebooks_dir
from costmodel.evidence.store import load
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.hashing import write_beside
from costmodel.kvm import kernels
from costmodel.kvm.catalog import GUESTS
from costmodel.kvm.setup import setup
from costmodel.numbers import MOST_VCPUS
from costmodel.report import overview, page, plots, recommendation, runner
from costmodel.report.live import Live, live
from costmodel.report.record import keep, recommend
from costmodel.report.runner import Engine, ReportsFailed, in_processes

# The parameters of the report notebook: names, types and ranges, checked before a kernel starts.


class ReportParameters(BaseModel):
    """What a report is about. None means: the workload's own number, for `cpus_that_ran` all CPUs, the mask of an
    unpinned guest, and for the setup of the memory (`vmm` to `mergeable`) what the VMM does. `data_hash` names the data
    that text and JSON of the report were made from; where it is given, other data are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    guest: str
    machine: str
    workload: str
    kernel: str
    vcpus: int | None = Field(default=None, ge=1, le=MOST_VCPUS)
    cpus_that_ran: int | None = Field(default=None, ge=1)
    event_fraction: float | None = Field(default=None, ge=0.0, le=1.0)
    vmm: str | None = None
    pinned: bool | None = None
    backing: str | None = None
    mempolicy: str | None = None
    mergeable: bool | None = None
    noncoherent_dma: bool = False
    data_hash: str | None = None


GIVEN = tuple(name for name in ReportParameters.model_fields if name != "data_hash")
"""What whoever wants a report may give; the hash is for the run of its notebook."""


def check_parameters(values: Mapping[str, Any]) -> ReportParameters:
    """Validate `values` that a user gave. Raises UnknownName or BadInput naming the parameter."""
    for name in values:
        if name not in GIVEN:
            raise UnknownName("report parameter", name, GIVEN)
    return check_run(values)


def check_run(values: Mapping[str, Any]) -> ReportParameters:
    """Validate the `values` of a run of the notebook, the hash of the data among them. Raises UnknownName for an id, or
    BadInput naming the parameter.
    """
    try:
        parameters = ReportParameters(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            f"{first['msg'].lower()}, got {first.get('input')!r}",
            field=str(first["loc"][0]),
            remedy="see `costmodel report --help`",
        ) from None
    evidence = load()
    if parameters.data_hash not in (None, evidence.data_hash):
        raise BadInput(
            f"the data changed while the report was built: {parameters.data_hash} became {evidence.data_hash}",
            field="data_hash",
            remedy="build it again when nothing writes to data/",
        )
    setup(
        parameters.guest,
        parameters.vmm,
        pinned=parameters.pinned,
        backing=parameters.backing,
        mempolicy=parameters.mempolicy,
        mergeable=parameters.mergeable,
    )
    check_dma(parameters.guest, parameters.noncoherent_dma)
    host = machine_input.told(parameters.machine)
    if host.given:
        parameters = parameters.model_copy(update={"machine": host.id})
    parameters = parameters.model_copy(update={"workload": evidence.workload(parameters.workload).id})
    kernels.settled(parameters.kernel, parameters.guest)
    if (parameters.cpus_that_ran or 0) > host.logical_cpus:
        raise BadInput(
            f"{parameters.cpus_that_ran} exceeds the {host.logical_cpus} CPUs of {host.id}",
            field="cpus_that_ran",
            remedy="give at most the CPUs of the machine",
        )
    return parameters


def arguments(parameters: ReportParameters) -> dict[str, Any]:
    """Keyword arguments for `recommend` and `costmodel.case`."""
    return parameters.model_dump(exclude={"data_hash"})


# Builds reports, each in a process of its own, the index last.

NOTEBOOK = "flush_strategy.ipynb"
COMMITTED = (".txt", ".json", ".svg")
COMMITTED_PLOTS = (("sev", "epyc-7763-2s"), ("sev-snp-gmem", "epyc-7763-2s"))


def matrix(guests: Sequence[str], machines: Sequence[str], parameters: dict[str, Any]) -> list[ReportParameters]:
    """Parameters of every combination (empty sequences mean all), each checked. Raises UnknownName or BadInput."""
    return [
        check_parameters({**parameters, "guest": guest, "machine": machine})
        for guest in guests or GUESTS
        for machine in machines or load().machines
    ]


def stem(parameters: ReportParameters) -> str:
    """guest/machine, with the workload where it is not the default."""
    return _suffixed(f"{parameters.guest}/{parameters.machine}", parameters.workload)


def _suffixed(name: str, workload: str) -> str:
    return name if workload == DEFAULT_WORKLOAD else f"{name}.{workload}"


def artefacts(
    jobs: Sequence[ReportParameters], tick: Callable[[], None] = lambda: None, workers: int = 1
) -> dict[str, str]:
    """Files that need no kernel, by relative path: text, JSON, schema, SVG, index (of the whole matrix). All but the
    HTML are committed. Raises what costing a report raises.
    """
    results: Results = {}
    files: dict[str, str] = {}
    for job, answer in in_processes(costed, jobs, workers):
        if isinstance(answer, Exception):
            raise answer
        results[job.guest, job.machine] = answer
        files |= own_files(job, answer)
        tick()
    return files | shared_files(jobs, results)


Results = dict[tuple[str, str], Recommendation]


def costed(job: ReportParameters) -> Recommendation:
    """The answer that a report shows."""
    return recommend(**arguments(job))


def own_files(job: ReportParameters, result: Recommendation) -> dict[str, str]:
    """Text, JSON and SVG of one report."""
    name = stem(job)
    files = {f"{name}.txt": recommendation.render(result), f"{name}.json": recommendation.as_json(result)}
    if (job.guest, job.machine) in COMMITTED_PLOTS:
        files |= _plots(name.replace("/", "-"), result)
    return files


def shared_files(jobs: Sequence[ReportParameters], results: Results) -> dict[str, str]:
    """The schema and, where `results` are the whole matrix, the index."""
    files = {"schema/recommendation.schema.json": recommendation.schema()}
    if not is_whole(jobs) or len(results) < len(jobs):
        return files
    name = _suffixed("index", jobs[0].workload)
    pages = {(job.guest, job.machine): f"{stem(job)}.html" for job in jobs}
    in_order = {place: results[place] for place in pages}
    return files | {
        f"{name}.html": overview.html(in_order, pages),
        f"{name}.json": overview.as_json(in_order),
        f"{name}.txt": overview.text(in_order),
    }


def is_whole(jobs: Sequence[ReportParameters]) -> bool:
    """Whether `jobs` are every guest type on every machine, of which there is an index."""
    return len({(job.guest, job.machine) for job in jobs}) == len(GUESTS) * len(load().machines)


def make_writable(out: Path) -> None:
    """Make the directory `out` and prove that files can be written there. Raises BadInput: before anything is
    costed.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise BadInput(
            f"cannot be written: {error.strerror or error}", file=out, field="--out", remedy="choose another directory"
        ) from None


def _plots(name: str, result: Recommendation) -> dict[str, str]:
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    own = result.costliest_strategy
    drawn = {f"svg/{name}-cost.svg": plots.cost_figure(worth_drawing(rows, own), own)}
    seen = view(result)
    if seen is not None:
        drawn[f"svg/{name}-break-even.svg"] = plots.curves_figure(seen.sweeps(), seen.states, own)
    return {path: svg for path, svg in drawn.items() if svg}


def build_page(
    parameters: ReportParameters, out: Path, engine: Engine = "kernel", *, result: Recommendation | None = None
) -> Path:
    """Run the notebook for one report and write its .ipynb and .html under `out`.

    Where `parameters` name the hash of the data, the notebook refuses other data. `result` is the answer, where it is
    known: the live part is made from it.
    """
    body = _body(parameters, out, engine)
    return _write_page(parameters, out, body, live(result or costed(parameters)))


def _body(parameters: ReportParameters, out: Path, engine: Engine) -> str:
    """What a run of the notebook shows; the notebook itself is written under `out`."""
    notebook = _target(parameters, out, ".ipynb")
    _make(notebook.parent)
    executed = runner.run(notebooks_dir() / NOTEBOOK, parameters.model_dump(), notebook, engine=engine)
    return page.body_of(executed)


def _write_page(parameters: ReportParameters, out: Path, body: str, live: Live | None) -> Path:
    title = f"{parameters.guest} on {parameters.machine}: flush strategy"
    html = _target(parameters, out, ".html")
    home = f"../{_suffixed('index', parameters.workload)}.html"
    write_beside(html, page.page(title, body, home, live))
    return html


def _target(parameters: ReportParameters, out: Path, suffix: str) -> Path:
    target = out / stem(parameters)
    return target.with_name(target.name + suffix)


@dataclass(frozen=True)
class Outcome:
    """What came of one report: its answer, the names of its files, and why its page failed."""

    result: Recommendation
    names: tuple[str, ...] = ()
    error: CostModelError | None = None


def build_report(job: ReportParameters, out: Path, engine: Engine = "kernel") -> Outcome:
    """Page, text, JSON and SVG of one report. One whose page fails leaves the earlier files."""
    result = costed(job)
    try:
        html = build_page(_of_these_data(job), out, engine, result=result)
    except CostModelError as error:
        return Outcome(result, error=error)
    return _finished(job, out, result, own_files(job, result), html)


def _of_these_data(job: ReportParameters) -> ReportParameters:
    """The report of the data as they are now, or of none."""
    return job.model_copy(update={"data_hash": load().data_hash})


def _finished(job: ReportParameters, out: Path, result: Recommendation, files: dict[str, str], html: Path) -> Outcome:
    """Write the files of a report whose page was written."""
    write(files, out)
    pages = (html.relative_to(out).as_posix(), html.with_suffix(".ipynb").relative_to(out).as_posix())
    return Outcome(result, (*files, *pages))


def _build_alone(job: ReportParameters, out: Path, engine: Engine) -> Outcome | Exception:
    """`build_report` on two CPUs: the answer is found beside the imports, and what needs no notebook is made beside the
    run of the notebook.
    """
    result, _ = runner.beside(costed, job, partial(runner.prepare, engine))
    if isinstance(result, Exception):
        return result
    keep(result, **arguments(job))
    asked = _of_these_data(job)
    body, (files, part) = runner.beside(
        partial(_body, out=out, engine=engine), asked, lambda: (own_files(job, result), live(result))
    )
    if isinstance(body, CostModelError):
        return Outcome(result, error=body)
    return _finished(job, out, result, files, _write_page(asked, out, cast(str, body), part))


def attempted(job: ReportParameters, out: Path, engine: Engine) -> Outcome | CostModelError:
    """`build_report` on a worker of a scheduler: one that fails, or that has other data, keeps no other."""
    try:
        check_run(job.model_dump())
        return build_report(job, out, engine)
    except CostModelError as error:
        return error


def build_all(
    jobs: Sequence[ReportParameters],
    out: Path,
    workers: int,
    tick: Callable[[], None],
    engine: Engine = "kernel",
    done: Callable[[ReportParameters, Sequence[str]], None] = lambda job, names: None,
    unchanged: Collection[ReportParameters] = (),
    scheduler: str | None = None,
) -> list[str]:
    """All files of each report, `workers` reports at a time, or on the workers of the Dask `scheduler`, which must have
    `out` as their own; then what no report owns, of which it returns the names.

    A report that fails does not keep the others, and leaves its earlier files; raises ReportsFailed at the end, or
    BadInput where the only one has no place to stand. `done`
    hears of each report that was built. Those in `unchanged` are only costed, for the index.
    """
    failed: dict[str, Exception] = {}
    results: Results = {}
    todo = [job for job in jobs if job not in unchanged]

    def act(job: ReportParameters) -> Outcome:
        return build_report(job, out, engine)

    def built() -> Iterator[tuple[ReportParameters, Outcome | Exception]]:
        if scheduler is not None:
            return _far(todo, out.resolve(), engine, scheduler)
        if len(todo) == 1:
            return iter([(todo[0], _build_alone(todo[0], out, engine))])
        _prepare(todo, engine)
        return in_processes(act, todo, workers)

    for job, outcome in built():
        if isinstance(outcome, Exception):
            failed[stem(job)] = outcome
        else:
            results[job.guest, job.machine] = outcome.result
            if outcome.error:
                failed[stem(job)] = outcome.error
            else:
                done(job, outcome.names)
        tick()
    left = [job for job in jobs if is_whole(jobs) and (job.guest, job.machine) not in results]
    for job, answer in in_processes(costed, left, workers):
        if isinstance(answer, Exception):
            failed.setdefault(stem(job), answer)
        else:
            results[job.guest, job.machine] = answer
    shared = shared_files(jobs, results)
    try:
        write(shared, out)
    except BadInput:
        if not failed:  # else the reports that failed say why, and which they are
            raise
    if failed:
        error = next(iter(failed.values()))
        raise error if len(jobs) == 1 and isinstance(error, BadInput) else ReportsFailed(failed, len(jobs))
    return list(shared)


def _prepare(todo: Sequence[ReportParameters], engine: Engine) -> None:
    """Do once, in the process from which reports are forked, what all of them share: imports, and the answer of one report
    that flushes, if any does, with the random numbers and the tables that every answer needs.

    A report that fails fails again, and is told, in its own process.
    """
    runner.prepare(engine)
    for job in reversed(todo):
        with contextlib.suppress(Exception):
            if Findings.of(**arguments(job)).flush is not None:
                costed(job)
                return


def _far(
    todo: Sequence[ReportParameters], out: Path, engine: Engine, scheduler: str
) -> Iterator[tuple[ReportParameters, Outcome | CostModelError]]:
    """Each report with what came of it on a scheduler, from the data of this process or not at all."""
    asked, act = [_of_these_data(job) for job in todo], partial(attempted, out=out, engine=engine)
    written = "a report that was written before is whole"
    yield from zip(todo, map_in_order(act, asked, scheduler, written), strict=True)


def write(files: dict[str, str], out: Path) -> None:
    """Write the artefacts, each beside its place and then renamed."""
    for name, content in files.items():
        path = out / name
        _make(path.parent)
        write_beside(path, content)


def _make(folder: Path) -> None:
    """Make a directory. Raises BadInput."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(
            f"is no directory and cannot be made one: {error.strerror or error}",
            file=folder,
            remedy="remove what is there, or choose another --out",
        ) from None


def committed(files: dict[str, str]) -> dict[str, str]:
    """The artefacts that are kept in the repository."""
    return {name: content for name, content in files.items() if Path(name).suffix in COMMITTED}


# How committed files differ from what the inputs give: numbers to TOLERANCE, everything else to the letter.

TOLERANCE = 1e-7
"""Relative. Two CPUs differ by 1e-12 at most, and whoever reads a report needs two digits."""
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w])")
"""A number that stands alone; digits in a name or a hash are text."""
SHOWN = 60


def differences(files: dict[str, str], out: Path, suffixes: tuple[str, ...]) -> list[str]:
    """One line for each of `files` that is missing under `out` or differs: where first, by how much, and in which other
    fields or in how many other lines.

    With the index among `files` (the whole matrix) also a line for each file with one of `suffixes` that nothing
    builds any more.
    """
    found = []
    for name, wanted in sorted(files.items()):
        path = out / name
        if not path.is_file():
            found.append(f"{name}: missing")
            continue
        present = path.read_bytes().decode(errors="replace")
        compare = _in_json if path.suffix == ".json" else _in_text
        if present != wanted and (places := list(compare(present, wanted))):
            found.append(f"{name}: {places[0][1]}{_besides(places)}")
    if "index.json" in files:
        kept = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.suffix in suffixes}
        found += [f"{name}: is built from no input" for name in sorted(kept - files.keys())]
    return found


Place = tuple[str, str]
"""The field or the line in which two files differ, and how."""


def _besides(places: Sequence[Place]) -> str:
    """The fields in which files differ besides the first place, or how many lines."""
    first, *others = dict.fromkeys(field for field, _ in places)
    if not others:
        return ""
    if all(field.isdecimal() for field in (first, *others)):
        return f"; {len(others)} more line{'s' if len(others) > 1 else ''} differ{'' if len(others) > 1 else 's'}"
    return f"; also {', '.join(others)}"


def _in_json(present: str, wanted: str) -> Iterator[Place]:
    try:
        here = json.loads(present)
    except ValueError as error:
        yield "", f"is no JSON: {error}"
        return
    for place, told in _in_values(here, json.loads(wanted), ""):
        yield re.split(r"[.\[]", place)[0], told


def _in_values(here: Any, there: Any, place: str) -> Iterator[Place]:
    """Differences of two JSON values, each with its path and told in words."""
    if isinstance(here, dict) and isinstance(there, dict):
        for name in sorted(here.keys() | there.keys()):
            inside = f"{place}.{name}" if place else name
            if name not in there:
                yield inside, f"{inside} is there, the inputs give none"
            elif name not in here:
                yield inside, f"{inside} is missing, the inputs give {_shown(there[name])}"
            else:
                yield from _in_values(here[name], there[name], inside)
    elif isinstance(here, list) and isinstance(there, list):
        if len(here) != len(there):
            yield place, f"{place} has {len(here)} entries, the inputs give {len(there)}"
            return
        for number, (one, other) in enumerate(zip(here, there, strict=True)):
            yield from _in_values(one, other, f"{place}[{number}]")
    elif _is_number(here) and _is_number(there):
        if not same(here, there):
            yield place, f"{place} is {here!r}, the inputs give {there!r} ({_by(here, there)})"
    elif here != there or type(here) is not type(there):
        yield place, f"{place} is {_shown(here)}, the inputs give {_shown(there)}"


def _in_text(present: str, wanted: str) -> Iterator[Place]:
    """Differences of two texts, line by line."""
    here, there = present.split("\n"), wanted.split("\n")
    for number, (one, other) in enumerate(zip(here, there, strict=False), start=1):
        if one == other:
            continue
        numbers, others = NUMBER.findall(one), NUMBER.findall(other)
        if NUMBER.sub("", one) == NUMBER.sub("", other) and len(numbers) == len(others):
            apart = [(a, b) for a, b in zip(map(float, numbers), map(float, others), strict=True) if not same(a, b)]
            if not apart:
                continue
            yield f"{number}", f"line {number} has {apart[0][0]:g}, the inputs give {apart[0][1]:g} ({_by(*apart[0])})"
        else:
            yield f"{number}", f"line {number} is {_shown(one.strip())}, the inputs give {_shown(other.strip())}"
    if len(here) != len(there):
        yield f"{len(there)}", f"ends at line {len(here)}, the inputs give {len(there)} lines"


def same(one: float, other: float) -> bool:
    """Whether two numbers agree to TOLERANCE."""
    return math.isclose(one, other, rel_tol=TOLERANCE)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _by(here: float, there: float) -> str:
    """How far apart two numbers are."""
    return f"{(here / there - 1) * 100:+.2g} %" if there else "the inputs give zero"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 4] + " ..."
