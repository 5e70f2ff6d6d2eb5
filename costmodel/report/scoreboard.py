"""The scoreboard as plain text (7-bit, at most 72 columns), as JSON and as a page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from costmodel.evidence.store import Evidence
from costmodel.numbers import shortened
from costmodel.report import page
from costmodel.report.layout import wrap
from costmodel.validation import scoreboard
from costmodel.validation.row import VERDICTS, Row, Scoreboard, Section
from costmodel.validation.scoreboard import Progress

MARKS = {"pass": "ok  ", "fail": "FAIL", "disagree-explained": "why ", "not testable": "n/t "}
LEGEND = "ok: as it should be; FAIL: wrong, unexplained; why: wrong, with the reason; n/t: nobody can test it yet"
TITLE = "What the model gets right, what it misses, what nobody can test"
TITLES = {
    "claims": "What the thread of 2023-08-18 claims",
    "terms": "Held-out error, bias and coverage of each term",
    "simulation": "Simulation against formulas",
    "retrodiction": "What was seen on real hosts",
    "upstream": "What the kernel decided since 2022",
    "cost-alone": "Where cost alone would choose otherwise",
    "measurements": "Published measurements that were not fitted",
    "lore": "Rules of thumb and thresholds beside the model",
    "strd": "NIST certified regressions through the same calibrator",
    "formulas": "Dimensions of the formulas",
}
"""Of the sections of `validation.scoreboard`."""


@dataclass(frozen=True)
class Words:
    """Texts of the rows of a kind, with the names that a row tells in braces."""

    what: str = ""
    figure: str = ""
    target: str = ""
    note: str = ""
    source: str = "{source}"


COVERED = "90 % intervals cover 85 to 95 %"
SIZE = "{size}: {needs}"
PUBLISHED = "{published} published, {model}"
PREFERS = "the model prefers {}"
DEARER = "CPU time per event, cheaper in {share} % of the draws; {cheaper} is {state} there"
PLACE = "{place}: cost alone chooses {cheaper}, the kernel does {kernel}"
COMPARED = "{output}: formula against simulation"
SETTINGS = ">= {share} of settings"
LIMIT = "stated as a limit of validity"
SIMULATED = "{source}: discrete events after the kernel's functions (KERNEL B.4, C.1 to C.5, D)"
WHY_NOT = "cheaper, and the reason why it is not done"
PLACES = {
    "4-kib-page": "one 4 KiB page of SEV",
    "event-filter": "NUMA balancing of SEV",
    "region": "region unregistration",
    "asid": "ASID recycling",
}
WORDS = {
    "lockup": Words(
        "soft lock-ups of a {vcpus}-vCPU guest on {cpus} CPUs",
        "a thread never leaves the flush from {needed} events/s on; scans give up to {scans} events/s, moves of huge "
        "pages {huge}, of small pages {small}; in {reached} % of the draws scans and huge pages suffice",
        "they suffice in {plausible} % of the draws at least: the lock-ups are plausible",
        "soft lock-up after {stalled} without a schedule (row L02): {flushes} flushes in a row; with full and dirty "
        "caches they suffice in {busy} % of the draws; migration rates are from inside a guest of 16 vCPUs (rows N02, "
        "N03), here per vCPU",
    ),
    "boot": Words(
        "{events} invalidations of one guest boot",
        "WBINVD on all CPUs at each: the host stands still for {still} of the boot; at the ceiling of the scanner they "
        "take {slowest} at least",
        "the boot took longer than both",
        "the mail gives neither the boot's duration nor the guest's size",
        "{source} (mean of ten boots, 28 to 44)",
    ),
    "rmpupdate": Words(
        "RMPUPDATE of every 4 KiB page of a 16 GB guest",
        "{seen} published (at most), model {model}",
        "the published total lies in the model's interval",
        "both from one author; the model knows row S01 ({page} a page) with a factor 3 either way",
    ),
    "shutdown": Words(
        "TDX shut-down, {how}, {gigabytes} GB",
        "{seen} published, {foretold} from the time per page of the two others",
        "inside the 90 % interval of the two others",
    ),
    "published": Words("", PUBLISHED, "the published figure lies in the model's interval"),
    "bound": Words("", PUBLISHED, "the model's interval reaches the published bound"),
    "held-out": Words(target=COVERED),
    "walk": Words(
        "whole-cache flush: cost per line of capacity, over the open geometry of the Intel anchors",
        "{least_ns} to {most_ns} ns per line; nothing can be held out",
        COVERED,
        "three rows, three parameters; no timing on any EPYC is public: `costmodel measure sev` would test it",
    ),
    "machines": Words(
        "start, slopes and bandwidths of each measured machine, foretold without it",
        "{inside} inside their 90 % intervals (binomial {binomial})",
        "the share inside cannot be told from 90 %",
    ),
    "latency": Words(
        "latency of {instruction} on one line again and again, {host}, foretold by published rows",
        "{foretold} foretold, {seen} measured",
        "the measured latency lies inside",
    ),
    "host": Words("CLFLUSH, CLFLUSHOPT, CLWB per line on {host}: {cells}", target=COVERED),
    "taken": Words("", "changes no flush strategy", PREFERS.format("it")),
    "not taken": Words("", "changes no flush strategy", PREFERS.format("what was there")),
    "agreement": Words(
        "decisions of the kernel since 2022 that the model would have made",
        "{agree}; {forced} forced by admissibility, {trivial} trivial; evidence: cost alone predicts {right}",
        "agree, or disagree and say why",
        "{untold} decisions change no flush or have a refused total",
    ),
    "place": Words(PLACE, f"{{cost}} against {{dear}} {DEARER}", WHY_NOT),
    "bounded place": Words(PLACE, f"{{cost}} against at least {{dear}} {DEARER}", WHY_NOT),
    "not compared": Words(COMPARED, "not compared", SETTINGS, source=SIMULATED),
    "compared": Words(
        COMPARED,
        "{agreed} settings; difference {median} in the median, {largest} at most",
        SETTINGS,
        source=SIMULATED,
    ),
    "all compared": Words(
        "settings in which every formula agrees with the simulation",
        "{inside} inside the limits, {every} with those beyond",
        SETTINGS,
        "95 % interval of the difference within {equivalence}, half-width at most {widest}",
        SIMULATED,
    ),
    "beyond a limit": Words("{output} beyond its limit", "formula {low} to {high}", LIMIT, "limit: {limit}", SIMULATED),
    "same beyond limit": Words("{output} beyond its limit", "formula {low}", LIMIT, "limit: {limit}", SIMULATED),
    "wbinvd-blast": Words(
        "",
        "one WBINVD on all {cpus} CPUs takes {all} of CPU time, {ratio} times that on {few} CPUs that ran a guest{mark}",
        SIZE,
    ),
    "noisy-neighbour": Words(
        "",
        "{share} % of the bill of WBINVD is paid by CPUs that do not run the guest; under KSM each loses up to {lost} of "
        "its time{mark}",
        SIZE,
    ),
    "snp-slower": Words(
        "",
        "the guest's thread waits {ranged} for CLFLUSHOPT over a NUMA balancing range, {blast} for WBINVD: longer in "
        "{longer} % of the draws; at most {busy} of the time of the vCPU that scans; everyone else pays {others}{mark}",
        SIZE,
    ),
    "va-to-pa": Words(
        "", "{missed} flushes per hour meet no mapping, at a second trigger of the same rate{mark}", SIZE
    ),
    "spte-zaps": Words("", "{zaps} zaps of KVM's own per notifier event cost as much as {blast}{mark}", SIZE),
    "gmem-pfn": Words(
        "",
        "no flush at user addresses; {page} per 4 KiB page when guest_memfd frees it, and {ratio} times that for a "
        "whole-cache flush{mark}",
        SIZE,
    ),
    "hook-placement": Words(
        "",
        "a range flush of the scan under mmu_lock makes a fault wait {under} on average, after SRCU {after}; memslot "
        "updates wait {memslot} in both{mark}",
        SIZE,
    ),
    "memslot-overlap": Words("", "events that met a memslot: {seen}{mark}", SIZE),
    "triggers": Words(
        "",
        "host CPUs lost to WBINVD at most: {scan} under NUMA balancing, {merge} under KSM merges of a guest that is "
        "mergeable and not pinned; numad's rate is not published: an axis{mark}",
        SIZE,
    ),
}
"""By the kind of a row; those of the thread's claims by the claim."""
BECAUSE = {
    "others differ": "the two others differ too much to foretell a third",
    "no constant": "no constant time per page, then; perhaps it grows with the vCPUs, which nothing here tests",
    "too wide": "the interval spans more than a factor of {widest}: not decisive",
    "event": "90 % interval of one event on {machine}",
    "part of machine": "no number: CPUs {cpus} are neither all CPUs nor all cores of {machine}",
    "few rows": "fewer than {enough} rows confirm no coverage",
    "rival": "shown beside the form that held-out rows chose",
    "no error bars": "no error bars: {withheld}",
    "outside": "outside: {missed}",
    "needs": "{needs}",
    "changed": "the formula is another one than was compared: `make validation-data` compares it",
    "other settings": "not: {missed}",
    "both sides": "{found} lies on both sides of {least}, which it needs because {needs}",
    "terms": "terms {terms}; tests in {test}",
}
"""Why a row is missed or cannot be tested."""

FINDINGS = {"agrees": "agrees", "beyond": "beyond a stated limit", "wrong": "wrong"}
"""What one setting of the simulation says of a formula."""


def worded(row: Row) -> Row:
    """The row with its texts; one that somebody gave stays."""
    if not row.kind:
        return row
    words, names = WORDS[row.kind], {**row.names, "source": row.source}
    if row.kind in ("place", "bounded place"):
        names["place"] = PLACES[names["place"]]
    notes = [words.note, *(BECAUSE[reason] for reason in row.because)]
    told = {part: getattr(words, part).format(**names) for part in ("what", "figure", "target")}
    told["note"] = "; ".join(note.format(**names) for note in notes if note)
    given = {part: text for part in told if (text := getattr(row, part))}
    return row.model_copy(update={**told, **given, "source": words.source.format(**names)})


def titled(section: Section) -> Section:
    """The section with its title and the texts of its rows."""
    return section.model_copy(update={"title": TITLES[section.id], "rows": tuple(map(worded, section.rows))})


def build(evidence: Evidence, sections: Iterable[str] = (), progress: Progress = lambda: None) -> Scoreboard:
    """The scoreboard of the named sections in words, as `validation.scoreboard.build` makes it."""
    board = scoreboard.build(evidence, sections, progress)
    return board.model_copy(update={"sections": tuple(map(titled, board.sections))})


def text(board: Scoreboard, words: Sequence[str] = (), *, everything: bool = False) -> str:
    """Each section with its counts and rows; of rows that pass only a section's first where there are many.

    `words` are the options that asked for it.
    """
    lines = [TITLE, *wrap(LEGEND, "  ", "    "), ""]
    for section in board.sections:
        lines += [*wrap(f"{section.title}: {counts(section)}"), *_rows(section, everything), ""]
    lines += [
        f"costmodel {board.costmodel_version}, data {board.data_hash}",
        *wrap(f"Again with: {' '.join(['costmodel validate', *words])}", "", "  "),
    ]
    return "\n".join(lines) + "\n"


def counts(section: Section) -> str:
    """`12 pass, 1 fail` and so on, without zeroes."""
    found = [f"{n} {verdict}" for verdict in VERDICTS if (n := section.count(verdict))]
    return ", ".join(found) or "no rows"


FEW = 16
"""A section with no more rows shows them all."""
TOLD = ("fail", "disagree-explained")
"""Verdicts that are always shown."""


def _rows(section: Section, everything: bool) -> list[str]:
    many = len(section.rows) > FEW and not everything
    shown = [row for i, row in enumerate(section.rows) if not many or i == 0 or row.verdict in TOLD]
    lines = [line for row in shown for line in _row(row)]
    left = len(section.rows) - len(shown)
    return [*lines, *([f"  ({left} more rows: --all)"] if left else [])]


def _row(row: Row) -> list[str]:
    lines = wrap(f"{row.id}: {row.what}", f"  {MARKS[row.verdict]} ", "       ")
    lines += wrap(row.figure, "         ")
    if row.note and row.verdict != "pass":
        lines += wrap(f"because: {row.note}", "         ", "           ")
    return lines


def as_json(board: Scoreboard) -> str:
    """The whole scoreboard; floats with six digits."""
    fields = cast(dict[str, Any], shortened(board.model_dump(mode="json")))
    fields["failed"] = board.failed
    fields["counts"] = {
        section.id: {verdict: section.count(verdict) for verdict in VERDICTS} for section in board.sections
    }
    return json.dumps(fields, indent=1, sort_keys=True, allow_nan=False) + "\n"


def html(board: Scoreboard, home: str = "index.html") -> str:
    """One self-contained page."""
    return page.page(TITLE, fragment(board), home)


def fragment(board: Scoreboard) -> str:
    """The sections as HTML, for the page and for notebooks."""
    return page.fragment("scoreboard", board=board, counts=counts, title=TITLE, legend=LEGEND)
