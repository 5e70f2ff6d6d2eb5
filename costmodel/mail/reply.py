"""The reply: which mail is answered, what is quoted, the numbers below it; a draft where the file lacks something."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from costmodel.decision.result import Alternatives
from costmodel.errors import BadInput
from costmodel.mail.attribution import attribution
from costmodel.mail.clean import ascii_line, message_ids
from costmodel.mail.compose import compose, subject_of
from costmodel.mail.original import Original
from costmodel.mail.quote import compiled, quoted
from costmodel.report.layout import wrap
from costmodel.report.mail_table import again, history, limits, mask_note, statement, table, title

DRAFT = "DRAFT, not a mail that can be sent:"


@dataclass(frozen=True)
class Reply:
    """`content` is the mail, or the draft where `gaps` names what is missing; `notes` are for whoever sends it."""

    content: bytes
    gaps: tuple[str, ...]
    notes: tuple[str, ...]


def choose(mails: Sequence[Original], patterns: Sequence[str], message_id: str | None = None) -> Original:
    """The mail to answer: the one of `message_id`, or the only one in which every pattern matches. Raises BadInput."""
    if message_id is not None:
        wanted = message_ids(f"<{message_id.strip().strip('<>')}>")
        found = [mail for mail in mails if mail.message_id and (mail.message_id,) == wanted]
        problem = f"no mail has the Message-ID {message_id[:60]!r}"
    else:
        wanted_lines = compiled(patterns)
        found = [
            mail
            for mail in mails
            if len(mails) == 1 or all(any(p.search(line.text) for line in mail.lines) for p in wanted_lines)
        ]
        problem = f"{len(found)} of {len(mails)} mails match"
    if len(found) != 1:
        raise BadInput(problem, field="FILE", remedy="name the mail with --message-id, or quote a line only it has")
    return found[0]


def reply(mail: Original, numbers: Alternatives, patterns: Sequence[str], *, send_ready: bool = False) -> Reply:
    """The reply to `mail`: attribution, the quoted lines, the sentence, the table, the limits and how to get it again.

    Raises BadInput where `send_ready` is asked and the file lacks a Message-ID or an address.
    """
    if send_ready and mail.gaps:
        remedy = "save the raw mail (lore.kernel.org: raw)"
        raise BadInput(f"not ready to send: {'; '.join(mail.gaps)}", field="FILE", remedy=remedy)
    shown, changed = quoted(mail, patterns)
    body = [*attribution(mail), *shown, ""] if shown else []
    body += answer(numbers)
    notes = (*mail.inferred, *(("quoted text was changed to ASCII",) if changed else ()))
    if mail.gaps:
        return Reply(_draft(mail, body), mail.gaps, notes)
    return Reply(compose(mail, body), (), notes)


def answer(numbers: Alternatives) -> list[str]:
    """The part below the quote."""
    parts = (
        [*statement(numbers), *history(numbers), *mask_note(numbers)],
        [*title(numbers), "", *table(numbers)],
        limits(numbers),
        again(numbers),
    )
    return [line for part in parts for line in (*part, "")][:-1]


def _draft(mail: Original, body: Sequence[str]) -> bytes:
    """The text of the reply under a list of what is missing; no header is made up."""
    lines = [DRAFT]
    lines += [line for gap in (*mail.gaps, *mail.inferred) for line in wrap(f"- {gap}", "  ", "    ")]
    to = ascii_line(mail.sender.name or "the sender")[0]
    lines += ["", *wrap(f"To: {to} (address not in the file)"), *wrap(f"Subject: {subject_of(mail)}", "", "  "), ""]
    return ("\n".join([*lines, *body]) + "\n").encode("ascii")
