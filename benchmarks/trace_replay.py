"""CPU time of a replay and of a summary of a trace beside a plain group-by scan of the same file, and peak memory.

    python benchmarks/trace_replay.py [events] [--folder DIR] [--runs N] [--out FILE]

Writes a synthetic trace (16 threads, independent arrivals, 50 events/s), then runs in turn, each in a process of its own:
the group-by of DuckDB, the replay of all strategies of an SEV guest on epyc-7763-2s, and the summary. These times are
without start and compilation; those of whole commands are with start, costing and answer: `costmodel trace replay` of one
file of 1e6 events, of eight, and the difference, which is what each further file takes.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
from bench import RUNS, Row, call, further, in_turn, nothing, write

EVENTS = 10_000_000
PIECE = 2**20
NAMES = ("ksmd", "khugepaged", "kcompactd0", *(f"CPU {n}/KVM" for n in range(13)))
GAP_NS = 20_000_000
COMPILED = "loops compiled, costs known"
FILE_EVENTS, FILES = 1_000_000, 8
CASE = ("--guest", "sev", "--machine", "epyc-7763-2s")


def batches(events: int, seed: int = 1) -> Iterator:
    """A synthetic trace: exponential gaps, threads at random, ranges of 4 KiB to 16 MiB."""
    import pyarrow

    from costmodel.traces import store

    random = numpy.random.default_rng(seed)
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


def replay(path: Path) -> tuple[float, float]:
    """The replay of all strategies, loops compiled and costs known."""
    from costmodel.calibration.parameters import parameters_of
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


def summarise(path: Path) -> tuple[float, float]:
    """The summary of the file, loops compiled."""
    from costmodel.traces import store, summary

    with tempfile.TemporaryDirectory() as folder:
        small = Path(folder) / "small"
        store.write(batches(1000), small)
        summary.summarise(small)
    clock = Clock()
    found = summary.summarise(path)
    taken = clock.read()
    assert found.recordings == 1
    return taken


WORK = {"duckdb": scan_duckdb, "replay": replay, "summary": summarise}


def _alone(name: str, path: Path) -> tuple[float, float, float]:
    """Wall and CPU seconds and peak resident bytes of `name` in a process of its own."""
    done = subprocess.run([sys.executable, __file__, "--one", name, str(path)], capture_output=True, check=True)
    return tuple(json.loads(done.stdout))


def whole(folder: Path, runs: int, events: int = FILE_EVENTS) -> list[Row]:
    """What the command takes for one file and for eight, no two of which hold the same events."""
    from costmodel.traces import store

    files = [folder / f"host{number}.parquet" for number in range(FILES)]
    for number, file in enumerate(files):
        store.write(batches(events, seed=number), file)
    command = [sys.executable, "-m", "costmodel", "trace", "replay", *CASE]
    call([*command, *files])
    one, many = in_turn(
        [(nothing, lambda: call([*command, files[0]])), (nothing, lambda: call([*command, *files]))], runs
    )
    told, warm = f"costmodel trace replay {' '.join(CASE)}", "loops compiled, records warm"
    size = f"{events:g}".replace("e+0", "e") + " events"
    return [
        Row(f"trace replay, 1 file of {size}", f"{told} FILE", warm, *one),
        Row(f"trace replay, {FILES} files of {size}", f"{told} FILE...", warm, *many),
        Row(f"trace replay, each further file of {size}", f"{told}: {FILES} files less 1", warm, *further(many, one),
            FILES - 1),
    ]  # fmt: skip


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        taken = WORK[sys.argv[2]](Path(sys.argv[3]))
        print(json.dumps([*taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))
        return
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("events", nargs="?", type=float, default=EVENTS)
    parser.add_argument("--folder", help="Where the trace is written for a while.")
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--out", type=Path, help="JSON file")
    asked = parser.parse_args()
    from costmodel.traces import store

    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        path = Path(folder) / "trace.parquet"
        store.write(batches(int(asked.events)), path)
        runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in WORK}
        for _ in range(asked.runs):
            for name in WORK:
                runs[name].append(_alone(name, path))
        path.unlink()
        commands = whole(Path(folder), asked.runs)
    million = asked.events / 1e6
    memory = {name: max(run[2] for run in found) / 2**20 for name, found in runs.items()}
    rows = []
    for name in ("replay", "summary"):
        wall, cpu, _ = zip(*runs[name], strict=True)
        scan = {"rival": "DuckDB, GROUP BY task of the same file", "rival_cpu_s": [run[1] for run in runs["duckdb"]]}
        note = f"peak resident {memory[name]:,.0f} MiB, DuckDB {memory['duckdb']:,.0f} MiB"
        command = f"costmodel trace {name}, {asked.events:g} events"
        row = Row(f"1e6 events, {name}", command, COMPILED, list(cpu), list(wall), million, **scan, note=note)
        row.rival_per = million
        rows.append(row)
    rows += commands
    write(rows, asked.out, "duckdb", "pyarrow", "numba")


if __name__ == "__main__":
    main()
