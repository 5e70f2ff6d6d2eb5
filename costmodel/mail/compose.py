"""A reply as the bytes of an RFC 5322 mail: 7-bit, plain text, one part, threading headers on lines of their own.

There is no Message-ID, From or Date: `git send-email` sets them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import EmailPolicy

from costmodel.errors import BadInput
from costmodel.mail.clean import SUBJECT_MAX, address, message_ids, one_line
from costmodel.mail.original import Original, Person

POLICY = EmailPolicy(utf8=False, cte_type="7bit", linesep="\n")
LINE_MAX = 998
"""Octets of a line that RFC 5322 allows, without its end."""
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
    message = EmailMessage(policy=POLICY)
    message["Subject"] = subject_of(mail)
    to, copies = correspondents(mail)
    for name, people in (("To", to), ("Cc", copies)):
        if people:
            message[name] = [_address(person) for person in people]
    message.set_content(text, subtype="plain", charset="us-ascii", cte="7bit")
    head, _, rest = message.as_bytes().partition(b"\n\n")
    return head + b"\n" + _threading(mail) + b"\n" + rest


def _address(person: Person) -> Address:
    """An address for a header; the name was cleaned when it was read, and is cleaned again."""
    if address(person.address) != person.address or not person.address:
        raise BadInput(f"{person.address[:60]!r} is no address", field="To", remedy="correct the mail file")
    return Address(display_name=one_line(person.name, SUBJECT_MAX), addr_spec=person.address)


def _threading(mail: Original) -> bytes:
    """In-Reply-To and References, one identifier per line: the email package would encode a long one."""
    if not mail.message_id:
        return b""
    if message_ids(mail.message_id) != (mail.message_id,):
        raise BadInput("the Message-ID is malformed", field="Message-ID", remedy="correct the mail file")
    earlier = [one for one in mail.references if one != mail.message_id]
    if len(earlier) > REFERENCES_MAX:
        earlier = [earlier[0], *earlier[1 - REFERENCES_MAX :]]
    references = "\n ".join([*earlier, mail.message_id])
    return f"In-Reply-To: {mail.message_id}\nReferences: {references}\n".encode("ascii")
