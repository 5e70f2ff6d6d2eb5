"""Text from a mail made harmless: one line, nothing that acts on a terminal, nothing that can start a new header.

Letters of every script stay what they are. What was decoded is never decoded again: an encoded word inside an encoded
word stays text.
"""

from __future__ import annotations

import codecs
import re
import unicodedata

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?")
MASKED = re.compile(r"@x{3,}|\.\.\.@|@\.\.\.|@hidden\b", re.IGNORECASE)
MESSAGE_ID = re.compile(r"<[!-;=?-~]{1,500}>")
NAME_MAX, SUBJECT_MAX = 120, 400
UNREADABLE = "\ufffd"
"""What stands for bytes that no charset explains."""
JOINERS = "\u200c\u200d"
"""Format characters that belong to the spelling of words."""
OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Format characters that make a line look as if it said something else."""
NOT_TEXT = ("idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape")
"""Codecs that no body is written in; some take time that grows with the square of the length."""
CHARSETS = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "gb_2312-80": "gb18030",
    "ks_c_5601-1987": "cp949",
    "euc-kr": "cp949",
    "shift_jis": "cp932",
    "sjis": "cp932",
    "big5": "big5hkscs",
    "iso-8859-1": "cp1252",
    "iso-8859-9": "cp1254",
    "tis-620": "cp874",
    "iso-8859-8-i": "iso-8859-8",
}
"""What mailers write under these labels, as browsers read it: the charset that contains the labelled one."""


def decoded(raw: bytes, charset: str) -> str:
    """`raw` as text: in the charset that the mail names, else in UTF-8; bytes that neither explains are UNREADABLE.

    >>> decoded(b"caf\\xe9", "x-iso-8859-1"), decoded("caf\\u00e9".encode(), "y"), decoded(b"caf\\xe9", "none")
    ('caf\\xe9', 'caf\\xe9', 'caf\\ufffd')
    """
    named = charset.strip().strip("\"'").lower().removeprefix("x-")
    for name in (CHARSETS.get(named, named), named, "utf-8"):
        try:
            if codecs.lookup(name).name not in NOT_TEXT:
                return raw.decode(name)
        except (LookupError, ValueError):
            continue
    return raw.decode("utf-8", "replace")


def one_line(text: str, most: int) -> str:
    """`text` without control, format and surrogate characters, blanks collapsed, cut to `most` characters.

    No encoded word is left in it: whoever reads the line next would decode it.

    >>> one_line("Re: x\\r\\nBcc: a@example.org", 80), one_line("=?utf-8?q?=0ABcc:_a?=", 80)
    ('Re: x Bcc: a@example.org', '= ?utf-8?q?=0ABcc:_a?=')
    """
    kept = "".join(" " if c.isspace() or c in "\x85\u2028\u2029" else c for c in text)
    kept = "".join(c for c in kept if c == " " or c in JOINERS or unicodedata.category(c)[0] != "C")
    return " ".join(kept.split()).replace("=?", "= ?")[:most].strip()


def harmless(text: str) -> str:
    """One line of a body with its letters, blanks and tabs untouched; what acts without being seen becomes `?`.

    >>> harmless("caf\\u00e9\\t\\u2264 1"), harmless("a\\x00b\\x1b[0m\\u202ec")
    ('caf\\xe9\\t\\u2264 1', 'a?b?[0m?c')
    """
    if text.isprintable():
        return text
    return "".join("?" if _acts(c) else c for c in text)


def _acts(c: str) -> bool:
    return c != "\t" and (c in OVERRIDES or unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp"))


def address(text: str) -> str:
    """An address that can be mailed to, or an empty string: a masked one (`name@xxxxxxxxx`) is none, nor is one that
    holds an encoded word.

    >>> address("a@example.org"), address("isaku.yamahata@xxxxxxxxx"), address("a@b\\nBcc: c@d"), address("=?x?q?y?=@b")
    ('a@example.org', '', '', '')
    """
    usable = ADDRESS.fullmatch(text) and ".." not in text and not text.startswith(".") and ".@" not in text
    return text if usable and "=?" not in text and not MASKED.search(text) else ""


def message_ids(text: str) -> tuple[str, ...]:
    """Every well-formed `<left@right>` of a header, in order, each once; a masked one or one that holds an encoded word
    is none.

    >>> message_ids("<1@a.org> (x) <2@b.org>\\n <1@a.org> <broken> <3@xxxxxxx>")
    ('<1@a.org>', '<2@b.org>')
    """
    found = (match.group() for match in MESSAGE_ID.finditer(text))
    usable = (one for one in found if one.count("@") == 1 and one[1] != "@" and one[-2] != "@" and "=?" not in one)
    return tuple(dict.fromkeys(one for one in usable if not MASKED.search(one)))
