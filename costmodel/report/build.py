"""Builds reports: text, JSON and SVG in this process, pages by papermill in parallel, the index last."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from costmodel.decision.model import Recommendation
from costmodel.decision.recommend import recommend
from costmodel.decision.views import view
from costmodel.evidence.paths import notebooks_dir
from costmodel.evidence.store import load
from costmodel.hashing import write_beside
from costmodel.kvm.guests import GUESTS
from costmodel.report import index, jsonout, page, plots, runner, text
from costmodel.report.contract import ReportParameters, arguments

NOTEBOOK = "flush_strategy.ipynb"
DEFAULT_WORKLOAD = "autonuma-default"
COMMITTED = (".txt", ".json", ".svg")
COMMITTED_PLOTS = (("sev", "epyc-7763-2s"), ("sev-snp-gmem", "epyc-7763-2s"))


def matrix(guests: Sequence[str], machines: Sequence[str], parameters: dict[str, object]) -> list[ReportParameters]:
    """Parameters of every combination (empty sequences mean all)."""
    return [
        ReportParameters(**{**parameters, "guest": guest, "machine": machine})
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


def _plots(name: str, result: Recommendation) -> dict[str, str]:
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    drawn = {f"svg/{name}-cost.svg": plots.cost_bars(rows)}
    seen = view(result)
    if seen is not None:
        drawn[f"svg/{name}-break-even.svg"] = plots.break_even(seen.sweeps(), seen.labels)
    return {path: svg for path, svg in drawn.items() if svg}


def build_page(parameters: ReportParameters, out: Path) -> Path:
    """Run the notebook for one report and write its .ipynb and .html under `out`."""
    target = out / stem(parameters)
    target.parent.mkdir(parents=True, exist_ok=True)
    notebook = target.with_name(target.name + ".ipynb")
    executed = runner.run(notebooks_dir() / NOTEBOOK, parameters.model_dump(), notebook)
    title = f"{parameters.guest} on {parameters.machine}: flush strategy"
    html = target.with_name(target.name + ".html")
    write_beside(html, page.page(title, page.body_of(executed), f"../{_suffixed('index', parameters.workload)}.html"))
    return html


def build_pages(jobs: Sequence[ReportParameters], out: Path, workers: int, tick: Callable[[], None]) -> None:
    """All pages, `workers` at a time; the first failure stops the rest and is raised."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(max_workers=workers) as pool:
        pending = [pool.submit(build_page, job, out) for job in jobs]
        try:
            for done in as_completed(pending):
                done.result()
                tick()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def write(files: dict[str, str], out: Path) -> None:
    """Write the artefacts, each beside its place and then renamed."""
    for name, content in files.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_beside(path, content)


def committed(files: dict[str, str]) -> dict[str, str]:
    """The artefacts that are kept in the repository."""
    return {name: content for name, content in files.items() if Path(name).suffix in COMMITTED}


def differences(files: dict[str, str], out: Path) -> list[str]:
    """Names of committed artefacts that are missing or differ, with the first line that does; with the index among
    `files` (the whole matrix) also those that nothing builds any more.
    """
    found = []
    for name, content in sorted(files.items()):
        path = out / name
        if not path.is_file():
            found.append(f"{name}: missing")
            continue
        present = path.read_bytes()
        if present != content.encode():
            found.append(f"{name}: {_first_difference(present.decode(errors='replace'), content)}")
    if "index.json" in files:
        kept = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.suffix in COMMITTED}
        found += [f"{name}: is built from no input" for name in sorted(kept - files.keys())]
    return found


def _first_difference(present: str, wanted: str) -> str:
    here, there = present.split("\n"), wanted.split("\n")
    for number, (one, other) in enumerate(zip(here, there, strict=False), start=1):
        if one != other:
            return f"line {number} is {one.strip()[:60]!r}, the inputs give {other.strip()[:60]!r}"
    return f"ends at line {len(here)}, the inputs give {len(there)} lines"
