"""What plots and the explorer show of a recommendation: the strategies worth drawing and their sweeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from costmodel.calibration.parameters import ParameterSet, parameters_of
from costmodel.cost.axes import AXES
from costmodel.cost.draws import Case, medians
from costmodel.cost.scenario import Scenario, scenario
from costmodel.cost.sweep import Curves, HeatMap, sweep, winner_map
from costmodel.decision.result import COUNT_OF, RATE_OF, SECONDS_OF, CostRow, Recommendation, State
from costmodel.decision.tables import is_repeated
from costmodel.evidence.records import PAGE_BYTES
from costmodel.evidence.store import Evidence, load
from costmodel.kvm.catalog import STRATEGIES
from costmodel.kvm.setup import CHOICES

DRAWN = 6
PROPERTIES = ("vmm", *CHOICES)


@dataclass(frozen=True)
class View:
    """Scenario and parameters of a recommendation, at one trigger, with the strategies that have a cost there.

    `states` says of each whether it is admissible: the curves of others show what they would cost, never a choice.
    """

    scenario: Scenario
    parameters: ParameterSet
    trigger: str
    states: dict[str, State]

    @property
    def strategies(self) -> list[str]:
        return list(self.states)

    @property
    def choices(self) -> list[str]:
        """Strategies that cannot be ruled out here."""
        return [name for name, state in self.states.items() if state != "inadmissible"]

    def sweeps(self) -> list[Curves]:
        """One sweep per axis."""
        return [
            sweep(Case(self.trigger, self.scenario, medians(self.parameters)), self.strategies, over) for over in AXES
        ]

    def map(self) -> HeatMap:
        """Cheapest of the strategies that cannot be ruled out, over range length and CPUs."""
        return winner_map(Case(self.trigger, self.scenario, medians(self.parameters)), self.choices)


def worth_drawing(rows: Sequence[CostRow], chosen: str | None) -> list[CostRow]:
    """`rows` of one trigger without the whole-cache flushes that an event takes many times over, unless the kernel has
    `chosen` one or there is nothing else.
    """
    return [row for row in rows if row.strategy == chosen or not is_repeated(row)] or list(rows)


def view(result: Recommendation, evidence: Evidence | None = None) -> View | None:
    """The view at the costliest trigger, or None where nothing flushes there."""
    if not result.applicable or result.costliest_trigger is None:
        return None
    evidence = evidence or load()
    told = cast(dict[str, Any], result.scenario)
    own = {name: told[name] for name in PROPERTIES} | {name: int(told[name]) for name in ("vcpus", "cpus_that_ran")}
    case = scenario(
        evidence,
        result.guest,
        result.machine,
        result.workload,
        result.kernel_version,
        resident_bytes=told["resident_bytes"],
        event_fraction=told.get("event_fraction"),
        folio_bytes=int(result.scenario.get("folio_bytes", PAGE_BYTES)),
        noncoherent_dma=bool(result.scenario.get("noncoherent_dma", False)),
        rates=_rates(result.scenario),
        **own,
    )
    rows = [
        r
        for r in result.costs
        if r.trigger == result.costliest_trigger and r.refused is None and STRATEGIES[r.strategy].instruction != "none"
    ]
    rows = worth_drawing(rows, result.costliest_strategy)
    rows.sort(key=lambda r: (r.strategy != result.costliest_strategy, r.state != "admissible"))
    states = {r.strategy: r.state for r in rows[:DRAWN]}
    return View(case, parameters_of(evidence, result.machine), result.costliest_trigger, states) if states else None


def _rates(numbers: Mapping[str, Any]) -> dict[str, float | tuple[float, float]]:
    """The rates that the user gave, as `scenario` takes them."""
    given = {key.removeprefix(RATE_OF): rate for key, rate in numbers.items() if key.startswith(RATE_OF)}
    counted = [key.removeprefix(COUNT_OF) for key in numbers if key.startswith(COUNT_OF)]
    return given | {name: (numbers[f"{COUNT_OF}{name}"], numbers[f"{SECONDS_OF}{name}"]) for name in counted}
