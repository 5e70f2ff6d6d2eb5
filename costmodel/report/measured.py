"""What a measured host showed: the rows of a recommendation on it, and its values beside the modelled in a mail."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy

from costmodel import cache
from costmodel.decision.estimates import interval_of
from costmodel.decision.result import MeasuredHost, MeasuredRow, MeasuredValue
from costmodel.errors import CostModelError, UnknownName
from costmodel.evidence.hosts import HOST_FILE, Profile
from costmodel.evidence.store import Evidence
from costmodel.evidence.tables import read_document
from costmodel.numbers import interval, quantity, significant

# What a measured host showed, in the rows that a report prints; empty for a catalogued machine.

SHOWN_BYTES = (4096, 2**18, 2**26)


def measured_rows(evidence: Evidence, machine: str) -> list[MeasuredRow]:
    """Rows of the profile of `machine`, or none."""
    profile = evidence.hosts.get(machine)
    if profile is None:
        return []

    def as_json() -> bytes:
        rows = [*_flush(profile), *_broadcast(profile), *_neighbour(profile), *_invalidations(profile)]
        rows += [MeasuredRow(what="finding", value=text, detail="") for text in profile.findings]
        return json.dumps([row.model_dump() for row in rows]).encode()

    rows = json.loads(cache.recall("measured", cache.key_of([profile.digest, profile.findings], []), as_json))
    return [MeasuredRow.model_validate(row) for row in rows]


def _flush(profile: Profile) -> list[MeasuredRow]:
    rows: list[MeasuredRow] = []
    if not profile.table("flush"):
        return rows
    from costmodel.calibration.host_flush import FlushModel, cells_of  # most answers are for no measured host

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
                if guess.low_s is None or guess.high_s is None
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
            value=interval(*_ends(found), "s"),
            detail="membarrier: an empty handler; 5 %, median, 95 % of the repetitions",
        )
        for count, found in sorted(times.items())
    ]


def _ends(values: Sequence[float]) -> tuple[float, float, float]:
    low, median, high = numpy.quantile(values, (0.05, 0.5, 0.95))
    return low, median, high


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
    events: dict[str, list[dict[str, Any]]] = {}
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


# Values of a host profile that concern a flush, with n, spread, hardware and kernel.

RANGES = (4096.0, 2.0**26)
"""Range lengths shown of the flush probe: a page, and one beyond the caches."""
INSTRUCTION, STATES, PAGE = "CLFLUSHOPT", ("dirty", "absent"), "4KiB"


def observed(evidence: Evidence, host: str) -> MeasuredHost:
    """The measured values of the profile `host`. Raises UnknownName."""
    if host not in evidence.hosts:
        raise UnknownName("host profile", host, evidence.hosts)
    profile = evidence.hosts[host]
    shown = read_document(profile.folder / HOST_FILE)["host"]
    return MeasuredHost(
        id=host,
        hardware=profile.machine.title,
        microcode=str(shown.get("microcode", "not reported")),
        kernel=str(shown.get("kernel", "not reported")),
        measured_on=profile.measured_on,
        values=[*_flushes(profile), *_rounds(profile)],
        limits=profile.limits,
    )


def _flushes(profile: Profile) -> list[MeasuredValue]:
    found = []
    for state in STATES:
        for size in RANGES:
            rows = [
                row
                for row in profile.table("flush")
                if (row["instruction"], row["state"], row["page"], row["range_bytes"])
                == (INSTRUCTION, state, PAGE, size)
            ]
            what = f"{INSTRUCTION} per line, {state}, {quantity(size, 'B', 2)} range"
            found += _value(what, rows, "measured_line_s")
    return found


def _rounds(profile: Profile) -> list[MeasuredValue]:
    rows = profile.table("broadcast")
    most = max((row["targets"] for row in rows), default=0)
    return _value(
        f"interrupt round to {most:g} CPUs, empty handler",
        [row for row in rows if row["targets"] == most],
        "measured_call_s",
    )


def _value(what: str, rows: Iterable[dict[str, Any]], column: str) -> list[MeasuredValue]:
    values = [float(row[column]) for row in rows]
    if not values:
        return []
    return [
        MeasuredValue(
            what=what,
            unit="s",
            interval=interval_of(numpy.array(values), "s", False),
            n=len(values),
            runs=len({row["run"] for row in rows}),
        )
    ]
