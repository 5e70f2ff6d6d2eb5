import pytest

from costmodel.evidence.hosts import HostCache
from costmodel.measure.host import Host
from costmodel.measure.probe import Table
from costmodel.measure.session import Outcome
from tests.measure.false_kernel import ordinary_signals


@pytest.fixture(autouse=True)
def signals_of_a_terminal():
    with ordinary_signals():
        yield


def cache(level, kind, size, shared_cpus):
    return HostCache(level=level, kind=kind, bytes=size, line_bytes=64, shared_cpus=shared_cpus)


@pytest.fixture
def host():
    """A small machine with everything but SEV."""
    return Host(
        vendor="amd",
        cpu_model="AMD EPYC Test",
        family=25,
        model=17,
        stepping=1,
        microcode="0x1",
        features=("clflushopt", "clwb"),
        logical_cpus=4,
        sockets=1,
        threads_per_core=1,
        numa_nodes=1,
        caches=(cache(1, "Data", 2**15, 1), cache(2, "Unified", 2**20, 1), cache(3, "Unified", 2**25, 4)),
        kernel="6.18",
        hypervisor="none",
        governor="performance",
        smt="off",
        clock_source="tsc",
        transparent_hugepage="madvise",
        load_average=0.0,
        memory_bytes=2**34,
    )


@pytest.fixture
def outcome(host):
    """A small table and a skipped probe."""
    table = Table("refill", "measured_cold_line_s")
    table.rows = [{"pattern": "sequential", "level": "L1", "run": 0, "measured_cold_line_s": 1.23456789e-9}]
    return Outcome(host, "costmodel measure refill", {"refill": table}, {"sev": "sev: no such CPU"})
