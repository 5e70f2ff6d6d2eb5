"""What measured machines tell of one that nobody measured: range flushes, write-back and read bandwidth.

A measured host has its own values. A machine of the catalogue takes the level of the measured machines of its core
generation, else of its vendor, and an interval for one machine more: how far machines lie apart is estimated from
machines (not from their cells), so with a handful of them it is a Student t with few degrees of freedom, and wide.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy

from costmodel import cache
from costmodel.errors import MissingNumber
from costmodel.evidence.hosts import Profile
from costmodel.evidence.records import PAGE_BYTES
from costmodel.evidence.store import Evidence

INSTRUCTION = "CLFLUSHOPT"
LINE_BYTES = 64.0
SLOPES = ("dirty", "clean", "absent")
RANGE_FLUSH = ("start", *SLOPES)
BANDWIDTHS = ("domain_writeback", "cpu_read")
NAMES = {
    "domain_writeback": "write-back bandwidth of a cache domain",
    "cpu_read": "read bandwidth of one CPU",
    **{name: f"{name} of a range flush" for name in RANGE_FLUSH},
}
SATURATED_GAIN = 1.1
"""A last CPU that adds less than this factor of bandwidth shows the limit of the domain."""
FEWEST_FREEDOM = 2
"""With fewer degrees of freedom of its own a quantity takes the scatter of all of its kind together."""


@dataclass(frozen=True)
class Seen:
    """One quantity of one machine. `logs` holds the logarithm of its SI value per cell and run; a published row gives
    one.
    """

    machine: str
    vendor: str
    generation: str
    quantity: str
    logs: tuple[float, ...]
    runs: int
    sources: tuple[str, ...]

    @property
    def level(self) -> float:
        """Logarithm of the median."""
        return float(numpy.median(self.logs))

    @property
    def factor(self) -> float:
        """Factor to the 95 % point for a new run at a range of one of the cells: their scatter, Student t over runs."""
        return factor_of_runs(self.logs, self.runs)


def factor_of_runs(logs: Sequence[float], runs: int) -> float:
    """Factor from the median to the 95 % point of one more value: scatter of the logarithms, Student t over the
    runs.
    """
    from scipy.special import stdtrit

    if runs < 2:
        return 1.0
    return math.exp(float(stdtrit(runs - 1, 0.95)) * float(numpy.std(logs, ddof=1)))


@lru_cache(maxsize=32)
def of_host(profile: Profile) -> dict[str, Seen]:
    """Every quantity that the probes of the profile give, from run medians; a probe that was not run gives none. From the
    user's cache where the same profile was read before.
    """
    machine = profile.machine

    def as_json() -> bytes:
        return json.dumps({**_sweep(profile), **_written(profile), **_read(profile)}).encode()

    key = cache.key_of([profile.digest], ["evidence", "calibration"])
    found: dict[str, tuple[list[float], int]] = json.loads(cache.recall("seen", key, as_json))
    return {
        name: Seen(
            profile.id,
            machine.vendor,
            machine.microarchitecture,
            name,
            tuple(logs),
            runs,
            (f"hosts/{profile.id}",),
        )
        for name, (logs, runs) in found.items()
    }


def _sweep(profile: Profile) -> dict[str, tuple[list[float], int]]:
    """Start and slopes of a range flush, each with its number of runs.

    Slopes of cached lines come from ranges of a page up to the last-level cache: a longer range is not cached whole.
    A slope is a difference of two times, and where a run's median is not positive that run says nothing of it.
    """
    largest = profile.machine.llc_bytes_per_domain
    runs: dict[tuple[str, str, float, float], list[tuple[float, float]]] = {}
    for row in profile.table("flush"):
        cached = row["state"] != "absent" and row["range_bytes"] > largest
        if row["instruction"] == INSTRUCTION and row["range_bytes"] >= PAGE_BYTES and not cached:
            key = (row["state"], row["page"], row["range_bytes"], row["run"])
            runs.setdefault(key, []).append((row["measured_line_s"], row["measured_total_s"]))
    medians = {key: numpy.median(numpy.array(values), axis=0) for key, values in runs.items()}
    found: dict[str, list[float]] = {}
    for (state, _, size, _), (line_s, total_s) in medians.items():
        if line_s > 0:
            found.setdefault(str(state), []).append(math.log(line_s))
            start_s = total_s - line_s * size / LINE_BYTES
            if size == PAGE_BYTES and state != "absent" and start_s > 0:
                found.setdefault("start", []).append(math.log(start_s))
    count = len({run for *_, run in medians})
    return {name: (logs, count) for name, logs in found.items() if name in RANGE_FLUSH}


def _written(profile: Profile) -> dict[str, tuple[list[float], int]]:
    """Write-back bandwidth of a cache domain: these hosts have one, and where a CPU more adds nothing it is the limit.

    A host whose last CPU still added bandwidth shows what its CPUs can write, not what its domain can: it gives none.
    """
    counts: dict[float, list[tuple[object, float]]] = {}
    for row in profile.table("bandwidth"):
        if row["kind"] == "write_back":
            counts.setdefault(row["threads"], []).append((row["run"], row["measured_bytes_per_s"]))
    if len(counts) < 2:
        return {}
    fewer, most = (counts[count] for count in sorted(counts)[-2:])
    gain = float(numpy.median([speed for _, speed in most]) / numpy.median([speed for _, speed in fewer]))
    return _by_run("domain_writeback", most) if gain < SATURATED_GAIN else {}


def _read(profile: Profile) -> dict[str, tuple[list[float], int]]:
    """Bandwidth at which one CPU reads what a flush took out of all caches."""
    return _by_run(
        "cpu_read",
        [
            (row["run"], LINE_BYTES / row["measured_cold_line_s"])
            for row in profile.table("refill")
            if row["pattern"] == "sequential" and row["level"] == "memory" and row.get("page", "4KiB") == "4KiB"
        ],
    )


def _by_run(name: str, rows: list[tuple[object, float]]) -> dict[str, tuple[list[float], int]]:
    medians = run_medians(rows)
    return {name: ([math.log(median) for median in medians], len(medians))} if medians else {}


def run_medians(rows: Iterable[tuple[object, float]]) -> list[float]:
    """The median of each run, in the order of the runs, from (run, measured value)."""
    runs: dict[object, list[float]] = {}
    for run, measured in rows:
        runs.setdefault(run, []).append(measured)
    return [float(numpy.median(values)) for values in runs.values()]


def of_rows(evidence: Evidence) -> list[Seen]:
    """Published slopes, one entry per machine and line state: the geometric mean of its rows."""
    slopes = [(row, row.si) for row in evidence.rows(observable="range_flush.slope_s", instruction=INSTRUCTION)]
    rates = evidence.rows(observable="range_flush.bandwidth_bytes_per_s", instruction=INSTRUCTION)
    found: dict[tuple[str, str, str, str], list[tuple[str, float]]] = {}
    for row, slope_s in (*slopes, *((row, LINE_BYTES / row.si) for row in rates)):
        if row.use == "fit" and row.line_state in SLOPES:
            key = (row.hardware, row.vendor, row.microarchitecture, row.line_state)
            found.setdefault(key, []).append((row.id, slope_s))
    return [
        Seen(
            hardware,
            vendor,
            generation,
            state,
            (sum(math.log(slope_s) for _, slope_s in rows) / len(rows),),
            1,
            tuple(id for id, _ in rows),
        )
        for (hardware, vendor, generation, state), rows in found.items()
    ]


@dataclass(frozen=True)
class Predicted:
    """`factor` leads from the median to the 95 % point; `used` are the machines behind it, and `whose` says of what
    kind they are; `freedom` is that of the t.
    """

    median: float
    factor: float
    used: tuple[Seen, ...]
    whose: str
    freedom: int


class Measured:
    """What was seen of every measured machine, but for those of `without` (host ids)."""

    def __init__(self, evidence: Evidence, without: Iterable[str] = ()) -> None:
        left_out = set(without)
        profiles = [profile for name, profile in evidence.hosts.items() if name not in left_out]
        self.seen = [one for profile in profiles for one in of_host(profile).values()] + of_rows(evidence)

    def scatter(self, quantity: str) -> tuple[float, int]:
        """Standard deviation of a machine's level around its vendor's, and its degrees of freedom.

        Raises MissingNumber where no two machines of a vendor were measured.
        """
        own = self._deviations((quantity,))
        kind = BANDWIDTHS if quantity in BANDWIDTHS else RANGE_FLUSH
        pooled = own if own[1] >= FEWEST_FREEDOM else self._deviations(kind)
        if pooled[1] < 1:
            raise MissingNumber(f"no two machines of one vendor have a measured {NAMES[quantity]}")
        return math.sqrt(pooled[0] / pooled[1]), pooled[1]

    def _deviations(self, quantities: Iterable[str]) -> tuple[float, int]:
        squares, freedom = 0.0, 0
        for quantity in quantities:
            for vendor in {one.vendor for one in self.seen}:
                levels = [one.level for one in self.seen if (one.quantity, one.vendor) == (quantity, vendor)]
                squares += float(numpy.var(levels)) * len(levels) if levels else 0.0
                freedom += max(0, len(levels) - 1)
        return squares, freedom

    def predict(self, vendor: str, generation: str | None, quantity: str) -> Predicted:
        """The quantity in SI units, for one machine more of the core `generation`, else (or with None) of its vendor.

        Where no machine of the vendor tells a quantity, a dirty line stands in for a clean one (it is the dearer on
        every measured host), and machines of any vendor for the start and for bandwidths. Raises MissingNumber where
        there is none of these.
        """
        from scipy.special import stdtrit

        own = [one for one in self.seen if one.vendor == vendor]
        choices = (
            (f"core generation {generation}", quantity, [one for one in own if one.generation == generation]),
            (f"vendor {vendor}", quantity, own),
            (f"vendor {vendor} (dirty lines, which are dearer)", "dirty", own if quantity == "clean" else []),
            ("any vendor", quantity, self.seen if quantity in ("start", *BANDWIDTHS) else []),
        )
        told = ((whose, [one for one in found if one.quantity == wanted]) for whose, wanted, found in choices)
        whose, used = next(((whose, found) for whose, found in told if found), ("", []))
        if not used:
            raise MissingNumber(f"no machine of {vendor} has a measured {NAMES[quantity]}")
        deviation, freedom = self.scatter(quantity)
        level = sum(one.level for one in used) / len(used)
        factor = math.exp(float(stdtrit(freedom, 0.95)) * deviation * math.sqrt(1 + 1 / len(used)))
        return Predicted(math.exp(level), factor, tuple(used), whose, freedom)


@dataclass(frozen=True)
class HeldOutMachine:
    """A measured machine predicted from the others: `ratio` is predicted over measured, `factor` the 90 %
    interval's.
    """

    machine: str
    quantity: str
    measured: float
    ratio: float
    factor: float
    whose: str

    @property
    def inside(self) -> bool:
        """Whether the machine's own level lies in the interval."""
        return abs(math.log(self.ratio)) <= math.log(self.factor)


def held_out_machines(evidence: Evidence) -> list[HeldOutMachine]:
    """Every measured host predicted without itself, quantity by quantity; where nothing is left, there is no entry."""
    found = []
    for name, profile in evidence.hosts.items():
        rest = Measured(evidence, without=(name,))
        for quantity, own in of_host(profile).items():
            try:
                seen = rest.predict(own.vendor, own.generation, quantity)
            except MissingNumber:
                continue
            found.append(
                HeldOutMachine(
                    name,
                    quantity,
                    math.exp(own.level),
                    seen.median / math.exp(own.level),
                    seen.factor,
                    seen.whose,
                )
            )
    return found
