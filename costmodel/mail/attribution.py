"""The line that says whom a reply quotes."""

from __future__ import annotations

import textwrap

from costmodel.mail.clean import ascii_line
from costmodel.mail.original import Original
from costmodel.report.layout import WIDTH


def attribution(mail: Original) -> list[str]:
    """`On DATE, NAME wrote:` in ASCII, over several lines where it is longer than WIDTH columns."""
    who = mail.sender.name or mail.sender.address or "an unnamed sender"
    date = f"On {mail.date}, " if mail.date else ""
    return textwrap.wrap(ascii_line(f"{date}{who} wrote:")[0], WIDTH)
