"""What each kernel does about one trigger, adjacent kernels that do the same together: what the rows of a mail are about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from costmodel.cost.draws import Draws
from costmodel.cost.scenario import Scenario
from costmodel.decision.policy import Study
from costmodel.kvm import kernels
from costmodel.kvm.guests import guest as guest_of
from costmodel.kvm.strategies import STRATEGIES
from costmodel.kvm.strategies import strategy as strategy_of
from costmodel.kvm.triggers import trigger as trigger_of

OUT_OF_TREE, ASKED = "out of tree", "for comparison"


@dataclass(frozen=True)
class Span:
    """Adjacent kernel ranges in which a guest type gets the same strategy; `asked` is a strategy outside any kernel."""

    guest: str
    ranges: tuple[str, ...]
    strategy: str
    state: str
    note: str = ""
    asked: bool = False

    @property
    def where(self) -> str:
        """`v5.18-v6.16`, `v6.17 on`, `out of tree`, or `for comparison` of a strategy that was asked for."""
        if self.asked:
            return ASKED
        if not guest_of(self.guest).has("upstream"):
            return OUT_OF_TREE
        ranges = [name for name in self.ranges if not name.endswith("+")] or list(self.ranges)
        first, last = ranges[0].split("-")[0], ranges[-1].split("-")[-1]
        if guest_of(self.guest).has("keyid_keyed"):
            first = max(first, kernels.TDX_FIRST)
        if ranges[-1] == kernels.newest() and len(ranges) > 1:
            return f"{first} on"
        return first if first == last else f"{first}-{last}"


def spans_of(case: Scenario, trigger: str, draws: Draws, ranges: Sequence[str]) -> list[Span]:
    """What the kernels do for a guest type, in the order of `ranges` or else oldest first.

    Adjacent ranges with the same strategy are one, unless they are asked for; out of tree they always are.
    """
    if not trigger_of(trigger).occurs_with(guest_of(case.guest)):
        return []
    apart = bool(ranges) and guest_of(case.guest).has("upstream")
    found: list[Span] = []
    for kernel in ranges or kernels.KERNEL_RANGES:
        study = Study(trigger_of(trigger), case.on(kernel), draws.parameters, draws, {})
        running = [c for c in study.candidates if c.running]
        done = study.chosen or next((c for c in running if c.verdict.state == "undecided"), None)
        if done is None and ranges and running:
            done = running[0]
        if done is None:
            continue
        state = done.verdict.state
        if found and (found[-1].strategy, found[-1].state) == (done.strategy, state) and not apart:
            found[-1] = replace(found[-1], ranges=(*found[-1].ranges, kernel))
        else:
            note = "" if done.safe else done.verdict.reason
            found.append(Span(case.guest, (kernel,), done.strategy, state, note))
    return found


def asked_for(case: Scenario, trigger: str, draws: Draws, name: str) -> Span:
    """A strategy that the user wants beside what kernels do, judged on the newest kernel."""
    study = Study(trigger_of(trigger), case, draws.parameters, draws, {})
    verdict = next(c.verdict for c in study.candidates if c.strategy == strategy_of(name).id)
    note = STRATEGIES[name].list_status
    if verdict.state != "admissible":
        note += f"; {verdict.reason}"
    return Span(case.guest, (case.kernel,), name, verdict.state, note, asked=True)
