"""The overview: guest types x machines, the recommended strategy, its cost, its confidence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from costmodel.decision.result import Interval, Recommendation
from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS
from costmodel.numbers import probability
from costmodel.report import page, plots
from costmodel.report.layout import WIDTH, wrap
from costmodel.report.page import cell, fragment
from costmodel.report.recommendation import ends

WIDEST_ID = 24
"""Columns of the machine's id in the text; a longer id is wrapped."""

Matrix = Mapping[tuple[str, str], Recommendation]


def headline_cost(result: Recommendation) -> tuple[Interval | None, str]:
    """Cost of the headline strategy and what it is: host CPUs lost, or CPU time per event."""
    row = next(
        (r for r in result.costs if (r.trigger, r.strategy) == (result.headline_trigger, result.headline_strategy)),
        None,
    )
    if row is None or row.refused:
        return None, "refused" if row else "none"
    if row.host_cpu_s_per_s is not None:
        return row.host_cpu_s_per_s, "host CPUs"
    return row.stolen_cpu_s_per_event, "CPU time per event"


def lost(matrix: Matrix) -> dict[tuple[str, str], Interval]:
    """Host CPUs lost by (guest types, machine), where there is a loss; guest types with the same values are one."""
    by_guest: dict[str, dict[str, Interval]] = {}
    for (guest, machine), result in matrix.items():
        value, unit = headline_cost(result) if result.applicable else (None, "")
        if value is not None and unit == "host CPUs" and value.median > 0:
            by_guest.setdefault(guest, {})[machine] = value
    same: list[tuple[list[str], dict[str, Interval]]] = []
    for guest, values in by_guest.items():
        group = next((names for names, other in same if other == values), None)
        if group is None:
            same.append(([GUESTS[guest].title], values))
        else:
            group.append(GUESTS[guest].title)
    return {(" = ".join(names), machine): value for names, values in same for machine, value in values.items()}


def sentences(matrix: Matrix) -> list[str]:
    """One sentence for each guest type, equal ones together: what is done at the costliest event, and where."""
    told: dict[str, list[str]] = {}
    for guest in GUESTS.values():
        found = [result for (name, _), result in matrix.items() if name == guest.id and result.applicable]
        done = dict.fromkeys(result.headline_strategy or "none is safe" for result in found)
        dear = [value for result in found for value, unit in [headline_cost(result)] if unit == "host CPUs" and value]
        top = max(dear, key=lambda value: value.median, default=None)
        cost = f"dearest machine {cell(top)} host CPUs" if top is not None and top.median > 0 else "no flush"
        what = f"{', '.join(done)}, {cost}" if found else "runs on none of these machines"
        told.setdefault(what, []).append(guest.title)
    return [f"{', '.join(titles)}: {what}." for what, titles in told.items()]


def alike(matrix: Matrix) -> dict[str, list[str]]:
    """Guest types of which the overview shows the same on every machine, together under their titles."""
    shown: dict[str, list[object]] = {}
    for (guest, machine), result in matrix.items():
        entry = _cell(result)
        told = [entry[name] for name in ("strategy", "cost", "confidence")] if result.applicable else None
        shown.setdefault(guest, []).append((machine, told))
    same: dict[str, list[str]] = {}
    for guest, cells in shown.items():
        same.setdefault(repr(cells), []).append(guest)
    return {", ".join(GUESTS[guest].title for guest in guests): guests for guests in same.values()}


def _impossible(matrix: Matrix) -> dict[str, dict[str, list[str]]]:
    """Why a guest type cannot run, and the machines by guest type where this is so."""
    found: dict[str, dict[str, list[str]]] = {}
    for (guest, machine), result in matrix.items():
        if not result.applicable:
            found.setdefault(str(result.not_applicable_reason), {}).setdefault(guest, []).append(machine)
    return found


def distinct_policies(matrix: Matrix) -> int:
    """Number of distinct (strategy, basis at every trigger) in the matrix."""
    return len({tuple((e.trigger, e.strategy, e.basis) for e in r.policy) for r in matrix.values() if r.applicable})


def _held(matrix: Matrix) -> str:
    """What the intervals of the cells hold and what they do not, where one of them rests on a ceiling; else empty."""
    shown = [
        row
        for result in matrix.values()
        for row in result.costs
        if (row.trigger, row.strategy) == (result.headline_trigger, result.headline_strategy)
    ]
    return f"The interval {held}." if (held := ends(shown)) else ""


def _cell(result: Recommendation) -> dict[str, Any]:
    value, unit = headline_cost(result)
    lead = next((e for e in result.policy if e.trigger == result.headline_trigger), None)
    sure: str = "" if lead is None else lead.basis or "no safe strategy"
    if lead is not None and lead.p_best is not None:
        sure += f", P(best) {probability(lead.p_best, extrapolated=lead.extrapolated)}"
    cost = "no flush" if value is not None and value.median == 0 else unit if value is None else f"{cell(value)} {unit}"
    return {
        "applicable": result.applicable,
        "reason": result.not_applicable_reason,
        "headline": result.headline,
        "strategy": result.headline_strategy or "none is safe",
        "trigger": result.headline_trigger,
        "cost": cost,
        "confidence": sure,
    }


def html(matrix: Matrix, pages: Mapping[tuple[str, str], str]) -> str:
    """reports/index.html; `pages` are the addresses of the reports."""
    evidence = load()
    any_one, losses = next(iter(matrix.values())), lost(matrix)
    rows = ((*key, value.low, value.median, value.high) for key, value in losses.items())
    body = fragment(
        "index",
        groups=alike(matrix),
        titles={guest.id: guest.title for guest in GUESTS.values()},
        impossible=_impossible(matrix),
        machines=list(evidence.machines.values()),
        cells={key: _cell(result) for key, result in matrix.items()},
        pages=pages,
        distinct=distinct_policies(matrix),
        held=_held(matrix),
        sentences=sentences(matrix),
        plot=Markup(plots.lost_figure(losses)),
        data=page.data("Host CPUs lost by machine", ("guests", "machine", *page.ENDS), rows),
        workload=any_one.workload_title,
        kernel=any_one.kernel,
        version=any_one.costmodel_version,
        data_hash=any_one.data_hash,
    )
    return page.page("costmodel: which flush strategy for which guest type", body, "index.html")


def as_json(matrix: Matrix) -> str:
    """reports/index.json"""
    cells = [{"guest": guest, "machine": machine, **_cell(result)} for (guest, machine), result in matrix.items()]
    any_one = next(iter(matrix.values()))
    return (
        json.dumps(
            {
                "cells": cells,
                "distinct_policies": distinct_policies(matrix),
                "workload": any_one.workload,
                "kernel": any_one.kernel,
                "data_hash": any_one.data_hash,
            },
            indent=1,
            sort_keys=True,
        )
        + "\n"
    )


def text(matrix: Matrix) -> str:
    """reports/index.txt: one block per guest type, at most 72 columns."""
    any_one = next(iter(matrix.values()))
    lines = wrap(
        f"Flush strategy by guest type and machine: {any_one.workload_title}, kernel {any_one.kernel}", "", "  "
    )
    column = min(max(len(machine) for _, machine in matrix) + 1, WIDEST_ID)
    for guest in GUESTS.values():
        lines += ["", guest.title]
        reasons: dict[str, list[str]] = {}
        for (_, machine), result in ((k, r) for k, r in matrix.items() if k[0] == guest.id):
            entry = _cell(result)
            if not result.applicable:
                reasons.setdefault(str(entry["reason"]), []).append(machine)
                continue
            line = f"  {machine:<{column}}{entry['strategy']:<19}{entry['cost']}"
            lines += [line] if len(line) <= WIDTH else wrap(line.strip(), "  ", " " * (column + 2))
        for reason, machines in reasons.items():
            lines += wrap(f"not on {', '.join(machines)}: {reason}", "  ", "    ")
    lines += [
        "",
        "MODEL, median [90 % interval]; * EXTRAPOLATED (a prior by rule went in).",
        *(wrap(held) if (held := _held(matrix)) else []),
        f"{distinct_policies(matrix)} distinct policies.",
        f"costmodel {any_one.costmodel_version}, data {any_one.data_hash}",
    ]
    return "\n".join(lines) + "\n"
