"""Foreign text made plain: what a file, a task or a mail is called is shown, and never acts on a terminal, a page or a
shell.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable

FORMULA_START = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


UNSEEN = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\ud800-\uf8ff\ufeff\ufff9-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
"""Characters that act on a page without being seen: control but tab and line feed, format, line separators, private."""


def visible(text: str) -> str:
    """`text` on one line: every control, format, bidirectional or private character as its escape.

    >>> visible("a\\u202eb\\u2028c"), visible("name 2")
    ('a\\\\u202eb\\\\u2028c', 'name 2')
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def csv_cell(value: object) -> object:
    """A cell that a spreadsheet takes for text: foreign text that begins like a formula gets an apostrophe in front.

    >>> csv_cell("=1+1"), csv_cell("-0.5"), csv_cell("a\\tb"), csv_cell(-3)
    ("'=1+1", '-0.5', 'a\\\\tb', -3)
    """
    if not isinstance(value, str):
        return value
    text = visible(value)
    return f"'{text}" if text.lstrip().startswith(FORMULA_START) and not _NUMBER.fullmatch(text) else text


def shell_word(word: str) -> str:
    """`word` as a shell reads it back, in printable ASCII.

    >>> shell_word("a.csv"), shell_word("$(touch x).csv"), shell_word("\\u202e")
    ('a.csv', "'$(touch x).csv'", "$'\\\\xe2\\\\x80\\\\xae'")
    """
    if word.isascii() and word.isprintable():
        return shlex.quote(word)
    kept = (chr(b) if 32 <= b < 127 and b not in b"'\\" else f"\\x{b:02x}" for b in os.fsencode(word))
    return f"$'{''.join(kept)}'"


def shell_line(words: Iterable[object]) -> str:
    """A command line that can be pasted: every word quoted where it must be."""
    return " ".join(shell_word(str(word)) for word in words)


def quoted_words(line: str) -> list[str]:
    """The words of a command line of `shell_line` or shlex.join, still quoted, in printable ASCII.

    >>> quoted_words("a 'b c' $'\\\\xe2 x' --d=1")
    ['a', "'b c'", "$'\\\\xe2 x'", '--d=1']
    """
    words = re.findall(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""", line)
    return [word if word.isascii() and word.isprintable() else shell_word("".join(shlex.split(word))) for word in words]


def file_argument(name: str) -> str:
    """The name of a file as an argument: one that begins with a hyphen is no option.

    >>> file_argument("-rf.parquet"), file_argument("a.parquet")
    ('./-rf.parquet', 'a.parquet')
    """
    return f"./{name}" if name.startswith("-") else name
