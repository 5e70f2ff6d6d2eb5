"""Pages of the site that are made of the package and of data/, so that they cannot disagree with either.

`PAGES` names them; `write` puts them under docs/generated/, which is not committed. conf.py calls it before each build.
"""

from __future__ import annotations

import csv
import functools
import importlib
import itertools
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import sympy

from costmodel.evidence.store import load
from costmodel.formulas.catalog import FORMULAS, latex
from costmodel.formulas.formula import Formula, letter
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS
from costmodel.report.names import NO_WBNOINVD
from costmodel.report.page import NAMED, address

ROOT = Path(__file__).resolve().parent.parent
SUBJECTS = ("flush", "caches", "waits", "rates", "event")
"""Modules of costmodel.formulas, in the order in which the model page goes through them."""
TERMS = {
    "whole_cache": "Whole-cache flushes",
    "range_flush": "Range flushes",
    "broadcast": "Interrupts to many CPUs",
    "bandwidth": "Memory bandwidth",
    "geometry": "Sizes of caches and machines",
    "event_rates": "How often events happen",
    "gmem_release": "Release of guest_memfd pages",
    "tdx_page": "Pages of TDX guests",
    "limits": "Limits of the kernel",
}
UNITS = {
    "second": "in seconds",
    "1 / second": "per second",
    "byte": "in bytes",
    "dimensionless": "a number without a unit",
}
"""Units of formulas in words."""
LINK = re.compile(r"(\]\()((?!https?:|#)[^)\s]+)(\))")


def escaped(text: object) -> str:
    """Text that Markdown shows as it stands; what has an address becomes a link to it."""
    words, last, whole = [], 0, " ".join(str(text).split())
    for found in NAMED.finditer(whole):
        words += [_plain(whole[last : found.start()]), f"[{_plain(found.group())}]({address(found)})"]
        last = found.end()
    return "".join([*words, _plain(whole[last:])])


def _plain(text: str) -> str:
    return re.sub(r"([\\`*_{}\[\]<>|$#~@^'\"])", r"\\\1", text)


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Lines of a Markdown table; the cells are Markdown."""
    names = list(head)
    return [_row(names), _row(["---"] * len(names)), *(_row(row) for row in rows), ""]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of a table in data/."""
    with (ROOT / "data" / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def model() -> str:
    """Every formula of the catalogue with its symbols, their units, its source and where it holds."""
    lines = [
        "# Formulas of the model",
        "",
        f"The model has {len(FORMULAS)} formulas. This page is printed from the sympy expressions that calculate, so it cannot",
        "say anything else than the code. Each formula tells the meaning and the unit of its symbols, where it comes from and",
        "where it holds. `costmodel formula ID` prints the same on a terminal, also as LaTeX, Python or C, and",
        "`cm.formulas.ID` gives the expression itself. Beside them there is the counting of CPUs, cache domains and bytes that",
        "a flush concerns, and the order in which formulas are applied, which is in the",
        "[manual](../manual.md#how-a-number-comes-about).",
        "",
        "A letter means what the table below its formula says; the same letter may stand for something else elsewhere.",
        "",
    ]
    told = {item.id: item for item in FORMULAS.values()}
    for subject in SUBJECTS:
        module = importlib.import_module(f"costmodel.formulas.{subject}")
        title, _, about = " ".join(module.__doc__.split("\n\n")[0].split()).partition(": ")
        lines += [f"## {title}", "", _sentence(about), ""]
        for item in vars(module).values():
            if isinstance(item, Formula) and told.pop(item.id, None):
                lines += _formula(item)
    assert not told, f"formulas of no subject: {sorted(told)}"
    return "\n".join(lines)


def _formula(item: Formula) -> list[str]:
    return [
        f"({anchor(item.id)})=",
        f"### {item.title}",
        "",
        f"`{item.id}`, {UNITS[item.unit]}:",
        "",
        "```{math}",
        latex(item.id),
        "```",
        "",
        *table(
            ("", "symbol", "unit", "meaning"),
            [
                (f"${sympy.latex(sympy.Symbol(letter(name)))}$", f"`{name}`", _unit(unit), escaped(meaning))
                for name, (unit, meaning) in item.symbols.items()
            ],
        ),
        f"Source: {escaped(item.source)}.",
        "",
        f"Holds: {escaped(item.validity)}.",
        "",
    ]


def anchor(name: str) -> str:
    """The anchor of a formula on the page."""
    return f"formula-{name.replace('_', '-')}"


def _unit(unit: str) -> str:
    return "1" if unit == "dimensionless" else unit


def strategy() -> str:
    """Which flush for which guest type: what the committed reports say, and what each kernel does."""
    return "\n".join(
        [
            "# Which strategy for my guest?",
            "",
            *_held(),
            "For your own machine, kernel and guest one command gives the same answer with what to do about it:",
            "",
            "    costmodel recommend --guest sev --machine this --kernel this",
            "",
            "The words are explained in the [glossary](../glossary.md).",
            "",
            *_guests("../../reports", by_kernel=True),
        ]
    )


def reports() -> str:
    """reports/README.md: the overview of the committed reports, for whoever looks at the repository."""
    return "\n".join(
        [
            "# Reports",
            "",
            "![Host CPUs lost by machine: one dot with its interval for each](../docs/overview.png)",
            "",
            "One report for each guest type and machine, as text and as JSON; `make report` adds the pages (HTML) and their",
            "overview, of which the picture is the top. This page is made of index.json by `make docs-outputs`.",
            "",
            *_held(),
            *_guests(".", by_kernel=False),
        ]
    )


def _index() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "reports" / "index.json").read_text(encoding="utf-8"))
    return found


def _held() -> list[str]:
    """What the tables of reports hold."""
    return [
        f"Find your guest type; the tables are those of the committed reports: kernel {_index()['kernel']}, NUMA balancing",
        "with kernel defaults, one guest of 8 vCPUs whose memory is set up as QEMU does. The cost is what it takes from the",
        "host, in CPUs that could do something else: the median, with its 90 % interval in brackets. *At most* is the cost",
        "with the scanner of NUMA balancing at its fastest. An asterisk marks a cost into which a guess by rule went,",
        "because nobody measured it on such a machine. From v6.19 on a scan walks up to eight ranges of pinned memory a pass,",
        "where it walked one: on older kernels it costs up to that much less, although their flushes are dearer.",
        "",
    ]


def _guests(place: str, *, by_kernel: bool) -> list[str]:
    """A section for each guest type; `place` is where the reports lie."""
    lines = []
    for guest in GUESTS.values():
        cells = [cell for cell in _index()["cells"] if cell["guest"] == guest.id]
        able = [cell for cell in cells if cell["applicable"]]
        lines += [f"## {_sentence(guest.title)}", "", f"{escaped(_sentence(guest.note))} (`--guest {guest.id}`).", ""]
        done: dict[str, list[str]] = {}
        for cell in able:
            done.setdefault(cell["headline"].partition(": that saves")[0].rstrip("."), []).append(cell["machine"])
        for headline, names in sorted(done.items(), key=lambda item: len(item[1])):
            most = len(names) == max(map(len, done.values()))
            where = f"On {', '.join(names)}" if not most else "On all machines" if len(done) == 1 else "On all others"
            lines += [f"{where}: {escaped(headline)}.", ""]
        lines += _reports(able, f"{place}/{guest.id}")
        reasons: dict[str, list[str]] = {}
        for cell in cells:
            if not cell["applicable"]:
                reasons.setdefault(cell["reason"], []).append(cell["machine"])
        lines += [f"Not on {', '.join(names)}: {escaped(reason)}.\n" for reason, names in reasons.items()]
        lines += _by_kernel(guest.id) if by_kernel else []
    return lines


def _reports(cells: list[dict[str, str]], place: str) -> list[str]:
    """What the reports of one guest type say, each with its address; a sentence where all say the same."""
    titles = {cell["machine"]: escaped(load().machines[cell["machine"]].title) for cell in cells}
    places = {name: f"{place}/{name}" for name in titles}
    if len({(cell["strategy"], cell["cost"]) for cell in cells}) == 1:
        names = ", ".join(f"[{title}]({places[name]}.txt)" for name, title in titles.items())
        return [f"The reports: {names}.", ""]
    return table(
        ("machine", "flush at the costliest event", "what it takes", "whole report"),
        [
            (
                titles[cell["machine"]],
                escaped(_flush(cell)),
                escaped(cell["cost"]),
                f"[text]({places[cell['machine']]}.txt), [JSON]({places[cell['machine']]}.json)",
            )
            for cell in cells
        ],
    )


def _flush(cell: Mapping[str, str]) -> str:
    """What is executed at the costliest event."""
    title = STRATEGIES[cell["strategy"]].title if cell["strategy"] in STRATEGIES else cell["strategy"]
    return title.replace("WBNOINVD", "WBINVD") + f" ({NO_WBNOINVD})" if NO_WBNOINVD in cell["headline"] else title


def _sentence(text: str) -> str:
    """Text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def _by_kernel(guest: str) -> list[str]:
    """What each range of kernels does at the NUMA scan."""
    trigger = TRIGGERS["autonuma_prot_none_scan"]
    shown = [
        (row["kernel_range"], escaped(STRATEGIES[row["upstream_strategy"]].title))
        for row in rows_of("kvm/upstream_behaviour.csv")
        if (row["guest_type"], row["trigger"]) == (guest, trigger.id) and row["upstream_strategy"] in STRATEGIES
    ]
    if len({flush for _, flush in shown}) == 1:
        return [f"Kernels {shown[0][0]} to {shown[-1][0]} do the same at a {trigger.title}: {shown[0][1]}.", ""]
    runs = [(flush, [name for name, _ in run]) for flush, run in itertools.groupby(shown, key=lambda row: row[1])]
    rows = [(", ".join(names), flush) for flush, names in runs]
    return [f"What kernels do at a {trigger.title}:", "", *table(("kernel", "flush"), rows)] if shown else []


def data() -> str:
    """data/README.md, then each published number: value, how it was read, what it is used for, source."""
    records = rows_of("measurements.csv")
    lines = [
        relinked("data/README.md").replace("# Data package", "# The data, and how each number was read", 1),
        "",
        "## All published numbers",
        "",
        f"The {len(records)} rows of `measurements.csv`, by the term that they speak about. `cm.measurements()` gives them as a",
        "frame, with all conditions. *How* says what the source did; *use* what the model does with the number.",
        "",
    ]
    for term, title in TERMS.items():
        lines += [f"### {title}", ""]
        lines += table(
            ("row", "number", "of what", "how and use", "source"),
            [_measurement(row) for row in records if row["term"] == term],
        )
    return "\n".join(lines)


def _measurement(row: Mapping[str, str]) -> tuple[str, ...]:
    bound = {"upper": "at most ", "lower": "at least "}.get(row["bound"], "")
    number = f"{bound}{row['value']} {row['unit']}"
    about = "; ".join(text for text in (row["quantity"], row["hardware"]) if text)
    read = f"{row['kind']}; {row['use']}: {row['reason']}" if row["reason"] else f"{row['kind']}; {row['use']}"
    if row["arithmetic"]:
        read += f"; arithmetic: {row['arithmetic']}"
    author = f"{row['source_author']}, " if row["source_author"] else ""
    source = f"{author}{row['source_title']} ({row['source_date'] or 'no date'}): {row['source_locator']}"
    quote = f" “{_plain(' '.join(row['quote'].split()))}”" if row["quote"] else ""
    return row["id"], escaped(number), escaped(about), escaped(read), escaped(source) + quote


def errata() -> str:
    """Numbers that this project published and no longer holds."""
    lines = [
        "# Errata",
        "",
        "Numbers that earlier reports and replies of this project gave and that no longer hold, with the reason. If you quoted",
        "one of them, this is what to quote now. The table is data/errata.csv; a test holds it to the change log and to what",
        "the reports say. Numbers that stood between two releases only are left out.",
        "",
    ]
    for row in rows_of("errata.csv"):
        lines += [f"## {escaped(_sentence(row['number']))}", ""]
        lines += [
            f"- was said: {escaped(row['was_said'])}",
            f"- is said since {row['since']}: {escaped(row['is_said'])}",
        ]
        lines += [f"- why: {escaped(row['why'])}", ""]
    return "\n".join(lines)


def relinked(name: str) -> str:
    """A Markdown file of the repository whose relative links lead from docs/generated/ to where they led."""
    path = ROOT / name

    def moved(found: re.Match[str]) -> str:
        target = os.path.relpath(path.parent / found[2], ROOT / "docs" / "generated")
        return f"{found[1]}{OWN.get(found[2], target)}{found[3]}"

    return LINK.sub(moved, path.read_text(encoding="utf-8"))


OWN = {"data/README.md": "data.md"}
"""Links to files that have a page here."""
PAGES: dict[str, Callable[[], str]] = {
    "strategy": strategy,
    "model": model,
    "data": data,
    "errata": errata,
    "contributing": functools.partial(relinked, "CONTRIBUTING.md"),
    "changelog": functools.partial(relinked, "CHANGELOG.md"),
    "security": functools.partial(relinked, "SECURITY.md"),
}


def write(folder: Path) -> None:
    """Every page into `folder`; one that is the same is left alone, so that Sphinx does not read it again."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in PAGES.items():
        path, new = folder / f"{name}.md", text().rstrip("\n") + "\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != new:
            path.write_text(new, encoding="utf-8")
