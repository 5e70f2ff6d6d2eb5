"""A hypermail archive page as text: no Message-ID, masked addresses, no quote marks.

What the page lacks is named as a gap and never made up. Who said what is rebuilt from the attribution lines by three
rules of how kernel mails are written, and marked as inferred.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from costmodel.mail.clean import NAME_MAX, SUBJECT_MAX, one_line
from costmodel.mail.original import Line, Original, Person
from costmodel.mail.pasted import with_authors

_HEAD = re.compile(r"\s*(?P<subject>\S[^\n]*)\n\s*\nFrom: (?P<name>[^\n]+)\nDate: (?P<date>[^\n]+)\n")
_ATTRIBUTION = re.compile(r"On .{4,120}wrote:$")
_TRAILER = re.compile(r"(?:[A-Z][A-Za-z-]+-by|Fixes|Cc|Link|Reported-by): ")
_PATCH = re.compile(r"---$|diff --git |index [0-9a-f]+\.\.|--- a/|\+\+\+ b/|@@ |[+-]|From: |\S+ +\| +\d+ ")
WRAPPED = 100
"""Kernel mails are wrapped well below this width; a longer line was typed by the sender of the page's mail."""
GAPS = (
    "the archive page has no Message-ID: In-Reply-To and References cannot be set",
    "the archive page has no addresses of sender and recipients, or masks them",
)
INFERRED = "the archive page has no quote marks: who wrote which line is inferred from the attribution lines"


def is_page(content: bytes) -> bool:
    """Whether the bytes are the text of an archive page."""
    return _HEAD.match(_text(content[:4000])) is not None


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace").replace("\r\n", "\n")


def page(content: bytes) -> Original:
    """The mail of an archive page, as far as the page tells."""
    text = _text(content)
    head = _HEAD.match(text)
    return Original(
        subject=one_line(head["subject"], SUBJECT_MAX),
        sender=Person(one_line(head["name"], NAME_MAX), ""),
        date=one_line(head["date"], 60),
        lines=tuple(with_authors(nested(text[head.end() :]))),
        gaps=GAPS,
        inferred=(INFERRED,),
    )


def nested(body: str) -> Iterator[Line]:
    """Lines with a depth rebuilt from the attribution lines.

    1. An attribution opens a level: what follows is one deeper.
    2. At the deepest level prose up to the first trailer, and patch text anywhere, are the last one quoted; other prose
       is the answer to it, one level up.
    3. From the first paragraph with a line beyond WRAPPED columns on, the text is the sender's own: the answer at the
       end.
    """
    depth, before_trailer, own = 0, True, False
    for paragraph in re.split(r"\n\s*\n", body.strip("\n")):
        lines = [line.rstrip() for line in paragraph.split("\n")]
        has_attribution = any(_ATTRIBUTION.fullmatch(line) for line in lines)
        own = own or (depth > 0 and not has_attribution and max(map(len, lines)) > WRAPPED)
        patch = any(_TRAILER.match(line) or _PATCH.match(line) for line in lines)
        for line in lines:
            if _ATTRIBUTION.fullmatch(line):
                yield Line(depth, line, attribution=True)
                depth, before_trailer = depth + 1, True
                continue
            above = depth > 1 and not (patch or before_trailer)
            yield Line(0 if own else depth - above, line)
        before_trailer = before_trailer and not any(_TRAILER.match(line) for line in lines)
        yield Line(0 if own else depth, "")
