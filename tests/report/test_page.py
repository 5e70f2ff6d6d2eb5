"""One self-contained, accessible page: nothing is loaded, nothing from data is markup."""

import base64
import csv
import hashlib
import io
import itertools
import re

import pytest

from costmodel.calibration.calibrate import fits_of
from costmodel.evidence.store import load
from costmodel.formulas.catalog import FORMULAS
from costmodel.report import page, sections
from tests.report.html import Reader
from tests.samples import sampled


@pytest.fixture(scope="module")
def read(sev_page):
    return Reader(sev_page)


@pytest.mark.parametrize("guest", sampled(["sev", "sev-snp-gmem", "plain", "tdx"], 3))
def test_well_formed(answer, whole, guest):
    reader = Reader(whole(answer(guest)))
    assert reader.faults == []
    assert [len(reader.all(tag)) for tag in ("html", "head", "body", "main", "title")][:4] == [1, 1, 1, 1]


def test_loads_nothing(read, sev_page):
    assert not read.all("link", "iframe", "object", "embed", "base", "form")
    for element in read.elements:
        for name, value in element.attributes.items():
            assert not name.startswith("on"), f"<{element.tag} {name}>"
            if name in ("src", "srcset", "data", "poster", "action", "background", "ping"):
                pytest.fail(f"<{element.tag} {name}={value!r}>")
            if name in ("href", "xlink:href") and element.tag != "a":
                assert value.startswith("#"), f"<{element.tag} {name}={value!r}>"
            if name == "style":
                assert not re.search(r"url\(\s*['\"]?(?!#)", value or "")
            if name == "http-equiv":
                assert value == "Content-Security-Policy"
    for style in read.all("style"):
        assert "@import" not in style.text
        assert not re.search(r"url\(\s*['\"]?(?!#)", style.text)
    assert "@import" not in sev_page


def sources_of(scripts):
    return [f"'sha256-{base64.b64encode(hashlib.sha256(e.text.encode()).digest()).decode()}'" for e in scripts]


def test_a_browser_is_told_to_load_nothing_and_to_run_the_own_script_alone(read):
    data, own = read.all("script")
    assert data.get("type") == "application/json" and own.attributes == {}
    [rule] = [e for e in read.all("meta") if e.get("http-equiv")]
    rules = dict(part.split(maxsplit=1) for part in rule.get("content").split("; "))
    assert rules == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "img-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
        "script-src": sources_of([own])[0],
    }
    head = [e.tag for e in read.elements if e.inside[-1:] == ("head",)]
    assert head.index("style") > [e for e in read.elements if e.inside[-1:] == ("head",)].index(rule)


def test_a_page_without_a_live_part_runs_nothing(answer, whole):
    reader = Reader(whole(answer("plain")))
    [rule] = [e for e in reader.all("meta") if e.get("http-equiv")]
    assert not reader.all("script") and "script-src" not in rule.get("content")
    assert "default-src 'none'" in rule.get("content")


def test_links_are_harmless(read):
    for link in read.all("a"):
        assert not re.match(r"\s*(javascript|data|file):", link.get("href") or "", re.IGNORECASE)


def test_language_title_viewport_and_charset(read):
    assert read.all("html")[0].get("lang") == "en"
    head = [e for e in read.elements if e.inside[-1:] == ("head",)]
    assert [e.text for e in head if e.tag == "title"] == ["sev on epyc-7763-2s"]
    metas = [e for e in head if e.tag == "meta"]
    assert any((e.get("charset") or "").lower() == "utf-8" for e in metas)
    assert any(e.get("name") == "viewport" and "width=device-width" in e.get("content") for e in metas)


def test_dark_mode_and_print_are_styled(read):
    style = "".join(element.text for element in read.all("style"))
    assert re.search(r"@media[^{]*prefers-color-scheme:\s*dark", style)
    assert re.search(r"@media\s+print", style)


def test_figures_have_a_role_and_a_name(read):
    figures = read.all("svg")
    assert len(figures) >= 2
    for figure in figures:
        assert figure.get("role") == "img"
        title = next((child.text for child in figure.children if child.tag == "title"), "")
        assert (figure.get("aria-label") or title).strip()
        assert figure.get("viewbox")


def meaning(element):
    return element.tag, sorted(element.attributes.items()), [meaning(child) for child in element.children]


def test_ids_that_are_referred_to_mean_one_thing(read, sev_page):
    """Figures share one document: an id that two of them define must be the same thing in both."""
    used = set(re.findall(r"url\(#([^)]+)\)", sev_page)) | set(re.findall(r'href="#([^"]+)"', sev_page))
    assert used
    for name in used:
        found = [meaning(element) for element in read.elements if element.get("id") == name]
        assert found, f"#{name} is nowhere"
        assert all(other == found[0] for other in found), f"#{name} means different things"


def test_ids_of_sections_are_unique(read):
    names = [element.get("id") for element in read.elements if element.get("id") and "svg" not in element.inside]
    assert len(names) == len(set(names))


def test_formulas_are_mathml(read):
    assert len(read.all("math")) >= len(FORMULAS) > 0
    for title in (item.title for item in FORMULAS.values()):
        assert any(title in summary.text for summary in read.all("summary"))


@pytest.mark.parametrize("guest", sampled(["sev", "sev-snp-gmem", "plain"], 3))
def test_every_strategy_and_trigger_is_shown(answer, whole, guest):
    result = answer(guest)
    codes = {element.text.strip() for element in Reader(whole(result)).all("code")}
    assert {row.strategy for row in result.costs} <= codes
    assert {entry.trigger for entry in result.policy} <= codes


def test_first_section_answers(read, answer):
    result = answer("sev")
    sections = [e for e in read.all("section") if "section" not in e.inside]
    assert result.headline in sections[0].text
    for gap in result.gaps:
        assert gap in sections[0].text


def test_four_parts_of_which_the_last_two_are_folded(read):
    assert len(read.all("h1")) == 1
    parts = [e for e in read.all("h2") if e.get("id")]
    assert [e.get("id") for e in parts] == ["change", "contention", "evidence"]
    assert ["details" in e.inside for e in parts] == [False, True, True]
    contents = [a.get("href") for a in read.all("a") if "nav" in a.inside]
    assert contents[1:] == [f"#{e.get('id')}" for e in parts]


def test_levels_of_headings_never_skip(read):
    levels = [int(e.tag[1]) for e in read.elements if re.fullmatch(r"h\d", e.tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_numbers_of_the_picture_are_those_of_the_costs(read, answer):
    result = answer("sev")
    shown = list(csv.DictReader(io.StringIO(read.all("pre")[0].text)))
    costs = {
        row.strategy: row.stolen_cpu_s_per_event
        for row in result.costs
        if row.trigger == result.costliest_trigger and row.stolen_cpu_s_per_event
    }
    assert {row["strategy"] for row in shown} == set(costs)
    for row in shown:
        for end in ("low", "median", "high"):
            assert float(row[f"{end}_s"]) == pytest.approx(getattr(costs[row["strategy"]], end), rel=1e-4)


def test_every_figure_has_its_numbers(read):
    """Each as CSV in which every row has the columns of the head; the live one draws what its own table says."""
    live = next(e for e in read.all("section") if e.get("id") == "live")
    figures = [figure for figure in read.all("figure") if figure not in live.children]
    assert len(read.all("pre")) >= len(figures) >= 2
    for element in read.all("pre"):
        head, *rows = csv.reader(io.StringIO(element.text))
        assert rows and {len(row) for row in rows} == {len(head)}
        assert "figure" in element.inside


def test_no_line_breaks_an_interval(read, sev_page):
    held = [e.text for e in read.all("span") if e.get("class") == "iv"]
    assert held and "20 [2, 50]*" in held
    assert re.search(r"\.iv \{ white-space: nowrap; \}", sev_page)
    assert not re.search(r"<span class=\S+iv", Reader(sev_page).all("body")[0].text)


def test_a_page_is_light(sev_page):
    assert len(sev_page.encode()) <= 490_000


def test_sources_are_links(read, answer):
    links = {a.get("href") for a in read.all("a")}
    for row in answer("sev").sources:
        found = re.search(r"Message-ID (\S+@\S+)|(https?://\S+)", row.locator)
        if found:
            assert (f"https://lore.kernel.org/all/{found[1]}/" if found[1] else found[2]) in links, row.locator


def test_hashes_and_command_are_shown(read, answer):
    result = answer("sev")
    text = read.all("body")[0].text
    for value in (result.data_hash, result.asked_hash, result.command, result.kernel):
        assert value in text


def test_tables_have_headings(read):
    for section in ("policy", "costs", "admissibility", "provenance"):
        element = next(e for e in read.all("section") if e.get("id") == section)
        assert element.text.strip()
    headings = [e for e in read.elements if re.fullmatch(r"h\d", e.tag)]
    assert headings
    assert all(e.text.strip() for e in headings)


def test_no_clock_and_no_path(sev_page):
    assert not re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d|\d\d:\d\d:\d\d", sev_page)
    for place in ("/home/", "/tmp/", "/work/", "/root/", "file://"):
        assert place not in sev_page


def test_same_answer_same_bytes(answer, whole, sev_page):
    assert whole(answer("sev").model_copy()) == sev_page


def test_what_does_not_apply_says_so(answer, whole):
    result = answer("tdx")
    reader = Reader(whole(result))
    assert result.headline in reader.all("main")[0].text
    assert not reader.all("svg")


def test_hostile_text_is_escaped(hostile, whole):
    text = whole(hostile)
    reader = Reader(text)
    assert reader.faults == []
    assert text.lower().count("<script") == len(reader.all("script")) == 2
    assert sources_of(reader.all("script")[1:])[0] in reader.all("meta")[1].get("content")
    assert "&lt;script&gt;" in text
    assert "<script>alert(1)</script>" in reader.all("body")[0].text


def test_no_control_characters_reach_the_page(hostile, whole):
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", whole(hostile))


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u2028", "\u200b", "\x85", "\x9b", "\ue000", "\U000e0041"])
def test_no_character_that_acts_unseen_reaches_the_page(answer, character):
    text = f"a{character}b"
    result = answer("sev").model_copy(update={"headline": text, "warnings": [text], "machine_title": text})
    shown = page.page(text, sections.answer(result), text)
    assert character not in shown and "a\N{REPLACEMENT CHARACTER}b" in shown


@pytest.mark.parametrize("text", ['"><img src=x onerror=alert(1)>', "</title><script>", "{{ 7*7 }}", "<!--", "]]>"])
def test_title_and_fragments_are_escaped(answer, text):
    result = answer("sev").model_copy(update={"headline": text, "warnings": [text], "guest_title": text})
    reader = Reader(page.page(text, sections.answer(result), text))
    assert reader.faults == []
    assert not reader.all("script", "img")
    assert reader.all("title")[0].text == text
    assert text in reader.all("main")[0].text


def test_body_is_only_the_html_of_code_cells():
    import nbformat

    def shown(data):
        return nbformat.v4.new_output("display_data", data=data)

    book = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_markdown_cell("<b>words</b>"),
            nbformat.v4.new_code_cell("1", outputs=[shown({"text/html": "<p>1</p>", "text/plain": "one"})]),
            nbformat.v4.new_code_cell("2", outputs=[shown({"text/plain": "two"})]),
            nbformat.v4.new_code_cell("3", outputs=[nbformat.v4.new_output("stream", name="stdout", text="three")]),
            nbformat.v4.new_code_cell("4", outputs=[shown({"text/html": "<p>4</p>"})]),
        ]
    )
    assert page.body_of(book) == "<p>1</p>\n<p>4</p>"


def test_every_fit_is_told_with_residual_and_held_out_error(read):
    [section] = [e for e in read.all("section") if e.get("id") == "fits"]
    records = fits_of(load())
    assert len(records) > 3
    for entry in records:
        for told in (entry["fit"], entry["held_out"], f"{100 * entry['rms_log_residual']:.1f} %"):
            assert told in section.text


def test_paper_says_where_the_formulas_are(read):
    [line] = [e for e in read.all("p") if "printed" in (e.get("class") or "").split()]
    assert "costmodel formula" in line.text


SHA = "9d1745cf8134"


@pytest.mark.parametrize(
    ("locator", "addresses"),
    [
        ("Message-ID 20150304230045.GZ18360@dastard (archive)", ["https://lore.kernel.org/all/20150304230045.GZ18360@dastard/"]),
        ("http://a.org/b.html ; github c/d commit 66d11b9c1281", ["http://a.org/b.html", "https://github.com/c/d/commit/66d11b9c1281"]),
        (f"github a/b-7.1.5@{SHA} (the tree): kernel/x.c:16", [f"https://github.com/a/b-7.1.5/blob/{SHA}/kernel/x.c#L16"]),
        (f"github a/b@{SHA}", [f"https://github.com/a/b/tree/{SHA}"]),
        ("github a/b, release 1", ["https://github.com/a/b"]),
        ("commits e1ebb2b49048, d45829b351ee", [f"https://git.kernel.org/torvalds/c/{c}" for c in ("e1ebb2b49048", "d45829b351ee")]),
        ("data/kvm/amd_rendezvous.csv", []),
        ("https://a.org/\"onclick=\"x <script>", ["https://a.org/"]),
    ],
)  # fmt: skip
def test_what_a_locator_names_becomes_a_link_and_nothing_else_markup(locator, addresses):
    reader = Reader(str(page.linked(locator)))
    assert reader.faults == []
    assert [e.get("href") for e in reader.elements] == addresses
    assert all(set(e.attributes) == {"href"} and e.tag == "a" for e in reader.elements)
