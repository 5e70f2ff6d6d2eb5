"""The axes along which a cost is swept: how each changes a scenario, its unit and its range."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy

from costmodel.cost.scenario import Scenario
from costmodel.errors import UnknownName


@dataclass(frozen=True)
class Axis:
    """`at(scenario, value)` is the scenario with the axis set, to one value or an array of them; `values(scenario)` a
    logarithmic grid; `here` its value.
    """

    id: str
    unit: str
    at: Callable[[Scenario, Any], Scenario]
    span: Callable[[Scenario], tuple[float, float]]
    here: Callable[[Scenario, str], float]
    integer: bool = False

    def values(self, scenario: Scenario, points: int) -> numpy.ndarray:
        """`points` values from the low to the high end, evenly spaced in the logarithm."""
        low, high = self.span(scenario)
        grid = numpy.geomspace(low, high, points)
        return numpy.unique(numpy.round(grid)) if self.integer else grid


def _mean_range(scenario: Scenario, trigger: str) -> float:
    return sum(size * weight for size, weight in scenario.ranges(trigger))


def _with_llc(scenario: Scenario, value: float) -> Scenario:
    return replace(scenario, machine=replace(scenario.machine, llc_bytes_per_domain=value))


def _with_cpus(scenario: Scenario, value: float) -> Scenario:
    return replace(scenario, cpus_that_ran=value)


AXES = {
    axis.id: axis
    for axis in (
        Axis(
            "range_bytes",
            "B",
            lambda s, v: replace(s, range_bytes=v),
            lambda s: (float(s.machine.line_bytes), 64 * 2.0**30),
            _mean_range,
        ),
        Axis(
            "cpus",
            "1",
            _with_cpus,
            lambda s: (1.0, float(s.machine.logical_cpus)),
            lambda s, _: s.cpus_that_ran,
            integer=True,
        ),
        Axis(
            "rate_per_s",
            "1/s",
            lambda s, v: replace(s, rate_per_s=v),
            lambda s: (0.01, 1e5),
            lambda s, trigger: s.rate(trigger) or float("nan"),
        ),
        Axis(
            "cache_bytes",
            "B",
            _with_llc,
            lambda s: (2.0**20, 2.0**30),
            lambda s, _: s.machine.llc_bytes_per_domain,
        ),
    )
}


def look_up_axis(name: str) -> Axis:
    """The axis called `name`; raises UnknownName."""
    if name not in AXES:
        raise UnknownName("axis", name, AXES)
    return AXES[name]
