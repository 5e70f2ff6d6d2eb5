"""Reading a mail file: a raw RFC 5322 mail (public-inbox stores the same), an mbox, or an archive page."""

from __future__ import annotations

import codecs
import email
import email.policy
import gzip
import re
import zlib
from collections.abc import Iterator
from datetime import datetime
from email.errors import MessageError
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
HEADER_MAX = 10_000
"""Characters of a header that are read: a long one of hostile text takes time that grows with its square."""
MAILS_MAX = 20_000
PARTS_MAX = 100
NOT_TEXT = ("idna", "punycode")
"""Codecs of names of hosts: no body is written in them, and they take time that grows with its square."""
_UNDECODABLE = (LookupError, ValueError, MessageError, RecursionError)
_MARKS = re.compile(r"(?:> ?)*")
_BOUNDARY = re.compile(rb"^(?:content-type:|[ \t])[^\r\n]*boundary[ \t]*\*?\d*\*?=", re.MULTILINE | re.IGNORECASE)
_ATTRIBUTION = re.compile(r"(?:On\b|At\b|Le\b|Am\b).{0,300}\b(?:wrote|writes|schrieb|a .crit)\s?:\s*$")
_FROM_LINE = re.compile(rb"^From [^\r\n]*\r?\n", re.MULTILINE)


def read(path: Path) -> list[Original]:
    """Every mail of the file, oldest place first. Raises BadInput where it holds none or is too large."""
    content = _content(path)
    if archive.is_page(content):
        return [archive.page(content)]
    found = [_original(_parsed(raw, path.name)) for raw in _mails(content, path.name)]
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


def _parsed(raw: bytes, file: str) -> Message:
    """The mail behind its bytes. Raises BadInput where its parts are nested so deep that reading would not end."""
    try:
        if len(_BOUNDARY.findall(raw)) <= PARTS_MAX:
            return email.message_from_bytes(raw, policy=email.policy.compat32)
    except RecursionError:
        pass
    raise BadInput(f"has a mail of more than {PARTS_MAX} nested parts", file=file, remedy="save the mail without them")


def _mails(content: bytes, file: str) -> Iterator[bytes]:
    """The raw mails of an mbox, or the one mail that the file is. Raises BadInput where they are too many."""
    if not content.startswith(b"From "):
        yield content
        return
    starts = [
        match
        for match in _FROM_LINE.finditer(content)
        if match.start() == 0 or content[max(0, match.start() - 3) : match.start()].endswith((b"\n\n", b"\n\r\n"))
    ]
    if len(starts) > MAILS_MAX:
        raise BadInput(f"holds more than {MAILS_MAX} mails", file=file, remedy="give one thread only")
    for match, following in zip(starts, [*starts[1:], None][: len(starts)], strict=True):
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
            (not sender.address, "the address of the sender is missing, masked or none that mail can be sent to"),
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


def _decoded(raw: str) -> str:
    """A header as text with encoded words decoded, once; what cannot be decoded stays as it is."""
    try:
        return str(make_header(decode_header(raw[:HEADER_MAX]))) if "=?" in raw else raw
    except _UNDECODABLE:
        return raw


def _header(mail: Message, name: str) -> str:
    """The first header `name` as text, empty where there is none."""
    return _decoded(str(mail.get(name, "")))


def _people(mail: Message, name: str) -> list[Person]:
    """Correspondents of a header, unusable addresses empty; names are decoded after the addresses were told apart."""
    raw = [" ".join(str(value).split())[:HEADER_MAX] for value in mail.get_all(name, [])]
    try:
        listed = getaddresses(raw)
    except (RecursionError, ValueError, IndexError):
        return []
    return [Person(one_line(_decoded(shown), NAME_MAX), address(where)) for shown, where in listed]


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
    try:
        charset = codecs.lookup(part.get_content_charset("utf-8")).name
        return raw[:BODY_MAX].decode("utf-8" if charset in NOT_TEXT else charset, "replace")
    except _UNDECODABLE:
        return raw[:BODY_MAX].decode("utf-8", "replace")


def _lines(body: str) -> Iterator[Line]:
    """Lines of a body with their quote marks counted."""
    for raw in body.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        marks = _MARKS.match(raw).group()
        depth, text = marks.count(">"), raw[len(marks) :]
        yield Line(depth, text.rstrip(), attribution=bool(_ATTRIBUTION.match(text)))
