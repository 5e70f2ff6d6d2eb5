"""Where each axis begins and ends, and what it says of the case at hand."""

import math
from dataclasses import replace

import numpy
import pytest

from costmodel.cost.axes import AXES
from costmodel.cost.scenario import scenario

GIB = 1024.0**3


@pytest.fixture(scope="module")
def case(evidence):
    return scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("range_bytes", (64, 64 * GIB)),
        ("cpus", (1, 256)),
        ("rate_per_s", (0.01, 100_000)),
        ("cache_bytes", (1024.0**2, GIB)),
    ],
)
def test_an_axis_runs_from_the_least_to_the_most(name, ends, case):
    assert AXES[name].span(case) == ends


def test_an_axis_is_evenly_spaced_in_the_logarithm_and_counts_cpus_whole(case):
    ranges = AXES["range_bytes"].values(case, 31)
    assert numpy.diff(numpy.log2(ranges)) == pytest.approx(numpy.ones(30))
    cpus = AXES["cpus"].values(case, 41)
    assert numpy.all(cpus == numpy.round(cpus)) and len(set(cpus)) == len(cpus) < 41


def test_an_axis_knows_where_the_case_lies(case):
    sizes = case.ranges("autonuma_prot_none_scan")
    assert AXES["range_bytes"].here(case, "autonuma_prot_none_scan") == sum(size * weight for size, weight in sizes)
    mixed = replace(case, workload=replace(case.workload, triggers=tuple(with_ranges(case))))
    assert AXES["range_bytes"].here(mixed, "autonuma_prot_none_scan") == pytest.approx(0.25 * 4096 + 0.75 * 8192)
    assert AXES["cpus"].here(case, "autonuma_prot_none_scan") == 256
    assert AXES["cache_bytes"].here(case, "autonuma_prot_none_scan") == case.machine.llc_bytes_per_domain
    assert math.isnan(AXES["rate_per_s"].here(case, "autonuma_prot_none_scan"))


def with_ranges(case):
    for load in case.workload.triggers:
        mixed = ((4096.0, 0.25), (8192.0, 0.75))
        yield replace(load, range_bytes=mixed, whole_vm=False) if load.trigger == "autonuma_prot_none_scan" else load
