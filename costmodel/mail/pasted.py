"""Words that a sender pasted without quote marks: who wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from costmodel.mail.original import Line

_PASTING = re.compile(r"(?:Pasting|Quoting|Copying) your .{1,80}:$")
_NAMED = re.compile(r"On .{4,60}, (?P<name>[^@<>,]{2,60}?)(?: <[^<>]*>)? wrote:$")
_CLOSING = re.compile(r"(?:Thanks|Regards|Cheers|Best|-- ?)\b|--$")


def with_authors(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines; those of the sender after `Pasting your ...:` are marked as written by whom the sender answers.

    `your` is the person whom the first attribution of the mail names; without one nothing is marked.
    """
    answered, pasting = "", False
    for line in lines:
        if line.depth:
            yield line
            continue
        if line.attribution and not answered and (named := _NAMED.match(line.text)):
            answered = named["name"]
        if _CLOSING.match(line.text):
            pasting = False
        yield replace(line, pasted_from=answered) if pasting and line.text else line
        pasting = pasting or bool(answered and _PASTING.match(line.text))
