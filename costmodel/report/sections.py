"""The parts of a report page, each from one template: what to do, what would change it, what waits and who pays, and the
evidence behind it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from markupsafe import Markup

from costmodel import cache
from costmodel.calibration.calibrate import fits_of
from costmodel.calibration.parameters import parameters_of
from costmodel.decision.result import Advice, CostRow, Recommendation, UpstreamRow
from costmodel.decision.views import Curves, HeatMap, worth_drawing
from costmodel.decision.views import view as view_of
from costmodel.evidence.store import load
from costmodel.numbers import probability
from costmodel.report import layout, plots, recommendation, waits
from costmodel.report.names import AXIS_NAMES, capitalised
from costmodel.report.page import ENDS, NAME, cell, data, fragment
from costmodel.report.sentences import CAUSES_COMMAND, COUNT_COMMAND

Numbers = tuple[Sequence[str], Iterable[Sequence[object]]]
"""The numbers behind a figure: names of the columns, and rows."""


def answer(result: Recommendation) -> str:
    """Part 1, the first screen: what to do, what it gains, how sure it is, and one picture."""
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    drawn = worth_drawing(rows, result.costliest_strategy)
    here = [item for item in result.do_now if item.kind == "kernel"]
    best = next((item for item in result.do_now if item.kind != "kernel" and item.saves_cpu_s_per_s), None)
    return fragment(
        "answer",
        r=result,
        kernel=recommendation.kernel_text(result),
        does=here,
        best=best if best and best.saves_cpu_s_per_s and best.saves_cpu_s_per_s.high > 0 else None,
        floor=recommendation.least_gain(result, best) if best else None,
        effect=lambda item: recommendation.effect(result, item, cell),
        plot=Markup(plots.cost_figure(drawn, result.costliest_strategy)),
        data=data("CPU time of one flush by strategy", *_cost_numbers(drawn)),
        left_out=_left_out(result),
        ends=recommendation.headline_ends(result),
    )


def _cost_numbers(rows: Sequence[CostRow]) -> Numbers:
    """CPU time of one event by strategy."""
    known = [(row, row.stolen_cpu_s_per_event) for row in rows]
    told = [(row.strategy, row.state, cost.low, cost.median, cost.high) for row, cost in known if cost is not None]
    return ("strategy", "state", *(f"{end}_s" for end in ENDS)), told


def _left_out(result: Recommendation) -> list[str]:
    """Strategies with a cost at the costliest flush that no figure shows."""
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger and row.stolen_cpu_s_per_event]
    drawn = worth_drawing(rows, result.costliest_strategy)
    return [row.strategy for row in rows if row not in drawn]


def change(result: Recommendation) -> str:
    """Part 2: break-even curves, flips, remedies by what they leave, the reader's own rate, and each trigger."""
    flips: dict[str, list[str]] = defaultdict(list)
    for entry in result.policy:
        for flip in entry.flips:
            flips[flip.sentence].append(entry.trigger_title)

    def saved(item: Advice) -> str:
        if item.saves_cpu_s_per_s is None:
            return "not known"
        return layout.cell(item.saves_cpu_s_per_s, marked=True)

    return fragment(
        "change",
        r=result,
        curves=Markup(curves(result)),
        flips=flips,
        ranked=recommendation.ranked(result),
        saved=saved,
        left=lambda item: recommendation.left(item, cell),
        rate=result.measure_rate.replace(COUNT_COMMAND, f"`{COUNT_COMMAND}`").replace(
            CAUSES_COMMAND, f"`{CAUSES_COMMAND}`"
        ),
        rival_cost=recommendation.rival_cost,
        policy=Markup(policy(result)),
    )


def evidence(result: Recommendation) -> str:
    """Part 4, folded: what may be used and why, how sure that is, what kernels do, formulas, sources."""
    parts = [admissibility(result), upstream(result), uncertainty(result), fits(), provenance(result), formulas()]
    return fragment("evidence", parts=[Markup(part) for part in parts])


def policy(result: Recommendation) -> str:
    """Strategy, basis, P(best), regret and flips for each trigger."""
    return fragment(
        "policy",
        r=result,
        groups=layout.policies(result.policy),
        probability=probability,
        parameters=_corner_parameters(result),
        no_regret=recommendation.NO_REGRET,
    )


def _corner_parameters(result: Recommendation) -> dict[str, str]:
    """What the parameters are that the corners name, by name."""
    corners = [entry.regret.worst_corner for entry in result.policy if entry.regret]
    named = {name for corner in [*corners, *(one.corner for one in result.corners)] for name in NAME.findall(corner)}
    known = parameters_of(load(), result.machine).parameters if named else {}
    return {name: known[name].description for name in sorted(named & known.keys())}


def costs(result: Recommendation) -> str:
    """Cost table at the costliest flush."""
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    return fragment(
        "costs",
        r=result,
        rows=rows,
        needs=recommendation.NEEDS,
    )


def contention(result: Recommendation) -> str:
    """Part 3, folded: cost, what waits, who pays, what the mask, the proposals of the thread and a teardown come to."""
    return fragment(
        "contention",
        r=result,
        costs=Markup(costs(result)),
        blocks=waits.blocks(result.contention),
        ceilings=waits.ceilings(result.contention),
        bills=waits.bills(result.bills),
        hybrid=waits.hybrid(result),
        hybrids=waits.hybrids(result.hybrids),
        names=waits.thread_names(),
        vms=waits.vms,
    )


def curves(result: Recommendation) -> str:
    """Break-even curves at the costliest flush, and the map of the cheapest strategy where there is more than one."""
    view = view_of(result)
    if view is None:
        return fragment("nothing", text="No flush at any trigger: there is no curve to draw.")
    sweeps, heat = view.sweeps(), view.map()
    return fragment(
        "curves",
        view=view,
        left_out=_left_out(result),
        sweeps=sweeps,
        names=AXIS_NAMES,
        plot=Markup(plots.curves_figure(sweeps, view.states, result.costliest_strategy)),
        data=[data(capitalised(AXIS_NAMES[sweep.over]), *_curve_numbers(sweep)) for sweep in sweeps],
        map=Markup(plots.map_figure(heat)),
        map_data=data("Cheapest strategy", *_map_numbers(heat)),
        everywhere=heat.strategies[heat.winner.flat[0]],
    )


def _curve_numbers(sweep: Curves) -> Numbers:
    """Cost of each strategy over one axis."""
    bands = [(name, end, getattr(band, end)) for name, band in sweep.series.items() for end in ENDS]
    head = (f"{AXIS_NAMES[sweep.over]} ({sweep.x_unit})", *(f"{name} {end} ({sweep.y_unit})" for name, end, _ in bands))
    return head, zip(sweep.x, *(values for _, _, values in bands), strict=True)


def _map_numbers(heat: HeatMap) -> Numbers:
    """The cheapest strategy over two axes: from where to where along the first."""
    x_name, y_name = (AXIS_NAMES[name] for name in heat.over)
    head = (f"{y_name} ({heat.y_unit})", *(f"{x_name} {end} ({heat.x_unit})" for end in ("from", "to")), "cheapest")
    rows = []
    for y, line in zip(heat.y, heat.winner, strict=True):
        for winner, same in groupby(zip(line, heat.x, strict=True), key=lambda at: at[0]):
            along = [x for _, x in same]
            rows.append((y, along[0], along[-1], heat.strategies[winner]))
    return head, rows


def admissibility(result: Recommendation) -> str:
    """Every strategy that is not ruled out at each trigger, with predicates and reason."""
    return fragment("admissibility", r=result, groups=layout.verdicts(result.costs))


def uncertainty(result: Recommendation) -> str:
    """Objectives, corners of the prior, sensitivities, what to measure next."""
    return fragment("uncertainty", r=result)


class Did(NamedTuple):
    """What `span` successive kernel ranges do alike at a trigger; no strategy where nothing is catalogued."""

    span: int
    strategy: str = ""
    agrees: str = ""
    why: str = ""


class History(NamedTuple):
    """Triggers at which every kernel range does the same."""

    triggers: tuple[str, ...]
    cells: tuple[Did, ...]


def history(rows: Iterable[UpstreamRow], kernels: Iterable[str]) -> list[History]:
    """Triggers by what each of the `kernels` does there; equal neighbours are one cell, equal triggers one row."""
    did: dict[str, dict[str, tuple[str, str, str]]] = defaultdict(dict)
    for row in rows:
        did[row.trigger][row.kernel] = (row.strategy, row.agrees, row.why)
    merged: dict[tuple[Did, ...], list[str]] = defaultdict(list)
    for trigger, by_kernel in did.items():
        runs = groupby(by_kernel.get(kernel) for kernel in kernels)
        merged[tuple(Did(len(list(same)), *(cell or ())) for cell, same in runs)].append(trigger)
    return [History(tuple(names), cells) for cells, names in merged.items()]


def upstream(result: Recommendation) -> str:
    """What each kernel range does, by trigger and version, beside the model's choice."""
    kernels = list(dict.fromkeys(row.kernel for row in result.upstream))
    read_in: dict[str, dict[str, None]] = defaultdict(dict)
    for row in result.upstream:
        read_in[row.locator][row.trigger] = None
    return fragment("upstream", kernels=kernels, history=history(result.upstream, kernels), read_in=read_in)


def fits() -> str:
    """What the calibration fitted to which rows, how well, and what it makes of rows that it has not seen."""
    return fragment("fits", fits=fits_of(load()))


@lru_cache(maxsize=1)
def formulas() -> Markup:
    """The cost terms as MathML with symbols, source and validity. It is kept in the user's cache: to print it takes sympy."""
    return Markup(cache.recall("formulas", cache.key_of([], ["formulas", "report"]), _formulas).decode())


def _formulas() -> bytes:
    from costmodel.formulas import catalog
    from costmodel.formulas.catalog import FORMULAS
    from costmodel.formulas.formula import NOTATION

    items = [(item, Markup(catalog.mathml(name))) for name, item in FORMULAS.items()]
    return fragment("formulas", items=items, notation=NOTATION).encode()


def provenance(result: Recommendation) -> str:
    """Source of every number used, and the hashes."""
    return fragment("provenance", r=result)
