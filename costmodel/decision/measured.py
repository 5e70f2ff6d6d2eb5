"""What a measured host showed, in the rows that a report prints; empty for a catalogued machine."""

from __future__ import annotations

from collections import Counter

import numpy

from costmodel.calibration.host_flush import FlushModel, cells_of
from costmodel.decision.model import MeasuredRow
from costmodel.errors import CostModelError
from costmodel.evidence.hosts import Profile
from costmodel.evidence.store import Evidence
from costmodel.numbers import interval, quantity, significant

SHOWN_BYTES = (4096, 2**18, 2**26)


def measured_rows(evidence: Evidence, machine: str) -> list[MeasuredRow]:
    """Rows of the profile of `machine`, or none."""
    profile = evidence.hosts.get(machine)
    if profile is None:
        return []
    return [*_flush(profile), *_broadcast(profile), *_neighbour(profile), *_invalidations(profile)] + [
        MeasuredRow(what="finding", value=text, detail="") for text in profile.findings
    ]


def _flush(profile: Profile) -> list[MeasuredRow]:
    rows = []
    if not profile.table("flush"):
        return rows
    model = FlushModel(cells_of(profile))
    names = {kind[0] for kind in model.by_kind}
    instruction = "CLFLUSHOPT" if "CLFLUSHOPT" in names else "CLFLUSH"
    for state in sorted({kind[1] for kind in model.by_kind}):
        for size in SHOWN_BYTES:
            try:
                guess = model.predict(instruction, state, size)
            except CostModelError:
                continue
            value = (
                quantity(guess.line_s, "s")
                if guess.low_s is None
                else interval(guess.low_s, guess.line_s, guess.high_s, "s")
            )
            rows.append(
                MeasuredRow(
                    what=f"{instruction}, {state} lines, {quantity(size, 'B', 3)}",
                    value=f"{value} per line",
                    detail="90 % interval of a new run" if guess.low_s is not None else guess.note,
                )
            )
    return rows


def _broadcast(profile: Profile) -> list[MeasuredRow]:
    times: dict[float, list[float]] = {}
    for row in profile.table("broadcast"):
        times.setdefault(row["targets"], []).append(row["measured_call_s"])
    return [
        MeasuredRow(
            what=f"interrupt round to {count:g} CPUs",
            value=interval(*numpy.quantile(found, (0.05, 0.5, 0.95)), "s"),
            detail="membarrier: an empty handler; 5 %, median, 95 % of the repetitions",
        )
        for count, found in sorted(times.items())
    ]


def _neighbour(profile: Profile) -> list[MeasuredRow]:
    slowdowns: dict[tuple[str, float, str], list[float]] = {}
    for row in profile.table("neighbour"):
        key = (str(row["victim"]), row["range_bytes"], str(row["wanted_per_s"]))
        slowdowns.setdefault(key, []).append(row["measured_slowdown"])
    return [
        MeasuredRow(
            what=f"{victim.replace('_', ' ')} neighbour of a CPU that flushes {quantity(size, 'B', 3)} "
            + ("back to back" if rate == "inf" else f"{float(rate):g} times per second"),
            value=f"{significant(float(numpy.median(found)))} times slower",
            detail=f"{significant(float(min(found)))} to {significant(float(max(found)))} over the repetitions",
        )
        for (victim, size, rate), found in sorted(slowdowns.items())
    ]


def _invalidations(profile: Profile) -> list[MeasuredRow]:
    events: dict[str, list[dict[str, object]]] = {}
    for row in profile.table("invalidations"):
        events.setdefault(str(row["trigger"]), []).append(row)
    found = []
    for trigger, rows in sorted(events.items()):
        hits = [row for row in rows if row["measured_overlap_bytes"] > 0]
        lengths = Counter(row["measured_range_bytes"] for row in hits)
        common = ", ".join(f"{count} of {quantity(size, 'B', 3)}" for size, count in lengths.most_common(2))
        slot = rows[0]["measured_memslot_bytes"]
        proxy = f"; proxy for {rows[0]['proxy']}" if rows[0]["proxy"] else ""
        found.append(
            MeasuredRow(
                what=f"invalidations by {trigger}",
                value=f"{len(hits)} met a memory slot of {quantity(slot, 'B')}",
                detail=f"{common}; {len(rows) - len(hits)} more met no slot{proxy}",
            )
        )
    return found
