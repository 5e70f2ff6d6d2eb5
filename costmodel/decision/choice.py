"""The choice of a strategy at one trigger: what may be used, what needs no numbers, what is cheapest, what would flip
it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

import numpy

from costmodel.calibration.parameters import ParameterSet
from costmodel.cost.breakeven import crossings
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.scenario import AXES, Scenario
from costmodel.cost.total import Total, event_of, total
from costmodel.decision.result import Basis, Corner, Needs, Regret
from costmodel.errors import stated
from costmodel.kvm import kernels
from costmodel.kvm.admissibility import Verdict, judge
from costmodel.kvm.catalog import STRATEGIES, TRIGGERS, Strategy, Trigger
from costmodel.kvm.events import Firing
from costmodel.numbers import P_BOUNDS

# Dominance: a strategy that does a part of another's work, or the same with a cheaper instruction, needs no numbers.

_SCOPE = {"mask": 0, "all_cpus": 1}
_INSTRUCTION = {"wbnoinvd": 0, "wbinvd": 1}


def dominates(first: str, second: str) -> bool:
    """Whether `first` costs at most as much as `second` on every machine.

    No flush dominates every flush; of the whole-cache flushes a subset of the CPUs dominates all CPUs, and WBNOINVD
    dominates WBINVD ("functionally a superset", arch/x86/include/asm/special_insns.h). Two strategies with the same
    instruction and scope do not dominate each other: what tells them apart is not in either.
    """
    one, other = STRATEGIES[first], STRATEGIES[second]
    if first == second:
        return False
    if one.instruction == "none":
        return other.instruction != "none"
    if one.scope not in _SCOPE or other.scope not in _SCOPE:
        return False
    if one.instruction not in _INSTRUCTION or other.instruction not in _INSTRUCTION:
        return False
    scopes = _SCOPE[one.scope], _SCOPE[other.scope]
    instructions = _INSTRUCTION[one.instruction], _INSTRUCTION[other.instruction]
    no_dearer = scopes[0] <= scopes[1] and instructions[0] <= instructions[1]
    return no_dearer and (one.scope, one.instruction) != (other.scope, other.instruction)


# Which strategies may be used at a trigger: admissible first, then what the kernel offers.


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
    """The first later kernel range with what the strategy lacks in this one; None where it lacks nothing, or no kernel
    has it.
    """
    merged = STRATEGIES[candidate.strategy].first_version is not None
    if not merged or candidate.verdict.state != "inadmissible" or candidate.verdict.label == "no":
        return None
    for kernel in kernels.after(scenario.kernel):
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
    later = kernels.after(scenario.kernel)
    runs_later = any(_does(strategy, running_strategies(scenario.on(kernel), trigger)) for kernel in later)
    return "upgrade" if runs_later else "patch"


def _does(strategy: str, running: Sequence[str]) -> bool:
    idle = STRATEGIES[strategy].skips is not None
    return strategy in running or (idle and any(STRATEGIES[name].skips for name in running))


def blind(strategy: Strategy, trigger: str) -> bool:
    """Whether the strategy goes through lists of pinned pages and the event brings user addresses only."""
    return strategy.address_source == "pinned" and TRIGGERS[trigger].pfn_source == "vma"


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


# Comparing strategies by cost: P(best), regret, corners of the prior, reruns without each row.

CORNER_PARAMETERS = 4


@dataclass(frozen=True)
class Comparison:
    """Outcome of a comparison by CPU time stolen per event (the same work, whatever rate a closed loop reaches)."""

    winner: str
    p_best: Mapping[str, float]
    regret_s: Mapping[str, float]
    extrapolated: bool


def compare(costs: Mapping[str, Total]) -> Comparison:
    """Compare totals that all have numbers; joint draws with common parameters."""
    names = list(costs)
    stolen = numpy.stack([costs[name].priced.stolen_s for name in names])
    best = stolen.min(axis=0)
    extrapolated = any(costs[name].extrapolated for name in names)
    low, high = P_BOUNDS if extrapolated else (0.0, 1.0)
    shares = {name: float(numpy.mean(row <= best)) for name, row in zip(names, stolen, strict=True)}
    regret = {name: float(numpy.mean(row - best)) for name, row in zip(names, stolen, strict=True)}
    middle = numpy.median(stolen, axis=1)
    return Comparison(
        winner=names[int(numpy.argmin(middle))],
        p_best={name: min(max(share, low), high) for name, share in shares.items()},
        regret_s=regret,
        extrapolated=extrapolated,
    )


def corners(case: Case, strategies: Sequence[str], chosen: str) -> list[Corner]:
    """Cheapest strategy at each corner of the prior: the parameters that matter most at 5 % and 95 %, the rest
    median.
    """
    names = influential(case, strategies)[:CORNER_PARAMETERS]
    ends = [(case.parameters[name].distribution.low, case.parameters[name].distribution.high) for name in names]
    grid = list(product(*ends))
    if not names:
        return []
    values = {name: numpy.array([point[i] for point in grid]) for i, name in enumerate(names)}
    at = Draws(
        case.parameters,
        len(grid),
        fixed={
            **{
                name: numpy.full(len(grid), entry.distribution.median)
                for name, entry in case.parameters.parameters.items()
            },
            **values,
        },
    )
    stolen = numpy.stack([total(case.over(at), name).priced.stolen_s for name in strategies])
    own = stolen[list(strategies).index(chosen)]
    labels = [
        ", ".join(
            f"{name} {'high' if value == end[1] else 'low'}"
            for name, value, end in zip(names, point, ends, strict=True)
        )
        for point in grid
    ]
    return [
        Corner(
            corner=label,
            winner=strategies[int(numpy.argmin(stolen[:, i]))],
            regret_cpu_s_per_event=float(own[i] - stolen[:, i].min()),
        )
        for i, label in enumerate(labels)
    ]


def influential(case: Case, strategies: Sequence[str]) -> list[str]:
    """Parameters by how far the log of the cost ratio of the two cheapest strategies moves between 5 % and 95 %."""
    middle = medians(case.parameters)
    base = {name: total(case.over(middle), name) for name in strategies}
    ranked = sorted(strategies, key=lambda name: float(base[name].priced.stolen_s[0]))[:2]
    used = sorted({name for strategy in ranked for name in base[strategy].parameters})
    swings = {}
    for name in used:
        entry = case.parameters[name].distribution
        if entry.shape == "fixed":
            continue
        ends = middle.with_values(**{name: numpy.array([entry.low, entry.high])})
        logs = [numpy.log(numpy.maximum(total(case.over(ends), s).priced.stolen_s, 1e-15)) for s in ranked]
        ratio = logs[0] - logs[-1] if len(logs) > 1 else logs[0]
        ratio = numpy.broadcast_to(ratio, (2,))
        swings[name] = abs(float(ratio[1] - ratio[0]))
    return sorted(swings, key=lambda name: (-swings[name], name))


def winners_elsewhere(case: Case, strategies: Sequence[str], variations: Mapping[str, ParameterSet]) -> dict[str, str]:
    """Cheapest strategy at the medians of each varied parameter set (a row or a measured machine left out).

    A variation that cannot give a number is left out: it refuses, it does not choose.
    """
    found = {}
    for label, parameters in variations.items():
        there = case.over(medians(parameters))
        costs = {name: total(there, name) for name in strategies}
        if all(cost.refused is None for cost in costs.values()):
            found[label] = min(costs, key=lambda name: float(costs[name].priced.stolen_s[0]))
    return found


# Flip conditions: values of an axis or a parameter beyond which another admissible strategy is cheapest.


@dataclass(frozen=True)
class Turn:
    """Where the choice changes: an axis or a parameter, its unit, its value here, and the value `at`
    which `winner` becomes cheapest.
    """

    parameter: str
    unit: str
    current: float
    at: float
    winner: str


FLIP_AXES = ("range_bytes", "cpus", "cache_bytes")
PARAMETER_SPAN = 100.0


def stolen_at(case: Case, strategy: str, name: str, values: numpy.ndarray) -> numpy.ndarray:
    """CPU-seconds that one event of `strategy` steals at the medians `middle`, with axis or parameter `name` at each of
    `values`, shape (n,).
    """
    if name in AXES:
        there = replace(case, scenario=AXES[name].at(case.scenario, values))
    else:
        there = case.over(case.draws.with_values(**{name: values}))
    return numpy.broadcast_to(event_of(there, STRATEGIES[strategy])[0].stolen_s, values.shape)


def winner_at(case: Case, strategies: Sequence[str], name: str, value: float) -> str:
    """Cheapest of `strategies` at the medians `middle`, with axis or parameter `name` at `value`."""
    at = numpy.array([value])
    return min(strategies, key=lambda s: stolen_at(case, s, name, at)[0])


def flips(
    case: Case,
    strategies: Sequence[str],
    winner: str,
    names: Sequence[str],
) -> list[Turn]:
    """Where `winner` stops being the cheapest along each axis and along the parameters `names`, nearest first."""
    found, middle = [], case.over(medians(case.parameters))
    for name in (*FLIP_AXES, *names):
        if name in AXES:
            axis = AXES[name]
            current = axis.here(case.scenario, case.trigger)
            low, high = axis.span(case.scenario)
            unit = axis.unit
        else:
            entry = case.parameters[name]
            current = entry.distribution.median
            low, high = current / PARAMETER_SPAN, current * PARAMETER_SPAN
            if entry.share:
                low, high = 1e-4, 1.0
            unit = entry.unit
        found.extend(_along(middle, strategies, winner, name, unit, current, low, high))
    return found


def _along(
    case: Case,
    strategies: Sequence[str],
    winner: str,
    name: str,
    unit: str,
    current: float,
    low: float,
    high: float,
) -> list[Turn]:
    """Crossings next to the current value, one on each side at most."""
    others = [s for s in strategies if s != winner]

    def lead(values: numpy.ndarray) -> numpy.ndarray:
        costs = [stolen_at(case, s, name, values) for s in others]
        return numpy.asarray(numpy.min(costs, axis=0) - stolen_at(case, winner, name, values))

    roots = crossings(lead, low, high)
    below = [root for root in roots if root < current]
    above = [root for root in roots if root > current]
    found = []
    for root, side in [(root, 0.99) for root in below[-1:]] + [(root, 1.01) for root in above[:1]]:
        other = winner_at(case, strategies, name, root * side)
        inside = winner_at(case, strategies, name, root / side)
        if other == inside:
            continue
        found.append(Turn(name, unit, current, root, other))
    return found


# The strategy at one trigger: what the kernel does, on what basis it is the choice, and how it compares.

FLIP_PARAMETERS = 3


@dataclass
class Study:
    """Everything that is known about one trigger in a scenario."""

    trigger: Trigger
    scenario: Scenario
    draws: Draws
    variations: Mapping[str, ParameterSet] = field(default_factory=dict)
    candidates: list[Candidate] = field(init=False)

    def __post_init__(self) -> None:
        self.candidates = candidates(self.scenario, self.trigger.id)

    @property
    def case(self) -> Case:
        """What its costs are asked of."""
        return Case(self.trigger.id, self.scenario, self.draws)

    @property
    def parameters(self) -> ParameterSet:
        """The parameters that are drawn."""
        return self.draws.parameters

    def cost(self, strategy: str) -> Total:
        """Total of `strategy` at the trigger, computed once."""
        if strategy not in self._costs:
            self._costs[strategy] = total(self.case, strategy)
        return self._costs[strategy]

    @cached_property
    def _costs(self) -> dict[str, Total]:
        return {}

    @cached_property
    def firing(self) -> Firing:
        """Whether the guest's setup lets the trigger happen."""
        return self.scenario.firing(self.trigger.id)

    @cached_property
    def usable(self) -> list[Candidate]:
        """Strategies that are safe here and that the kernel offers; batching needs one of them and is none itself."""
        return [c for c in self.candidates if c.safe and c.offered and STRATEGIES[c.strategy].instruction != "defer"]

    @property
    def picked(self) -> Candidate:
        """What is chosen. Raises MissingNumber where nothing safe can be had."""
        return stated(self.chosen, f"no strategy is chosen at {self.trigger.id}")

    @cached_property
    def chosen(self) -> Candidate | None:
        """What the kernel does here, if that is safe; the least costly by dominance where it leaves a choice."""
        running = [c for c in self.candidates if c.running and c.safe]
        for one in running:
            if not any(dominates(other.strategy, one.strategy) for other in running):
                return one
        return None

    @cached_property
    def unsafe_running(self) -> list[Candidate]:
        """What the kernel does here although a flush can be lost."""
        if self.chosen is not None:
            return []
        return [c for c in self.candidates if c.running and c.verdict.state == "inadmissible"]

    @cached_property
    def rivals(self) -> list[str]:
        """Usable strategies that dominance does not rule out: the chosen one and those that only cost can rank."""
        names = [c.strategy for c in self.usable]
        if self.chosen is None:
            return []
        own = self.chosen.strategy
        return [own, *(n for n in names if n != own and not any(dominates(o, n) for o in names))]

    @cached_property
    def basis(self) -> Basis | None:
        """forced: nothing else is usable; dominated: the choice rules out the rest; cost: numbers decide."""
        if self.chosen is None:
            return None
        if len(self.usable) == 1:
            return "forced"
        if any(dominates(n, self.chosen.strategy) for n in self.rivals):
            return "forced"
        return "dominated" if len(self.rivals) == 1 else "cost"

    @cached_property
    def costed(self) -> dict[str, Total]:
        """Rivals whose cost is known."""
        return {n: self.cost(n) for n in self.rivals if self.cost(n).refused is None}

    @cached_property
    def comparison(self) -> Comparison | None:
        """By cost, where the basis is cost and every rival has a number."""
        if self.basis != "cost" or len(self.costed) < 2 or self.picked.strategy not in self.costed:
            return None
        return compare(self.costed)

    @cached_property
    def corners(self) -> list[Corner]:
        if self.comparison is None:
            return []
        return corners(self.case, list(self.costed), self.picked.strategy)

    @cached_property
    def disagreeing(self) -> dict[str, str]:
        """Reruns (a row or a measured machine left out) in which another strategy is cheapest than with all rows."""
        if self.comparison is None:
            return {}
        found = winners_elsewhere(self.case, list(self.costed), self.variations)
        return {label: winner for label, winner in found.items() if winner != self.comparison.winner}

    @cached_property
    def flips(self) -> list[Turn]:
        if self.comparison is None:
            return []
        names = influential(self.case, list(self.costed))[:FLIP_PARAMETERS]
        return flips(self.case, list(self.costed), self.comparison.winner, names)

    @cached_property
    def regret(self) -> Regret | None:
        if self.comparison is None:
            return None
        worst = max(self.corners, key=lambda c: c.regret_cpu_s_per_event, default=None)
        return Regret(
            expected_cpu_s_per_event=self.comparison.regret_s[self.picked.strategy],
            worst_cpu_s_per_event=worst.regret_cpu_s_per_event if worst else None,
            worst_corner=worst.corner if worst else "",
        )

    def p_best(self, strategy: str) -> float | None:
        """Probability that the strategy is cheapest; None where nothing was compared or the reruns disagree."""
        if self.comparison is None or self.disagreeing:
            return None
        return self.comparison.p_best[strategy]
