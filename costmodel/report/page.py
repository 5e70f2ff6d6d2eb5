"""From an executed notebook to one self-contained HTML page, and fragments of HTML, each from one template with
autoescape: text from data never is markup. What a report page says stands in `sections`.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache, partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from costmodel import cache
from costmodel.decision.result import Interval
from costmodel.hashing import value_hash
from costmodel.kvm.catalog import PLACEMENTS, TRIGGERS
from costmodel.numbers import quantity, significant
from costmodel.plain import UNSEEN
from costmodel.report import layout, waits

if TYPE_CHECKING:
    from jinja2.bccache import Bucket

    from costmodel.report.live import Live

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a browser may do on our pages: inline style and images that the page itself holds; nothing loaded, and no script
but the one that `page` names by its hash.
"""
HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>', re.DOTALL)
COMMAND = re.compile(r"`([^`]+)`")
NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
MOST_TEMPLATES = 128
"""Compiled templates that the cache keeps: a few versions of each."""
INTERVAL = re.compile(r"[\d.]+ \[[\d.]+, [\d.]+\]\*?(?: (?:[num]?s|[KMGT]?i?B|1/s)\b\*?)?")
"""An interval as the pages write it, which no line breaks."""


def style() -> Markup:
    """The style sheet of all pages."""
    return Markup(files("costmodel.report").joinpath("templates/style.css").read_text())


NOT_LIGHT = "body:not([data-jp-theme-light=true])"


def _scope() -> tuple[str, str]:
    """What stands before and after a fragment outside a page: the same style, for what lies in it only.

    The class is named three times, so that it outweighs the rules of JupyterLab for tables. Where JupyterLab or Voila shows
    a light theme, the fragment is light whatever the system prefers.
    """
    own = (
        str(style()).replace("  :root", f"  {NOT_LIGHT} &").replace(":root", "&").replace("body {", "& {")
    )  # a Markup would escape the &
    return f'<div class="costmodel"><style>.costmodel.costmodel.costmodel {{\n{own}}}</style>\n', "\n</div>"


def scoped(fragment: str) -> str:
    """A fragment (trusted HTML of our own) as a notebook, an editor or nbconvert shows it."""
    before, after = _scope()
    return f"{before}{fragment}{after}"


def page(title: str, body: str, home: str, live: Live | None = None) -> str:
    """`body` (trusted HTML of our own fragments) inside the page, with a link to each of its parts at the top.

    Only the script of the `live` part may run there, by its hash; without one, none.
    """
    contents = [(id, Markup(Markup(heading).striptags())) for id, heading in HEADING.findall(body)]
    return fragment(
        "page",
        title=Markup(escape(title)),
        body=Markup(body),
        style=style(),
        home=home,
        policy=f"{POLICY}; script-src {live.source}" if live else POLICY,
        live=live,
        contents=contents,
    )


def body_of(executed: Any) -> str:
    """The HTML outputs of the executed notebook, in order; code and text outputs stay in the notebook."""
    parts = []
    before, after = _scope()
    for cell in executed.cells:
        if cell.cell_type != "code":
            continue
        shown = [output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})]
        parts += [html.removeprefix(before).removesuffix(after) if html.startswith(before) else html for html in shown]
    return "\n".join(parts)


def _printable(value: object) -> object:
    """Text without characters that act unseen (autoescape leaves them, and HTML forbids some and obeys others), its
    intervals each on one line.
    """
    if not isinstance(value, str):
        return value
    if not value.isprintable():
        value = type(value)(UNSEEN.sub("\N{REPLACEMENT CHARACTER}", value))
    if isinstance(value, Markup) or "[" not in value:
        return value
    return Markup(INTERVAL.sub(r'<span class="iv">\g<0></span>', str(escape(value))))


def _title(known: Mapping[str, Any], id: str) -> str:
    """Title of a record; what the catalogue does not hold, as in a result of another version, is shown as it is."""
    return known[id].title if id in known else id


@lru_cache(maxsize=1)
def _environment():
    import jinja2
    from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined

    class Compiled(BytecodeCache):
        """Templates as jinja2 compiled them before, in the user's cache; it looks itself whether it can read them."""

        def load_bytecode(self, bucket: Bucket) -> None:
            if found := cache.stored("template", self._key(bucket)):
                bucket.bytecode_from_string(found)

        def dump_bytecode(self, bucket: Bucket) -> None:
            cache.store("template", self._key(bucket), bucket.bytecode_to_string(), most=MOST_TEMPLATES)

        def _key(self, bucket: Bucket) -> str:
            return value_hash([bucket.key, bucket.checksum, sys.version, jinja2.__version__])

    environment = Environment(
        loader=PackageLoader("costmodel.report"),
        bytecode_cache=Compiled(),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = cell
    environment.filters["linked"] = linked
    environment.filters["short"] = waits.cell
    environment.filters["quantity"] = quantity
    environment.filters["event"] = partial(_title, TRIGGERS)
    environment.filters["significant"] = significant
    environment.filters["hook"] = partial(_title, PLACEMENTS)
    environment.filters["commands"] = commands
    environment.filters["coded"] = coded
    return environment


def commands(text: str) -> Markup:
    """A sentence in which what stands between backticks is code."""
    return Markup(COMMAND.sub(r"<code>\g<1></code>", str(escape(_printable(text)))))


def coded(text: str) -> Markup:
    """A sentence in which the names of parameters are code."""
    return Markup(NAME.sub(r"<code>\g<0></code>", str(escape(_printable(text)))))


def cell(value: Interval | None) -> str:
    """An interval with its unit, marked where a prior by rule went in."""
    return layout.cell(value, marked=True, none="\N{EN DASH}")


def fragment(name: str, **values: Any) -> str:
    """The rendered template `name`.html.j2."""
    return _environment().get_template(f"{name}.html.j2").render(**values)


def compile_templates() -> None:
    """Compile all templates, which a process that is forked from this one then has."""
    for name in _environment().list_templates(extensions=["j2"]):
        _environment().get_template(name)


ENDS = ("low", "median", "high")
"""Names of the columns of an interval."""


def data(title: str, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """The numbers of a figure as CSV, folded: in SI units, with the unit in the column's name."""
    written = io.StringIO()
    table = csv.writer(written, lineterminator="\n")
    table.writerow(head)
    table.writerows([f"{cell:.5g}" if isinstance(cell, float) else cell for cell in row] for row in rows)
    return Markup(fragment("data", title=title, csv=Markup(escape(written.getvalue()))))


# Links to what a source names: addresses, mails by message id, files and commits of public repositories.

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
