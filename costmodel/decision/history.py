"""What the kernels do about one trigger: the steps between two of their ranges, and the spans that flush alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from costmodel.cost.draws import Draws
from costmodel.cost.scenario import Scenario
from costmodel.decision.choice import Study
from costmodel.decision.result import State, VersusChange, VersusDecision
from costmodel.kvm import decisions, kernels
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS
from costmodel.kvm.kernels import placement_for
from costmodel.kvm.releases import dotted


def introduced(guest: str) -> str:
    """The range before the first that runs `guest`: what came with the guest type is decided after it."""
    names = list(kernels.KERNELS)
    first = next(i for i, kernel in enumerate(names) if kernels.hosts(guest, kernel))
    return names[max(0, first - 1)]


def steps(guest: str, trigger: str, base: str, new: str) -> list[VersusChange]:
    """What changed between two catalogued ranges, oldest first, each with the first range that has it and its
    decisions.

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


# What each kernel does about one trigger, adjacent kernels that do the same together: what the rows of a mail are
# about.

OUT_OF_TREE, ASKED = "out of tree", "for comparison"


@dataclass(frozen=True)
class Piece:
    """The part of a kernel range in which the trigger's events come alike: its first and last release in words, and its
    last release as `Scenario.on` takes it.
    """

    kernel: str
    first: str
    last: str
    version: str


def pieces(trigger: str, kernel: str) -> list[Piece]:
    """A catalogued range, cut where a release changed how events of the trigger come about, oldest first."""
    whole = kernels.KERNELS[kernel]
    start, end = whole.first, whole.stands_for
    cuts = sorted({cause.since for cause in TRIGGERS[trigger].causes if start < cause.since <= end})
    words = [whole.first_name, *(f"v{dotted(cut)}" for cut in cuts)]
    before = [(cut[0], cut[1] - 1, 0) for cut in cuts]
    return [
        Piece(kernel, first, f"v{dotted(last)}" if last in before else whole.last_name, dotted(last))
        if cuts
        else Piece(kernel, first, whole.last_name, kernel)
        for first, last in zip(words, [*before, end], strict=True)
    ]


@dataclass(frozen=True)
class Span:
    """Adjacent releases in which a guest type gets the same strategy as often; `asked` is a strategy outside any
    kernel.
    """

    guest: str
    pieces: tuple[Piece, ...]
    strategy: str
    state: State
    note: str = ""
    asked: bool = False
    again: bool = False

    @property
    def ranges(self) -> tuple[str, ...]:
        """The catalogued ranges that it lies in."""
        return tuple(dict.fromkeys(piece.kernel for piece in self.pieces))

    @property
    def where(self) -> str:
        """`v5.18-v6.16`, `v6.17 on`, `out of tree`, or `for comparison` of a strategy that was asked for."""
        if self.asked:
            return ASKED
        if not GUESTS[self.guest].has("upstream"):
            return OUT_OF_TREE
        shown = [piece for piece in self.pieces if kernels.KERNELS[piece.kernel].mainline] or list(self.pieces)
        first, last = shown[0].first, shown[-1].last
        if GUESTS[self.guest].has("keyid_keyed"):
            first = kernels.TDX_FIRST if shown[0].kernel == kernels.TDX_RANGE else first
        if shown[-1].kernel == kernels.newest() and len(shown) > 1:
            return f"{first} on"
        return first if first == last else f"{first}-{last}"


def spans_of(case: Scenario, trigger: str, draws: Draws, versions: Sequence[str]) -> list[Span]:
    """What the kernels do for a guest type, in the order of `versions` or else oldest first.

    Adjacent releases with the same strategy, whose events come as often, are one, unless they are asked for; out of
    tree they always are.
    """
    if not TRIGGERS[trigger].occurs_with(GUESTS[case.guest]):
        return []
    apart = bool(versions) and GUESTS[case.guest].has("upstream")
    found: list[Span] = []
    for piece in _asked_pieces(trigger, versions) if versions else _all_pieces(trigger):
        study = Study(TRIGGERS[trigger], case.on(piece.version), draws)
        running = [c for c in study.candidates if c.running]
        done = study.chosen or next((c for c in running if c.verdict.state == "undecided"), None)
        if done is None and versions and running:
            done = running[0]
        if done is None:
            continue
        state, again = done.verdict.state, study.firing.again and STRATEGIES[done.strategy].instruction != "none"
        alike = found and (found[-1].strategy, found[-1].state, found[-1].again) == (done.strategy, state, again)
        if alike and not apart:
            found[-1] = replace(found[-1], pieces=(*found[-1].pieces, piece))
        else:
            note = "" if done.safe else done.verdict.reason
            found.append(Span(case.guest, (piece,), done.strategy, state, note, again=again))
    return found


def _all_pieces(trigger: str) -> list[Piece]:
    return [piece for kernel in kernels.KERNELS for piece in pieces(trigger, kernel)]


def _asked_pieces(trigger: str, versions: Sequence[str]) -> list[Piece]:
    """The piece of each version that a user names; of a range its last one."""
    found = []
    for version in versions:
        parts = pieces(trigger, kernels.resolve(version))
        release = kernels.release(version)
        part = next((one for one in parts if release <= kernels.release(one.version)), parts[-1])
        found.append(replace(part, version=version))
    return list({(piece.kernel, piece.first): piece for piece in found}.values())


def asked_for(case: Scenario, trigger: str, draws: Draws, name: str) -> Span:
    """A strategy that the user wants beside what kernels do, judged on the newest kernel."""
    study = Study(TRIGGERS[trigger], case, draws)
    verdict = next(c.verdict for c in study.candidates if c.strategy == STRATEGIES[name].id)
    note = STRATEGIES[name].list_status
    if verdict.state != "admissible":
        note += f"; {verdict.reason}"
    piece = pieces(trigger, case.kernel)[-1]
    return Span(case.guest, (piece,), name, verdict.state, note, asked=True)
