"""Records of data/: one measurement, machine or workload, each number with its provenance.

Values that leave a record are in SI base units (seconds, bytes, 1/s, fractions).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from costmodel.errors import stated

Vendor = Literal["amd", "intel"]
Loop = Literal["closed_batch", "autonuma", "axis", "once"]
Residency = Literal["cold", "hot", "unknown"]
Kind = Literal["measured", "claimed", "specified", "threshold"]
Use = Literal["fit", "check", "exclude"]
UncertaintyKind = Literal["statistical", "bound", "none"]
Bound = Literal["exact", "lower", "upper"]

PAGE_BYTES, HUGE_PAGE_BYTES = 4096.0, 2.0**21
"""Sizes of a page of x86: what page tables map, and what one entry of the level above maps."""


@dataclass(frozen=True)
class Measurement:
    """One published number. `value` is in `unit` as the source wrote it; `si` is the same in SI base units.

    `observable` says which formula output the number is (for example `range_flush.slope_s`);
    `vendor`, `microarchitecture`, `sockets`, `cpus`, `instruction`, `line_state` and `range_bytes` are the
    covariates that the calibration needs, empty where the source does not state them.
    """

    id: str
    term: str
    observable: str
    quantity: str
    value: float
    unit: str
    si: float
    si_unit: str
    low_si: float | None
    high_si: float | None
    bound: Bound
    uncertainty_si: float | None
    uncertainty_kind: UncertaintyKind
    vendor: str
    microarchitecture: str
    sockets: int | None
    cpus: int | None
    instruction: str
    line_state: str
    range_bytes: float | None
    hardware: str
    conditions: str
    kind: Kind
    use: Use
    reason: str
    trust: str
    arithmetic: str
    source_title: str
    source_author: str
    source_date: str
    source_locator: str
    quote: str


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
