"""What things are called in reports: an axis, what it is drawn against, a strategy on a machine."""

from __future__ import annotations

from costmodel.cost.event import executed
from costmodel.cost.scenario import Scenario
from costmodel.kvm.catalog import STRATEGIES

AXIS_NAMES = {
    "range_bytes": "range length",
    "cpus": "CPUs that ran the guest",
    "rate_per_s": "invalidations per second",
    "cache_bytes": "last-level cache per domain",
}
"""By the ids of `costmodel.cost.axes.AXES`."""
COST_NAMES = {"s": "CPU time taken per event", "1": "host CPU-seconds lost per second"}
"""What is drawn against an axis, by its unit."""
NO_WBNOINVD = "this CPU has no WBNOINVD"


def capitalised(text: str) -> str:
    """The text as a sentence or a heading begins, and all else of it as it is."""
    return text[:1].upper() + text[1:]


def title_on(name: str, scenario: Scenario) -> str:
    """What the strategy `name` is on the machine, in words."""
    strategy = STRATEGIES[name]
    done = executed(strategy, scenario)
    return strategy.title if done is strategy else f"{done.title} ({NO_WBNOINVD})"
