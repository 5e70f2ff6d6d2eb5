"""Which strategies may be used at a trigger: admissible first, then what the kernel offers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from costmodel.cost.scenario import Scenario
from costmodel.kvm import kernels, predicates
from costmodel.kvm.admissibility import Verdict, judge
from costmodel.kvm.strategies import STRATEGIES


@dataclass(frozen=True)
class Candidate:
    """A strategy at a trigger with its verdict. `offered`: the kernel has it somewhere; `running`: it does it here."""

    strategy: str
    verdict: Verdict
    offered: bool
    running: bool

    @property
    def safe(self) -> bool:
        """Every predicate is known to hold."""
        return self.verdict.state == "admissible"


def candidates(scenario: Scenario, trigger: str) -> list[Candidate]:
    """All strategies of the catalogue at `trigger`, judged with what machine, guest, trigger and kernel tell."""
    known = predicates.known(scenario.guest, trigger, scenario.machine.features, scenario.kernel)
    running = running_strategies(scenario, trigger)
    return [
        Candidate(
            strategy=name,
            verdict=judge(scenario.guest, trigger, name, known),
            offered=_offered(strategy.first_version, scenario.kernel),
            running=name in running,
        )
        for name, strategy in STRATEGIES.items()
    ]


def running_strategies(scenario: Scenario, trigger: str) -> tuple[str, ...]:
    """What the scenario's kernel does at the trigger; several where the CPU decides, none where nothing is known."""
    upstream = kernels.upstream(scenario.guest, trigger, scenario.kernel)
    return upstream.strategies if upstream else ()


def _offered(first_version: str | None, kernel: str) -> bool:
    if first_version is None:
        return False
    return _order(first_version) <= _order(kernel.split("-")[-1] if kernel[0] == "v" else kernel)


def _order(version: str) -> tuple[int, int]:
    major, minor = re.match(r"v?(\d+)\.(\d+)", version).groups()
    return int(major), int(minor)
