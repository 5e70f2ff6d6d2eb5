"""Start and slope of a range: of a host by hand-made sweeps, of a machine nobody measured by a Student t over
machines.
"""

import math
from types import SimpleNamespace

import numpy
import pytest
from scipy import stats

from costmodel.calibration.between_machines import Measured, Seen, held_out_machines, of_host, of_rows
from costmodel.errors import MissingNumber
from costmodel.evidence.store import load
from costmodel.hashing import value_hash

EVIDENCE = load()


class Made(SimpleNamespace):
    """A profile that, like the real ones, is compared by identity."""

    __hash__ = object.__hash__


def profile(rows, llc_bytes=2**20, **tables):
    machine = SimpleNamespace(vendor="amd", microarchitecture="zen9", llc_bytes_per_domain=llc_bytes)
    told = {"flush": rows, **tables}
    return Made(
        id="made", machine=machine, table=lambda probe: told.get(probe, []), digest=value_hash([told, llc_bytes])
    )


def rows(state, sizes, start_s, slope_s, runs=3):
    return [
        {
            "instruction": "CLFLUSHOPT",
            "state": state,
            "page": "4KiB",
            "range_bytes": float(size),
            "run": run,
            "measured_line_s": slope_s * (1 + 0.1 * (run - 1)),
            "measured_total_s": start_s + slope_s * (1 + 0.1 * (run - 1)) * size / 64,
        }
        for size in sizes
        for run in range(runs)
    ]


def test_a_sweep_gives_its_start_and_its_slopes():
    sweep = rows("dirty", (4096, 65536), 2e-7, 3e-9) + rows("absent", (4096, 2**26), 1e-7, 1e-9)
    found = of_host(profile(sweep))
    assert set(found) == {"start", "dirty", "absent"}
    assert math.exp(found["start"].level) == pytest.approx(2e-7)
    assert math.exp(found["dirty"].level) == pytest.approx(3e-9)
    assert math.exp(found["absent"].level) == pytest.approx(1e-9)
    assert found["dirty"].runs == 3 and len(found["dirty"].logs) == 6
    spread = numpy.std(numpy.log([0.9, 1.0, 1.1] * 2), ddof=1)
    assert found["dirty"].factor == pytest.approx(math.exp(stats.t.ppf(0.95, 2) * spread))


def test_what_no_cache_can_hold_is_no_cached_range():
    sweep = rows("clean", (4096,), 2e-7, 2e-9) + rows("clean", (2**21,), 2e-7, 9e-9)
    assert math.exp(of_host(profile(sweep))["clean"].level) == pytest.approx(2e-9)


def test_short_ranges_other_instructions_and_differences_below_zero_do_not_count():
    sweep = rows("dirty", (4096,), 2e-7, 3e-9) + rows("dirty", (64,), 2e-7, 9e-9)
    sweep += [{**row, "instruction": "CLFLUSH", "measured_line_s": 9e-9} for row in rows("dirty", (4096,), 0, 9e-9)]
    sweep += [{**row, "measured_line_s": -1e-9} for row in rows("absent", (4096,), 0, 1e-9)]
    found = of_host(profile(sweep))
    assert math.exp(found["dirty"].level) == pytest.approx(3e-9) and "absent" not in found


def slopes(*seen):
    made = Measured.__new__(Measured)
    made.seen = [Seen(f"m{i}", v, g, q, (math.log(s),), 1, (f"r{i}",)) for i, (v, g, q, s) in enumerate(seen)]
    return made


FOUR = (
    ("amd", "zen3", "absent", 1e-9),
    ("amd", "zen4", "absent", 2e-9),
    ("amd", "zen5", "absent", 4e-9),
    ("intel", "x", "absent", 8e-9),
)


def test_the_interval_is_that_of_one_machine_more():
    """By hand: the logs of 1, 2, 4 have a standard deviation of ln 2; the t of their two degrees of freedom."""
    known = slopes(*FOUR)
    assert known.scatter("absent") == pytest.approx((math.log(2), 2))
    near, far = known.predict("amd", "zen4", "absent"), known.predict("amd", "zen2", "absent")
    t = stats.t.ppf(0.95, 2)
    assert near.median == pytest.approx(2e-9) and near.whose == "core generation zen4"
    assert near.factor == pytest.approx(math.exp(t * math.log(2) * math.sqrt(2)))
    assert far.median == pytest.approx(2e-9) and far.whose == "vendor amd" and len(far.used) == 3
    assert far.factor == pytest.approx(math.exp(t * math.log(2) * math.sqrt(4 / 3)))


def test_a_vendor_of_one_machine_takes_the_scatter_of_the_other():
    assert slopes(*FOUR).predict("intel", "y", "absent").factor > 1


def test_stand_ins_are_named():
    known = slopes(*FOUR, ("intel", "x", "dirty", 9e-9), ("amd", "zen3", "start", 3e-7))
    clean = known.predict("intel", "x", "clean")
    assert clean.median == pytest.approx(9e-9) and "dirty lines, which are dearer" in clean.whose
    assert known.predict("intel", "x", "start").whose == "any vendor"


def test_what_nobody_measured_is_a_gap():
    with pytest.raises(MissingNumber, match="no machine of intel has a measured dirty"):
        slopes(*FOUR).predict("intel", "x", "dirty")
    with pytest.raises(MissingNumber, match="no two machines"):
        slopes(FOUR[0]).scatter("absent")


def test_published_sweeps_are_machines_too():
    found = {(one.generation, one.quantity): one for one in of_rows(EVIDENCE)}
    swept = [EVIDENCE.one(f"C20{n}").si for n in range(1, 6)]
    assert found["emerald-rapids", "dirty"].level == pytest.approx(numpy.mean(numpy.log(swept)))
    assert math.exp(found["granite-rapids", "absent"].level) == pytest.approx(64 / (24.6 * 2**30))


SLOW_READER = ("epyc-milan-2cpu-vm", "cpu_read")
"""One of 18: this guest reads at 10 GB/s where the two others, which alone foretell it, read at 23 and 36."""


def test_bandwidths_come_from_run_medians_with_all_cpus():
    written = [
        {"kind": kind, "threads": threads, "run": run, "measured_bytes_per_s": speed * (1 + run)}
        for kind, threads, speed in (("write_back", 3, 1.9e10), ("write_back", 4, 2e10), ("copy", 4, 7e9))
        for run in range(2)
        for _ in range(3)
    ]
    read = [
        {"run": 0, "pattern": pattern, "level": level, "measured_cold_line_s": line_s}
        for pattern, level, line_s in (
            ("sequential", "memory", 3.2e-9),
            ("dependent", "memory", 2e-7),
            ("sequential", "L3", 1e-9),
        )
    ]
    found = of_host(profile([], bandwidth=written, refill=read))
    assert set(found) == {"domain_writeback", "cpu_read"}
    assert found["domain_writeback"].logs == pytest.approx((math.log(2e10), math.log(4e10)))
    assert found["domain_writeback"].runs == 2
    assert math.exp(found["cpu_read"].level) == pytest.approx(64 / 3.2e-9)


def test_cpus_that_still_add_bandwidth_do_not_show_the_limit_of_their_domain():
    written = [
        {"kind": "write_back", "threads": threads, "run": 0, "measured_bytes_per_s": threads * 1e10}
        for threads in (1, 2)
    ]
    assert of_host(profile([], bandwidth=written)) == {}
    assert of_host(profile([], bandwidth=written[:1])) == {}


def test_measured_hosts_lie_in_the_interval_that_the_others_give_them():
    """The hold-out that matters: whole machines. With three of one vendor the intervals are wide, and hold."""
    found = held_out_machines(EVIDENCE)
    amd = [name for name, host in EVIDENCE.hosts.items() if host.machine.vendor == "amd"]
    assert {one.machine for one in found} >= set(amd) and len(amd) >= 3
    assert {(one.machine, one.quantity) for one in found if not one.inside} == {SLOW_READER}
    for one in found:
        assert "core generation" not in one.whose, "a machine informs nothing about itself"
