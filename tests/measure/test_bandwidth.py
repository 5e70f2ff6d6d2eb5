"""Bandwidth over the number of threads on this machine."""

from costmodel.measure import hardware
from costmodel.measure.host import describe, usable_cpus
from costmodel.measure.probe import Settings

QUICK = Settings(quick=True)


def test_bandwidth_has_every_thread_count():
    cpus = usable_cpus()[:2]
    table = hardware.bandwidth_probe(describe(), QUICK, lambda: None, cpus)
    assert {(row["kind"], row["threads"]) for row in table.rows} == {
        (kind, n) for kind in hardware.KINDS for n in range(1, len(cpus) + 1)
    }
    assert all(1e8 < row["measured_bytes_per_s"] < 1e13 for row in table.rows)
