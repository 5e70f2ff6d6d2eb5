"""Records of data/: one measurement, machine or workload, each number with its provenance, and the units of data/.

Values that leave a record are in SI base units (seconds, bytes, 1/s, fractions).
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from costmodel.errors import LONGEST_NAME, near_names, stated
from costmodel.evidence.tables import (
    Cell,
    Count,
    NotNegative,
    Positive,
    Refused,
    Table,
    Text,
    YesNo,
    among,
    placed,
    records,
    shown,
)

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

OBSERVABLES = frozenset(
    f"{group}.{name}"
    for group, names in {
        "bandwidth": (
            "ccd_read_bytes_per_cycle ccd_write_bytes_per_cycle dram_peak_bytes_per_s "
            "dram_practice_bytes_per_s socket_link_bytes_per_s triad_gain"
        ),
        "broadcast": (
            "cpus_after cpus_before invpcid_cycles loops_per_s mask_round_cycles round_trip_cycles rule_s "
            "tlb_cpu_share_fraction total_s virtual_s"
        ),
        "event_rates": (
            "khugepaged_alloc_sleep_s khugepaged_pages_to_scan khugepaged_scan_sleep_s ksm_advisor_max_pages "
            "ksm_pages_to_scan ksm_sleep_s migrations_per_10s notifier_calls_per_s numa_hint_faults "
            "numa_limiter_factor numa_max_scan_window_bytes_per_s numa_notifiers_per_boot numa_pages_migrated "
            "numa_pte_updates numa_scan_delay_s numa_scan_period_max_s numa_scan_period_min_s "
            "numa_scan_size_bytes numa_unmaps_per_boot numa_virtpages_factor run_s tlb_flushes_per_boot"
        ),
        "geometry": "cache_bytes llc_per_socket_bytes",
        "gmem_release": "guest_total_s page_state_exits retry_s rmpupdate_s",
        "limits": "csd_lock_s hard_lockup_s lockup_guest_bytes lockup_host_cpus lockup_vcpus rcu_stall_s soft_lockup_s",
        "range_flush": (
            "bandwidth_bytes_per_s cached_minus_uncached frame_rate_loss_fraction framebuffer_s in_turn_s "
            "pwrite_gain_fraction range_time_s same_line_s slope_s uncached_minus_cached"
        ),
        "tdx_page": (
            "boot_s destroy_s private_fault_s retries seamcalls_per_page shutdown_dynamic_s shutdown_teardown_s speedup"
        ),
        "threshold": "switch_bytes tlb_pages",
        "whole_cache": (
            "broadcast_s flush_share_fraction guest_call_s microcode_ratio procedure_with_flush_s "
            "procedure_without_flush_s rule_cycles rule_lines_per_cycle smt_ratio stall_s"
        ),
    }.items()
    for name in names.split()
)
"""What a published number can be a number of: a part of the model and what it gives, with the SI unit at the end."""
SHUTDOWNS = ("tdx_page.shutdown_dynamic_s", "tdx_page.shutdown_teardown_s")
"""Whole shutdowns of a TDX guest, of which the write-back of its pages is a part: while it still holds its KeyID, and
after the release of that.
"""
CACHE_LEVELS = {"L1D": "l1d_kib", "L2": "l2_kib", "L3": "l3_kib"}
"""First words of the quantity of a cache size: the level that it is of, with the column of a CPUID dump."""


def _known(cell: str, known: Collection[str], what: str, remedy: str) -> str:
    """The cell. Raises Refused, with names that are near, where it is not `known`."""
    if cell in known:
        return cell
    near = " or ".join(map(repr, near_names(cell[:LONGEST_NAME], known)))
    raise Refused(f"{shown(cell)} is no {what}", f"did you mean {near}?" if near else remedy)


def _observable(cell: str) -> str:
    remedy = "use one of OBSERVABLES in costmodel/evidence/records.py, or add it there"
    return _known(cell, OBSERVABLES, "known observable", remedy)


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
    observable: Annotated[str, Cell(_observable)]
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
        if self.observable == "geometry.cache_bytes" and self.cache_level not in CACHE_LEVELS:
            remedy = f"begin with one of {', '.join(CACHE_LEVELS)}"
            raise Refused(f"{shown(self.cache_level)} is no level of a cache", remedy, "quantity")

    @property
    def cache_level(self) -> str:
        """The first word of the quantity, which tells the level where the row is the size of a cache."""
        return self.quantity.partition(" ")[0]

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


# data/kvm/amd_rendezvous.csv: kernel logs that bound WBINVD from above, because every CPU executes it there in turn.
#
# Whenever the kernel sets the memory type ranges (MTRR) on all CPUs, a CPU without self-snoop executes WBINVD twice, and
# a spinlock lets one CPU at a time do so: at boot right after "Total of N processors activated", on resume right after
# "CPUn is up" of the last CPU. Two lines of a log so bound the time of all these flushes together. Nothing that follows
# from the columns is typed into the file: the bounds are properties of a row.

RENDEZVOUS = "kvm/amd_rendezvous.csv"
FLUSHES_PER_CPU = 2
SLOWEST_HZ = 100
"""Where a log does not tell the tick, it is taken for the longest that x86 can be built with."""
LINE_BYTES = 64


@dataclass(frozen=True, kw_only=True)
class Rendezvous:
    """One rendezvous of all CPUs as a log shows it. Times in seconds, sizes in bytes; None is what the log does not
    tell.

    `gap_s` lies between the two quoted lines. `lost_s` is what the clock of the log did not count until it was called
    stable (boot; zero on resume, where the time-stamp counter counts on). `deferred_init_s` is other work inside the
    gap that the log names. `method`: S3 is suspend to memory, S4 hibernation. A stepped `clock` is led by the tick: it
    may stand up to one tick beside the time. A row of the `quality` incomplete lacks the line that says what the clock
    lost, so it bounds nothing; in a control no CPU flushes.
    """

    id: str
    method: Annotated[str, among(("boot", "resume-s3", "resume-s4"))]
    cpu: str
    family_model: str = ""
    generation: str = ""
    self_snoop: YesNo
    sockets: Count | None = None
    logical_cpus: Count
    cores: Count | None = None
    llc_bytes_per_domain: Positive | None = None
    l2_bytes_per_core: Positive | None = None
    kernel: str = ""
    hz: Count | None = None
    console: Annotated[str, among(("none seen", "suspended", "serial", "unknown"))]
    gap_s: Positive
    lost_s: NotNegative | None = None
    deferred_init_s: NotNegative = 0.0
    clock: Annotated[str, among(("stable", "stepped"))]
    quality: Annotated[str, among(("good", "fair", "weak", "incomplete", "control"))]
    remarks: str = ""
    source: str
    quote: str

    def refuse_contradictions(self) -> None:
        """Raise Refused where columns contradict each other."""
        wrong = (
            (
                "lost_s",
                (self.lost_s is None) != (self.quality == "incomplete"),
                "goes with every quality but incomplete",
            ),
            ("quality", self.self_snoop != (self.quality == "control"), "is control where the CPU snoops itself"),
            ("cores", (self.cores or 1) > self.logical_cpus, "is more than the logical CPUs"),
            ("sockets", (self.sockets or 1) > self.logical_cpus, "is more than the logical CPUs"),
            (
                "deferred_init_s",
                self.deferred_init_s > self.gap_s + self.tick_s,
                "is longer than the gap that holds it",
            ),
            ("clock", self.method == "boot" and self.clock != "stepped", "is stepped at boot"),
            ("deferred_init_s", self.deferred_init_s > 0 and self.method != "boot", "occurs at boot only"),
        )
        for name, contradicts, problem in wrong:
            if contradicts:
                raise Refused(problem, "correct the row by its quote", name)

    @property
    def flushes(self) -> int:
        """WBINVD that all CPUs together execute, one after the other; none where the CPU snoops itself."""
        return 0 if self.self_snoop else FLUSHES_PER_CPU * self.logical_cpus

    @property
    def longest_s(self) -> float | None:
        """The longest that the rendezvous as a whole can have taken; None where the row bounds nothing.

        Where the clock steps, a tick is added, and a second one where deferred initialisation is taken out, which the
        kernel itself times in ticks.
        """
        if self.lost_s is None:
            return None
        whole = self.gap_s + self.lost_s - self.deferred_init_s
        return whole + ((self.clock == "stepped") + (self.deferred_init_s > 0)) * self.tick_s

    @property
    def tick_s(self) -> float:
        """The period of the kernel's tick; the longest that there is where the log does not tell it."""
        return 1.0 / (self.hz or SLOWEST_HZ)

    @property
    def flush_at_most_s(self) -> float | None:
        """The mean time of one WBINVD is at most this; None where the row bounds none."""
        return None if self.longest_s is None or not self.flushes else self.longest_s / self.flushes

    @property
    def capacity_lines(self) -> float | None:
        """Lines that the caches behind one CPU hold: its domain's last level and its own second level."""
        sizes = [size for size in (self.llc_bytes_per_domain, self.l2_bytes_per_core) if size is not None]
        return sum(sizes) / LINE_BYTES if sizes else None

    @property
    def line_at_most_s(self) -> float | None:
        """The mean time of one WBINVD per line of capacity is at most this; None where one of the two is not known."""
        return self.flush_at_most_s / self.capacity_lines if self.flush_at_most_s and self.capacity_lines else None

    @property
    def line_of_all_s(self) -> float:
        """The time of all flushes together, per line of capacity. Raises MissingNumber where one of the two is not
        known.
        """
        lines = stated(self.capacity_lines, f"cache sizes of row {self.id}")
        return stated(self.longest_s, f"bound of row {self.id}") / lines


def read_rendezvous(path: Path) -> dict[str, Rendezvous]:
    """All rows by id, in the order of the file. Raises BadInput."""
    found = {row.id: row for row in records(path, Rendezvous, ("id",))}
    for row in found.values():
        with placed(path.name, row.id):
            row.refuse_contradictions()
    return found


# data/parameters.csv: what each parameter of the model is, whatever its value; that is calibrated from the other files.

PARAMETERS = "parameters.csv"


@dataclass(frozen=True, kw_only=True)
class ParameterEntry:
    """What a parameter is: its SI `unit`, whether it is a `share` between 0 and 1, and what it means, where not otherwise
    said also `on_host`, where a measured host tells it. `next_measurement` would tell it better.
    """

    id: str
    unit: Annotated[str, among(PINT_SI)]
    share: YesNo
    description: str
    on_host: str = ""
    next_measurement: str


def read_parameters(path: Path) -> dict[str, ParameterEntry]:
    """All rows by id, in the order of the file. Raises BadInput."""
    return {row.id: row for row in records(path, ParameterEntry, ("id",))}


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
