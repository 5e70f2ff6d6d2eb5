"""Records of data/: one measurement, machine or workload, each number with its provenance, and the units of data/.

Values that leave a record are in SI base units (seconds, bytes, 1/s, fractions).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from costmodel.errors import stated
from costmodel.evidence.tables import Cell, Count, Positive, Refused, Table, Text, among, records

# Units that data/ may use, as an exact table: SI unit, factor, and the same unit in words that pint understands.


class Unit(NamedTuple):
    """`si` is the SI unit (`1` for counts and ratios, `cycle` for clock cycles), `factor` turns a value into it.

    `expression` is the unit in pint's language; the audit compares `factor` with it.
    """

    si: str
    factor: float
    expression: str


UNITS = {
    "s": Unit("s", 1.0, "second"),
    "ms": Unit("s", 1e-3, "millisecond"),
    "us": Unit("s", 1e-6, "microsecond"),
    "ns": Unit("s", 1e-9, "nanosecond"),
    "min": Unit("s", 60.0, "minute"),
    "ns per 100000": Unit("s", 1e-14, "nanosecond / 100000"),
    "us per target core": Unit("s", 1e-6, "microsecond"),
    "B": Unit("B", 1.0, "byte"),
    "KiB": Unit("B", 1024.0, "kibibyte"),
    "MiB": Unit("B", 1024.0**2, "mebibyte"),
    "GiB": Unit("B", 1024.0**3, "gibibyte"),
    "GB": Unit("B", 1e9, "gigabyte"),
    "MB (2^20 B)": Unit("B", 1024.0**2, "mebibyte"),
    "pages of 4 KiB": Unit("B", 4096.0, "4 * kibibyte"),
    "MB/s": Unit("B/s", 1e6, "megabyte / second"),
    "MiB/s": Unit("B/s", 1024.0**2, "mebibyte / second"),
    "GiB/s": Unit("B/s", 1024.0**3, "gibibyte / second"),
    "GB/s": Unit("B/s", 1e9, "gigabyte / second"),
    "MB (2^20 B)/s": Unit("B/s", 1024.0**2, "mebibyte / second"),
    "B/cycle": Unit("B/cycle", 1.0, "byte"),
    "cycles": Unit("cycle", 1.0, "dimensionless"),
    "lines/cycle": Unit("lines/cycle", 1.0, "dimensionless"),
    "1/s": Unit("1/s", 1.0, "1 / second"),
    "k loops/s": Unit("1/s", 1000.0, "1000 / second"),
    "events per 10 s": Unit("1/s", 0.1, "1 / (10 * second)"),
    "%": Unit("1", 0.01, "percent"),
    "1": Unit("1", 1.0, "dimensionless"),
    "x": Unit("1", 1.0, "dimensionless"),
    "pages": Unit("1", 1.0, "dimensionless"),
    "events": Unit("1", 1.0, "dimensionless"),
    "calls": Unit("1", 1.0, "dimensionless"),
    "CPUs": Unit("1", 1.0, "dimensionless"),
}

PINT_SI = {
    "s": "second",
    "B": "byte",
    "B/s": "byte / second",
    "1/s": "1 / second",
    "B/cycle": "byte",
    "cycle": "dimensionless",
    "lines/cycle": "dimensionless",
    "1": "dimensionless",
}


def pint_factor(unit: Unit) -> float:
    """Factor of `unit` to its SI unit as pint computes it. Raises pint's errors where the expression has no meaning."""
    import pint

    return float(pint.Quantity(unit.expression).to(PINT_SI[unit.si]).magnitude)


# data/measurements.csv: one published number per row.

MEASUREMENTS = "measurements.csv"
Vendor = Literal["amd", "intel"]
Loop = Literal["closed_batch", "autonuma", "axis", "once"]
Residency = Literal["cold", "hot", "unknown"]
Kind = Literal["measured", "claimed", "specified", "threshold"]
Use = Literal["fit", "check", "exclude"]
UncertaintyKind = Literal["statistical", "bound", "none"]
Bound = Literal["exact", "lower", "upper"]
Term = Literal[
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
]

PAGE_BYTES, HUGE_PAGE_BYTES = 4096.0, 2.0**21
"""Sizes of a page of x86: what page tables map, and what one entry of the level above maps."""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One published number. `value` and its interval are in `unit` as the source wrote them; `si`, `low_si`, `high_si`
    and `uncertainty_si` are the same in SI base units.

    `observable` says which formula output the number is (for example `range_flush.slope_s`);
    `vendor`, `microarchitecture`, `sockets`, `cpus`, `instruction`, `line_state` and `range_bytes` are the
    covariates that the calibration needs, empty where the source does not state them.
    """

    id: str
    term: Term
    observable: str
    quantity: str = ""
    value: Positive
    unit: Annotated[str, among(UNITS)]
    uncertainty: Positive | None = None
    uncertainty_kind: UncertaintyKind
    low: Positive | None = None
    high: Positive | None = None
    bound: Bound
    vendor: Literal["amd", "intel", ""] = ""
    microarchitecture: str = ""
    sockets: Count | None = None
    cpus: Count | None = None
    instruction: str = ""
    line_state: Literal["", "present", "absent", "clean", "dirty", "unknown"] = ""
    range_bytes: Positive | None = None
    hardware: str = ""
    conditions: str = ""
    kind: Kind
    use: Use
    reason: str = ""
    trust: str = ""
    arithmetic: str = ""
    source_title: str = ""
    source_author: str = ""
    source_date: str = ""
    source_locator: str = ""
    quote: str = ""

    def __post_init__(self) -> None:
        if (self.low or self.value) > self.value or (self.high or self.value) < self.value:
            raise Refused("value lies outside low to high", "correct the interval", "value")
        if (self.uncertainty is None) != (self.uncertainty_kind == "none"):
            problem = "uncertainty and its kind do not go together"
            raise Refused(problem, "give both, or none and no number", "uncertainty_kind")

    @property
    def si_unit(self) -> str:
        return UNITS[self.unit].si

    @property
    def si(self) -> float:
        return self.value * UNITS[self.unit].factor

    @property
    def low_si(self) -> float | None:
        return None if self.low is None else self.low * UNITS[self.unit].factor

    @property
    def high_si(self) -> float | None:
        return None if self.high is None else self.high * UNITS[self.unit].factor

    @property
    def uncertainty_si(self) -> float | None:
        return None if self.uncertainty is None else self.uncertainty * UNITS[self.unit].factor

    def scaled(self, factor: float) -> Measurement:
        """The row with its value and interval multiplied by `factor`."""
        names = ("value", "low", "high", "uncertainty")
        numbers = {name: getattr(self, name) for name in names}
        return replace(self, **{name: number * factor for name, number in numbers.items() if number is not None})


def read_measurements(path: Path) -> dict[str, Measurement]:
    """All rows by id, in the order of the file. Raises BadInput."""
    return {row.id: row for row in records(path, Measurement, ("id",))}


# A number in a TOML file of data/: value, unit and where it comes from.

SCENARIO = "scenario"
"""The source of a number that the user may choose."""


def _sources(cell: Any) -> Any:
    if cell == []:
        raise Refused("names no source", f"name a row, a CPUID dump or {SCENARIO!r}")
    return (cell,) if isinstance(cell, str) else tuple(cell) if isinstance(cell, list) else cell


@dataclass(frozen=True, kw_only=True)
class Number(Table):
    """A number of a TOML file. `source` are ids of measurements, names of CPUID dumps or `scenario`.

    The value is that of the first source (`column` says which cell of a dump), or follows from it by `arithmetic`.
    """

    value: Positive
    unit: Annotated[str, among(UNITS)]
    source: Annotated[tuple[Text, ...], Cell(_sources)]
    column: Text = ""
    arithmetic: Text = ""
    note: Text = ""

    @property
    def sources(self) -> tuple[str, ...]:
        return self.source

    @property
    def si(self) -> float:
        return self.value * UNITS[self.unit].factor


@dataclass(frozen=True)
class Machine:
    """A catalogued host. A number the sources lack is None and `missing` says why.

    `features` holds the CPUID bits as capability of the silicon (any dump of the same signature),
    `features_off` those that the machine's own dump shows as switched off.
    `provenance` maps each attribute to the ids of the rows it comes from.
    """

    id: str
    title: str
    vendor: Vendor
    microarchitecture: str
    sockets: int
    logical_cpus: int
    threads_per_core: int
    cpus_per_domain: int
    domains: int
    llc_bytes_per_domain: float
    l2_bytes_per_core: float
    line_bytes: int
    dram_peak_bytes_per_s_per_socket: float | None
    features: dict[str, bool]
    features_off: tuple[str, ...] = ()
    provenance: dict[str, tuple[str, ...]] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    given: str = ""
    """What a user wrote to mean a machine that no catalogue holds; commands name it so."""
    origins: dict[str, str] = field(default_factory=dict)
    """Of such a machine, where each number comes from in words, by attribute."""

    @property
    def word(self) -> str:
        """How a command names the machine: its id, or what the user wrote to mean it."""
        return self.given or self.id

    @property
    def cores(self) -> int:
        return self.logical_cpus // self.threads_per_core

    @property
    def cores_per_domain(self) -> int:
        return max(1, self.cpus_per_domain // self.threads_per_core)

    @property
    def domains_per_socket(self) -> int:
        return max(1, self.domains // self.sockets)

    @property
    def cache_bytes(self) -> float:
        """All L2 and last-level cache of the host, in bytes."""
        return self.domains * self.llc_bytes_per_domain + self.cores * self.l2_bytes_per_core


@dataclass(frozen=True)
class Sourced:
    """A number of a workload with the rows it comes from, or `scenario` if the user may choose it."""

    value: float
    sources: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class TriggerLoad:
    """How often a workload pulls one trigger, and with which ranges.

    `loop` is one of
      closed_batch: a kernel thread makes `events_per_cycle` events, waits for each, then sleeps `sleep_s`;
      autonuma:     NUMA balancing passes, rate from the scan tunables and the guest's resident bytes;
      axis:         nobody published a rate: reports give break-even rates over `axis_per_s`;
      once:         once in a VM's lifetime (teardown, ASID recycling ...), `events_per_cycle` events where it is given.
    `event_fraction` scales the rate of the first two; the others have none.
    `range_bytes` is the distribution of range lengths as (bytes, weight) pairs, weights sum to 1.
    `whole_vm` says that the range is the whole guest: it follows `resident_bytes` where the user sets another.
    Loads with the same `thread` share one loop: they wait for each other's flushes.
    `residency` is cold (present bytes <= cache / resident), hot (all present) or unknown (between).
    """

    trigger: str
    loop: Loop
    threads: Sourced | None
    events_per_cycle: Sourced | None
    sleep_s: Sourced | None
    event_fraction: Sourced | None
    axis_per_s: tuple[float, ...]
    range_bytes: tuple[tuple[float, float], ...]
    residency: Residency
    residency_reason: str
    rate_reason: str
    sources: tuple[str, ...]
    thread: str = ""
    tunables: dict[str, Sourced] = field(default_factory=dict)
    whole_vm: bool = False

    def number(self, name: str) -> float:
        """The value of `threads`, `events_per_cycle`, `sleep_s` or `event_fraction`. Raises MissingNumber without
        one.
        """
        sourced: Sourced | None = getattr(self, name)
        return stated(sourced, f"{name} of {self.trigger} stands in no workload").value


@dataclass(frozen=True)
class Workload:
    """A named load on the host: the VM it is about and the triggers it pulls."""

    id: str
    title: str
    description: str
    vcpus: Sourced
    resident_bytes: Sourced
    vms: Sourced
    triggers: tuple[TriggerLoad, ...]

    def load(self, trigger: str) -> TriggerLoad | None:
        """The load on `trigger`, or None where this workload does not pull it."""
        return next((load for load in self.triggers if load.trigger == trigger), None)
