"""Values of a host profile that concern a flush, with n, spread, hardware and kernel."""

from __future__ import annotations

from collections.abc import Iterable

import numpy

from costmodel.decision.alternatives_model import MeasuredHost, MeasuredValue
from costmodel.decision.intervals import interval_of
from costmodel.errors import UnknownName
from costmodel.evidence.hosts import HOST_FILE, Profile
from costmodel.evidence.numbers import read_document
from costmodel.evidence.store import Evidence
from costmodel.numbers import quantity

RANGES = (4096.0, 2.0**26)
"""Range lengths shown of the flush probe: a page, and one beyond the caches."""
LIMITS = ("virtual machine:", "broadcast: proxy")
"""Findings of a profile that limit the values shown here."""
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
        limits=[text for text in profile.findings if text.startswith(LIMITS)],
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


def _value(what: str, rows: Iterable[dict[str, object]], column: str) -> list[MeasuredValue]:
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
