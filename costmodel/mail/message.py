"""Reading a mail file: a raw RFC 5322 mail (public-inbox stores the same), an mbox, or an archive page."""

from __future__ import annotations

import email
import email.policy
import gzip
import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses, parsedate_to_datetime
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.mail import archive
from costmodel.mail.clean import NAME_MAX, SUBJECT_MAX, address, message_ids, one_line
from costmodel.mail.original import Line, Original, Person
from costmodel.mail.pasted import with_authors

FILE_MAX = 64 * 2**20
BODY_MAX = 2 * 2**20
_MARK = re.compile(r"> ?")
_ATTRIBUTION = re.compile(r"(?:On\b|At\b|Le\b|Am\b).{0,300}\b(?:wrote|writes|schrieb|a .crit)\s?:\s*$")
_FROM_LINE = re.compile(rb"^From [^\r\n]*\r?\n", re.MULTILINE)


def read(path: Path) -> list[Original]:
    """Every mail of the file, oldest place first. Raises BadInput where it holds none or is too large."""
    content = _content(path)
    if archive.is_page(content):
        return [archive.page(content)]
    found = [_original(email.message_from_bytes(raw, policy=email.policy.compat32)) for raw in _mails(content)]
    mails = [one for one in found if one is not None]
    if not mails:
        remedy = "save the mail as raw text, an mbox, or the text of its archive page"
        raise BadInput("holds no mail", file=path.name, remedy=remedy)
    return mails


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_MAX + 1)
        if content[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                content = packed.read(FILE_MAX + 1)
    except (OSError, EOFError, zlib.error) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"cannot be read: {text}", file=path.name, remedy="give a mail file") from None
    if len(content) > FILE_MAX:
        raise BadInput(f"is larger than {FILE_MAX // 2**20} MiB", file=path.name, remedy="give one thread only")
    return content


def _mails(content: bytes) -> Iterator[bytes]:
    """The raw mails of an mbox, or the one mail that the file is."""
    if not content.startswith(b"From "):
        yield content
        return
    starts = [
        match
        for match in _FROM_LINE.finditer(content)
        if match.start() == 0 or content[max(0, match.start() - 3) : match.start()].endswith((b"\n\n", b"\n\r\n"))
    ]
    for match, following in zip(starts, [*starts[1:], None], strict=True):
        raw = content[match.end() : following.start() if following else len(content)]
        yield re.sub(rb"(?m)^>(>*From )", rb"\1", raw)


def _original(mail: Message) -> Original | None:
    """The mail behind a parsed message, or None if it has neither a sender nor a subject."""
    if mail.get("From") is None and mail.get("Subject") is None:
        return None
    sender = next(iter(_people(mail, "From")), Person("", ""))
    ids = message_ids(_header(mail, "Message-ID"))
    date = _header(mail, "Date")
    gaps = [
        text
        for missing, text in (
            (not ids, "the mail has no usable Message-ID: In-Reply-To and References cannot be set"),
            (not sender.address, "the address of the sender is missing or masked"),
        )
        if missing
    ]
    references = message_ids(_header(mail, "References")) or message_ids(_header(mail, "In-Reply-To"))
    return Original(
        subject=one_line(_header(mail, "Subject"), SUBJECT_MAX),
        sender=sender,
        date=_date(date),
        lines=tuple(with_authors(_lines(_body(mail)))),
        message_id=ids[0] if ids else "",
        references=references,
        reply_to=tuple(p for p in _people(mail, "Reply-To") if p.address),
        recipients=tuple(p for name in ("To", "Cc") for p in _people(mail, name) if p.address),
        gaps=tuple(gaps),
    )


def _header(mail: Message, name: str) -> str:
    """A header as text with encoded words decoded; what cannot be decoded stays as it is."""
    raw = str(mail.get(name, ""))
    try:
        return str(make_header(decode_header(raw)))
    except (LookupError, ValueError, UnicodeError):
        return raw


def _people(mail: Message, name: str) -> list[Person]:
    """Correspondents of a header; names are decoded after the addresses were told apart."""
    raw = [one_line(str(value), 100_000) for value in mail.get_all(name, [])]
    found = []
    for shown, where in getaddresses(raw):
        try:
            text = str(make_header(decode_header(shown)))
        except (LookupError, ValueError, UnicodeError):
            text = shown
        person = Person(one_line(text, NAME_MAX), address(where))
        if person.name or person.address:
            found.append(person)
    return found


def _date(text: str) -> str:
    """`Fri, Aug 18, 2023` of an RFC 5322 date, or the text as it stands."""
    try:
        when: datetime = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return one_line(text, 60)
    days, months = "Mon Tue Wed Thu Fri Sat Sun", "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
    return f"{days.split()[when.weekday()]}, {months.split()[when.month - 1]} {when.day:02d}, {when.year}"


def _body(mail: Message) -> str:
    """Text of the first plain part."""
    part = next((p for p in mail.walk() if p.get_content_type() == "text/plain" and not p.is_multipart()), None)
    if part is None:
        return ""
    raw = part.get_payload(decode=True) or b""
    charset = part.get_content_charset("utf-8")
    try:
        return raw[:BODY_MAX].decode(charset, "replace")
    except (LookupError, ValueError):
        return raw[:BODY_MAX].decode("utf-8", "replace")


def _lines(body: str) -> Iterator[Line]:
    """Lines of a body with their quote marks counted."""
    for raw in body.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        depth, text = 0, raw
        while match := _MARK.match(text):
            depth, text = depth + 1, text[match.end() :]
        yield Line(depth, text.rstrip(), attribution=bool(_ATTRIBUTION.match(text)))
