"""data/measurements.csv: one published number per row, converted to SI."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from costmodel.errors import BadInput
from costmodel.evidence import tables
from costmodel.evidence.records import Bound, Kind, Measurement, UncertaintyKind, Use
from costmodel.evidence.tables import UNITS

FILE = "measurements.csv"
PROVENANCE = ("trust", "arithmetic", "source_title", "source_author", "source_date", "source_locator", "quote")
COLUMNS = (
    "id",
    "term",
    "observable",
    "quantity",
    "value",
    "unit",
    "uncertainty",
    "uncertainty_kind",
    "low",
    "high",
    "bound",
    "vendor",
    "microarchitecture",
    "sockets",
    "cpus",
    "instruction",
    "line_state",
    "range_bytes",
    "hardware",
    "conditions",
    "kind",
    "use",
    "reason",
    *PROVENANCE,
)
NUMERIC = ("value", "uncertainty", "low", "high", "sockets", "cpus", "range_bytes")
TERMS = frozenset(
    {
        "range_flush",
        "whole_cache",
        "broadcast",
        "refill",
        "event_rates",
        "gmem_release",
        "tdx_page",
        "bandwidth",
        "teardown",
        "geometry",
        "limits",
    }
)
CHOICES = {
    "term": TERMS,
    "uncertainty_kind": frozenset(get_args(UncertaintyKind)),
    "bound": frozenset(get_args(Bound)),
    "kind": frozenset(get_args(Kind)),
    "use": frozenset(get_args(Use)),
    "unit": frozenset(UNITS),
    "vendor": frozenset({"", "amd", "intel"}),
    "line_state": frozenset({"", "present", "absent", "clean", "dirty", "unknown"}),
}
TEXTS = (
    "quantity",
    "microarchitecture",
    "instruction",
    "hardware",
    "conditions",
    "reason",
    *PROVENANCE,
)


def read(path: Path) -> dict[str, Measurement]:
    """All rows by id, in the order of the file. Raises BadInput."""
    rows = tables.read_table(path, COLUMNS, "id", NUMERIC)
    return {row["id"]: _measurement(row, path.name) for row in rows}


def scaled(measurement: Measurement, factor: float) -> Measurement:
    """The row with its value and interval multiplied by `factor`."""

    def times(value: float | None) -> float | None:
        return None if value is None else value * factor

    return replace(
        measurement,
        value=measurement.value * factor,
        si=measurement.si * factor,
        low_si=times(measurement.low_si),
        high_si=times(measurement.high_si),
        uncertainty_si=times(measurement.uncertainty_si),
    )


def _measurement(row: dict[str, str], file: str) -> Measurement:
    name = row["id"]
    chosen: dict[str, Any] = {
        field: tables.choice(row, field, allowed, file=file, name=name) for field, allowed in CHOICES.items()
    }
    chosen |= {field: row[field] for field in TEXTS}
    unit = UNITS[chosen["unit"]]
    value = tables.number(row, "value", file=file, name=name, required=True)
    low, high, uncertainty = (
        tables.number(row, field, file=file, name=name) for field in ("low", "high", "uncertainty")
    )
    if (low is not None and low > value) or (high is not None and high < value):
        raise BadInput(
            "value lies outside low to high", file=file, row=name, field="value", remedy="correct the interval"
        )
    if (uncertainty is None) != (chosen["uncertainty_kind"] == "none"):
        raise BadInput(
            "uncertainty and its kind do not go together",
            file=file,
            row=name,
            field="uncertainty_kind",
            remedy="give both, or none and no number",
        )
    if not row["observable"]:
        raise BadInput("is empty", file=file, row=name, field="observable", remedy="say what the number is")

    def si(number: float | None) -> float | None:
        return None if number is None else number * unit.factor

    return Measurement(
        id=name,
        observable=row["observable"],
        value=value,
        si=value * unit.factor,
        si_unit=unit.si,
        low_si=si(low),
        high_si=si(high),
        uncertainty_si=si(uncertainty),
        sockets=tables.whole(row, "sockets", file=file, name=name),
        cpus=tables.whole(row, "cpus", file=file, name=name),
        range_bytes=tables.number(row, "range_bytes", file=file, name=name),
        **chosen,
    )
