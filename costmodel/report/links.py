"""Links to what a source names: addresses, mails by message id, files and commits of public repositories."""

from __future__ import annotations

import re

from markupsafe import Markup, escape

NAMED = re.compile(
    r"(?P<url>https?://[^\s;,<>\"')]+)"
    r"|Message-ID <?(?P<mail>[^\s<>;,()@]+@[\w.-]*\w)"
    r"|github (?P<repo>[\w.-]+/[\w.-]*\w)"
    r"(?:@(?P<at>[0-9a-f]{7,40})(?: \([^()]*\):)?(?: (?P<path>[\w./-]+\.\w+)(?::(?P<line>\d+))?)?"
    r"| commit (?P<commit>[0-9a-f]{7,40}))?"
    r"|\b(?P<kernel>(?=[a-f]*\d)[0-9a-f]{12})\b"
)
"""What a locator names, in the forms of data/measurements.csv and of the catalog of upstream code."""


def address(found: re.Match[str]) -> str:
    """Where a match of NAMED is to be read."""
    part = found.groupdict()
    if part["url"]:
        return part["url"]
    if part["mail"]:
        return f"https://lore.kernel.org/all/{part['mail']}/"
    if part["kernel"]:
        return f"https://git.kernel.org/torvalds/c/{part['kernel']}"
    place = f"https://github.com/{part['repo']}"
    if part["commit"]:
        return f"{place}/commit/{part['commit']}"
    if part["path"]:
        return f"{place}/blob/{part['at']}/{part['path']}" + (f"#L{part['line']}" if part["line"] else "")
    return f"{place}/tree/{part['at']}" if part["at"] else place


def linked(locator: str) -> Markup:
    """The locator with a link at each thing that has an address; everything else escaped.

    >>> linked("Message-ID a.1@b.org, <i>")
    Markup('<a href="https://lore.kernel.org/all/a.1@b.org/">Message-ID a.1@b.org</a>, &lt;i&gt;')
    """
    shown, last = Markup(), 0
    for found in NAMED.finditer(locator):
        link = Markup('<a href="{}">{}</a>').format(address(found), found.group())
        shown += escape(locator[last : found.start()]) + link
        last = found.end()
    return shown + escape(locator[last:])
