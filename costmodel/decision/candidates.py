"""Which strategies may be used at a trigger: admissible first, then what the kernel offers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from costmodel.cost.scenario import Scenario
from costmodel.decision.model import Needs
from costmodel.kvm import kernels
from costmodel.kvm.admissibility import Verdict, judge
from costmodel.kvm.strategies import STRATEGIES, Strategy
from costmodel.kvm.triggers import trigger as trigger_of


@dataclass(frozen=True)
class Candidate:
    """A strategy at a trigger with its verdict. `running`: the kernel does it here; `offered`: it does, or it has
    the machinery (skipping a flush is none, and flushing pinned pages is none where the event brings no PFN).
    """

    strategy: str
    verdict: Verdict
    offered: bool
    running: bool

    @property
    def flushes(self) -> bool:
        return STRATEGIES[self.strategy].instruction != "none"

    @property
    def safe(self) -> bool:
        """Every predicate is known to hold."""
        return self.verdict.state == "admissible"


def candidates(scenario: Scenario, trigger: str) -> list[Candidate]:
    """All strategies of the catalogue at `trigger`, judged with what machine, guest, trigger and kernel tell."""
    known = scenario.known(trigger)
    running = running_strategies(scenario, trigger)
    return [
        Candidate(
            strategy=name,
            verdict=judge(scenario.guest, trigger, name, known),
            offered=name in running
            or (
                not strategy.skips
                and not blind(strategy, trigger)
                and _offered(strategy.first_version, scenario.kernel)
            ),
            running=name in running,
        )
        for name, strategy in STRATEGIES.items()
    ]


def from_kernel(scenario: Scenario, trigger: str, candidate: Candidate) -> str | None:
    """The first later kernel range with what the strategy lacks in this one; None where it lacks nothing, or no kernel has
    it.
    """
    merged = STRATEGIES[candidate.strategy].first_version is not None
    if not merged or candidate.verdict.state != "inadmissible" or candidate.verdict.label == "no":
        return None
    for kernel in kernels.KERNEL_RANGES[kernels.KERNEL_RANGES.index(scenario.kernel) + 1 :]:
        known = scenario.on(kernel).known(trigger)
        if judge(scenario.guest, trigger, candidate.strategy, known).state != "inadmissible":
            return kernel
    return None


def needs(scenario: Scenario, trigger: str, strategy: str) -> Needs:
    """What it takes to get `strategy` at the trigger: nothing where this kernel does it, an upgrade where a later
    catalogued range does, else a patch, whatever instructions the kernel has at other triggers. To flush nothing takes
    nothing where the kernel flushes nothing, for whatever reason.
    """
    here = running_strategies(scenario, trigger)
    if not here:
        return "unknown"
    if _does(strategy, here):
        return "nothing"
    later = kernels.KERNEL_RANGES[kernels.KERNEL_RANGES.index(scenario.kernel) + 1 :]
    runs_later = any(_does(strategy, running_strategies(scenario.on(kernel), trigger)) for kernel in later)
    return "upgrade" if runs_later else "patch"


def _does(strategy: str, running: Sequence[str]) -> bool:
    idle = STRATEGIES[strategy].skips is not None
    return strategy in running or (idle and any(STRATEGIES[name].skips for name in running))


def blind(strategy: Strategy, trigger: str) -> bool:
    """Whether the strategy goes through lists of pinned pages and the event brings user addresses only."""
    return strategy.address_source == "pinned" and trigger_of(trigger).pfn_source == "vma"


def running_strategies(scenario: Scenario, trigger: str) -> tuple[str, ...]:
    """What the scenario's kernel does at the trigger; several where the CPU decides, none where nothing is known."""
    upstream = kernels.upstream(scenario.guest, trigger, scenario.kernel, scenario.release)
    return upstream.strategies if upstream else ()


def _offered(first_version: str | None, kernel: str) -> bool:
    if first_version is None:
        return False
    return _newest(first_version) <= _newest(kernel)


def _newest(versions: str) -> tuple[int, int]:
    """Last version of a range such as `v6.17-v7.2`."""
    major, minor = re.findall(r"v(\d+)\.(\d+)", versions)[-1]
    return int(major), int(minor)
