"""Text from a mail made harmless: one line, printable, ASCII where it must be; nothing in it can start a new header.

What was decoded is never decoded again: an encoded word inside an encoded word stays text.
"""

from __future__ import annotations

import re
import unicodedata

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
MASKED = re.compile(r"@x{3,}", re.IGNORECASE)
MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,500}>")
NAME_MAX, SUBJECT_MAX = 120, 400


def one_line(text: str, most: int) -> str:
    """`text` without control, format and surrogate characters, blanks collapsed, cut to `most` characters.

    No encoded word is left in it: whoever reads the line next would decode it.

    >>> one_line("Re: x\\r\\nBcc: a@example.org", 80), one_line("=?utf-8?q?=0ABcc:_a?=", 80)
    ('Re: x Bcc: a@example.org', '= ?utf-8?q?=0ABcc:_a?=')
    """
    kept = "".join(" " if c.isspace() or c in "\x85\u2028\u2029" else c for c in text)
    kept = "".join(c for c in kept if c == " " or unicodedata.category(c)[0] != "C")
    return " ".join(kept.split()).replace("=?", "= ?")[:most].strip()


def ascii_line(text: str) -> tuple[str, bool]:
    """`text` in printable ASCII with its blanks untouched, and whether that changed a character; tabs stay.

    >>> ascii_line("caf\\u00e9\\t\\u2264 1"), ascii_line("a\\x00b")
    (('cafe\\t? 1', True), ('a?b', True))
    """
    found = []
    for c in text:
        if " " <= c <= "~" or c == "\t":
            found.append(c)
            continue
        plain = "".join(p for p in unicodedata.normalize("NFKD", c) if not unicodedata.combining(p))
        plain = {"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"', "\u2013": "-", "\u2014": "-"}.get(c, plain)
        found.append(plain if plain and all(" " <= p <= "~" for p in plain) else "?")
    clean = "".join(found)
    return clean, clean != text


def address(text: str) -> str:
    """An address that can be mailed to, or an empty string: a masked one (`name@xxxxxxxxx`) is none, nor is one that
    holds an encoded word.

    >>> address("a@example.org"), address("isaku.yamahata@xxxxxxxxx"), address("a@b\\nBcc: c@d"), address("=?x?q?y?=@b")
    ('a@example.org', '', '', '')
    """
    usable = ADDRESS.fullmatch(text) and ".." not in text and not text.startswith(".") and ".@" not in text
    return text if usable and "=?" not in text and not MASKED.search(text) else ""


def message_ids(text: str) -> tuple[str, ...]:
    """Every well-formed `<left@right>` of a header, in order, each once; one that holds an encoded word is not.

    >>> message_ids("<1@a.org> (x) <2@b.org>\\n <1@a.org> <broken>")
    ('<1@a.org>', '<2@b.org>')
    """
    found = (match.group() for match in MESSAGE_ID.finditer(text))
    usable = (one for one in found if one.count("@") == 1 and one[1] != "@" and one[-2] != "@" and "=?" not in one)
    return tuple(dict.fromkeys(usable))
