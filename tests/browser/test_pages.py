"""Generated pages in a real browser: they load alone, fit wide and narrow windows, follow dark mode, print."""

import base64
import json
import re

import pytest

from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS
from costmodel.report import build, overview
from costmodel.report.record import recommend
from tests.browser.conftest import resize

pytestmark = pytest.mark.browser
WIDE, NARROW = (1280, 800), (400, 800)


@pytest.fixture(scope="module")
def job():
    (one,) = build.matrix(["sev"], ["epyc-7763-2s"], {"workload": "autonuma-default", "kernel": "newest"})
    return one


@pytest.fixture(scope="module")
def result(job):
    return recommend(**build.arguments(job))


@pytest.fixture(scope="module")
def addresses(browser, job, result, tmp_path_factory):
    """One report by the notebook, and an overview whose cells all show that report or say that nothing applies."""
    out = tmp_path_factory.mktemp("reports")
    report = build.build_page(job, out, result=result)
    none = recommend("sev", "xeon-8570-2s")
    machines = load().machines
    cells = {(g, m): result if machines[m].vendor == "amd" else none for g in GUESTS for m in machines}
    first = out / "index.html"
    first.write_text(overview.html(cells, dict.fromkeys(cells, "sev/epyc-7763-2s.html")))
    return {"report": report.as_uri(), "overview": first.as_uri()}


@pytest.fixture
def show(browser, addresses):
    """Open a page at a window size, with the media features given; the next test starts afresh."""

    def visit(name, size=WIDE, media="", **features):
        resize(browser, *size)
        browser.execute_cdp_cmd(
            "Emulation.setEmulatedMedia",
            {
                "media": media,
                "features": [{"name": k.replace("_", "-"), "value": v} for k, v in features.items()],
            },
        )
        browser.get_log("browser")
        browser.get_log("performance")
        browser.get(addresses[name])
        return browser

    yield visit
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def boxes(driver, selector):
    return driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(e => {"
        " const b = e.getBoundingClientRect();"
        " return {left: b.left, right: b.right, top: b.top, bottom: b.bottom, width: b.width, height: b.height}})",
        selector,
    )


def colour(driver, selector, what):
    """Lightness from 0 to 1 of a computed colour, and its opacity."""
    text = driver.execute_script(
        "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, what
    )
    red, green, blue, *alpha = (float(part) for part in re.findall(r"[\d.]+", text))
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255, alpha[0] if alpha else 1.0


@pytest.mark.parametrize("name", ["report", "overview"])
def test_title_and_no_errors(show, name):
    driver = show(name)
    assert driver.title.strip()
    assert [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    assert driver.execute_script("return document.compatMode") == "CSS1Compat"


@pytest.mark.parametrize("name", ["report", "overview"])
def test_only_the_page_itself_is_requested(show, addresses, name):
    driver = show(name)
    messages = [json.loads(entry["message"])["message"] for entry in driver.get_log("performance")]
    asked = {m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"}
    assert asked == {addresses[name]}


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
@pytest.mark.parametrize("name", ["report", "overview"])
def test_no_sideways_scrolling(show, name, size):
    driver = show(name, size)
    inner, width, scroll = driver.execute_script(
        "const d = document.documentElement; return [innerWidth, d.clientWidth, d.scrollWidth]"
    )
    assert inner == size[0]
    assert scroll <= width + 1


def test_no_sideways_scrolling_with_all_details_open(show):
    driver = show("report", NARROW)
    count = driver.execute_script(
        "const all = [...document.querySelectorAll('details')]; all.forEach(d => d.open = true); return all.length"
    )
    assert count > 0
    width, scroll = driver.execute_script("const d = document.documentElement; return [d.clientWidth, d.scrollWidth]")
    assert scroll <= width + 1


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_the_answer_is_on_the_first_screen(show, result, size):
    driver = show("report", size)
    (box,) = [
        b
        for b, text in zip(
            boxes(driver, "main p, main h1"),
            driver.execute_script("return [...document.querySelectorAll('main p, main h1')].map(e => e.textContent)"),
            strict=True,
        )
        if " ".join(text.split()) == " ".join(result.headline.split())
    ]
    assert 0 <= box["top"] < box["bottom"] <= size[1]
    assert 0 <= box["left"] < box["right"] <= size[0]


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_figures_are_visible_and_inside(show, size):
    found = boxes(show("report", size), "main svg")
    assert len(found) >= 2
    for box in found:
        assert box["width"] > 100
        assert box["height"] > 50
        assert box["left"] >= 0
        assert box["right"] <= size[0]


def test_texts_of_figures_stay_inside_their_figure(show):
    outside = show("report").execute_script(
        "return [...document.querySelectorAll('main svg')].flatMap(s => { const f = s.getBoundingClientRect();"
        " return [...s.querySelectorAll('text')].filter(t => { const b = t.getBoundingClientRect();"
        " return b.width && (b.left < f.left - 8 || b.right > f.right + 8 || b.top < f.top - 8"
        " || b.bottom > f.bottom + 8) }).map(t => t.textContent.trim()) })"
    )
    assert outside == []


def test_formulas_are_drawn_as_maths(show):
    driver = show("report")
    driver.execute_script("document.querySelectorAll('details').forEach(d => d.open = true)")
    found = boxes(driver, "math")
    assert found
    assert all(box["width"] > 10 and box["height"] > 5 for box in found)


@pytest.mark.parametrize("name", ["report", "overview"])
def test_dark_mode(show, name):
    driver = show(name, prefers_color_scheme="dark")
    paper, opaque = colour(driver, "body", "backgroundColor")
    ink, _ = colour(driver, ".headline", "color")
    assert opaque == 1.0
    assert paper < 0.3
    assert ink > 0.7


@pytest.mark.parametrize("name", ["report", "overview"])
def test_light_mode(show, name):
    driver = show(name, prefers_color_scheme="light")
    paper, _ = colour(driver, "body", "backgroundColor")
    ink, _ = colour(driver, ".headline", "color")
    assert paper > 0.8
    assert ink < 0.4


def test_lead_rows_keep_their_contrast_in_both_modes(show):
    for mode in ("light", "dark"):
        driver = show("report", prefers_color_scheme=mode)
        back, _ = colour(driver, "tr.lead", "backgroundColor")
        ink, _ = colour(driver, "tr.lead td", "color")
        assert abs(back - ink) > 0.5, mode


def test_print_is_dark_on_white_even_in_dark_mode(show):
    driver = show("report", media="print", prefers_color_scheme="dark")
    paper, _ = colour(driver, "body", "backgroundColor")
    ink, _ = colour(driver, ".headline", "color")
    assert paper > 0.9
    assert ink < 0.3
    assert colour(driver, "svg.plot text", "fill")[0] < 0.3


def test_figures_are_dark_where_the_page_is(show):
    driver = show("report", prefers_color_scheme="dark")
    assert colour(driver, "svg.plot text", "fill")[0] > 0.6


def test_folded_parts_are_printed_without_the_formulas(show):
    """A closed <details> prints only its summary unless the page sees to it."""
    seen = show("report", media="print").execute_script(
        "return ['#costs table', '#provenance table', '#formulas'].map(s => document.querySelector(s).checkVisibility())"
    )
    assert seen == [True, True, False]


def test_a_report_prints_on_twelve_pages(show):
    driver = show("report")
    printed = base64.b64decode(driver.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True})["data"])
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", printed)) <= 12


def test_links_lead_to_the_pages(show, addresses):
    driver = show("overview")
    driver.execute_script("document.querySelector('main a[href]').click()")
    assert driver.current_url == addresses["report"]
    driver.execute_script("document.querySelector('header a[href]').click()")
    assert driver.current_url == addresses["overview"]
