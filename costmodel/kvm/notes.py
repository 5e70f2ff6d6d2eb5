"""What must be told beside an answer for a kernel: what was read of it, and which fixes its stable series has or lacks."""

from __future__ import annotations

from costmodel.kvm import kernels
from costmodel.kvm.decisions import UpstreamDecision, decisions
from costmodel.kvm.releases import Backport, Version, backports, dotted


def kernel_notes(guest: str, kernel: str, release: Version, version: str) -> list[str]:
    """One sentence each, for the guest type on the range `kernel` and the release; `version` is how it was asked for."""
    notes = [one.why for one in kernels.candidates(version, guest) if one.why]
    notes += [_newest()] if kernel == kernels.newest() else []
    return notes + [text for b in backports() if guest in b.guests and (text := _series(b, release))]


def _newest() -> str:
    """The newest range is no release: which of its candidates was read last."""
    read = [d for d in decisions() if d.status == "merged" and kernels.newest() in d.ranges]
    last = max(read, key=lambda d: (d.date, d.versions))
    return (
        f"{kernels.newest()} is what was read of that kernel at {last.version_in(kernels.newest())} ({last.date}, "
        f"{last.commit}): no release of it was read"
    )


def _decision(number: int) -> UpstreamDecision:
    return next(d for d in decisions() if d.number == number)


def _series(fix: Backport, release: Version) -> str:
    """What the release's series has or lacks of a fix; empty where the release is of another series."""
    if release[:2] != fix.series:
        return ""
    what = f"{_decision(fix.decision).effect} (commit {fix.commit})"
    series = ".".join(map(str, fix.series))
    if fix.is_in(release):
        return f"{dotted(release)} has this beyond the first release of its series: {what}"
    if fix.first is not None:
        return f"{dotted(release)} lacks this, {dotted(fix.first)} has it: {what}"
    state = "is only queued" if fix.status == "queued" else "was queued and left out of the release"
    return f"{series}.y has no release with this, it {state} (queue of {fix.date}): {what}"
