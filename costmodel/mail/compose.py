"""A reply as the bytes of an RFC 5322 mail: 7-bit, plain text, one part, threading headers on lines of their own.

There is no Message-ID, From or Date: `git send-email` sets them. What was composed is read again by two parsers before
it is given out: it holds the headers that were meant, with the values that were meant, and no other.
"""

from __future__ import annotations

import email
import email.policy
import re
from collections.abc import Mapping, Sequence
from email.errors import MessageError
from email.header import Header, decode_header, make_header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import formataddr, getaddresses

from costmodel.errors import BadInput
from costmodel.mail.clean import SUBJECT_MAX, address, message_ids, one_line
from costmodel.mail.original import Original, Person

POLICY = EmailPolicy(utf8=False, cte_type="7bit", linesep="\n")
LINE_MAX = 998
"""Octets of a line that RFC 5322 allows, without its end."""
HEADER_WIDTH, ENCODED_WIDTH = 78, 70
"""Columns of a header and of an encoded word (RFC 5322 section 2.1.1, RFC 2047 section 2)."""
PEOPLE_MAX = 200
"""Correspondents of a thread that a list would deliver."""
FIXED = {"MIME-Version": "1.0", "Content-Type": 'text/plain; charset="us-ascii"', "Content-Transfer-Encoding": "7bit"}
REFERENCES_MAX = 40
"""Of a longer thread the first reference and the newest are kept."""
_REPLY = re.compile(r"(?:re|aw|sv)\s*:\s*", re.IGNORECASE)


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
    """The reply to `mail` with the lines of `body`. Raises BadInput if a line is not ASCII or too long to be mailed."""
    text = "\n".join(body) + "\n"
    if not text.isascii() or any(c < " " and c not in "\n\t" for c in text):
        raise BadInput("the body is not plain ASCII", field="body", remedy="report this as a defect")
    if any(len(line) > LINE_MAX for line in text.split("\n")):
        remedy = "quote another line"
        raise BadInput(f"a quoted line is longer than the {LINE_MAX} octets of a mail", field="--quote", remedy=remedy)
    to, copies = correspondents(mail)
    if len(to) + len(copies) > PEOPLE_MAX:
        problem = f"the mail goes to more than {PEOPLE_MAX} people"
        raise BadInput(problem, field="Cc", remedy="answer a mail of the thread that names fewer")
    people = {name: several for name, several in (("To", to), ("Cc", copies)) if several}
    threading = _threading(mail)
    subject = subject_of(mail)
    message = EmailMessage(policy=POLICY)
    try:
        message["Subject"] = subject
        message.set_content(text, subtype="plain", charset="us-ascii", cte="7bit")
        head, _, rest = message.as_bytes().partition(b"\n\n")
    except (ValueError, LookupError, TypeError, AttributeError, MessageError) as error:
        raise BadInput(f"cannot be written: {error}", field="Subject", remedy="correct the mail file") from None
    # The email package encodes a long identifier, and folds a quoted name so that its quotes are lost: not by it.
    listed = "".join(f"{name}: {_folded(name, several)}\n" for name, several in people.items())
    threads = "".join(f"{name}: " + "\n ".join(ids) + "\n" for name, ids in threading.items())
    head = head.replace(b"\nContent-Type:", f"\n{listed}Content-Type:".encode("ascii"), 1)
    content = head + b"\n" + threads.encode("ascii") + b"\n" + rest
    _check(content, {"Subject": subject, **people, **threading, **FIXED}, text)
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
    sound = b"\r" not in content and rest == body.encode("ascii") and sorted(names) == sorted(meant)
    for policy in (email.policy.default, email.policy.compat32):
        try:
            read = email.message_from_bytes(content, policy=policy)
            sound = sound and not read.defects and sorted(read.keys()) == sorted(meant) and read.get_payload() == body
            sound = sound and all(_same(str(read[name]), value) for name, value in meant.items())
        except (ValueError, LookupError, TypeError, AttributeError, IndexError, MessageError):
            sound = False
        if not sound:
            problem = "a name, subject or identifier of the mail would change the headers of the reply"
            raise BadInput(problem, field="FILE", remedy="correct the mail file, or answer another mail")


def _same(header: str, meant: object) -> bool:
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
