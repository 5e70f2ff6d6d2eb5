"""Pages that are made of the package and of data/ hold all of it, and the overview of the reports is the reports'."""

import csv
import json
import re

import pytest

from costmodel.formulas.catalog import FORMULAS, latex
from costmodel.kvm.catalog import GUESTS
from tests.pages import OVERVIEW, ROOT, facts
from tests.samples import sampled

pytestmark = pytest.mark.skipif(not (ROOT / "docs" / "facts.py").is_file(), reason="no checkout")


@pytest.fixture(scope="module")
def made():
    """The text of each page by its name."""
    return {name: text() for name, text in facts().PAGES.items()}


def rows(name):
    with (ROOT / "data" / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def bare(text):
    """Text without what Markdown adds: escapes, and the addresses of links."""
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)\[(.*?)(?<!\\)\]\([^)]*\)", r"\1", text))


@pytest.mark.parametrize("name", sampled(FORMULAS, 4))
def test_each_formula_is_there_with_its_symbols_units_source_and_validity(made, name):
    item = FORMULAS[name]
    page = made["model"]
    section = page[page.index(f"(formula-{name.replace('_', '-')})=") :].partition("\n(formula-")[0]
    assert item.title in section and latex(name) in section
    told = bare(section)
    for text in (item.source, item.validity):
        assert " ".join(text.split()) in told
    for symbol, (unit, meaning) in item.symbols.items():
        (row,) = (line for line in told.splitlines() if f"| `{symbol}` |" in line)
        assert " ".join(meaning.split()) in row
        assert f"| {'1' if unit == 'dimensionless' else unit} |" in row


def test_each_published_number_is_there_with_how_it_was_read_and_its_source(made):
    told = {line.split(" | ")[0].removeprefix("| "): bare(line) for line in made["data"].splitlines() if "| " in line}
    found = rows("measurements.csv")
    assert len(found) > 200
    for row in found:
        line = told[row["id"]]
        for field in ("value", "unit", "kind", "use", "source_title", "source_date", "quote"):
            assert " ".join(row[field].split()) in line, (row["id"], field)


def test_each_number_that_changed_is_there(made):
    told = bare(made["errata"])
    for row in rows("errata.csv"):
        for field in ("was_said", "is_said", "why"):
            assert f": {' '.join(row[field].split())}" in told


def test_each_cell_of_the_overview_is_there(made):
    index = json.loads((ROOT / "reports" / "index.json").read_text(encoding="utf-8"))
    for page in (made["strategy"], facts().reports()):
        told = bare(page)
        for guest in GUESTS.values():
            assert f"\n## {guest.title[:1].upper()}{guest.title[1:]}\n" in page
        for cell in index["cells"]:
            assert cell["applicable"] or cell["reason"] in told
            if cell["applicable"]:
                assert f"/{cell['guest']}/{cell['machine']}.txt)" in page
                assert cell["cost"] in told or cell["cost"] == "no flush"


def test_a_cpu_without_wbnoinvd_is_not_said_to_execute_it(made):
    """The headline of its report says WBINVD; so does the table."""
    rows = [
        line for line in made["strategy"].splitlines() if line.startswith("| 2 x AMD EPYC 7601") and "host CPUs" in line
    ]
    assert rows and all("| WBINVD on the CPUs" in row and "has no WBNOINVD" in row for row in rows)
    assert "| WBNOINVD on the CPUs that ran the guest |" in made["strategy"]


def test_kernels_that_flush_alike_share_a_line(made):
    flushes = [line.split("|")[2] for line in made["strategy"].splitlines() if line.startswith("| v")]
    assert flushes and all(one != other for one, other in zip(flushes, flushes[1:], strict=False) if "WBINVD" in one)


def test_the_overview_in_the_repository_is_current():
    assert OVERVIEW.read_text(encoding="utf-8") == facts().reports(), "`make docs-outputs` renews it"


def test_text_of_data_is_no_markup():
    shown = facts().escaped("a_b *c* [d](e) <f> `g` | $h$ https://example.org/i_j")
    assert bare(shown).startswith("a_b *c* [d](e) <f> `g` | $h$ ")
    assert "(https://example.org/i_j)" in shown and not re.search(r"(?<!\\)[*|$<`]", shown.partition("https")[0])
