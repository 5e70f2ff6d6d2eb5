"""A recommendation as plain text, 7-bit and fit to be pasted into a mail, and as JSON with its schema."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, cast

from costmodel.decision.result import (
    Advice,
    Basis,
    CostRow,
    Interval,
    Needs,
    PolicyEntry,
    Recommendation,
    RivalPrior,
    TogetherRow,
)
from costmodel.errors import stated
from costmodel.kvm.catalog import PLACEMENTS
from costmodel.kvm.kernels import LOOK
from costmodel.numbers import ceiling, probability, quantity, several, shortened
from costmodel.report import waits
from costmodel.report.layout import WIDTH, aligned, cell, command_lines, listed, policies, widths_of, wrap
from costmodel.report.names import capitalised, kernel_ground
from costmodel.report.record import Answer, ByKernel

CEILING = (
    "holds what is uncertain about one flush. How often it comes is not in it and is told by two ends: at most (the "
    "shortest scan period, every pass flushes) and at least (the longest, with vCPUs that are always busy, and only "
    "passes that flush whatever they find); of an idle guest nothing is scanned"
)


def ends(costs: Sequence[CostRow]) -> str:
    """What the intervals of `costs` hold and what they do not, where one of them rests on a ceiling; else empty."""
    lost = [row.host_cpu_s_per_s for row in costs if row.host_cpu_s_per_s is not None]
    return CEILING if any(value.at_most and value.high > 0 for value in lost) else ""


def headline_ends(result: Recommendation) -> str:
    """The same of the cost in the headline."""
    lead = (result.costliest_trigger, result.costliest_strategy)
    return ends([row for row in result.costs if (row.trigger, row.strategy) == lead])


def loss_cell(row: CostRow, mark: str = "") -> str:
    """The host CPUs lost, where the rate is a ceiling between its two ends."""
    lost = row.host_cpu_s_per_s
    some = row.least_host_cpu_s_per_s is not None and lost is not None and lost.high > 0
    return f"{cell(row.host_cpu_s_per_s)}{mark}" + (f", at least {cell(row.least_host_cpu_s_per_s)}" if some else "")


def rival_cost(rival: RivalPrior) -> str:
    """The cost under a rival prior with its unit in words."""
    if rival.host_cpu_s_per_s is not None:
        return f"{cell(rival.host_cpu_s_per_s)} host CPUs"
    return f"{cell(rival.stolen_cpu_s_per_event)} CPU time per event"


def render(result: Recommendation) -> str:
    """The whole block, ending with the one command that prints it again."""
    blocks = [_head(result)]
    if result.applicable:
        blocks += [
            _policy(result.policy),
            _costs(result),
            listed("ON ONE HOST", [together_text(row) for row in result.together]),
            _advice("DO NOW", result.do_now, result),
            _advice("WORTH PATCHING (not in this kernel)", result.worth_patching, result),
            listed("HOW OFTEN IT CAN HAPPEN", result.saturation),
            listed("WHO WAITS, WHO PAYS (only what the flush adds)", waits.sentences(result)),
            listed("ASSUMPTIONS", result.assumptions),
            listed("WARNINGS", result.warnings),
            listed("GAPS", result.gaps),
            listed("MEASURE NEXT", result.measure_next),
            listed("MEASURED ON THIS HOST", [f"{m.what}: {m.value}" for m in result.measured if m.detail]),
        ]
    blocks.append(_foot(result))
    return "\n".join("\n".join(block) + "\n" for block in blocks if block)


def _cost(result: Recommendation) -> list[str]:
    """What the headline costs, what its interval holds, and how to measure the rate."""
    parts = {"Cost": result.headline_cost, "The interval": headline_ends(result), "Your own rate": result.measure_rate}
    return [line for name, text in parts.items() if text for line in wrap(f"{name}: {text}", "  ", "    ")]


def kernel_text(result: Recommendation) -> str:
    """The kernel that was asked for, and the range of kernels that flush as it does."""
    same = f", which flushes as {result.kernel}" if result.kernel != result.kernel_version else ""
    return f"kernel {result.kernel_version}{same}"


def _head(result: Recommendation) -> list[str]:
    lines = wrap(
        f"{result.guest_title} on {result.machine_title}, {result.workload_title}, {kernel_text(result)}", "", "  "
    )
    lines += ["", *wrap(result.headline, "  ")]
    if result.applicable:
        lines += _cost(result)
        lines += wrap(f"Sure of the choice: {result.confidence}", "  ", "    ")
        lines += wrap(f"Sure of the size: {result.size_confidence}", "  ", "    ")
        for rival in result.rival_priors:
            lines += wrap(f"If {rival.prior}: {rival_cost(rival)}", "  ", "    ")
        lines += [
            "",
            *wrap(
                "Every number below is MODEL, median [90 % interval]; * marks EXTRAPOLATED (a prior by rule "
                f"went in). {MARKS}"
            ),
        ]
    return lines


def first_screen(found: Answer, said: Collection[str] = ()) -> list[str]:
    """The answer in a few lines: what to do first, what it costs now, what else helps and what that leaves, and the
    command for the rest. Warnings that were `said` before are left out.
    """
    result = found.whole
    lines = wrap(result.headline, "  ")
    if result.applicable:
        here = [
            f"{item.title}{f' ({item.caveat})' if item.caveat else ''}"
            for item in result.do_now
            if item.kind == "kernel"
        ]
        lines += wrap(f"Now: {'; '.join(here)}", "  ", "    ") if here else []
        lines += _cost(result)
        needed = found.plan.step is not None or (found.step is not None and bool(found.step.mended))
        helps = [item for item in found.upgrades if needed or _saves(item)]
        helps += [item for item in found.remedies if _saves(item)]
        lines += _advice("  What helps:", helps, result)
        warnings = [text for text in result.warnings if text not in said]
        lines += wrap(f"Warnings: {'; '.join(warnings)}", "  ", "    ") if warnings else []
    return [*lines, "  All of it:", *command_lines(result.command)]


def _saves(item: Advice) -> bool:
    """Whether an advice saves something, or may: what is not known counts."""
    return item.saves_cpu_s_per_s is None or item.saves_cpu_s_per_s.high > 0


def first_screens(found: ByKernel, said: Collection[str] = ()) -> list[str]:
    """The answer in a few lines; where the kernel may behave as one of several, one for each, and how to find out."""
    if not found.several:
        return first_screen(found.found[0][1], said)
    lines = [*wrap(f"{found.why}."), "To know which:", *command_lines(LOOK), *wrap(f"{found.looked}.", "  ")]
    for one, answer in found.found:
        lines += ["", *wrap(f"{capitalised(kernel_ground(one))}:"), *first_screen(answer, said)]
    return lines


def render_by_kernel(found: ByKernel) -> str:
    """The whole block of the one answer, or a short one for each kernel that the one asked for may behave as."""
    if not found.several:
        return render(found.answers[0][1])
    return "".join(f"{line}\n" for line in first_screens(found))


def _policy(policy: Sequence[PolicyEntry]) -> list[str]:
    lines = ["POLICY"]
    for same in policies(policy):
        entry = same[0]
        basis = f" ({BASES[entry.basis]})" if entry.basis else ""
        name = f"{entry.strategy}: " if entry.strategy else ""
        hook = PLACEMENTS[entry.placement].title
        lines += wrap(f"{name}{entry.strategy_title}{basis}; hook {hook}", "  ", "    ")
        lines += wrap(f"at {', '.join(e.trigger for e in same)}", "      ", "         ")
        if entry.p_best is not None and entry.regret is not None:
            regret = quantity(entry.regret.expected_cpu_s_per_event, "s")
            chance = probability(entry.p_best, extrapolated=entry.extrapolated)
            cost = (
                f"expected regret {regret} CPU time per event" if entry.regret.expected_cpu_s_per_event else NO_REGRET
            )
            lines += wrap(f"P(best) {chance}, {cost}", "      ")
        elif entry.undecided:
            lines += wrap(entry.p_best_note, "      ", "        ")
        if entry.cheapest not in (None, entry.strategy):
            best = entry.p_best_of_cheapest
            sure = f", P(best) {probability(best, extrapolated=entry.extrapolated)}" if best is not None else ""
            lines += wrap(f"cheapest: {entry.cheapest}{sure}; this kernel does not use it here", "      ", "        ")
        for flip in entry.flips[:3]:
            lines += wrap(f"flips: {flip.sentence}", "      ", "        ")
        if not entry.fires:
            lines += wrap(f"cannot happen here, costs 0: {entry.why}", "      ", "        ")
        if entry.gap:
            lines += wrap(f"total refused: {entry.gap}", "      ", "        ")
    return lines


BASES: dict[Basis, str] = {
    "forced": "the only safe choice",
    "dominated": "no safe choice is cheaper",
    "cost": "chosen by cost",
}
"""Why a strategy was chosen, in words."""
NO_REGRET = "cheapest in every draw"
STATE_MARKS = {"admissible": " ", "inadmissible": "-", "undecided": "?"}
NEWER_MARK, PATCH_MARK = "+", "!"
NEEDS = {"upgrade": "needs a newer kernel", "patch": "needs a kernel patch"}
MARKS = (
    "'-' marks unsafe strategies, '?' those whose condition you must check, '+' what only a newer kernel does here, "
    "'!' what needs a patch."
)
"""The legend of the marks before a strategy."""
COST_HEAD = ("   strategy", "per event", "CPU time/event", "CPUs lost")


def _costs(result: Recommendation) -> list[str]:
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    if not rows:
        return []
    known = [_cost_cells(row) for row in rows if not row.refused]
    widths = widths_of([COST_HEAD, *known])
    what = (
        f"all events at the hook, as {rows[0].trigger}" if result.all_events_at == rows[0].trigger else rows[0].trigger
    )
    lines = [f"COST at {what} (hook {rows[0].placement})", *_columns(COST_HEAD, widths)]
    for cells in known:
        lines += _columns(cells, widths)
    for row in rows:
        if row.refused:
            lines += wrap(f"{row.strategy}: refused, {row.refused}", f"  {_mark(row)} ", "      ")
    return lines


def _mark(row: CostRow) -> str:
    return mark_of(row.state, row.from_kernel, row.needs)


def safety_mark(state: str, from_kernel: str | None) -> str:
    """Whether a strategy is safe, and where it is not, whether a newer kernel has what it lacks."""
    return NEWER_MARK if from_kernel else STATE_MARKS.get(state, "?")


def mark_of(state: str, from_kernel: str | None, needs: Needs) -> str:
    """The two marks before a strategy: whether it is safe or a newer kernel has what it lacks, and whether it takes a
    patch of the kernel.
    """
    newer = state == "admissible" and needs == "upgrade"
    return (NEWER_MARK if newer else safety_mark(state, from_kernel)) + (PATCH_MARK if needs == "patch" else " ")


def _cost_cells(row: CostRow) -> tuple[str, ...]:
    mark = "*" if row.extrapolated and row.host_cpu_s_per_s is not None else ""
    name = f"{_mark(row)} {row.strategy}"
    return name, cell(row.event_time_s), cell(row.stolen_cpu_s_per_event), loss_cell(row, mark)


def _columns(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    return aligned(cells, widths, indent="  ", gap=" ", room=WIDTH)


def together_text(row: TogetherRow) -> str:
    """What several guests take of a host that they share."""
    some = row.least_host_cpu_s_per_s is not None and row.host_cpu_s_per_s.high > 0
    least = f", at least {cell(row.least_host_cpu_s_per_s)}" if some else ""
    who = "together" if row.guest == "all" else row.guest
    return f"{several(row.vms, 'VM')}, {who}: {cell(row.host_cpu_s_per_s)}{least} host CPUs"


def rests_on_ceiling(result: Answer | Recommendation, item: Advice) -> bool:
    """Whether what `item` saves is as much a ceiling as the loss that it takes away."""
    return any(
        row.host_cpu_s_per_s is not None and row.host_cpu_s_per_s.at_most
        for trigger in item.triggers
        for row in result.costs_at(trigger)
    )


def effect(result: Recommendation, item: Advice, shown: Callable[[Interval], str]) -> str:
    """What `item` saves and what is left then; `shown` writes an interval."""
    most, left = rests_on_ceiling(result, item), item.left_cpu_s_per_s
    text = f"{ceiling(shown(stated(item.saves_cpu_s_per_s, f'what {item.id} saves')), most)} host CPUs"
    if left is None:
        return text
    return f"{text}, {'nothing is' if left.high == 0 else f'{ceiling(shown(left), most)} are'} left"


def least_gain(result: Recommendation, item: Advice) -> Interval | None:
    """The least that `item` saves where it ends every event of the costliest trigger: the floor of the loss there."""
    if item.saves_fraction != 1.0 or result.costliest_trigger not in item.triggers:
        return None
    lead = (result.costliest_trigger, result.costliest_strategy)
    return next((row.least_host_cpu_s_per_s for row in result.costs if (row.trigger, row.strategy) == lead), None)


KINDS = ("kernel", "guest", "remedy", "upgrade", "patch")
"""Kinds of advice, the one that asks least of the reader first."""


def ranked(result: Recommendation) -> list[Advice]:
    """Every remedy and patch once: those that help, by the share of the loss that is left; then those not known."""
    items = {item.id: item for item in (*result.do_now, *result.remedies, *result.worth_patching)}
    helps = [item for item in items.values() if item.kind != "kernel" and _saves(item)]
    return sorted(
        helps,
        key=lambda item: (
            item.saves_fraction is None,
            -(item.saves_fraction or 0.0),
            KINDS.index(item.kind),
        ),
    )


def left(item: Advice, shown: Callable[[Interval], str]) -> str:
    """What `item` leaves of the loss: CPUs where they are known, else the share."""
    if item.left_cpu_s_per_s is not None:
        return "nothing" if item.left_cpu_s_per_s.high == 0 else shown(item.left_cpu_s_per_s)
    if item.saves_fraction is None:
        return "not known"
    return "nothing" if item.saves_fraction == 1.0 else f"{quantity(100 * (1 - item.saves_fraction), '1')} % of it"


def _advice(title: str, advice: Iterable[Advice], result: Recommendation) -> list[str]:
    lines = []
    for item in advice:
        text = f"- {item.title}"
        if item.saves_cpu_s_per_s is not None:
            text += f": saves {effect(result, item, cell) if _saves(item) else 'nothing at the rates that are known'}"
            if (least := least_gain(result, item)) is not None and least.high > 0:
                text += f"; at least {cell(least)} with events at their slowest"
        text += f" [{item.status}]"
        lines += wrap(text, "  ", "    ")
        if item.caveat:
            lines += wrap(item.caveat, "      ")
    return [title, *lines] if lines else []


def _foot(result: Recommendation) -> list[str]:
    ids = ", ".join(source.id for source in result.sources if source.use != "machine")
    lines = wrap(f"Sources (rows of data/measurements.csv): {ids}") if ids else []
    lines += ["Again with:", *wrap(result.command, "  ", "    ")]
    return [
        *lines,
        f"costmodel {result.costmodel_version}, data {result.data_hash}, asked {result.asked_hash}",
    ]


def as_json(result: Recommendation) -> str:
    """JSON with sorted keys and a final newline; floats with six digits, more than any interval here carries."""
    fields = cast(dict[str, Any], shortened(result.model_dump(mode="json")))
    return "{\n" + ",\n".join(f"{_dumps(name)}: {_rows(fields[name])}" for name in sorted(fields)) + "\n}\n"


def _rows(value: object) -> str:
    """A list with one entry per line, so that a diff shows what changed; anything else on one line."""
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(_dumps(entry) for entry in value) + "\n]"
    return _dumps(value)


def _dumps(value: object) -> str:
    return json.dumps(value, sort_keys=True, allow_nan=False)


def schema() -> str:
    """JSON schema of `render`."""
    described = Recommendation.model_json_schema(mode="serialization")
    described["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(described, indent=1, sort_keys=True) + "\n"
