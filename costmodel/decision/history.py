"""What upstream decided between two kernels about one trigger: for the sentences of a mail and the steps of a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from costmodel.decision.alternatives_model import Upstreamed
from costmodel.decision.versus_model import VersusChange, VersusDecision
from costmodel.kvm import decisions, kernels
from costmodel.kvm.guests import guest as guest_of
from costmodel.kvm.placements import placement_for
from costmodel.kvm.strategies import STRATEGIES


def decided(guest: str, trigger: str, first: str, last: str) -> list[Upstreamed]:
    """Every decision that changed the flush between two catalogued ranges, oldest first, each with what it replaced.

    What was before is what the range just before the release does, not what `first` does.
    """
    found = []
    for before, after in pairwise(decisions.mainline(first, last)):
        was, now = (kernels.upstream(guest, trigger, name) for name in (before, after))
        new = now.strategies if now else ()
        current = [name for name in was.strategies if name not in new] if was else []
        for decision in decisions.changes(guest, trigger, before, after):
            brought = [name for name in decision.strategies if name in new] or list(decision.strategies)
            change, more = told(current, brought)
            found.append(
                Upstreamed(
                    number=decision.number,
                    version=decision.version_in(after),
                    before=_titles(current),
                    after=_titles(brought),
                    guest_title=guest_of(guest).title,
                    change=change,
                    more=more,
                    commit=decision.commit,
                    date=decision.date,
                )
            )
            current = brought
    return found


def introduced(guest: str) -> str:
    """The range before the first that runs `guest`: what came with the guest type is decided after it."""
    first = next(i for i, kernel in enumerate(kernels.KERNEL_RANGES) if kernels.hosts(guest, kernel))
    return kernels.KERNEL_RANGES[max(0, first - 1)]


def told(before: Sequence[str], after: Sequence[str]) -> tuple[str, str]:
    """What the step from strategies to strategies is: a verb phrase, and the rest that goes behind the guest type.

    >>> told(["WBINVD_ALL"], ["WBNOINVD_ALL"]), told(["WBNOINVD_ALL"], ["WBNOINVD_MASK"])
    (('replaced WBINVD by WBNOINVD', ''), ('flushes only the CPUs that ran the guest', ''))
    >>> told(["NO_FLUSH"], ["WBINVD_ALL"])
    ('began to flush here', 'with WBINVD on all online CPUs')
    """
    old, new = (STRATEGIES[names[0]] if names else None for names in (before, after))
    flushed = old is not None and old.instruction != "none"
    if new.instruction == "none":
        return ("no longer flushes here" if flushed else "does not flush here"), _reason(after)
    if not flushed:
        why = f", where it did not {reason}" if (reason := _reason(before)) else ""
        return ("flushes here" if old is None else "began to flush here"), f"with {_titles(after)}{why}"
    if old.whole_cache and new.whole_cache:
        if old.scope == new.scope:
            return f"replaced {old.instruction.upper()} by {new.instruction.upper()}", ""
        if old.instruction == new.instruction and new.scope == "mask":
            return "flushes only the CPUs that ran the guest", ""
    return f"replaced {_titles(before)} by {_titles(after)}", ""


def _titles(names: Sequence[str]) -> str:
    return " or ".join(STRATEGIES[name].title for name in names)


def _reason(names: Sequence[str]) -> str:
    """Why there is no flush, as the title of the strategy says it: `because ...`."""
    return _titles(names).removeprefix("no flush").removeprefix(",").strip()


def steps(guest: str, trigger: str, base: str, new: str) -> list[VersusChange]:
    """What changed between two catalogued ranges, oldest first, each with the first range that has it and its decisions.

    The order of the two ranges does not matter. A hook that moves is a step only where a decision moved it.
    """
    found = []
    for before, after in pairwise(decisions.mainline(base, new)):
        was, now = (kernels.upstream(guest, trigger, name) for name in (before, after))
        if now is None:
            continue
        place = placement_for(guest, trigger, after)
        if was is None or was.strategies != now.strategies:
            behind = decisions.changes(guest, trigger, before, after)
        elif place != placement_for(guest, trigger, before):
            behind = decisions.moved(guest, trigger, after)
            if not behind:
                continue
        else:
            continue
        found.append(
            VersusChange(
                kernel=after,
                strategy="|".join(now.strategies),
                placement=place,
                decisions=[
                    VersusDecision(
                        number=one.number, commits=list(one.commits), title=one.title or one.effect, source=one.source
                    )
                    for one in behind
                ],
                source=now.locator,
            )
        )
    return found
