"""What things are called in reports: an axis, what it is drawn against, a strategy on a machine, and as what a kernel was
taken.
"""

from __future__ import annotations

from costmodel.cost.event import executed
from costmodel.cost.scenario import Scenario
from costmodel.kvm import releases
from costmodel.kvm.catalog import STRATEGIES
from costmodel.kvm.kernels import Candidate, candidates, decisions, newest
from costmodel.kvm.releases import Backport, Version, dotted

AXIS_NAMES = {
    "range_bytes": "range length",
    "cpus": "CPUs that ran the guest",
    "rate_per_s": "invalidations per second",
    "cache_bytes": "last-level cache per domain",
}
"""By the ids of `costmodel.cost.scenario.AXES`."""
COST_NAMES = {"s": "CPU time taken per event", "1": "host CPU-seconds lost per second"}
"""What is drawn against an axis, by its unit."""
NO_WBNOINVD = "this CPU has no WBNOINVD"


def capitalised(text: str) -> str:
    """The text as a sentence or a heading begins, and all else of it as it is."""
    return text[:1].upper() + text[1:]


def title_on(name: str, scenario: Scenario) -> str:
    """What the strategy `name` is on the machine, in words."""
    strategy = STRATEGIES[name]
    done = executed(strategy, scenario)
    return strategy.title if done is strategy else f"{done.title} ({NO_WBNOINVD})"


# What is told beside an answer for a kernel: as what it was taken and why, what was read of it, and which fixes its
# stable series has or lacks.

GROUNDS = {
    "unread": "{build} was not read: taken as {kernel}, as 5.4 and 5.10 are, which were",
    "older": "{build} is older than {oldest}: taken as {kernel}{note}",
    "late": "read up to {read}",
    "unreleased": "{build} was not released when the series was last looked at ({seen_on}: {seen})",
    "unchanged": "{build} is a kernel of {builder}: what may have been added to it changes no flush of this guest type",
    "read": "{build} was read (data/kvm/builds.csv): it behaves as {kernel}{note}",
    "dated": "{build} is older than what would change its flushes (data/kvm/builds.csv): it behaves as {kernel}{note}",
    "based": "{build} is a kernel of {builder}: taken as {kernel} of kernel.org; what was added to it is not known",
    "plain": "as {kernel} of kernel.org, if it has none of the changes named below",
    "queued": "as {kernel}, if what was queued for it is in that tree already",
    "symbol": "as {kernel}, if /proc/kallsyms has {symbol}",
    "before": "as {kernel}, like {read} before it",
    "after": "as {kernel}, like {read} after it",
    "only-after": "{build} was not read: taken as {kernel}, like {read} after it",
}


def kernel_ground(one: Candidate) -> str:
    """When a kernel behaves as the candidate, or why it was taken as that; empty where nothing is to be said."""
    return "; ".join(GROUNDS[ground.kind].format(**{"kernel": one.kernel, **ground.names}) for ground in one.grounds)


def kernel_notes(guest: str, kernel: str, release: Version, version: str) -> list[str]:
    """One sentence each, for the guest type on the range `kernel` and the release; `version` is how it was asked
    for.
    """
    notes = [text for one in candidates(version, guest) if (text := kernel_ground(one))]
    notes += [_newest_kernel()] if kernel == newest() else []
    return notes + [text for b in releases.backports() if guest in b.guests and (text := _series(b, release))]


def _newest_kernel() -> str:
    """The newest range is no release: which of its candidates was read last."""
    read = [d for d in decisions() if d.status == "merged" and newest() in d.ranges]
    last = max(read, key=lambda d: (d.date, d.versions))
    return (
        f"{newest()} is what was read of that kernel at {last.version_in(newest())} ({last.date}, {last.commit}): no "
        "release of it was read"
    )


def _series(fix: Backport, release: Version) -> str:
    """What the release's series has or lacks of a fix; empty where the release is of another series."""
    if release[:2] != fix.series:
        return ""
    decision = next(d for d in decisions() if d.number == fix.decision)
    what = f"{decision.effect} (commit {fix.commit})"
    series = ".".join(map(str, fix.series))
    if fix.is_in(release):
        return f"{dotted(release)} has this beyond the first release of its series: {what}"
    if fix.first is not None:
        return f"{dotted(release)} lacks this, {dotted(fix.first)} has it: {what}"
    state = "is only queued" if fix.status == "queued" else "was queued and left out of the release"
    return f"{series}.y has no release with this, it {state} (queue of {fix.date}): {what}"
