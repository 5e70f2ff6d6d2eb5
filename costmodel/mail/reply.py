"""The reply: which mail is answered, what is quoted, the numbers below it; a draft where the file lacks something.

A reply is plain text in one part, 7-bit, or UTF-8 in 8 bits where a quote or a name needs it, with the threading
headers on lines of their own. There is no Message-ID, From or Date: `git send-email` sets them. What was composed is
read again by two parsers before it is given out: it holds the headers that were meant, with the values that were meant,
and no other.
"""

from __future__ import annotations

import email
import email.policy
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from email.errors import MessageError
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formataddr, getaddresses
from typing import Any

from costmodel.decision.result import Alternatives
from costmodel.errors import BadInput
from costmodel.mail.authors import Line
from costmodel.mail.clean import SUBJECT_MAX, UNREADABLE, address, harmless, message_ids, one_line
from costmodel.mail.read import Original, Person
from costmodel.report.block import again, history, limits, mask_note, statement, table, title
from costmodel.report.layout import WIDTH, wrap

DRAFT = "DRAFT, not a mail that can be sent:"
CUT = "[...]"
LONGEST_PARAGRAPH = 6
"""A paragraph of at most this many lines is quoted whole, of a longer one only the lines that match."""
PATTERN_MAX = 200
POLICY = EmailPolicy(utf8=False, cte_type="8bit", linesep="\n")
LINE_MAX = 998
"""Octets of a line that RFC 5322 allows, without its end."""
LONG_LINE = 900
"""Octets beyond which a quoted line is wrapped after all; with its marks it must stay below LINE_MAX."""
HEADER_WIDTH, ENCODED_WIDTH = 78, 70
"""Columns of a header and of an encoded word (RFC 5322 section 2.1.1, RFC 2047 section 2)."""
PEOPLE_MAX = 200
"""Correspondents of a thread that a list would deliver."""
REFERENCES_MAX = 40
"""Of a longer thread the first reference and the newest are kept."""
AUTHOR_REMEDY = "quote only lines whose author the mail names, or save the raw mail in which they were written"
RAW_REMEDY = "save the raw mail (lore.kernel.org: raw) or its thread (mbox.gz)"
_REPLY = re.compile(r"(?:re|aw|sv)\s*:\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Reply:
    """`content` is the mail, or the draft where `gaps` names what is missing; `notes` are for whoever sends it."""

    content: bytes
    gaps: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Quote:
    """Quoted lines; `gaps` says what about them is not known, `notes` what in them had to be changed."""

    lines: tuple[str, ...]
    gaps: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def choose(mails: Sequence[Original], patterns: Sequence[str], message_id: str | None = None) -> Original:
    """The mail to answer: the one of `message_id`, or the only one in which every pattern matches. Raises BadInput."""
    if message_id is not None:
        wanted = message_ids(f"<{message_id.strip().strip('<>')}>")
        found = [mail for mail in mails if mail.message_id and (mail.message_id,) == wanted]
        problem = f"no mail has the Message-ID {message_id[:60]!r}"
    else:
        wanted_lines = _compiled(patterns)
        found = [
            mail
            for mail in mails
            if len(mails) == 1 or all(any(p.search(line.text) for line in mail.lines) for p in wanted_lines)
        ]
        problem = f"{len(found)} of {len(mails)} mails match"
    if len(found) != 1:
        raise BadInput(problem, field="FILE", remedy="name the mail with --message-id, or quote a line only it has")
    return found[0]


def reply(
    mail: Original,
    numbers: Alternatives,
    patterns: Sequence[str],
    *,
    send_ready: bool = False,
    below: Callable[[Alternatives], list[str]] | None = None,
) -> Reply:
    """The reply to `mail`: attribution, the quoted lines, and what `below` says about the numbers; without it all of
    it: the sentence, the table, the limits and how to get it again.

    Raises BadInput where `send_ready` is asked and the file lacks a Message-ID, an address, or the author of what is
    quoted.
    """
    quote = quoted(mail, patterns)
    if send_ready and (gaps := (*mail.gaps, *quote.gaps)):
        remedy = RAW_REMEDY if mail.gaps else AUTHOR_REMEDY
        raise BadInput(f"not ready to send: {'; '.join(gaps)}", field="FILE", remedy=remedy)
    body = [*attribution(mail), *quote.lines, ""] if quote.lines else []
    body += (below or answer)(numbers)
    gaps = (*mail.gaps, *quote.gaps)
    return Reply(_draft(mail, gaps, body) if gaps else compose(mail, body), gaps, quote.notes)


def answer(numbers: Alternatives) -> list[str]:
    """The part below the quote."""
    parts = (
        [*statement(numbers), *history(numbers), *mask_note(numbers)],
        [*title(numbers), "", *table(numbers)],
        limits(numbers),
        again(numbers),
    )
    return [line for part in parts for line in (*part, "")][:-1]


def attribution(mail: Original) -> list[str]:
    """`On DATE, NAME wrote:`, over several lines where it is longer than WIDTH columns; the name is spelled as it
    is.
    """
    who = mail.sender.name or mail.sender.address or "an unnamed sender"
    date = f"On {mail.date}, " if mail.date else ""
    return textwrap.wrap(one_line(f"{date}{who} wrote:", SUBJECT_MAX), WIDTH)


def _draft(mail: Original, gaps: Sequence[str], body: Sequence[str]) -> bytes:
    """The text of the reply under a list of what is missing; no header is made up."""
    lines = [DRAFT]
    lines += [line for gap in gaps for line in wrap(f"- {gap}", "  ", "    ")]
    people = {name: several for name, several in zip(("To", "Cc"), correspondents(mail), strict=True) if several}
    if not people.get("To"):
        people = {"To": [Person(f"{mail.sender.name or 'the sender'} (address not in the file)", "")], **people}
    lines += [""]
    for name, several in people.items():
        listed = ", ".join(
            f"{one.name} <{one.address}>" if one.name and one.address else one.address or one.name for one in several
        )
        lines += textwrap.wrap(f"{name}: {listed}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    lines += textwrap.wrap(f"Subject: {subject_of(mail)}", WIDTH, subsequent_indent="  ", break_on_hyphens=False)
    return ("\n".join([*lines, "", *body]) + "\n").encode("utf-8", "replace")


def _compiled(patterns: Sequence[str]) -> list[re.Pattern[str]]:
    """Regular expressions, letter case ignored. Raises BadInput."""
    found = []
    for pattern in patterns:
        try:
            found.append(re.compile(pattern[: PATTERN_MAX + 1], re.IGNORECASE))
        except (re.error, OverflowError, RecursionError) as error:
            raise BadInput(f"{pattern[:40]!r} is no pattern: {error}", field="--quote", remedy="correct it") from None
        if len(pattern) > PATTERN_MAX:
            raise BadInput(f"longer than {PATTERN_MAX} characters", field="--quote", remedy="quote fewer words")
    return found


def _matching(lines: Sequence[Line], patterns: Sequence[re.Pattern[str]]) -> list[int]:
    """Places of the lines that some pattern matches, with their short paragraphs and the lines that name their
    authors.
    """
    chosen: set[int] = set()
    for hit, line in enumerate(lines):
        if _is_words(line) and any(p.search(line.text) for p in patterns):
            paragraph = _paragraph(lines, hit)
            chosen.update(paragraph if len(paragraph) <= LONGEST_PARAGRAPH else [hit])
    for place in [*chosen]:
        chosen.update(lines[place].named_by)
    return sorted(chosen)


def _is_words(line: Line) -> bool:
    return bool(line.text) and not line.attribution


def _paragraph(lines: Sequence[Line], at: int) -> range:
    """The run of filled lines around `at` that are as deep and by the same author."""
    first = last = at
    while first > 0 and _belongs(lines[first - 1], lines[at]):
        first -= 1
    while last + 1 < len(lines) and _belongs(lines[last + 1], lines[at]):
        last += 1
    return range(first, last + 1)


def _belongs(line: Line, other: Line) -> bool:
    def of(one: Line) -> tuple[object, ...]:
        return one.depth, one.named_by, one.attribution, one.doubt, one.pasted_from

    return bool(line.text) and of(line) == of(other)


def quoted(mail: Original, patterns: Sequence[str]) -> Quote:
    """The lines that the patterns match: cuts marked, authors named, nothing wrapped. Raises BadInput where one matches
    nothing.
    """
    wanted = _compiled(patterns)
    for pattern, one in zip(wanted, patterns, strict=True):
        if not any(pattern.search(line.text) for line in mail.lines if _is_words(line)):
            raise BadInput(f"no line of the mail matches {one[:40]!r}", field="--quote", remedy="give words of a line")
    shown: list[str] = []
    chosen = _matching(mail.lines, wanted)
    for previous, i in zip([-1, *chosen], chosen, strict=False):
        line = mail.lines[i]
        if cut := _cut(mail.lines, previous, i):
            shown.append(cut)
        elif i > previous + 1 and shown:
            shown.append(Line(mail.lines[i - 1].depth, "").quoted)
        shown += _who(line, mail.lines[previous] if previous >= 0 and not cut else None)
        shown += _wrapped(line)
    if chosen and (cut := _cut(mail.lines, chosen[-1], len(mail.lines))):
        shown.append(cut)
    clean = [harmless(text) for text in shown]
    unknown = sum(bool(mail.lines[i].doubt) for i in chosen)
    unreadable = any(UNREADABLE in text for text in clean)
    gaps = (
        *([f"the mail does not tell who wrote {unknown} of the quoted lines"] if unknown else ()),
        *(["a quoted line is in a charset that the mail does not name"] if unreadable else ()),
    )
    notes = ("control characters of the quoted text were replaced by `?`",) if clean != shown else ()
    return Quote(tuple(clean), gaps, notes)


def _who(line: Line, before: Line | None) -> list[str]:
    """What must be said before a line about who wrote it, unless the quoted line `before` it says the same."""
    said = line.doubt or (line.pasted_from and f"pasted from {line.pasted_from}")
    if not said or (
        before and (before.doubt, before.pasted_from, before.depth) == (line.doubt, line.pasted_from, line.depth)
    ):
        return []
    return [Line(line.depth, f"[{said}:]").quoted]


def _wrapped(line: Line) -> list[str]:
    """A line as it stands; one that no mail can carry, over several."""
    if len(line.quoted.encode("utf-8", "replace")) <= LONG_LINE:
        return [line.quoted]
    pieces = textwrap.wrap(line.text, WIDTH, break_on_hyphens=False)
    return [replace(line, text=piece).quoted for piece in pieces]


def _cut(lines: Sequence[Line], previous: int, following: int) -> str:
    """The mark for words that lie between two quoted lines, empty where there are none.

    Below an attribution it is as deep as the words that it speaks of: what follows must not look like them.
    """
    between = [line for line in lines[previous + 1 : following] if line.text]
    named = lines[previous] if previous >= 0 and lines[previous].attribution else None
    left_out = [line.depth for line in between if _is_words(line) or (named and line.depth > named.depth)]
    if not left_out:
        return ""
    return Line(left_out[0] if named else min(left_out), CUT).quoted


def subject_of(mail: Original) -> str:
    """`Re: ` and the subject, once."""
    text = one_line(mail.subject, SUBJECT_MAX)
    while match := _REPLY.match(text):
        text = text[match.end() :]
    return f"Re: {text}".strip()


def correspondents(mail: Original) -> tuple[list[Person], list[Person]]:
    """Whom the reply goes to (Reply-To, else the sender) and who gets a copy, each address once."""
    to = [p for p in mail.reply_to or (mail.sender,) if p.address]
    seen = {p.address.lower() for p in to}
    copies = []
    for person in (mail.sender, *mail.recipients):
        if person.address and person.address.lower() not in seen:
            seen.add(person.address.lower())
            copies.append(person)
    return to, copies


def compose(mail: Original, body: Sequence[str]) -> bytes:
    """The reply to `mail` with the lines of `body`. Raises BadInput if a line cannot be mailed."""
    text = "\n".join(body) + "\n"
    if any(harmless(line) != line for line in text.split("\n")):
        raise BadInput("the body holds control characters", field="body", remedy="report this as a defect")
    if any(len(line.encode()) > LINE_MAX for line in text.split("\n")):
        remedy = "quote another line"
        raise BadInput(f"a quoted line is longer than the {LINE_MAX} octets of a mail", field="--quote", remedy=remedy)
    to, copies = correspondents(mail)
    if len(to) + len(copies) > PEOPLE_MAX:
        problem = f"the mail goes to more than {PEOPLE_MAX} people"
        raise BadInput(problem, field="Cc", remedy="answer a mail of the thread that names fewer")
    people = {name: several for name, several in (("To", to), ("Cc", copies)) if several}
    threading = _threading(mail)
    subject = subject_of(mail)
    charset, encoding = ("us-ascii", "7bit") if text.isascii() else ("utf-8", "8bit")
    message = EmailMessage(policy=POLICY)
    try:
        message["Subject"] = subject
        message.set_content(text, subtype="plain", charset=charset, cte=encoding)
        head, _, rest = message.as_bytes().partition(b"\n\n")
    except (ValueError, LookupError, TypeError, AttributeError, MessageError) as error:
        raise BadInput(f"cannot be written: {error}", field="Subject", remedy="correct the mail file") from None
    # The email package encodes a long identifier, and folds a quoted name so that its quotes are lost: not by it.
    listed = "".join(f"{name}: {_folded(name, several)}\n" for name, several in people.items())
    threads = "".join(f"{name}: " + "\n ".join(ids) + "\n" for name, ids in threading.items())
    head = head.replace(b"\nContent-Type:", f"\n{listed}Content-Type:".encode("ascii"), 1)
    content = head + b"\n" + threads.encode("ascii") + b"\n" + rest
    fixed = {
        "MIME-Version": "1.0",
        "Content-Type": f'text/plain; charset="{charset}"',
        "Content-Transfer-Encoding": encoding,
    }
    _check(content, {"Subject": subject, **people, **threading, **fixed}, text)
    return content


def _folded(name: str, people: Sequence[Person]) -> str:
    """The value of the header `name` with these people, a line filled up to HEADER_WIDTH columns."""
    lines = [f"{name}:"]
    for text in map(_address, people):
        fits = len(lines[-1].rpartition("\n")[2]) + len(text.partition("\n")[0]) < HEADER_WIDTH
        if not fits and lines != [f"{name}:"]:
            lines.append("")
        lines[-1] += f" {text},"
    return "\n".join(lines).removeprefix(f"{name}: ").removesuffix(",")


def _address(person: Person) -> str:
    """A correspondent as it stands in a header; the name was cleaned when it was read, and is cleaned again."""
    if address(person.address) != person.address or not person.address:
        raise BadInput(f"{person.address[:60]!r} is no address", field="To", remedy="correct the mail file")
    name = _name(person)
    if name.isascii():
        return formataddr((name, person.address))
    return f"{Header(name, 'utf-8', maxlinelen=ENCODED_WIDTH).encode()} <{person.address}>"


def _name(person: Person) -> str:
    return one_line(person.name, SUBJECT_MAX)


def _check(content: bytes, meant: Mapping[str, object], body: str) -> None:
    """Raise BadInput unless both parsers of the email package read exactly the headers `meant` and the `body`."""
    head, _, rest = content.partition(b"\n\n")
    names = [line.partition(b":")[0].decode("ascii", "replace") for line in head.split(b"\n") if line[:1] != b" "]
    sound = b"\r" not in content and rest == body.encode() and sorted(names) == sorted(meant)
    for policy in (email.policy.default, email.policy.compat32):
        try:
            read = email.message_from_bytes(content, policy=policy)
            sound = (
                sound
                and not read.defects
                and sorted(read.keys()) == sorted(meant)
                and read.get_payload(decode=True) == body.encode()
            )
            sound = sound and all(_same(str(read[name]), value) for name, value in meant.items())
        except (ValueError, LookupError, TypeError, AttributeError, IndexError, MessageError):
            sound = False
        if not sound:
            problem = "a name, subject or identifier of the mail would change the headers of the reply"
            raise BadInput(problem, field="FILE", remedy="correct the mail file, or answer another mail")


def _same(header: str, meant: Any) -> bool:
    """Whether a header that was read says what was meant, blanks apart: Python reads one between two encoded words."""
    if isinstance(meant, str):
        return _squeezed(_decoded(header)) == _squeezed(meant)
    if all(isinstance(one, str) for one in meant):
        return header.split() == list(meant)
    listed = [(_squeezed(_decoded(name)), where) for name, where in getaddresses([header])]
    return listed == [(_squeezed(_name(person)), person.address) for person in meant]


def _decoded(header: str) -> str:
    return str(make_header(decode_header(header)))


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _threading(mail: Original) -> dict[str, list[str]]:
    """The identifiers of In-Reply-To and References, neither where the mail has no Message-ID."""
    if not mail.message_id:
        return {}
    earlier = [one for one in mail.references if one != mail.message_id]
    if len(earlier) > REFERENCES_MAX:
        earlier = [earlier[0], *earlier[1 - REFERENCES_MAX :]]
    references = [*earlier, mail.message_id]
    if any(message_ids(one) != (one,) for one in references):
        raise BadInput("the Message-ID is malformed", field="Message-ID", remedy="correct the mail file")
    return {"In-Reply-To": [mail.message_id], "References": references}
