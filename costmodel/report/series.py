"""The numbers behind each figure of a page as CSV, in SI units with the unit in the column's name."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from costmodel.decision.result import CostRow, Interval
from costmodel.decision.views import Curves, HeatMap
from costmodel.report.names import AXIS_NAMES

ENDS = ("low", "median", "high")


def costs(rows: Sequence[CostRow]) -> str:
    """CPU time of one event by strategy, as `plots.cost_figure` draws it."""
    head = ("strategy", "state", *(f"{end}_s" for end in ENDS))
    known = [(row, row.stolen_cpu_s_per_event) for row in rows]
    return _table(head, ((row.strategy, row.state, *_ends(cost)) for row, cost in known if cost is not None))


def curve(sweep: Curves) -> str:
    """Cost of each strategy over one axis, as a panel of `plots.curves_figure` draws it."""
    bands = [(name, end, getattr(band, end)) for name, band in sweep.series.items() for end in ENDS]
    head = (f"{AXIS_NAMES[sweep.over]} ({sweep.x_unit})", *(f"{name} {end} ({sweep.y_unit})" for name, end, _ in bands))
    return _table(head, zip(sweep.x, *(values for _, _, values in bands), strict=True))


def winners(heat: HeatMap) -> str:
    """The cheapest strategy over two axes, as `plots.map_figure` draws it: from where to where along the first."""
    x_name, y_name = (AXIS_NAMES[name] for name in heat.over)
    head = (f"{y_name} ({heat.y_unit})", *(f"{x_name} {end} ({heat.x_unit})" for end in ("from", "to")))
    rows = []
    for y, line in zip(heat.y, heat.winner, strict=True):
        for winner, same in groupby(zip(line, heat.x, strict=True), key=lambda cell: cell[0]):
            along = [x for _, x in same]
            rows.append((y, along[0], along[-1], heat.strategies[winner]))
    return _table((*head, "cheapest"), rows)


def lost(values: Mapping[tuple[str, str], Interval]) -> str:
    """Host CPUs lost by (guest types, machine), as `plots.lost_figure` draws them."""
    return _table(("guests", "machine", *ENDS), ((*key, *_ends(value)) for key, value in values.items()))


def _ends(value: Interval) -> tuple[float, ...]:
    return value.low, value.median, value.high


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(head)
    table.writerows([f"{cell:.5g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return written.getvalue()
