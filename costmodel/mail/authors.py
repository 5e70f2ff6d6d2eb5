"""Who wrote which line of a mail.

The marks of a line tell how often it was quoted. Whose words they are is told by the line or two before the first
deeper one, in whatever language it is written: what counts is where it stands, and that it names somebody or a time. A
block of headers in the middle of a text begins somebody else's mail. What neither tells stays in doubt, and says so.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

UNKNOWN = "the mail does not say who wrote this"
UNMARKED = "no marks from here on: the sender's words, or quoted ones"
BROKEN = "the sender's words, or the end of the line above"


@dataclass(frozen=True)
class Line:
    """One line of the body without its quote marks; `depth` counts them, 0 is the sender's own text.

    `attribution` marks a line such as `On DATE, NAME wrote:`, and the headers of a mail that was pasted: nobody's
    words. `named_by` are the places of the lines that name its author, outermost first; `doubt` says why nobody can,
    empty where the author is known. `pasted_from` names who wrote a line that the sender pasted without quote marks.
    """

    depth: int
    text: str
    attribution: bool = False
    named_by: tuple[int, ...] = ()
    doubt: str = ""
    pasted_from: str = ""

    @property
    def quoted(self) -> str:
        """The line as a reply quotes it: one mark more, never wrapped, no trailing blanks."""
        return ("> " * (self.depth + 1) + self.text).rstrip()


_MARKS = re.compile(r"(?: ?> ?)?(?:> ?)*")
_SUPERCITE = re.compile(r"((?:> )*)>+ (\"[^\"]{1,40}\" == .*)")
_INITIALS = re.compile(r"[A-Z][A-Za-z.]{0,14}> ")
_SNIP = re.compile(r"\W*(?:snip|snipped|\.{2,}|\u2026|cut|trimmed|8<)\W*(?:\w+\W*)?", re.IGNORECASE)
_COLON = re.compile(r"[:\uff1a\ufe55\u2236]\W*$")
_ADDRESS = re.compile(r"[^\s<>()@]+@[^\s<>()@]+|[\w.-]+ (?:at|\(at\)|\[at\]|\(\)) [\w-]+(?:\.| ! | dot )\w|@x{3,}")
_DATE = re.compile(
    r"(?<!\d)(?:19|2[05])\d\d(?!\d)|\d{1,4}[./-]\d{1,2}[./-]\d{1,4}|(?<!\d)\d{1,2}[:.h]\d{2}(?!\d)"
    r"|[\u0660-\u0669\u06f0-\u06f9\u0966-\u096f\u0e50-\u0e59]{4}"
)
_CLOSED = re.compile(r"\d[^\w\s]*[)\]]\W*$")
"""A date in brackets at the end, as mailers write it that use no colon."""
_WROTE = re.compile(r"\b(?:wrote|writes)\b", re.IGNORECASE)
_STOP = re.compile(r"[.!?;:\u3002\uff1a]$|^$")
WRAPPED_AT = 55
"""Columns, marks included, beyond which a line may be the first half of a wrapped one."""
NAME_AND_VERB = 4
"""Words of an attribution that has neither a date nor an address."""
WORDS_MAX, WORDS_MAX_BARE = 26, 16
"""Words of the longest attribution, and of the longest that has neither an address nor `wrote`; beyond, it is prose."""
LONGEST = 300
"""Characters of the longest attribution; beyond, a line is prose."""
WRAPPED_OVER = 3
"""Lines that mailers wrap an attribution over, at most."""

PASTED_MAX = 50
"""Mails pasted into one another that lie one level deeper each; of a longer chain the rest lies side by side."""
_LABEL = re.compile(
    r"\s*[*_]{0,2}(?P<label>[^\W\d_][^:\uff1a<>@\[\]()]{0,24}?)\s?[:\uff1a][*_]{0,2}(?:\s+|$)(?P<value>.*)$"
)
_TRAILER = re.compile(r".*-by|fixes|link|closes|change-id", re.IGNORECASE)
_FROM = re.compile(
    "from|von|de|da|van|fra|fr\u00e5n|od|ot|\u043e\u0442|\u043e\u0442 "
    "\u043a\u043e\u0433\u043e|\u0432\u0456\u0434|l\u00e4hett\u00e4j\u00e4|felad\u00f3|kimden|g\u00f6nderen|\u03b1\u03c0\u03cc|\u53d1\u4ef6\u4eba|\u5bc4\u4ef6\u8005|\u5bc4\u4ef6\u4eba|\u5dee\u51fa\u4eba|\u9001\u4fe1\u8005|\ubcf4\ub0b8 "
    "\uc0ac\ub78c|\u05de\u05d0\u05ea|\u0645\u0646|odesilatel|expediteur|exp\u00e9diteur|avsender|afsender",
    re.IGNORECASE,
)
_RULE = re.compile(r"\s*(?:[-=*\u2014\u2500]{4,}|-{2,} ?[^-\s]|_{5,}).*")
_END = re.compile(r"\s*-{2,}.*\b(?:end|ende|fin|fine|einde)\b.*-{2,}\s*", re.IGNORECASE)
_ORIGINAL = re.compile(
    r"\s*(?:-{3,}|_{3,}).{0,20}(?:orig|urspr|forward|weiterge|weiterle|transf|reenv|inolt|encaminh|message|nachricht|mensaje|"
    "\u043f\u0435\u0440\u0435\u0441\u043b|\u0438\u0441\u0445\u043e\u0434|\u539f|\u8f6c\u53d1|\u8f49\u5bc4|\u8ee2\u9001).{0,60}(?:-{3,}|_{3,})\\s*|begin forwarded message:\\s*",
    re.IGNORECASE,
)
_IN_BODY_FROM = re.compile(r"From: (?P<name>[^<>@]{1,120}?) <[^<>\s]+@[^<>\s]+>\s*")
_PASTING = re.compile(r"(?:Pasting|Quoting|Copying) your .{1,80}:$")
_WROTE_NAME = re.compile(r"On .{4,60}, (?P<name>[^@<>,]{2,60}?)(?: <[^<>]*>)? wrote:$")
_CLOSING = re.compile(r"(?:Thanks|Regards|Cheers|Best|-- ?)\b|--$")


def marked(body: str) -> list[tuple[int, str]]:
    """Lines of a body with their quote marks counted and taken off."""
    found = []
    for raw in body.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        if cited := _SUPERCITE.fullmatch(raw):
            found.append((cited[1].count(">"), cited[2]))
            continue
        marks = cast(re.Match[str], _MARKS.match(raw)).group()
        depth, text = marks.count(">"), raw[len(marks) :]
        found.append((depth + bool(_INITIALS.match(text)), text))
    return found


def words_of(names: Iterable[str]) -> frozenset[str]:
    """The words by which a line can name one of these people."""
    found = (word for name in names for word in [name, *re.findall(r"\w+", name)])
    return frozenset(word for word in found if len(word) > 2 or (len(word) == 2 and not word.isascii()))


def authors(marked_lines: Sequence[tuple[int, str]], sender: str, names: Iterable[str]) -> tuple[Line, ...]:
    """The lines of a mail of `sender`, each with what names its author; `names` are the people of its headers."""
    return tuple(_pasted(_Reading(marked_lines, words_of(names)).lines(), sender))


@dataclass(frozen=True)
class _Signs:
    """What in a text looks like naming the author of other lines."""

    colon: bool
    closed: bool
    address: bool
    date: bool
    known: bool
    wrote: bool
    pair: bool
    """Two words in a row begin with a capital, or are of a script that has none."""
    short: bool
    """Little more than a name."""
    says: bool
    """Short: two words in a row that could be a person's, and one in lower case that could be a verb."""

    @property
    def named(self) -> bool:
        return self.known or self.pair

    @property
    def opens(self) -> bool:
        """Enough where an attribution has its place and none is in force."""
        if self.colon:
            return self.address or self.wrote or (self.named and (self.date or self.short))
        return self.closed and self.date and (self.address or self.named)

    @property
    def insists(self) -> bool:
        """Enough where no deeper line follows."""
        return (self.colon or self.closed) and (self.address or self.named) and (self.date or self.wrote)

    @property
    def overrides(self) -> bool:
        """Enough where another is in force."""
        return self.colon and self.insists and (self.address or self.known or self.wrote)

    @property
    def hints(self) -> bool:
        """Names somebody, and may or may not say that the lines below are theirs."""
        return self.colon and (self.address or self.known or (self.pair and self.date))

    @property
    def introduces(self) -> bool:
        """As `hints`, right above the lines: `Somebody Else says:`."""
        return self.hints or (self.colon and self.says)


_NO_SIGNS = _Signs(False, False, False, False, False, False, False, False, False)


def _capital(word: str) -> bool:
    return word[0].isupper() or unicodedata.category(word[0]) == "Lo"


def _acronym(word: str) -> bool:
    return len(word) > 1 and word.isupper()


class _Reading:
    """One pass over the marked lines, from above."""

    def __init__(self, marked_lines: Sequence[tuple[int, str]], known: frozenset[str]) -> None:
        self.depths = [depth for depth, _ in marked_lines]
        self.texts = [text.rstrip() for _, text in marked_lines]
        self.known = known
        self.foreign = tuple(word for word in known if not word.isascii())
        self.filled = [i for i, text in enumerate(self.texts) if text.strip()]
        self.place = {i: at for at, i in enumerate(self.filled)}
        self.labels: dict[int, re.Match[str] | None] = {}
        self.snips = {i for i in self.filled if _SNIP.fullmatch(self.texts[i].strip())}
        self.next_words: dict[int, int] = {}
        """By filled line: the next one that does not only say that something was cut out."""
        words = None
        for i in reversed(self.filled):
            if words is not None:
                self.next_words[i] = words
            words = words if i in self.snips else i
        self.broken: set[int] = set()
        self.scope: dict[int, tuple[int, ...]] = {}
        """By level: the lines that name the author of that level and of every level above it."""
        self.regions: list[int] = []
        """Marks of the lines below which a pasted mail goes on, one entry a mail."""
        self.doubtful: set[int] = set()
        """Numbers of marks at which the lines are in doubt, until an attribution for them comes."""
        self.found: dict[int, Line] = {}
        self._mend_wraps()

    def _mend_wraps(self) -> None:
        """A wrapped line lost its marks: the end of an attribution gets them back, any other lower-case end is in
        doubt.
        """
        marks = 0
        for above, i in zip(self.filled, self.filled[1:], strict=False):
            marks = marks if above in self.broken else self.depths[above]
            if above != i - 1 or self.depths[i] >= marks:
                continue
            text, before = self.texts[i].strip(), self.texts[above]
            if len(text.split()) <= 3 and _COLON.search(text) and self._signs([above, i]).insists:
                self.depths[i] = marks
            elif (
                text[0].islower() and (above in self.broken or self._may_be_wrapped(above)) and not _STOP.search(before)
            ):
                self.broken.update(self._block(i))

    def _may_be_wrapped(self, i: int) -> bool:
        return 2 * self.depths[i] + len(self.texts[i]) >= WRAPPED_AT

    def _block(self, i: int) -> Iterator[int]:
        """The lines from `i` on that no blank line parts and that are as deep."""
        following = i
        while self.place.get(following) is not None and self.depths[following] == self.depths[i]:
            yield following
            following += 1

    def _signs(self, places: Sequence[int]) -> _Signs:
        text = " ".join(self.texts[i].strip() for i in places)
        if len(text) > LONGEST:
            return _NO_SIGNS
        text = "".join(c for c in text if unicodedata.category(c) != "Cf")
        words = re.findall(r"\w+", text)
        pairs = [(a, b) for a, b in zip(words, words[1:], strict=False) if _capital(a) and _capital(b)]
        names = {b for a, b in pairs if not _acronym(a) and not _acronym(b)}
        address, wrote = bool(_ADDRESS.search(text)), bool(_WROTE.search(text))
        if len(words) > (WORDS_MAX if address or wrote else WORDS_MAX_BARE):
            return _NO_SIGNS
        short = len(words) <= NAME_AND_VERB and "," not in text
        return _Signs(
            colon=bool(_COLON.search(text)),
            closed=bool(_CLOSED.search(text)),
            address=address,
            date=bool(_DATE.search(text)),
            known=bool(self.known.intersection(words)) or any(word in text for word in self.foreign),
            wrote=wrote,
            pair=any(not (a + b).isupper() for a, b in pairs),
            short=short,
            says=short and any(a in names and b.islower() for a, b in zip(words, words[1:], strict=False)),
        )

    def _attribution(self, last: int, wanted: str) -> tuple[int, ...]:
        """The fewest lines up to `last` that have the `wanted` signs, and the start of their sentence; or nothing."""
        places = [last]
        while len(places) < WRAPPED_OVER and self._goes_on(places[0] - 1, last):
            places.insert(0, places[0] - 1)
        for n in range(1, len(places) + 1):
            if n > 1 and _STOP.search(self.texts[places[-n]]):
                break
            signs = self._signs(places[-n:])
            if not getattr(signs, wanted):
                continue
            while n < len(places) and not (signs.date and signs.named):
                above = places[-n - 1]
                more = self._signs([above])
                tells = more.date or (more.named and not signs.named) or (more.address and not signs.address)
                if _STOP.search(self.texts[above]) or not tells:
                    break
                n, signs = n + 1, self._signs(places[-n - 1 :])
            return tuple(places[-n:])
        return ()

    def _goes_on(self, i: int, last: int) -> bool:
        return i in self.found and self.depths[i] == self.depths[last] and not self.found[i].attribution

    def level(self, marks: int) -> int:
        """The depth of a line with so many marks."""
        return marks + sum(marks >= region for region in self.regions)

    def lines(self) -> list[Line]:
        """Every line with its author."""
        before, read_to = None, -1
        for i in self.filled:
            if i <= read_to:
                continue
            marks = self.depths[i]
            deeper = marks > (0 if before is None else self.depths[before])
            if head := self._header_block(i):
                if deeper:
                    self._enter(before, i)
                self._open_pasted(head, begins_a_run=deeper)
                before = read_to = head[-1]
                continue
            if self.regions and self.regions[-1] == marks and _END.fullmatch(self.texts[i]):
                self._close_pasted(i)
            elif _ORIGINAL.fullmatch(self.texts[i]) and not self._named_after(i):
                self._open_pasted([i])
            else:
                if deeper:
                    read_to = self._enter(before, i)
                if i > read_to:
                    self._put(i)
                    self._note_orphan(i)
            before = max(i, read_to)
        return self._with_blanks()

    def _with_blanks(self) -> list[Line]:
        """Blank lines lie as deep as the shallower of their neighbours."""
        result, following = [], 0
        for i in reversed(range(len(self.texts))):
            if i in self.found:
                following = self.found[i].depth
                result.append(self.found[i])
            else:
                result.append(Line(following, ""))
        result.reverse()
        for i, line in enumerate(result):
            if i and not line.text and result[i - 1].depth < line.depth:
                result[i] = replace(line, depth=result[i - 1].depth)
        return result

    def _put(self, i: int, *, attribution: bool = False) -> None:
        marks = self.depths[i]
        level = self.level(marks)
        named = self.scope.get(level, ())
        doubt = BROKEN if i in self.broken else UNMARKED if marks in self.doubtful else ""
        if not doubt and level and not named:
            doubt = UNKNOWN
        self.found[i] = Line(level, self.texts[i], attribution, named, "" if attribution else doubt)

    def _take(self, level: int, places: tuple[int, ...]) -> None:
        """From here on the lines of `places` name the author of `level`, nobody if there are none; deeper levels are
        over.
        """
        self.scope = {one: named for one, named in self.scope.items() if one < level}
        if places:
            self.scope[level] = (*self.scope.get(level - 1, ()), *places)
        for i in places:
            if i in self.found:
                self.found[i] = replace(self.found[i], attribution=True, doubt="")

    def _enter(self, before: int | None, i: int) -> int:
        """A deeper run begins: who is quoted from here on. Gives the last line that was read, -1 if none was."""
        above = 0 if before is None else self.depths[before]
        level = self.level(above) + 1
        last = before
        while last in self.snips and self.place[last]:
            last = self.filled[self.place[last] - 1]
        if last is not None and self.depths[last] == above and not self.found[last].attribution:
            in_force = level in self.scope
            places = self._attribution(last, "overrides" if in_force else "opens")
            sign = "introduces" if i == last + 1 else "hints"
            hint = self._attribution(last, sign) if in_force and not places else ()
            if places and not self._signs(places).insists and self._inner(i):
                places = ()
            if places and not self._stacked(places, above):
                self.regions = [region for region in self.regions if region <= above]
                self.doubtful = {one for one in self.doubtful if one <= above}
                self._take(level, places)
            elif places or (hint and not self._names_the_same(hint, self.scope[level])):
                self._take(level, ())
        if self.level(self.depths[i]) in self.scope or not (inner := self._inner(i)):
            return -1
        for place in inner:
            self._put(place, attribution=True)
        self._take(self.level(self.depths[i]), inner)
        return inner[-1]

    def _stacked(self, places: tuple[int, ...], above: int) -> bool:
        """Whether another attribution of as few marks stands right before: nobody knows which of the two is meant."""
        at = self.place[places[0]]
        before = self.filled[at - 1] if at else None
        if before is None or self.depths[before] != above or self.found[before].depth != self.found[places[0]].depth:
            return False
        return before not in self.scope.get(self.level(above), ()) and bool(self._attribution(before, "insists"))

    def _names_the_same(self, places: tuple[int, ...], others: tuple[int, ...]) -> bool:
        """Whether a line that hints at somebody speaks of whom `others` name; of a stranger to the headers it does
        not."""

        def people(which: Sequence[int]) -> set[str]:
            text = " ".join(self.texts[i] for i in which)
            return {word for word in self.known if word in text} | set(_ADDRESS.findall(text))

        hinted = people(places)
        return bool(hinted) and hinted <= people(others[-WRAPPED_OVER:])

    def _inner(self, i: int) -> tuple[int, ...]:
        """An attribution that carries the marks of what it speaks of: the first lines of a run, if no deeper one
        follows.
        """
        at = self.place[i]
        for n in range(1, WRAPPED_OVER + 1):
            run = self.filled[at : at + n]
            after = self.next_words.get(run[-1])
            if run[-1] != i + n - 1 or after is None or self.depths[run[-1]] != self.depths[i]:
                return ()
            if n > 1 and _STOP.search(self.texts[run[-2]]):
                return ()
            signs = self._signs(run)
            if signs.insists or (signs.colon and signs.address):
                return tuple(run) if self.depths[after] == self.depths[i] else ()
        return ()

    def _note_orphan(self, i: int) -> None:
        """Below an attribution that no deeper line follows, somebody's words stand without marks: all is in doubt."""
        after = self.next_words.get(i)
        if after is None or self.depths[after] > self.depths[i] or self._header_block(after):
            return
        if not _COLON.search(self.texts[i]) and (not _CLOSED.search(self.texts[i]) or after == i + 1):
            return
        if places := self._attribution(i, "insists"):
            for place in places:
                self.found[place] = replace(self.found[place], attribution=True)
            self.doubtful.add(self.depths[i])
            self._take(self.level(self.depths[i]) + 1, ())

    def _open_pasted(self, head: Sequence[int], begins_a_run: bool = False) -> None:
        """A mail begins that was pasted without marks of its own: it lies one level deeper.

        Where its headers begin a run of quoted lines that nothing else names, they have the marks of what they speak
        of.
        """
        marks = self.depths[head[0]]
        inner = begins_a_run and self.level(marks) not in self.scope
        for place in head:
            self._put(place, attribution=True)
        if not inner and len(self.regions) < PASTED_MAX:
            self.regions = [*(region for region in self.regions if region <= marks), marks]
        self.doubtful = {one for one in self.doubtful if one < marks}
        self._take(self.level(marks), self._author(head))

    def _close_pasted(self, i: int) -> None:
        """The sender of the mail marked where the pasted one ends."""
        self.regions.pop()
        self._put(i, attribution=True)
        self._take(self.level(self.depths[i]) + 1, ())

    def _label(self, i: int) -> re.Match[str] | None:
        if i not in self.labels:
            found = _LABEL.match(self.texts[i][:LONGEST])
            sound = found and len(found["label"].split()) <= 3 and not _TRAILER.fullmatch(found["label"])
            self.labels[i] = found if sound else None
        return self.labels[i]

    def _header_block(self, start: int) -> list[int]:
        """The lines of a block of headers that begins at `start`, a rule before it included; or nothing."""
        label = self._label(start)
        if not label and not _RULE.fullmatch(self.texts[start]):
            return []
        ruled = not label
        if label and not label["value"].strip():
            return []
        i = self._after_blanks(start + 1) if ruled else start
        if i is None or self.depths[i] != self.depths[start]:
            return []
        labels: list[int] = []
        places, apart = [start] if ruled else [], None
        while i < len(self.texts) and len(labels) < 12:
            text = self.texts[i]
            if not text.strip():
                following = self._after_blanks(i)
                if not labels or following is None or following > i + 1 or not self._label(following) or apart is False:
                    break
                apart, i = True, following
                continue
            if self.depths[i] != self.depths[start]:
                break
            if self._label(i):
                if len(labels) == 1 and apart is None:
                    apart = False
                labels.append(i)
            elif not labels or not (text[:1].isspace() or self.texts[i - 1].rstrip().endswith((",", ";"))):
                break
            places.append(i)
            i += 1
        found = [label for one in labels if (label := self._label(one))]
        values = [label["value"] for label in found]
        someone = any(_ADDRESS.search(value) for value in values) or any(self._is_from(one) for one in labels)
        dated = any(_DATE.search(value) for value in values)
        names = {label["label"].casefold() for label in found}
        enough = 2 if ruled else 3
        return places if len(names) >= enough and someone and (dated or (ruled and len(names) > 2)) else []

    def _after_blanks(self, i: int) -> int | None:
        for following in range(i, min(i + 3, len(self.texts))):
            if self.texts[following].strip():
                return following
        return None

    def _named_after(self, i: int) -> bool:
        """Whether what follows names an author itself: a block of headers, or an attribution."""
        following = self._after_blanks(i + 1)
        if following is None:
            return False
        return bool(self._header_block(following)) or any(
            self._signs(range(following, following + n)).insists
            for n in range(1, WRAPPED_OVER + 1)
            if following + n <= len(self.texts)
        )

    def _is_from(self, i: int) -> bool:
        label = self._label(i)
        return bool(label and _FROM.fullmatch(label["label"].strip()))

    def _author(self, head: Sequence[int]) -> tuple[int, ...]:
        """The header that names the sender: by its label in many languages, else the first, or the first after a date,
        if that holds an address.
        """
        labels = [i for i in head if (label := self._label(i)) and label["value"].strip()]
        if labelled := [i for i in labels if self._is_from(i)]:
            return (labelled[0],)
        if labels and _DATE.search(self.texts[labels[0]]) and not _ADDRESS.search(self.texts[labels[0]]):
            del labels[0]
        return (labels[0],) if labels and _ADDRESS.search(self.texts[labels[0]]) else ()


def _pasted(lines: Iterable[Line], sender: str) -> Iterable[Line]:
    """The lines; those of the sender after `Pasting your ...:` are marked as written by whom the sender answers, and
    those below the `From:` of a patch as written by its author.

    `your` is the person whom the first attribution of the mail names; without one nothing is marked.
    """
    answered = pasting = ""
    first = True
    for line in lines:
        if first and line.text:
            first, by = False, _IN_BODY_FROM.fullmatch(line.text)
            if by and not line.depth and by["name"].strip("\"' ") not in sender:
                pasting = by["name"].strip("\"' ")
                yield replace(line, attribution=True)
                continue
        if line.depth or line.doubt or line.attribution:
            if line.attribution and not line.depth and not answered and (named := _WROTE_NAME.match(line.text)):
                answered = named["name"]
            yield line
            continue
        if _CLOSING.match(line.text):
            pasting = ""
        yield replace(line, pasted_from=pasting) if pasting and line.text else line
        if answered and _PASTING.match(line.text):
            pasting = answered
