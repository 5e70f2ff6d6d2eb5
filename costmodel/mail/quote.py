"""The quoted part of a reply: only the lines that are answered, cuts marked, nothing wrapped."""

from __future__ import annotations

import re
from collections.abc import Sequence

from costmodel.errors import BadInput
from costmodel.mail.clean import ascii_line
from costmodel.mail.original import Line, Original

CUT = "> [...]"
LONGEST_PARAGRAPH = 6
"""A paragraph of at most this many lines is quoted whole, of a longer one only the lines that match."""
PATTERN_MAX = 200


def compiled(patterns: Sequence[str]) -> list[re.Pattern[str]]:
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


def matching(mail: Original, patterns: Sequence[re.Pattern[str]]) -> list[int]:
    """Indices of the lines that some pattern matches, with their short paragraphs and the attributions they need."""
    lines = mail.lines
    hits = [i for i, line in enumerate(lines) if line.text and any(p.search(line.text) for p in patterns)]
    chosen: set[int] = set()
    for hit in hits:
        paragraph = _paragraph(lines, hit)
        chosen.update(paragraph if len(paragraph) <= LONGEST_PARAGRAPH else [hit])
        chosen.update(_attributions(lines, hit))
    return sorted(chosen)


def _paragraph(lines: Sequence[Line], at: int) -> range:
    """The run of filled lines of the same depth around `at`."""
    first = last = at
    while first > 0 and lines[first - 1].text and lines[first - 1].depth == lines[at].depth:
        first -= 1
    while last + 1 < len(lines) and lines[last + 1].text and lines[last + 1].depth == lines[at].depth:
        last += 1
    return range(first, last + 1)


def _attributions(lines: Sequence[Line], at: int) -> list[int]:
    """For each depth below that of `at`, the last attribution line before it."""
    found, wanted = [], lines[at].depth - 1
    for i in range(at - 1, -1, -1):
        if wanted < 0:
            break
        if lines[i].attribution and lines[i].depth <= wanted:
            found.append(i)
            wanted = lines[i].depth - 1
    return found


def quoted(mail: Original, patterns: Sequence[str]) -> tuple[list[str], bool]:
    """Quoted lines in ASCII and whether a character had to change. Raises BadInput where a pattern matches nothing."""
    wanted = compiled(patterns)
    for pattern, one in zip(wanted, patterns, strict=True):
        if not any(pattern.search(line.text) for line in mail.lines if line.text):
            raise BadInput(f"no line of the mail matches {one[:40]!r}", field="--quote", remedy="give words of a line")
    chosen = matching(mail, wanted)
    shown, changed, previous = [], False, -1
    for i in chosen:
        if _cut(mail.lines, previous, i):
            shown.append(CUT)
        elif i > previous + 1 and shown:
            shown.append(Line(mail.lines[i].depth, "").quoted)
        author = mail.lines[i].pasted_from
        if author and author != (mail.lines[previous].pasted_from if previous >= 0 else ""):
            shown.append(ascii_line(f"> [pasted from {author}:]")[0])
        text, differs = ascii_line(mail.lines[i].quoted)
        shown.append(text)
        changed, previous = changed or differs, i
    if chosen and _cut(mail.lines, previous, len(mail.lines)):
        shown.append(CUT)
    return shown, changed


def _cut(lines: Sequence[Line], previous: int, following: int) -> bool:
    """Whether filled lines lie between two quoted ones."""
    return any(line.text for line in lines[previous + 1 : following])
