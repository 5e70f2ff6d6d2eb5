"""One self-contained, accessible page: nothing is loaded, nothing from data is markup."""

import base64
import csv
import hashlib
import io
import itertools
import re
from html.parser import HTMLParser

import pytest

from costmodel.calibration.calibrate import fits_of
from costmodel.calibration.parameters import parameters_of
from costmodel.decision.views import worth_drawing
from costmodel.evidence.store import load
from costmodel.formulas.catalog import FORMULAS
from costmodel.kvm.catalog import PLACEMENTS, TRIGGERS
from costmodel.kvm.predicates import PREDICATES
from costmodel.report import page, recommendation
from costmodel.report.sentences import COUNT_COMMAND
from tests.report.conftest import HOSTILE
from tests.report.html import VOID, Reader
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


def test_remedies_come_by_what_they_leave(answer):
    ranked = recommendation.ranked(answer("sev"))
    saved = [item.saves_fraction for item in ranked if item.saves_fraction is not None]
    assert len(saved) > 2 and saved == sorted(saved, reverse=True)
    assert len({item.id for item in ranked}) == len(ranked)


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


def test_every_kernel_range_is_in_each_row_of_the_history(answer):
    result = answer("sev")
    kernels = list(dict.fromkeys(row.kernel for row in result.upstream))
    shown = page.history(result.upstream, kernels)
    did = {(row.trigger, row.kernel): row.strategy for row in result.upstream}
    told = {
        (trigger, kernel): strategy
        for row in shown
        for trigger in row.triggers
        for kernel, strategy in zip(kernels, [c.strategy for c in row.cells for _ in range(c.span)], strict=True)
        if strategy
    }
    assert told == did and len(shown) < len({row.trigger for row in result.upstream})


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
    shown = page.page(text, page.answer(result), text)
    assert character not in shown and "a\N{REPLACEMENT CHARACTER}b" in shown


@pytest.mark.parametrize("text", ['"><img src=x onerror=alert(1)>', "</title><script>", "{{ 7*7 }}", "<!--", "]]>"])
def test_title_and_fragments_are_escaped(answer, text):
    result = answer("sev").model_copy(update={"headline": text, "warnings": [text], "guest_title": text})
    reader = Reader(page.page(text, page.answer(result), text))
    assert reader.faults == []
    assert not reader.all("script", "img")
    assert reader.all("title")[0].text == text
    assert text in reader.all("main")[0].text


def test_hostile_text_of_a_table_row(answer):
    result = answer("sev")
    rows = [row.model_copy(update={"refused": HOSTILE}) for row in result.costs]
    assert "<script" not in page.costs(result.model_copy(update={"costs": rows}))


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


class Sentences(HTMLParser):
    """The text of a page outside code, figures and the cells of evidence that a table quotes from its source."""

    def __init__(self, shown):
        super().__init__(convert_charrefs=True)
        self._open, self.text = [], []
        self.feed(shown)

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        self._open.pop()

    def handle_data(self, data):
        if not {"code", "pre", "svg", "math", "style"} & set(self._open):
            self.text.append(data)


@pytest.mark.parametrize("guest", sampled(["sev", "sev-snp-gmem"], 2))
def test_no_sentence_names_anything_by_its_id(answer, whole, guest):
    names = {*TRIGGERS, *PREDICATES, *parameters_of(load(), "epyc-7763-2s").parameters}
    names |= set(PLACEMENTS) - {hook for placement in PLACEMENTS.values() for hook in placement.hooks}
    parts = [page.answer(answer(guest)), page.change(answer(guest)), page.contention(answer(guest))]
    parts += [page.uncertainty(answer(guest)), page.formulas()]
    said = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", " ".join(Sentences("\n".join(parts)).text)))
    assert not said & {name for name in names if "_" in name}


def test_a_whole_cache_flush_for_every_page_is_in_no_figure(answer):
    result = answer("sev-snp-gmem")
    rows = {row.strategy for row in result.costs if row.trigger == result.costliest_trigger}
    assert "WBINVD_ALL" in rows
    for part in (page.answer(result), page.curves(result)):
        reader = Reader(part)
        numbers = " ".join(e.text for e in reader.all("pre"))
        assert "CLFLUSHOPT_DM_GMEM" in numbers and "WBINVD_ALL" not in numbers
        assert "WBINVD_ALL" in reader.all("figcaption")[0].text
    sev = Reader(page.answer(answer("sev")))
    assert "WBINVD_ALL" in sev.all("pre")[0].text and "Left out" not in sev.all("figcaption")[0].text


def test_a_flush_that_the_kernel_does_for_every_page_stays(answer):
    result = answer("sev-snp-gmem")
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    [own] = [row for row in rows if row.strategy == "WBINVD_ALL"]
    assert own in worth_drawing(rows, "WBINVD_ALL") and own not in worth_drawing(rows, None)
    assert worth_drawing([own], None) == [own], "a figure of nothing helps nobody"


def test_commands_in_a_sentence_are_code(answer):
    shown = Reader(page.change(answer("sev")))
    [rate] = [e for e in shown.all("code") if e.text.startswith("perf stat")]
    assert rate.text == COUNT_COMMAND
    assert "`" not in " ".join(e.text for e in shown.all("li", "p"))


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
