"""Contention rows as tables: strategies and placements that wait alike are told once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from costmodel.decision.choice import Study
from costmodel.decision.result import BillRow, ContentionRow, HybridRow, Interval, Recommendation
from costmodel.decision.waits import placements_of, waits_of
from costmodel.kvm.catalog import PLACEMENTS
from costmodel.kvm.kernels import HOOK_PLACEMENTS
from costmodel.numbers import ceiling, quantity
from costmodel.report import layout

UNFELT_S = 1e-6
"""A wait of a page fault that stays below this is lost in the fault itself."""
DETECTORS = {"L01": "the hard lock-up warning", "L04": "the CSD-lock warning, if CSD_LOCK_WAIT_DEBUG is on"}
"""What a flush that keeps a CPU from answering sets off, by the row of its limit."""
UNSEEN_S = 1e-9
"""Waits that stay below this are printed as such: no clock of the kernel shows them."""


def contention_rows(study: Study) -> list[ContentionRow]:
    """What waits at a trigger, a row for each flush and placement."""
    return [_worded(row) for row in waits_of(study)]


def _worded(row: ContentionRow) -> ContentionRow:
    note = f"saturated in {row.without_bound:.0%} of the draws: no mean" if row.without_bound else ""
    if not row.placement_admissible:
        note = "the page can be in use again before its flush"
    elif row.placement == "gmem_window":
        note = "one punch hole or conversion at a time; no closed form gives the 99th percentile"
    return row.model_copy(update={"verdict": _verdict(row.placement, row.here), "note": note})


def _verdict(placement: str, here: bool) -> str:
    if not PLACEMENTS[placement].admissible:
        return "inadmissible"
    if placement not in HOOK_PLACEMENTS[1:]:
        return "what this kernel does" if here else "dominated by after SRCU"
    if placement != "after_srcu":
        return "dominated by after SRCU" + (", but what this kernel does" if here else "")
    return "what this kernel does" if here else "cheapest admissible placement"


def silence(study: Study, rows: Sequence[ContentionRow]) -> str:
    """Why `rows`, those of `contention_rows`, lack what this kernel does: no window, no rate, or a total that is
    refused; empty where they have it.
    """
    where = placements_of(study)
    if not where:
        return "no invalidation window here: nobody waits for this flush but its caller"
    if gaps := _gaps(study):
        place = PLACEMENTS[where[0]]
        return f"the total of what this kernel does is refused ({gaps}); it runs {place.title}: {place.waits} wait"
    return "" if rows else "no rate is published: give one with --rate-per-s"


def _gaps(study: Study) -> str:
    """Numbers that the kernel's own flush lacks."""
    refused = {study.cost(c.strategy).refused for c in study.candidates if c.running}
    return "; ".join(sorted(gap for gap in refused if gap))


@dataclass(frozen=True)
class Line:
    """Cells of one or more hook placements: lock held, in progress, faults that retry and for how long, fault waits
    (mean, p99), memslot update waits. `own` is the kernel's hook, where it is one of them.
    """

    hooks: tuple[str, ...]
    own: str
    cells: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class Block:
    """The lines of one or more strategies."""

    strategies: tuple[str, ...]
    state: str
    standstill: str
    lines: tuple[Line, ...]


def blocks(rows: Sequence[ContentionRow]) -> list[Block]:
    """Blocks in the order of the rows; the inadmissible placement is left out, it flushes too late."""
    merged: dict[tuple[str, str, tuple[Line, ...]], list[str]] = {}
    for strategy in dict.fromkeys(row.strategy for row in rows):
        own = [row for row in rows if row.strategy == strategy and row.placement_admissible]
        key = (own[0].state, cell(own[0].standstill_fraction), _lines(own))
        merged.setdefault(key, []).append(strategy)
    return [Block(tuple(names), *key) for key, names in merged.items()]


def _lines(rows: Sequence[ContentionRow]) -> tuple[Line, ...]:
    merged: dict[tuple[tuple[str, ...], str], list[ContentionRow]] = {}
    for row in rows:
        cells = (
            cell(row.lock_busy_fraction),
            cell(row.in_progress_fraction),
            cell(row.faults_that_retry_fraction),
            cell(row.retry_mean_s),
            cell(row.fault_wait_mean_s),
            cell(row.fault_wait_p99_s),
            cell(row.memslot_wait_mean_s),
        )
        merged.setdefault((cells, row.note), []).append(row)
    return tuple(
        Line(
            tuple(row.placement_title for row in same),
            next((row.placement_title for row in same if row.here), ""),
            *key,
        )
        for key, same in merged.items()
    )


def cell(value: Interval | None) -> str:
    """The interval; a dash without bound, `< 1 ns` where even the upper end stays below."""
    if value is None:
        return layout.cell(value)
    if value.unit == "s" and 0 < value.high < UNSEEN_S:
        return "< 1 ns"
    if value.low == value.high and value.unit == "1":
        return f"{value.median:g}"
    return layout.cell(value, bare=True)


def told(value: Interval | None) -> str:
    """The same in a sentence, which says so where it is a ceiling."""
    return cell(value) if value is None else ceiling(cell(value), value.at_most)


CEILINGS = (
    "the rate is a ceiling: every share of the time and every wait below is at most what is shown; the intervals "
    "hold what is uncertain about one flush, not how far the true rate lies below the ceiling"
)


def ceilings(rows: Sequence[ContentionRow]) -> str:
    """What a table of `rows` says beside it where their rate is a ceiling; else empty."""
    some = any(row.standstill_fraction is not None and row.standstill_fraction.at_most for row in rows)
    return CEILINGS if some else ""


def thread_names() -> list[str]:
    """What the thread of 2023-08-18 calls a hook at each placement."""
    return [f"{place.title}: {', '.join(place.hooks)}" for place in PLACEMENTS.values() if place.hooks]


def sentences(result: Recommendation) -> list[str]:
    """What the flush of this kernel makes others wait and pay at the costliest trigger, alone; empty without a
    flush.
    """
    own = [row for row in result.contention if row.strategy == result.costliest_strategy]
    found = []
    for row in own:
        if row.here:
            what = "all events at the hook" if row.trigger == result.all_events_at else f"{row.trigger} alone"
            found.append(
                f"{what}, hook {row.placement_title}: an invalidation is in progress {told(row.in_progress_fraction)} "
                f"of the time; each vCPU stands still {told(row.standstill_fraction)} of it; {_faults(row)}, a "
                f"memslot update waits {told(row.memslot_wait_mean_s)}"
            )
    for row in own:
        if row.placement == "under_mmu_lock" and not row.here:
            found.append(
                f"under mmu_lock instead: lock held {told(row.lock_busy_fraction)} of the time, {_faults(row)}"
            )
    for bill in (bill for bill in result.bills if bill.strategy == result.costliest_strategy):
        found.append(
            f"one event takes {cell(bill.own_s)} from the CPUs of its guest and {cell(bill.others_s)} from everyone "
            "else"
        )
        found += shares(bill)
        found += limits(bill)
    worst = max(result.abuse, key=lambda row: row.forced_cpus.median if row.forced_cpus else 0.0, default=None)
    if worst is not None:
        found.append(
            f"one attacking thread of the VMM that loops {worst.trigger} takes {cell(worst.forced_cpus)} host CPUs at "
            "most"
        )
    return found


def _faults(row: ContentionRow) -> str:
    """How long page faults wait, in words where no guest can feel it."""
    waits = (row.fault_wait_mean_s, row.fault_wait_p99_s)
    if all(wait is not None and wait.high < UNFELT_S for wait in waits):
        return "page faults are practically not delayed"
    return f"a fault waits {told(waits[0])} (mean) and {told(waits[1])} (99th percentile)"


def shares(bill: BillRow) -> list[str]:
    """How many such VMs cost 1 % and 10 % of the host; at the ceiling of a rate, where it is one."""
    most = bill.neighbour_fraction is not None and bill.neighbour_fraction.at_most
    pairs = ((bill.vms_at_one_percent, "1 %"), (bill.vms_at_ten_percent, "10 %"))
    known = [(value, share) for value, share in pairs if value is not None]
    alone = [share for value, share in known if value.high < 1]
    texts = [f"one such VM already costs more than {alone[-1]} of the host"] if alone else []
    texts += [f"{cell(value)} such VMs cost {share} of the host" for value, share in known if value.high >= 1]
    return [("with events at their fastest, " if most else "") + ", ".join(texts)] if texts else []


def vms(value: Interval | None) -> str:
    """The number of VMs; below one, that a single VM costs more."""
    if value is None:
        return "-"
    return "one such VM already costs more" if value.high < 1 else cell(value)


def limits(bill: BillRow) -> list[str]:
    """Which lock-up detectors flushes in line can trip, and how likely the host has CPUs enough for it."""
    return [
        f"about {cell(reach.initiators)} queued flushes would trip "
        f"{DETECTORS.get(reach.id, f'the limit of row {reach.id}')} (after {quantity(reach.limit_s, 's')}); this host has "
        + (
            f"the CPUs to queue so many with a chance of {100 * reach.reach_fraction:.2g} %"
            if reach.reach_fraction > 0
            else "too few CPUs to queue so many"
        )
        for reach in bill.limits
    ]


def bills(rows: Sequence[BillRow]) -> list[tuple[tuple[str, ...], BillRow]]:
    """Rows that cost the same together, with their strategies."""
    merged: dict[str, list[BillRow]] = {}
    for row in rows:
        merged.setdefault(row.model_copy(update={"strategy": ""}).model_dump_json(), []).append(row)
    return [(tuple(row.strategy for row in same), same[0]) for same in merged.values()]


def hybrid(result: Recommendation) -> HybridRow | None:
    """The pair of flushes that stands for all: with the whole-cache flush of this kernel at the costliest trigger,
    where there is one, and safe before others.
    """
    lead = (result.costliest_trigger, result.costliest_strategy)
    order = {"admissible": 0, "undecided": 1, "inadmissible": 2}
    return min(result.hybrids, key=lambda row: ((row.trigger, row.whole) != lead, order[row.state]), default=None)


def hybrids(rows: Sequence[HybridRow]) -> list[tuple[tuple[str, ...], HybridRow]]:
    """Rows with the same cap together, with their range flushes."""
    merged: dict[tuple[object, ...], list[HybridRow]] = {}
    for row in rows:
        caps = cell(row.cap_bytes), cell(row.latency_cap_bytes)
        merged.setdefault((row.trigger, row.whole, row.state, caps), []).append(row)
    return [(tuple(row.ranged for row in same), same[0]) for same in merged.values()]
