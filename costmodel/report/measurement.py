"""What `costmodel measure`, `trace rate` and `host` say on the screen: what a probe is about to do to the host, what logs
and stops bound, what was counted, and how the host is set.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from costmodel.evidence.records import SLOWEST_HZ, Rendezvous
from costmodel.numbers import interval, quantity

if TYPE_CHECKING:  # a command needs one of them, not every probe
    from costmodel.measure.counts import Rate
    from costmodel.measure.invalidations import Changed
    from costmodel.measure.kvm import WholeCachePlan
    from costmodel.measure.running import Unseen, What
    from costmodel.measure.trace_formats import Imported
    from costmodel.measure.wbinvd import Result, StopPlan

# What a probe will do to the other users of the host.


def whole_cache_plan(plan: WholeCachePlan) -> str:
    """What the probe of SEV will do, in a sentence."""
    where = "on the CPUs that ran its virtual machine" if plan.masked else "on every CPU"
    return f"sev: {plan.flushes} whole-cache flushes {where}, more where the kernel runs out of ASIDs"


def changed(one: Changed) -> str:
    """One change that the probe of invalidations makes for a time."""
    if one.swap_bytes:
        return f"{one.path}: swap of {one.swap_bytes} bytes for a time"
    if one.before is None:
        return f"{one.path}: {one.written} is written once, which compacts all memory"
    return f"{one.path}: {one.before} now, {one.written} for a time"


def stop_plan(plan: StopPlan) -> list[str]:
    """What timing WBINVD through /proc/mtrr will do to the host, with the length of the pause as logs of others tell."""
    low, high = plan.flush_s
    return [
        f"all {plan.cpus} CPUs stop {plan.stops} times with interrupts off, for {plan.flushes} WBINVD one after the other",
        f"estimated {quantity(plan.flushes * low, 's')} to {quantity(plan.flushes * high, 's')} in all, by boot and "
        f"resume logs of other AMD machines (at most {quantity(low, 's')} to {quantity(high, 's')} each); dirty caches "
        "take longer",
        "a stop of seconds can trip watchdogs, break network connections and mark the time-stamp counter unstable "
        "until the next boot",
        f"one unused memory type range of {plan.range_bytes // 2**20} MiB is added to /proc/mtrr and deleted again; after a "
        "kill `costmodel measure restore` deletes it",
    ]


# What was found.


def stops(found: Result) -> list[str]:
    """What two stops of all CPUs say of WBINVD."""
    told = [
        f"WBINVD at most {quantity(found.flush_at_most_s, 's', 3)} in the mean of {found.flushes_per_stop}: "
        f"{found.cpus} CPUs stopped for {quantity(found.add_s, 's', 3)} (add) and "
        f"{quantity(found.delete_s, 's', 3)} (delete)",
        "the rest of a stop is in these times, so they are upper bounds; all but a few flushes met an empty cache",
    ]
    if found.dirty_bytes:
        more_s = found.delete_s - found.add_s
        longer = f"{quantity(more_s, 's', 3)} longer than the first" if more_s > 0 else "no longer than the first"
        told.append(f"with {quantity(found.dirty_bytes, 'B', 3)} dirty in one domain the second stop was {longer}")
    return told


METHODS = {"boot": "boot", "resume-s3": "resume from S3", "resume-s4": "resume from S4 (hibernation)"}


def bounds(found: Sequence[Rendezvous]) -> Iterator[str]:
    """What the rows of a kernel log say."""
    first = found[0]
    if first.self_snoop:
        yield f"{first.cpu}: the CPU snoops itself, so no WBINVD is executed; the times below are the rendezvous alone"
    for row in found:
        yield f"{METHODS[row.method]}: {_bound(row)}"
        yield from (f"  {line}" for line in row.quote.split(" | "))
        yield from (f"  {remark}" for remark in filter(None, row.remarks.split("; ")))
    if all(row.flush_at_most_s is None for row in found):
        return
    if first.capacity_lines is None:
        yield "per line of capacity: give --llc-bytes and --l2-bytes of that host"
    yield "an upper bound, and of nearly empty caches: a flush of a full or dirty one takes longer"


def _bound(row: Rendezvous) -> str:
    if row.longest_s is None:
        return "no bound"
    whole = f"all {row.logical_cpus} CPUs together at most {_time(row.longest_s)}"
    parts = f"(gap {_time(row.gap_s)}, lost {_time(row.lost_s or 0.0)}"
    parts += f", deferred initialisation {_time(row.deferred_init_s)} taken out" if row.deferred_init_s else ""
    parts += f", clock in ticks of {row.tick_s * 1e3:.3g} ms{_assumed(row)})" if row.clock == "stepped" else ")"
    if row.flush_at_most_s is None:
        return f"{whole} {parts}"
    per_line = f", {_time(row.line_at_most_s)} per line of capacity" if row.line_at_most_s else ""
    return f"WBINVD at most {_time(row.flush_at_most_s)} in the mean of {row.flushes}{per_line}; {whole} {parts}"


def _time(seconds: float) -> str:
    return quantity(seconds, "s", 3) if seconds else "nothing"


def _assumed(row: Rendezvous) -> str:
    """That the tick is assumed, where the log does not tell it."""
    return "" if row.hz else f", assumed: the log does not tell HZ, and {SLOWEST_HZ} is the slowest"


def imported(found: Imported) -> str:
    """How many rows of which kind a trace gave, and what was lost."""
    kinds: dict[str, int] = {}
    for row in found.rows:
        kinds[str(row["kind"])] = kinds.get(str(row["kind"]), 0) + 1
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())) or "nothing"
    lost = f"; at least {found.notes.lost} events were lost while recording" if found.notes.lost else ""
    return f"{found.notes.lines} lines: {told}; {found.notes.bad_lines} lines not understood{lost}"


def counted(rate: Rate) -> str:
    """Count, time, rate and interval, and how to give the rate back."""
    low, high = rate.interval_per_s
    name = f"{rate.name or '@'}, {rate.trigger}" if rate.trigger else rate.name or "@"
    told = f"; {rate.option}" if rate.option else ""
    return f"{name}: {rate.count} in {rate.seconds:.6g} s, {interval(low, rate.per_s, high, '1/s')}{told}"


# How the host that runs is set, and what of it could not be seen.

TITLES = {
    "numa_balancing": "NUMA balancing",
    "ksm_run": "KSM",
    "ksm_pages_to_scan": "pages that KSM scans at a time",
    "ksm_sleep_millisecs": "milliseconds between its scans",
    "transparent_hugepage": "transparent huge pages",
    "compaction_proactiveness": "proactiveness of compaction",
    "kvm_amd_sev": "SEV",
    "kvm_amd_sev_es": "SEV-ES",
    "kvm_amd_sev_snp": "SEV-SNP",
    "kvm_intel_tdx": "TDX",
    "numa_scan_period_min_ms": "shortest scan period of NUMA balancing in ms",
    "numa_scan_size_mb": "MB that one of its scans covers",
}
"""How a person calls the settings of `measure.running`."""
ON_OFF = {"0": "off", "1": "on", "N": "off", "Y": "on"}
VALUES: dict[str, Mapping[str, str]] = {
    "numa_balancing": {**ON_OFF, "2": "for memory tiering only", "3": "on, and for memory tiering"},
    "ksm_run": {**ON_OFF, "2": "off, what it merged is unmerged"},
    "kvm_amd_sev": ON_OFF,
    "kvm_amd_sev_es": ON_OFF,
    "kvm_amd_sev_snp": ON_OFF,
    "kvm_intel_tdx": ON_OFF,
}
"""What values of a setting mean; those of the others are numbers or words."""
UNSEEN: dict[What, str] = {
    "setting": "{}",
    "numa scan": "how often NUMA balancing scans, and how much (debugfs is not mounted, is locked, or needs root)",
    "kvm modules": "settings of KVM for SEV, SNP and TDX (neither kvm_amd nor kvm_intel is loaded)",
    "processes": "guests among {} processes whose command lines it may not read (needs root)",
    "users": "guests of other users (/proc is mounted with hidepid: needs root)",
    "firecracker": "memory of a Firecracker guest, its backing and policy, and whether KSM may merge it",
    "vcpu threads": "which of its threads run vCPUs (they have no names: QEMU's -name NAME,debug-threads=on gives them "
    "some)",
    "cgroup": "limits of its cgroup (no unified hierarchy, or another namespace)",
    "guest type": "type of the confidential guest",
    "other host": "settings of that host: its kernel's defaults are taken",
}


def settings(found: Mapping[str, str]) -> list[str]:
    """Settings as a person says them; how KSM scans only where it does."""
    left_out = () if found.get("ksm_run") == "1" else ("ksm_pages_to_scan", "ksm_sleep_millisecs")
    return [
        f"{TITLES[name]} {VALUES.get(name, {}).get(value, value)}"
        for name, value in found.items()
        if name not in left_out
    ]


def unseen(one: Unseen) -> str:
    """What could not be seen, and why."""
    return UNSEEN[one.what].format(TITLES[one.detail] if one.what == "setting" else one.detail)
