"""Builds reports: text, JSON and SVG in this process, pages by papermill in parallel, the index last."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from costmodel.decision.recommend import recommend
from costmodel.decision.result import Recommendation
from costmodel.decision.views import view
from costmodel.errors import BadInput
from costmodel.evidence.paths import notebooks_dir
from costmodel.evidence.store import load
from costmodel.hashing import write_beside
from costmodel.kvm.guests import GUESTS
from costmodel.report import index, jsonout, page, plots, runner, text
from costmodel.report.contract import ReportParameters, arguments, check
from costmodel.report.processes import in_processes
from costmodel.report.runner import ReportsFailed

NOTEBOOK = "flush_strategy.ipynb"
DEFAULT_WORKLOAD = "autonuma-default"
COMMITTED = (".txt", ".json", ".svg")
COMMITTED_PLOTS = (("sev", "epyc-7763-2s"), ("sev-snp-gmem", "epyc-7763-2s"))


def matrix(guests: Sequence[str], machines: Sequence[str], parameters: dict[str, object]) -> list[ReportParameters]:
    """Parameters of every combination (empty sequences mean all), each checked. Raises UnknownName or BadInput."""
    return [
        check({**parameters, "guest": guest, "machine": machine})
        for guest in guests or GUESTS
        for machine in machines or load().machines
    ]


def stem(parameters: ReportParameters) -> str:
    """guest/machine, with the workload where it is not the default."""
    return _suffixed(f"{parameters.guest}/{parameters.machine}", parameters.workload)


def _suffixed(name: str, workload: str) -> str:
    return name if workload == DEFAULT_WORKLOAD else f"{name}.{workload}"


def artefacts(jobs: Sequence[ReportParameters], tick: Callable[[], None] = lambda: None) -> dict[str, str]:
    """Files that need no kernel, by relative path: text, JSON, schema, SVG, index (of the whole matrix). All but the HTML are committed."""
    files: dict[str, str] = {"schema/recommendation.schema.json": jsonout.schema()}
    results: dict[tuple[str, str], Recommendation] = {}
    for job in jobs:
        result = recommend(**arguments(job))
        results[job.guest, job.machine] = result
        files[f"{stem(job)}.txt"] = text.render(result)
        files[f"{stem(job)}.json"] = jsonout.render(result)
        if (job.guest, job.machine) in COMMITTED_PLOTS:
            files |= _plots(stem(job).replace("/", "-"), result)
        tick()
    if len(results) == len(GUESTS) * len(load().machines):
        name = _suffixed("index", jobs[0].workload)
        files |= {
            f"{name}.html": index.html(results, {(job.guest, job.machine): f"{stem(job)}.html" for job in jobs}),
            f"{name}.json": index.as_json(results),
            f"{name}.txt": index.text(results),
        }
    return files


def _own_files(job: ReportParameters) -> tuple[str, ...]:
    """Names of the artefacts of one report; every other is of all reports."""
    name = stem(job)
    plain = name.replace("/", "-")
    return f"{name}.txt", f"{name}.json", f"svg/{plain}-cost.svg", f"svg/{plain}-break-even.svg"


def make_writable(out: Path) -> None:
    """Make the directory `out` and prove that files can be written there. Raises BadInput: before anything is costed."""
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
    drawn = {f"svg/{name}-cost.svg": plots.cost_figure(rows, result.costliest_strategy)}
    seen = view(result)
    if seen is not None:
        drawn[f"svg/{name}-break-even.svg"] = plots.curves_figure(seen.sweeps(), seen.labels, result.costliest_strategy)
    return {path: svg for path, svg in drawn.items() if svg}


def build_page(parameters: ReportParameters, out: Path) -> Path:
    """Run the notebook for one report and write its .ipynb and .html under `out`.

    Where `parameters` name the hash of the data, the notebook refuses other data.
    """
    target = out / stem(parameters)
    target.parent.mkdir(parents=True, exist_ok=True)
    notebook = target.with_name(target.name + ".ipynb")
    executed = runner.run(notebooks_dir() / NOTEBOOK, parameters.model_dump(), notebook)
    title = f"{parameters.guest} on {parameters.machine}: flush strategy"
    html = target.with_name(target.name + ".html")
    write_beside(html, page.page(title, page.body_of(executed), f"../{_suffixed('index', parameters.workload)}.html"))
    return html


def build_all(
    jobs: Sequence[ReportParameters], files: dict[str, str], out: Path, workers: int, tick: Callable[[], None]
) -> None:
    """Pages, `workers` at a time, each followed by its own part of `files` (of `artefacts`); then what no job owns.

    A page that fails does not keep the others, and leaves its earlier files; raises ReportsFailed at the end.
    """
    failed, data_hash, shared = {}, load().data_hash, dict(files)
    own = {job: {name: shared.pop(name) for name in _own_files(job) if name in files} for job in jobs}

    def act(job: ReportParameters) -> None:
        build_page(job.model_copy(update={"data_hash": data_hash}), out)

    for job, error in in_processes(act, jobs, workers):
        if error is None:
            write(own[job], out)
        else:
            failed[stem(job)] = error
        tick()
    write(shared, out)
    if failed:
        raise ReportsFailed(failed)


def write(files: dict[str, str], out: Path) -> None:
    """Write the artefacts, each beside its place and then renamed."""
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(path, content)


def committed(files: dict[str, str]) -> dict[str, str]:
    """The artefacts that are kept in the repository."""
    return {name: content for name, content in files.items() if Path(name).suffix in COMMITTED}
