"""Time of a replay against a plain group-by scan of the same file, and peak memory, as ratios within one run.

    python benchmarks/trace_replay.py [events] [folder]

Writes a synthetic trace (16 threads, independent arrivals, 50 events/s) in pieces, then runs in turn, three times each
and each in a process of its own: the group-by of DuckDB and of Arrow, the engine that the replay reads with, and the
replay of all strategies of an SEV guest on epyc-7763-2s. Times are the best of three without start and compilation; CPU times beside them, since they hardly depend on what else runs.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy

EVENTS = 100_000_000
PIECE = 2**20
NAMES = ("ksmd", "khugepaged", "kcompactd0", *(f"CPU {n}/KVM" for n in range(13)))
GAP_NS = 20_000_000
ROUNDS = 3


def batches(events: int) -> Iterator:
    """A synthetic trace: exponential gaps, threads at random, ranges of 4 KiB to 16 MiB."""
    import pyarrow

    from costmodel.traces import store

    random = numpy.random.default_rng(1)
    now = 0
    for done in range(0, events, PIECE):
        n = min(PIECE, events - done)
        times = now + numpy.cumsum(random.exponential(GAP_NS, n)).astype(numpy.int64)
        now = int(times[-1])
        thread = random.integers(0, len(NAMES), n, dtype=numpy.int32)
        start = 0x7F00_0000_0000 + (random.integers(0, 2**24, n) << 12)
        pages = numpy.where(thread == 0, 1, numpy.where(thread == 1, 512, random.integers(1, 4096, n)))
        columns = {
            "t_ns": times,
            "task": pyarrow.DictionaryArray.from_arrays(pyarrow.array(thread), pyarrow.array(NAMES)),
            "pid": thread + 100,
            "start": start,
            "end": start + (pages << 12),
        }
        yield store.checked(pyarrow.RecordBatch.from_pydict(columns), "synthetic", done)


class Clock:
    """Wall and CPU seconds (all threads) since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


def scan_duckdb(path: Path) -> tuple[float, float]:
    """The group-by by DuckDB with its usual settings."""
    import duckdb

    connection = duckdb.connect()
    clock = Clock()
    found = connection.execute(
        'SELECT task, count(*), sum("end" - start) FROM read_parquet(?) GROUP BY task', [str(path)]
    ).fetchall()
    taken = clock.read()
    assert len(found) == len(NAMES)
    return taken


def scan_arrow(path: Path) -> tuple[float, float]:
    """The same group-by by Arrow."""
    import pyarrow.compute as compute
    import pyarrow.dataset as dataset
    from pyarrow import acero

    data = dataset.dataset(path, format=dataset.ParquetFileFormat(dictionary_columns=["task"]))
    length = compute.subtract(compute.field("end"), compute.field("start"))
    clock = Clock()
    plan = acero.Declaration.from_sequence(
        [
            acero.Declaration("scan", acero.ScanNodeOptions(data, columns=["task", "start", "end"])),
            acero.Declaration("project", acero.ProjectNodeOptions([compute.field("task"), length], ["task", "length"])),
            acero.Declaration(
                "aggregate",
                acero.AggregateNodeOptions(
                    [("task", "hash_count", None, "n"), ("length", "hash_sum", None, "bytes")], keys=["task"]
                ),
            ),
        ]
    )
    rows = len(plan.to_table())
    taken = clock.read()
    assert rows == len(NAMES)
    return taken


def replay(path: Path) -> tuple[float, float]:
    """The replay of all strategies, loops compiled and costs known."""
    from costmodel.calibration.calibrate import parameters_of
    from costmodel.cost.scenario import scenario
    from costmodel.evidence.store import load
    from costmodel.traces import replay, service, store

    evidence = load()
    case = scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")
    footer = store.footer_of(path)
    ways = service.service(evidence, case, parameters_of(evidence, case.machine.id), list(footer.groups))
    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        replay.replay(small, store.write(batches(1000), small), ways)
    clock = Clock()
    found = replay.replay(path, footer, ways)
    taken = clock.read()
    assert found.open[0].median.events == footer.events
    return taken


WORK = {"duckdb": scan_duckdb, "arrow": scan_arrow, "replay": replay}


def _alone(name: str, path: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds and peak resident bytes of `name` in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--one", name, str(path)], capture_output=True, check=True)
    return tuple(json.loads(done.stdout))


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        taken = WORK[sys.argv[2]](Path(sys.argv[3]))
        print(json.dumps([*taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
        return
    from costmodel.traces import store

    events = int(float(sys.argv[1])) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory(dir=sys.argv[2] if len(sys.argv) > 2 else None) as folder:
        path = Path(folder) / "trace.parquet"
        began = time.perf_counter()
        store.write(batches(events), path)
        print(
            f"{events:,} events, {path.stat().st_size / 2**20:.0f} MiB, written in {time.perf_counter() - began:.0f} s"
        )
        runs = {name: [] for name in WORK}
        for _ in range(ROUNDS):
            for name in WORK:
                runs[name].append(_alone(name, path))
    wall, cpu = ({name: min(run[k] for run in found) for name, found in runs.items()} for k in (0, 1))
    print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    for name, found in runs.items():
        rss = max(run[2] for run in found) / 2**20
        walls = ", ".join(f"{run[0]:.2f}" for run in found)
        print(f"  {name:<8}{wall[name]:6.2f} s (runs: {walls}), CPU {cpu[name]:5.2f} s, peak resident {rss:,.0f} MiB")
    for name in ("duckdb", "arrow"):
        ratios = wall["replay"] / wall[name], cpu["replay"] / cpu[name]
        print(f"  replay / group-by of {name:<8}{ratios[0]:.2f} (CPU time {ratios[1]:.2f})")


if __name__ == "__main__":
    main()
