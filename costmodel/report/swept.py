"""The text of a sweep: the case, what one event is, a row for each point, strategy and quantity, and how to get it again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from costmodel.cost.event import folios
from costmodel.cost.grid import WHOLE, unit_of
from costmodel.decision.choice import Study
from costmodel.kvm.catalog import TRIGGERS
from costmodel.numbers import interval, probability, quantity, scale_of, significant
from costmodel.report.layout import WIDTH, aligned, command_lines, widths_of, wrap

if TYPE_CHECKING:
    import pandas

MOST_SHOWN = 40
"""Rows of the text; a file holds them all."""
LARGE_COUNT = 1000
"""From here on a count of flushes is rounded."""
MARK = "*"
COST = "median [5 %, 95 %]"
OF_THE_PAIR = ("strategy", "against", "note")
"""What the text says of the pair of a break-even above the table."""


def rows(frame: pandas.DataFrame, axes: Sequence[str], study: Study) -> list[dict[str, str]]:
    """The rows in words, by the heads of their columns: the axes, then the strategy, what it costs, and what is to be
    said of it. Columns that are empty throughout are left out.
    """
    swept = [name for name in axes if name in frame]
    units = {name: _shown_unit(name, unit_of(name, study.parameters)) for name in swept}
    told = []
    for row in frame.to_dict("records"):
        point = {name: axis_value(row[name], units[name], whole=name in WHOLE) for name in swept}
        told.append(point | _in_words(row, study))
    names = [name for name in (told[0] if told else ()) if any(row[name] for row in told)]
    return [{name: row[name] for name in names} for row in told]


def _shown_unit(axis: str, unit: str) -> str:
    """The unit in the cells of an axis: none where its name has it."""
    return "1" if unit == "1/s" and axis.endswith("_per_s") else unit


def axis_value(value: float, unit: str, *, whole: bool = False) -> str:
    """A value of an axis, with the digits that tell it from its neighbours.

    >>> axis_value(256.0, "1", whole=True), axis_value(4096.0, "B"), axis_value(0.1, "1"), axis_value(1.5e-9, "s")
    ('256', '4 KiB', '0.1', '1.5 ns')
    """
    if whole:
        return f"{value:.0f}"
    factor, name = scale_of(value, unit)
    return f"{value / factor:.4g} {name}".rstrip()


def _in_words(row: Mapping[str, Any], study: Study) -> dict[str, str]:
    """What one row says beside its point."""
    mark = MARK if row["extrapolated"] else ""
    if "against" in row:
        states = {row["strategy"]: row["state"], row["against"]: row["against_state"]}
        doubts = [f"{name} is {state}" for name, state in states.items() if state != "admissible"]
        found = {"strategy": row["strategy"], "against": row["against"]}
        found[f"{row['quantity']}, {COST}"] = _break_even(row) + mark
        return {**found, "draws": f"{math.floor(100 * row['share'])} %", "note": ", ".join(doubts)}
    note = "" if row["state"] == "admissible" else row["state"]
    known = row["median"] == row["median"]
    most = float(study.scenario.machine.logical_cpus) if row["quantity"] == "host_cpus" else None
    cost = interval(row["low"], row["median"], row["high"], row["unit"], most) + mark if known else "-"
    if "p_best" not in row:
        refused = row["refused"] if isinstance(row["refused"], str) else ""
        return {"strategy": row["strategy"], "quantity": row["quantity"], COST: cost, "note": note, "refused": refused}
    best = probability(row["p_best"], extrapolated=bool(row["extrapolated"]))
    least = (row["cheapest"], row["cheapest_admissible"])
    cheapest = {(True, True): "yes", (True, False): "by cost", (False, True): "safe"}.get(least, "")
    return {"strategy": row["strategy"], "CPU time": cost, "p_best": best, "cheapest": cheapest, "note": note}


def _break_even(row: Mapping[str, Any]) -> str:
    """Median and interval of a break-even; what lies beyond the swept range as that, and who is cheaper throughout."""
    low, median, high, unit = row["low"], row["median"], row["high"], _shown_unit(row["quantity"], row["unit"])
    if row["share"] == 0:
        always = row["always"]
        return f"none: {always} is cheaper" if isinstance(always, str) else "none"
    if not any(math.isnan(value) for value in (low, median, high)):
        return interval(low, median, high, unit)
    below, above = f"< {quantity(row['swept_low'], unit)}", f"> {quantity(row['swept_high'], unit)}"
    texts = [below if math.isnan(low) else quantity(low, unit), "", above if math.isnan(high) else quantity(high, unit)]
    texts[1] = quantity(median, unit) if not math.isnan(median) else above if math.isnan(high) else below
    return f"{texts[1]} [{texts[0]}, {texts[2]}]"


def text(frame: pandas.DataFrame, axes: Sequence[str], study: Study, command: str) -> str:
    """The whole block in lines of at most 72 columns: the case, the first rows of the table, the command that gives it
    again.
    """
    lines = _head(frame, axes, study)
    told = rows(frame.head(MOST_SHOWN), axes, study)
    aside = OF_THE_PAIR if "against" in frame else ("refused",)
    told = [{name: value for name, value in row.items() if name not in aside} for row in told]
    lines += ["", *_table(told, [name for name in axes if name in frame]), ""]
    if len(frame) > MOST_SHOWN:
        lines += wrap(f"... {len(frame) - MOST_SHOWN} rows more; write them with --out FILE.csv, .parquet or .nc")
    lines += [line for gap in _gaps(frame) for line in wrap(gap, "", "  ")]
    lines += _legend(frame)
    lines += ["Again with:", *command_lines(command)]
    lines.append(f"costmodel {frame.attrs['costmodel_version']}, data {frame.attrs['data_hash']}")
    return "\n".join(lines) + "\n"


def _table(told: Sequence[Mapping[str, str]], axes: Sequence[str]) -> list[str]:
    """The rows below the heads of their columns; a table that is too wide has the values of the axes above the rows of
    each point, and where that does not do, the last cell of a row on a line of its own.
    """
    names = list(told[0]) if told else []
    found = _lines(told, names)
    if not axes or all(len(row) == 1 for row in found):
        return [line for row in found for line in row]
    points = [", ".join(f"{name} {row[name]}" for name in axes) for row in told]
    head, *below = _lines(told, [name for name in names if name not in axes], "  ")
    lines, above = head, ""
    for point, row in zip(points, below, strict=True):
        lines += row if point == above else [*wrap(f"{point}:", "", "  "), *row]
        above = point
    return lines


def _lines(told: Sequence[Mapping[str, str]], names: Sequence[str], indent: str = "") -> list[list[str]]:
    """The lines of the heads and of each row."""
    table = [list(names), *([row[name] for name in names] for row in told)]
    widths = widths_of(table)
    return [aligned(row, widths, indent=indent, room=WIDTH) for row in table]


def _head(frame: pandas.DataFrame, axes: Sequence[str], study: Study) -> list[str]:
    case, trigger = study.scenario, study.trigger
    numbers = []
    if "vcpus" not in axes:
        numbers.append(f"{case.vcpus} vCPUs")
    if "resident_bytes" not in axes:
        numbers.append(f"{axis_value(case.resident_bytes, 'B')} resident")
    if "cpus" not in axes:
        numbers.append(f"{case.cpus_that_ran:g} CPUs that ran it")
    where = f"{case.guest} on {case.machine.id}, {case.workload.id}, kernel {case.version}"
    lines = wrap(": ".join(filter(None, (where, ", ".join(numbers)))), "", "  ")
    lines += wrap(f"At {trigger.title} ({trigger.id}). {_event(axes, study)}", "", "  ")
    if "against" in frame:
        row = frame.iloc[0]
        pair = (row["strategy"], row["against"])
        states = [
            f" {c.strategy} is {c.verdict.state}."
            for c in study.candidates
            if c.strategy in pair and c.verdict.state != "admissible"
        ]
        lines += wrap(f"Where {' and '.join(pair)} cost the same along {row['quantity']}.{''.join(states)}")
    return lines


def _event(axes: Sequence[str], study: Study) -> str:
    """What one event is: how long its range is, and how many flushes of the whole cache it has."""
    case, trigger = study.scenario, study.trigger
    ranges = case.ranges(trigger.id)
    told = "range_bytes" not in axes and "resident_bytes" not in axes and len(ranges) == 1
    piece = axis_value(case.folio_bytes, "B")
    size = f"One event is a range of {axis_value(ranges[0][0], 'B')}" if told else ""
    if not TRIGGERS[trigger.id].per_folio:
        return f"{size}." if size else ""
    if not size:
        return f"One event is one range, released folio by folio: a flush for each {piece} of it."
    count = float(folios(trigger.id, case, ranges[0][0]))
    many = f"{count:.0f}" if count < LARGE_COUNT else significant(count)
    return f"{size}, released folio by folio: {many} flush{'es' if count > 1 else ''}, one for each {piece}."


def _gaps(frame: pandas.DataFrame) -> list[str]:
    """The strategies that have no number, and why."""
    if "refused" not in frame:
        return []
    refused = frame[frame["refused"].notna()].drop_duplicates("strategy")
    return [f"{row['strategy']} has no number: {row['refused']}" for row in refused.to_dict("records")]


def _legend(frame: pandas.DataFrame) -> list[str]:
    what = f"Median and central 90 % [5 %, 95 %] of {frame.attrs['draws']} draws, for one event."
    if "host_cpus" in set(frame["quantity"]):
        what += " host_cpus: CPUs of the host that do nothing else."
    if "share" in frame:
        what += " draws: how many of them break even inside the axis; the others count as beyond its ends."
    if "p_best" in frame:
        what += (
            " p_best: in what share of the draws it costs least, never beyond 0.05 and 0.95 where a prior by rule went "
            "in. cheapest: yes; by cost, of one that is not admissible; safe, of the admissible ones where that is "
            "another."
        )
    if frame["extrapolated"].any():
        what += f" {MARK} EXTRAPOLATED: a prior by rule went in."
    states = {*frame["state"], *frame.get("against_state", ())}
    if "inadmissible" in states:
        what += " inadmissible: it can lose a flush and is never recommended, however cheap."
    if "undecided" in states:
        what += " undecided: admissible on a condition that you must check."
    return wrap(what)
