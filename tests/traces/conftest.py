import numpy
import pyarrow
import pytest

from costmodel.traces import store, summary
from costmodel.traces.replay import Work


def table(times, tasks=None, pids=None, lengths=None, starts=None, **optional):
    """A batch in the schema of a trace."""
    n = len(times)
    start = numpy.full(n, 0x7F0000000000) if starts is None else numpy.asarray(starts)
    columns = {
        "t_ns": numpy.asarray(times, dtype=numpy.int64),
        "task": ["ksmd"] * n if tasks is None else tasks,
        "start": start,
        "end": start + (numpy.full(n, 4096) if lengths is None else numpy.asarray(lengths)),
    }
    if pids is not None:
        columns["pid"] = pyarrow.array(pids, pyarrow.int32())
    columns |= {name: pyarrow.array(values) for name, values in optional.items()}
    return store.checked(pyarrow.RecordBatch.from_pydict(columns), "test", 1)


@pytest.fixture
def trace(tmp_path):
    """Writes an imported trace and returns its path."""

    def write(*batches, name="trace.parquet"):
        path = tmp_path / name
        store.write(batches, path)
        return path

    return write


def work(number, times, thread=None, classes=None, recorded=None):
    """A block made ready for the passes."""
    kernel = store.loops()
    times = numpy.asarray(times, dtype=numpy.int64)
    n = len(times)
    thread = numpy.zeros(n, numpy.int32) if thread is None else numpy.asarray(thread, dtype=numpy.int32)
    classes = numpy.zeros(n, numpy.int32) if classes is None else numpy.asarray(classes, dtype=numpy.int32)
    following = numpy.empty(n, numpy.int32)
    first = kernel.link(thread, numpy.full(int(thread.max()) + 1, -1, numpy.int32), following)
    recorded = numpy.empty(0, numpy.int64) if recorded is None else numpy.asarray(recorded, dtype=numpy.int64)
    return Work(number, times, thread, first, following, classes, recorded)


def poisson(events, rate_per_s, seed=1):
    """Times in ns of independent arrivals."""
    return numpy.cumsum(numpy.random.default_rng(seed).exponential(1e9 / rate_per_s, events)).astype(numpy.int64)


def constant(service_s):
    """A service table with one time for every class."""
    return numpy.full(summary.BINS, service_s * 1e9)
