"""The answer of `recommend` on one screen of a terminal: what to do, what it gains, how sure that is, what one flush
takes, and how to learn one's own rate; of a kernel that may behave as one of several, what to do on each and how to
tell them apart. At most 24 lines of at most 80 columns, 7-bit; `paint` may colour them.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from typing import Literal

from costmodel.decision.result import Advice, CostRow, Interval
from costmodel.decision.tables import is_repeated
from costmodel.kvm.catalog import STRATEGIES, TRIGGERS
from costmodel.kvm.kernels import KERNELS, LOOK, remedies
from costmodel.kvm.releases import parse
from costmodel.numbers import ceiling, interval, quantity, several
from costmodel.report.layout import ascii_text, command_lines, widths_of
from costmodel.report.recommendation import rests_on_ceiling, together_text
from costmodel.report.record import Answer, ByKernel
from costmodel.report.reply_text import ADDRESSES
from costmodel.report.sentences import CAUSES_COMMAND, COUNT_COMMAND

SCREEN_LINES, SCREEN_COLUMNS = 24, 80
LABEL = 8
"""Columns of the labels at the left edge."""
Role = Literal["label", "safe", "unsafe"]
Paint = Callable[[str, Role], str]
HEAD = ("One flush", "stops", "for", "CPU time", "safe here")
FEWEST_ROWS, MOST_ROWS = 1, 4
LONGEST_NAME = 40
LONGEST_REASON = 3
"""Lines that say why a kernel may be several."""
_ID = re.compile(r"\b[A-Z][A-Z0-9]*_[A-Z0-9_]+\b|\b[a-z0-9]+(?:_[a-z0-9]+)+\b")


def plain(text: str, _role: Role) -> str:
    """Text as it is, for what is no terminal."""
    return text


def screen(found: Answer, paint: Paint = plain) -> str:
    """The answer on one screen."""
    lines = _about(found)
    if not found.applicable:
        return "\n".join([*lines, "", *_labelled("Do", [found.headline], paint)]) + "\n"
    do, gain, sure = _do(found), _gain(found), _sure(found)
    below = [*_rate(found, paint), *_more(found, paint)]
    above = ["", *_labelled("Do", do, paint), *_labelled(gain[0], gain[1], paint), *_labelled("Sure", sure, paint)]
    above += _labelled("Shared", [together_text(row) for row in found.together], paint)
    above += _labelled("Beware", _unsafe(found), paint)
    room = SCREEN_LINES - len(lines) - len(above) - len(below) - 3
    table = _table(found, max(FEWEST_ROWS, min(MOST_ROWS, room)), paint)
    return "\n".join([*lines, *above, "", *table, *([""] if table else []), *below]) + "\n"


def screens(found: ByKernel, paint: Paint = plain) -> str:
    """The one answer on one screen; of a kernel that may behave as one of several, what to do on each."""
    first = found.found[0][1]
    if not found.several:
        return screen(first, paint)
    about = _about(first, "")
    why = textwrap.wrap(ascii_text(f"{found.why}."), SCREEN_COLUMNS, max_lines=LONGEST_REASON, placeholder=" ...")
    look = [paint("To know which:", "label"), *command_lines(LOOK)]
    look += textwrap.wrap(f"{found.looked}.", SCREEN_COLUMNS, initial_indent="  ", subsequent_indent="  ")
    names = " or ".join(one.kernel for one, _ in found.found)
    more = _labelled("More", [f"--full: more of each; --kernel {names}: all of one"], paint)
    room = SCREEN_LINES - len(about) - len(why) - len(look) - len(more) - 4
    each = _each(found, room // len(found.found), paint)
    return "\n".join([*about, "", *why, "", *each, "", *look, "", *more]) + "\n"


def _each(found: ByKernel, most: int, paint: Paint) -> list[str]:
    """What to do on each kernel in at most `most` lines; said once where two say the same."""
    same: dict[str, list[str]] = {}
    for one, answer in found.found:
        same.setdefault(answer.headline, []).append(one.kernel)
    labels = {text: " or ".join(names) for text, names in same.items()}
    width = max(map(len, labels.values())) + 2
    lines = []
    for text, label in labels.items():
        room = SCREEN_COLUMNS - width
        pieces = textwrap.wrap(ascii_text(text), room, max_lines=most, placeholder=" ...", break_on_hyphens=False)
        lines += [paint(f"{'' if place else label:<{width}}", "label") + piece for place, piece in enumerate(pieces)]
    return lines


def _about(found: Answer, kernel: str | None = None) -> list[str]:
    """Which guest, machine, load and kernel the answer is for; a kernel of another name with what it was taken as."""
    asked = found.scenario
    if kernel is None:
        named = found.kernel == found.kernel_version or parse(found.kernel_version).upstream
        kernel = f"kernel {found.kernel_version}" + ("" if named else f" (flushes as {found.kernel})")
    ran = int(asked["cpus_that_ran"])
    parts = [
        found.guest_title,
        several(int(asked["vcpus"]), "vCPU"),
        quantity(float(asked["resident_bytes"]), "B"),
        f"{'pinned ' if asked['pinned'] else ''}memory under {asked['vmm']}",
        f"ran on {ran} of {int(asked['logical_cpus'])} CPUs of {found.machine_title}",
        found.workload_title,
        kernel,
    ]
    return textwrap.wrap(ascii_text(", ".join(filter(None, parts))), SCREEN_COLUMNS, break_on_hyphens=False)


def _labelled(label: str, texts: Sequence[str], paint: Paint) -> list[str]:
    """Texts with a label before the first; each starts a line."""
    pieces = [
        line
        for text in texts
        for line in textwrap.wrap(
            ascii_text(_in_words(text)), SCREEN_COLUMNS - LABEL, subsequent_indent="  ", break_on_hyphens=False
        )
    ]
    if not pieces:
        return []
    return [paint(f"{label:<{LABEL}}", "label") + pieces[0], *(" " * LABEL + piece for piece in pieces[1:])]


def _in_words(text: str) -> str:
    """A sentence with the titles of strategies and triggers in place of their ids."""
    return _ID.sub(
        lambda found: next((known[found[0]].title for known in (STRATEGIES, TRIGGERS) if found[0] in known), found[0]),
        text,
    )


def _steps(found: Answer) -> tuple[list[Advice], list[Advice]]:
    """What to do in turn, and what does as much as the last of it: a newer kernel or guest type, then a remedy. Both
    are empty where nothing would be saved.
    """
    plan = found.plan
    first = [one for one in found.upgrades if plan.step and _saves(one) > 0]
    best = [one for one in found.remedies if plan.remedy and one.id == plan.remedy.remedy.id]
    saving = [one for one in found.remedies if _saves(one) > 0]
    return first + best, [one for one in saving if best and one is not best[0] and _left(one) == _left(best[0])]


def _left(item: Advice) -> float | None:
    return None if item.left_cpu_s_per_s is None else item.left_cpu_s_per_s.high


def _do(found: Answer) -> list[str]:
    steps, same = _steps(found)
    if not steps:
        return [found.headline]
    done = next((one for one in steps if one.kind == "remedy" and _left(one) == 0), None)
    moves = [one for one in steps if one.kind in ("upgrade", "guest")]
    if done:
        texts = [f"{done.title}: then no cost is left"]
        moves = [one for one in moves if _saves(one) < _saves(done)]
    else:
        texts = [] if moves else [_keep(found)]
        texts += [f"and {_lowered(one.title)}" if texts or number else one.title for number, one in enumerate(steps)]
        moves = []
    if same:
        texts.append(f"or instead: {_short(same[0])}" + (f", or {_short(same[1])}" if len(same) > 1 else ""))
    texts += [f"{one.title}: that alone saves {_number(one.saves_cpu_s_per_s)} CPUs" for one in moves]
    return texts


def _saves(item: Advice) -> float:
    return item.saves_cpu_s_per_s.median if item.saves_cpu_s_per_s else 0.0


def _short(item: Advice) -> str:
    """A remedy as a part of a sentence."""
    return next(one.short for one in remedies() if one.id == item.id)


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]


def _keep(found: Answer) -> str:
    done = STRATEGIES[found.headline_strategy or ""].title
    return f"Keep {done} (what {found.kernel_version} does)"


def _gain(found: Answer) -> tuple[str, list[str]]:
    """The gain of what is to be done between its two ends; where nothing is to be gained, what is lost now."""
    steps, _ = _steps(found)
    row = _running(found)
    if not steps or row is None or row.host_cpu_s_per_s is None:
        return "Cost", [found.headline_cost]
    item = max(steps, key=_saves)
    cpus = int(found.scenario["logical_cpus"])
    shown = _number(item.saves_cpu_s_per_s)
    if not rests_on_ceiling(found, item):
        return "Gain", [f"{shown} of {cpus} CPUs, at the rate that you gave"]
    text = f"{ceiling(shown)} of {cpus} CPUs (events at their fastest)"
    if _left(item) == 0 and row.least_host_cpu_s_per_s is not None:
        text += f", at least {_number(row.least_host_cpu_s_per_s)} (at their slowest)"
    return "Gain", [text]


def _number(value: Interval | None) -> str:
    return "" if value is None else interval(value.low, value.median, value.high, value.unit, value.most)


def _sure(found: Answer) -> list[str]:
    if not _table_rows(found):
        return [f"of the choice: {found.confidence}"]
    return [f"of the choice: {found.confidence}", f"of the size: {found.size_confidence}"]


def _unsafe(found: Answer) -> list[str]:
    """Where this kernel can lose a flush, and where nobody wrote down what it does."""
    loses = [one.trigger_title for one in found.policy if one.strategy is None and not one.gap]
    unread = [one.trigger_title for one in found.policy if one.strategy is None and one.gap]
    return [
        *([f"{found.kernel_version} can lose a flush at {' and '.join(loses)}"] if loses else []),
        *([f"what {found.kernel_version} does is not catalogued at {' and '.join(unread)}"] if unread else []),
    ]


def _running(found: Answer) -> CostRow | None:
    """The cost of what the headline is about."""
    lead = (found.headline_trigger, found.headline_strategy)
    return next((row for row in found.costs_at(lead[0]) if row.strategy == lead[1]), None)


def _table_rows(found: Answer) -> list[CostRow]:
    """Flushes of the costliest kind, one of each kind: what runs today, what else is safe, and the range flush that
    everybody asks about.
    """
    rows = [
        row
        for row in found.costs_at(found.costliest_trigger)
        if row.stolen_cpu_s_per_event is not None
        and STRATEGIES[row.strategy].instruction != "none"
        and (row.strategy == found.costliest_strategy or not is_repeated(row))
    ]
    picked = [row for row in rows if row.strategy == found.costliest_strategy]
    for row in sorted(rows, key=lambda row: (_rank(row), _median(row))):
        shown = row.state == "admissible" or row.from_kernel or not STRATEGIES[row.strategy].whole_cache
        if shown and all(_kind(row) != _kind(one) for one in picked):
            picked.append(row)
    return picked


def _table(found: Answer, most: int, paint: Paint) -> list[str]:
    """What one flush takes, one line for each kind."""
    shown = [(_cells(found, row), row) for row in _table_rows(found)[:most]]
    if not shown:
        return []
    several = shown[0][1].trigger != found.headline_trigger
    at = f"{'One event' if several else HEAD[0]} at {TRIGGERS[shown[0][1].trigger].title}"
    head = (at if len(at) <= LONGEST_NAME else HEAD[0], *HEAD[1:])
    widths = widths_of([head, *(cells for cells, _ in shown)])
    lines = [paint(_line(head, widths).rstrip(), "label")]
    for cells, row in shown:
        safe = row.state == "admissible" and row.needs == "nothing"
        lines.append(_line(cells[:-1], widths) + "  " + paint(cells[-1], "safe" if safe else "unsafe"))
    return lines


def _kind(row: CostRow) -> tuple[bool, str]:
    """What a reader takes for the same flush: of one instruction on as many CPUs."""
    strategy = STRATEGIES[row.strategy]
    return strategy.whole_cache, strategy.scope if strategy.whole_cache else "range"


def _rank(row: CostRow) -> int:
    """Safe flushes first: of this kernel, of a newer one, with a patch; then what is not safe."""
    if row.state == "admissible":
        return {"nothing": 0, "upgrade": 1}.get(row.needs, 3)
    return 2 if row.from_kernel else 4


def _median(row: CostRow) -> float:
    return row.stolen_cpu_s_per_event.median if row.stolen_cpu_s_per_event else 0.0


def _cells(found: Answer, row: CostRow) -> tuple[str, ...]:
    strategy = STRATEGIES[row.strategy]
    instruction = strategy.instruction.upper()
    address = ADDRESSES.get(strategy.address_source or "", "").replace("(", "").replace(")", "")
    where = {"all_cpus": "on all CPUs", "mask": "on CPUs that ran it"}.get(
        strategy.scope, f"on{address}" if address else "over the range"
    )
    cpus = {"all_cpus": "logical_cpus", "mask": "cpus_that_ran"}.get(strategy.scope)
    stops = int(found.scenario[cpus]) if cpus else 1
    today = row.strategy == found.costliest_strategy
    once = row.irq_off_s if strategy.whole_cache and not is_repeated(row) else None
    lasts = once or row.event_time_s
    return (
        f"{instruction} {where}{' (today)' if today else ''}",
        several(stops, "CPU"),
        quantity(lasts.median, "s", 1) if lasts else "-",
        quantity(_median(row), "s", 1),
        _safe(row),
    )


def _safe(row: CostRow) -> str:
    """Whether a flush is safe at this trigger, and what it takes to have it."""
    if row.state == "admissible":
        return {"nothing": "yes", "upgrade": "newer kernel", "patch": "with a patch"}.get(row.needs, "yes")
    if row.from_kernel:
        return f"in {KERNELS[row.from_kernel].first_name}"
    return "no" if row.state == "inadmissible" else "open"


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Numbers at the right of their columns, texts at the left."""
    last = len(widths) - 1
    return "  ".join(
        f"{text:<{width}}" if place in (0, last) else f"{text:>{width}}"
        for place, (text, width) in enumerate(zip(cells, widths, strict=False))
    )


def _rate(found: Answer, paint: Paint) -> list[str]:
    """The command that measures one's own rate, and how to give it back."""
    ways = {"rate": (COUNT_COMMAND, "all"), "causes": (CAUSES_COMMAND, "TRIGGER")}
    if found.open_rate is None:
        return []
    command, trigger = ways[found.open_rate]
    lines = [f"  {command}", f"  costmodel recommend ... --rate {trigger}=COUNT/300"]
    return [paint("Your own rate decides:", "label"), *lines]


def _more(found: Answer, paint: Paint) -> list[str]:
    flips = [flip.sentence for one in found.policy if one.trigger == found.headline_trigger for flip in one.flips]
    texts = [f"what would flip it: {flips[0]}"] if flips else []
    count = len(found.warnings)
    warned = f", {count} warning{'s' if count > 1 else ''}" if count else ""
    return _labelled("More", [f"--full: all triggers, intervals, waits, sources{warned}", *texts], paint)
