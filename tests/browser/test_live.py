"""The live part of the pages in a real browser: the same numbers as Python, the report's own at the start, and nothing
runs but the page's own script.
"""

import json

import numpy
import pytest

from costmodel.cost.draws import Case, Draws
from costmodel.cost.grid import QUANTILES
from costmodel.cost.scenario import AXES
from costmodel.cost.total import total
from costmodel.decision.choice import Study
from costmodel.decision.result import Recommendation
from costmodel.decision.views import view
from costmodel.evidence.paths import notebooks_dir
from costmodel.formulas import catalog
from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import STRATEGIES, TRIGGERS
from costmodel.numbers import LEAST_OF_UNIT, SCALES, interval, quantity, significant
from costmodel.report import page
from costmodel.report.layout import cell
from costmodel.report.live import calculations, live, recorded_costs, script, sliders
from tests.browser.conftest import resize
from tests.formulas.domain import inside
from tests.report.test_live import data_of, drawn_of

pytestmark = pytest.mark.browser
POINTS = 10_000
CLOSE = 1e-9
REPORTS = sorted((notebooks_dir().parent / "reports").glob("*/*.json"))
FLUSHES = '"costliest_trigger": "'
OF_EACH_KIND = ("sev/epyc-7763-2s", "sev-snp/epyc-9965-2s", "sev-snp-gmem/epyc-7763-2s", "tdx/xeon-8570-2s")


def asked(name):
    """A committed report."""
    path = next(path for path in REPORTS if path.with_suffix("").as_posix().endswith(f"/{name}"))
    return Recommendation.model_validate_json(path.read_text())


def numbers(browser, body, *arguments):
    """What a function body returns, whatever is not finite as text."""
    browser.get("about:blank")
    told = browser.execute_script(f"return JSON.stringify((() => {{{body}}})(), (_, v) => "
                                  "typeof v === 'number' && !Number.isFinite(v) ? String(v) : v)", *arguments)  # fmt: skip
    return json.loads(told)


def floats(values):
    return numpy.array([[float(one) for one in row] for row in values])


# The same numbers.


def test_every_formula_gives_what_python_gives(browser):
    """On 10,000 random arguments."""
    random, each = numpy.random.default_rng(1), -(-POINTS // len(FORMULAS))
    told, wanted = {}, {}
    for name, item in FORMULAS.items():
        rows = [
            inside(dict(zip(item.symbols, random.lognormal(size=len(item.symbols)), strict=True))) for _ in range(each)
        ]
        told[name] = [list(row.values()) for row in rows]
        with numpy.errstate(all="ignore"):
            wanted[name] = [float(value(name, **row)) for row in rows]
    functions = "".join(catalog.javascript(name) for name in FORMULAS)
    known = ", ".join(FORMULAS)
    found = numbers(browser, f"{functions} const known = {{{known}}}; const told = arguments[0]; return Object.fromEntries("
                    "Object.keys(known).map(name => [name, told[name].map(row => known[name](...row))]))", told)  # fmt: skip
    for name in FORMULAS:
        numpy.testing.assert_allclose([float(one) for one in found[name]], wanted[name], rtol=CLOSE, err_msg=name)


@pytest.fixture(scope="module", params=["sev/epyc-7763-2s", "sev-snp-gmem/epyc-9654-2s"])
def calculated(request):
    """The costs of all strategies of a report that have one, and its case."""
    result = asked(request.param)
    seen = view(result)
    case = Case(seen.trigger, seen.scenario, Draws(seen.parameters))
    rows = [r for r in result.costs if r.trigger == seen.trigger and r.refused is None]
    return case, recorded_costs(case, [r.strategy for r in rows if STRATEGIES[r.strategy].instruction != "none"])


def both(browser, case, programs, at, draws):
    """Every cost at the points `at` with the draws at places `draws`, by JavaScript and by Python."""
    drawn = {name: values[draws] for name, values in drawn_of(programs, case).items()}
    ends = [place for places in programs.functions for place in places]
    inputs = {place: node.told for place, node in enumerate(programs.tape.nodes) if node.operation == "input"}
    known = {place: (drawn | at)[name] for place, name in inputs.items() if name in drawn | at}
    wanted = [numpy.broadcast_to(values, len(draws)) for values in programs.tape.carried_out(ends, known)]
    body = (
        f"{calculations(programs)} const [at, drawn, n] = arguments; const found = []; for (let i = 0; i < n; i++) {{"
    )
    body += " const x = Object.fromEntries(Object.entries(at).map(([name, values]) => [name, values[i]]));"
    body += " found.push(COSTS.flatMap(cost => cost(x, drawn, i))); } return found;"
    lists = [{name: values.tolist() for name, values in told.items()} for told in (at, drawn)]
    return floats(numbers(browser, body, *lists, len(draws))), numpy.array(wanted).T


def test_costs_are_those_of_python_at_ten_thousand_points(browser, calculated):
    case, programs = calculated
    random, cpus = numpy.random.default_rng(2), case.scenario.machine.logical_cpus
    at = {
        "range_bytes": numpy.exp(random.uniform(0, numpy.log(2.0**36), POINTS)),
        "cpus": random.integers(1, cpus, POINTS, endpoint=True).astype(float),
        "cache_bytes": numpy.exp(random.uniform(numpy.log(2.0**20), numpy.log(2.0**30), POINTS)),
        "rate_per_s": numpy.exp(random.uniform(numpy.log(1e-2), numpy.log(1e5), POINTS)),
    }
    found, wanted = both(browser, case, programs, at, random.integers(0, case.draws.n, POINTS))
    assert found.shape == (POINTS, sum(map(len, programs.functions)))
    numpy.testing.assert_allclose(found, wanted, rtol=CLOSE)


def test_at_the_edges_of_ceilings_the_same_side_is_taken(browser, calculated):
    """Whole lines, pages and cache domains, and the next number below and above each."""
    case, programs = calculated
    machine = case.scenario.machine
    edges = {
        "range_bytes": [k * size for size in (machine.line_bytes, 4096.0) for k in range(1, 40)],
        "cpus": [k * machine.cpus_per_domain for k in range(1, machine.logical_cpus // machine.cpus_per_domain)],
    }
    own = {"range_bytes": 2.0**20, "cpus": 8.0, "cache_bytes": machine.llc_bytes_per_domain, "rate_per_s": 3.0}
    for name, values in edges.items():
        exact = numpy.array(values, float)
        points = numpy.concatenate([numpy.nextafter(exact, 0), exact, numpy.nextafter(exact, numpy.inf)])
        at = {other: numpy.full(len(points), number) for other, number in own.items()} | {name: points}
        found, wanted = both(browser, case, programs, at, numpy.zeros(len(points), int))
        numpy.testing.assert_allclose(found, wanted, rtol=CLOSE, err_msg=name)
        steps = numpy.abs(wanted[len(exact) :] / wanted[: -len(exact)] - 1).max(axis=0)
        assert (steps > 1e-6).any(), f"no cost steps at the edges of {name}, so nothing is tested"


def test_numbers_are_written_as_python_writes_them(browser):
    random = numpy.random.default_rng(3)
    ties = [
        2.5,
        0.25,
        0.75,
        12.5,
        125.0,
        1250.0,
        3.5e6,
        0.5,
        1.5,
        95.0,
        9.5,
        99.5,
        0.0,
        1e-6,
        999_999.5,
        1e6,
        1e-5,
        9.96e-6,
    ]
    plain = [*ties, *numpy.exp(random.uniform(-30, 30, 3000))]
    some = numpy.sort(numpy.exp(random.uniform(-22, 8, (3000, 3))), axis=1)
    near = some[:, :1] * (1 + numpy.sort(random.uniform(0, 2, (3000, 3)), axis=1))
    same = numpy.repeat(random.choice(plain, (50, 1)), 3, axis=1)
    zero = numpy.array([[0.0, 0.0, 0.0], [0.0, 0.0, 6e-5], [0.0, 1.0, 2.0], [60, 253, 256], [1e-8, 1e-6, 1e-2]])
    rows = [
        (row.tolist(), unit, most)
        for row in (*some, *near, *same, *zero)
        for unit, most in (("s", None), ("1", 256.0), ("B", None))
    ]
    body = f"const told = {json.dumps({'scales': SCALES, 'least_of_unit': LEAST_OF_UNIT})};\n{script('numbers')}\n"
    body += "const [plain, rows] = arguments; return [plain.flatMap(v => [1, 2, 3].map(d => significant(v, d))),"
    body += (
        " plain.map(v => quantity(v, 's')), rows.map(([row, unit, most]) => interval(row, unit, most ?? undefined))];"
    )
    found = numbers(browser, body, [float(one) for one in plain], rows)
    assert found[0] == [significant(one, digits) for one in plain for digits in (1, 2, 3)]
    assert found[1] == [quantity(one, "s") for one in plain]
    assert found[2] == [interval(*row, unit, most) for row, unit, most in rows]


# The report's own numbers at the start.


@pytest.fixture
def opened(browser, tmp_path):
    """Open the page of the live part alone; what is changed of its text beforehand is told."""

    def visit(name, change=lambda text: text):
        result = asked(name)
        part = live(result)
        place = tmp_path / "page.html"
        place.write_text(
            change(page.page(name, '<section><h2 id="change">What would change it</h2></section>', "#", part))
        )
        resize(browser, 1280, 800)
        browser.get_log("browser")
        browser.get(place.as_uri())
        return browser, result

    return visit


def settle(driver):
    """Wait until the page shows what its sliders ask for, curves too."""
    from selenium.webdriver.support.wait import WebDriverWait

    driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    done = "return document.querySelector('[data-live=curves]').getAttribute('aria-busy') === 'false'"
    WebDriverWait(driver, 60).until(lambda _: driver.execute_script(done))


def move(driver, places):
    """Set sliders, by name, to the stops at these places."""
    driver.execute_script(
        "for (const [name, place] of Object.entries(arguments[0])) {"
        " const e = document.getElementById('live-' + name); e.value = place; e.dispatchEvent(new Event('input')) }",
        places,
    )
    settle(driver)


def shown(driver, name):
    return driver.execute_script("return document.querySelector(`[data-live=${arguments[0]}]`).innerText", name)


def rows_of(driver):
    """Cells of the table by strategy."""
    cells = driver.execute_script(
        "return [...document.querySelectorAll('[data-live=rows] tr')].map(row => [...row.cells].map(c => c.innerText))"
    )
    return {first: rest for first, *rest in cells}


def of_reports():
    """Committed reports in which something flushes; one of each kind in every run."""
    names = [
        path.relative_to(path.parents[1]).with_suffix("").as_posix() for path in REPORTS if FLUSHES in path.read_text()
    ]
    return [pytest.param(name, marks=[] if name in OF_EACH_KIND else pytest.mark.nightly) for name in names]


@pytest.mark.parametrize("name", of_reports())
def test_a_page_starts_with_the_numbers_and_the_winner_of_its_report(opened, name):
    driver, result = opened(name)
    assert [entry for entry in driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")] == []
    if view(result) is None:
        costs = [row.refused for row in result.costs if STRATEGIES[row.strategy].instruction != "none"]
        assert all(costs) and not driver.execute_script("return document.querySelector('script')")
        return
    found = rows_of(driver)
    of_trigger = [row for row in result.costs if row.trigger == result.costliest_trigger]
    rows = {row.strategy: row for row in of_trigger if STRATEGIES[row.strategy].instruction != "none"}
    assert set(found) == set(rows) and rows
    for strategy, row in rows.items():
        assert found[strategy][-1].startswith(row.state)
        if row.refused:
            assert found[strategy][:-1] == [f"Refused: {row.refused}"]
        else:
            lost = cell(row.host_cpu_s_per_s, marked=True, none="no rate is published")
            assert found[strategy][:-1] == [cell(row.stolen_cpu_s_per_event, marked=True), lost]
    seen = view(result)
    study = Study(TRIGGERS[seen.trigger], seen.scenario, Draws(seen.parameters))
    usable = [c.strategy for c in study.usable if not rows[c.strategy].refused]
    least = min(usable, key=lambda s: (rows[s].stolen_cpu_s_per_event.median, s != result.costliest_strategy))
    [entry] = [entry for entry in result.policy if entry.trigger == result.costliest_trigger]
    cheapest = driver.execute_script("return document.querySelector('[data-live=verdict]').dataset.cheapest")
    assert cheapest == least
    assert cheapest == entry.cheapest or entry.basis != "cost"
    assert cheapest == entry.strategy or entry.basis != "dominated"
    assert result.costliest_strategy in shown(driver, "verdict")


# Other numbers.


@pytest.mark.parametrize("name", ["sev/epyc-7763-2s", "sev-snp-gmem/epyc-9654-2s"])
def test_a_page_has_the_draws_of_its_report(browser, name):
    result = asked(name)
    told, draws = data_of(live(result)), Draws(view(result).parameters)
    shapes = {parameter["shape"] for parameter in told["draws"].values()}
    assert shapes >= {"uniform", "lognormal", "tabulated"}
    body = f"const told = arguments[0];\n{script('draws')}\n"
    body += "return Object.fromEntries(Object.entries(told.draws).map(([k, p]) => [k, [...drawnAnew(p)]]))"
    for parameter, values in numbers(browser, body, told).items():
        numpy.testing.assert_allclose(values, draws[parameter], rtol=1e-12, err_msg=parameter)


@pytest.mark.parametrize("name", ["sev/epyc-7763-2s", "sev-snp-gmem/epyc-9654-2s"])
def test_with_any_numbers_a_page_says_what_the_model_says(opened, name):
    """At ten random places of all sliders, every interval is the one that the model comes to over all its draws."""
    driver, result = opened(name)
    seen = view(result)
    case = Case(seen.trigger, seen.scenario, Draws(seen.parameters))
    moved, random, compared = sliders(case), numpy.random.default_rng(4), 0
    for _ in range(10):
        places = {slider.id: int(random.integers(len(slider.stops))) for slider in moved}
        move(driver, places)
        found = rows_of(driver)
        stops = {slider.id: slider.stops[places[slider.id]][0] for slider in moved}
        scenario = seen.scenario
        for number, axis in AXES.items():
            scenario = scenario if stops[number] is None else axis.at(scenario, stops[number])
        dirty = {} if stops["dirty_fraction"] is None else {"dirty_fraction": numpy.array(stops["dirty_fraction"])}
        there = Case(seen.trigger, scenario, case.draws.with_values(**dirty))
        for strategy, (event, *lost, _) in found.items():
            if not lost:
                continue
            cost = total(there, strategy)
            event_s = interval(*numpy.quantile(cost.priced.stolen_s, QUANTILES), "s")
            assert event.rstrip("*") == event_s, (strategy, stops)
            wanted = "no rate is published"
            if cost.host_cpu_s_per_s is not None:
                most = scenario.machine.logical_cpus
                wanted = interval(*numpy.quantile(cost.host_cpu_s_per_s, QUANTILES), "1", most=most)
            assert lost[0].removeprefix("at most ").rstrip("*") == wanted, (strategy, stops)
            compared += 1
    assert compared >= 40


# What a reader can do.


def test_a_slider_moves_numbers_winner_and_curves_by_keyboard_and_back(opened):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    driver, _ = opened("sev/epyc-7763-2s")
    plot = "return document.querySelector('[data-live=plot]').innerHTML"
    settle(driver)
    before, table, curve = shown(driver, "verdict"), rows_of(driver), driver.execute_script(plot)
    slider = driver.find_element(By.ID, "live-cpus")
    name = driver.find_element(By.CSS_SELECTOR, "label[for=live-cpus]").text
    assert name == "CPUs that ran the guest" and slider.get_attribute("aria-valuetext") == "256, as in the report"
    slider.send_keys(Keys.HOME)
    settle(driver)
    assert slider.get_attribute("aria-valuetext") == "1" and "not those of the report" in shown(driver, "case")
    after = rows_of(driver)
    assert after["WBNOINVD_ALL"] == table["WBNOINVD_ALL"] and after["WBNOINVD_MASK"] != table["WBNOINVD_MASK"]
    assert shown(driver, "verdict") != before and driver.execute_script(plot) != curve
    driver.find_element(By.CSS_SELECTOR, "[data-live=reset]").send_keys(Keys.ENTER)
    settle(driver)
    assert (shown(driver, "verdict"), rows_of(driver)) == (before, table)
    assert driver.execute_script(plot) == curve


def test_curves_over_each_number(opened):
    driver, _ = opened("sev/epyc-7763-2s")
    seen = set()
    for name in ("range_bytes", "cpus", "rate_per_s", "cache_bytes", "dirty_fraction"):
        driver.execute_script(
            "const e = document.getElementById('live-over'); e.value = arguments[0]; e.dispatchEvent(new Event('input'))",
            name,
        )
        settle(driver)
        paths = driver.execute_script(
            "return [...document.querySelectorAll('[data-live=plot] path')].map(p => p.getAttribute('d'))"
        )
        assert len(paths) > 10 and not any("NaN" in path or "Infinity" in path for path in paths)
        seen.add(driver.execute_script("return document.querySelector('[data-live=plot]').getAttribute('aria-label')"))
        assert shown(driver, "changes").strip()
    assert len(seen) == 5


@pytest.mark.parametrize("name", OF_EACH_KIND)
def test_what_can_lose_a_flush_never_wins(opened, name):
    """At both ends of every slider."""
    driver, result = opened(name)
    unsafe = {
        row.strategy for row in result.costs if row.trigger == result.costliest_trigger and row.state != "admissible"
    }
    for place in ("min", "max"):
        driver.execute_script(
            "for (const e of document.querySelectorAll('#live input')) { e.value = e[arguments[0]]; e.dispatchEvent(new Event('input')) }",
            place,
        )
        driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        cheapest = driver.execute_script("return document.querySelector('[data-live=verdict]').dataset.cheapest")
        assert cheapest and cheapest not in unsafe
        assert "NaN" not in driver.execute_script("return document.getElementById('live').innerText")


def test_the_range_at_which_the_cheapest_changes_is_where_costs_are_equal(opened):
    """The sentence says a length; at sliders below and above it the order of the two is the one that it says."""
    driver, _ = opened("sev/epyc-7763-2s")
    settle(driver)
    assert "CLFLUSHOPT_DM_PINNED (needs a kernel patch) is cheapest below 1.4 GiB, WBNOINVD_MASK above" in shown(
        driver, "changes"
    )
    orders = []
    for text in ("1 GiB", "2 GiB"):
        driver.execute_script(
            "const e = document.getElementById('live-range_bytes');"
            "const stops = JSON.parse(document.getElementById('live-data').textContent).sliders[0].stops;"
            "e.value = stops.findIndex(stop => stop[1] === arguments[0]); e.dispatchEvent(new Event('input'))",
            text,
        )
        driver.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
        orders.append([name for name in rows_of(driver) if name in ("CLFLUSHOPT_DM_PINNED", "WBNOINVD_MASK")])
    assert orders == [["CLFLUSHOPT_DM_PINNED", "WBNOINVD_MASK"], ["WBNOINVD_MASK", "CLFLUSHOPT_DM_PINNED"]]


# What can run.


def test_nothing_runs_but_the_own_script(opened):
    driver, _ = opened("sev/epyc-7763-2s")
    ran = driver.execute_async_script(
        "const done = arguments[0]; const add = (name, text) => { const e = document.createElement(name); e.innerHTML = text;"
        " document.body.append(e); return e };"
        "const own = document.createElement('script'); own.textContent = 'window.ran = `script`'; document.body.append(own);"
        'add(\'p\', \'<img src="data:," onerror="window.ran = `handler`"><svg onload="window.ran = `svg`"></svg>\');'
        "add('p', '<a href=\"javascript:window.ran = `link`\">x</a>').firstChild.click();"
        "try { window.setTimeout('window.ran = `timer`', 0) } catch {}"
        "setTimeout(() => done(window.ran || 'nothing'), 300)"
    )
    assert ran == "nothing"
    refused = [entry["message"] for entry in driver.get_log("browser") if "Content Security Policy" in entry["message"]]
    assert len(refused) >= 3


def test_a_script_that_was_changed_does_not_run_and_the_page_is_as_without_one(opened):
    driver, _ = opened("sev/epyc-7763-2s", lambda text: text.replace('"use strict"', '"use strict" '))
    assert not driver.execute_script("return document.getElementById('live').checkVisibility()")
    assert any("Content Security Policy" in entry["message"] for entry in driver.get_log("browser"))


def test_the_live_part_is_before_what_would_change_it_and_not_on_paper(opened):
    driver, _ = opened("sev/epyc-7763-2s")
    seen = "return document.getElementById('live').checkVisibility()"
    assert driver.execute_script(seen)
    assert (
        driver.execute_script("return document.getElementById('live').nextElementSibling.firstElementChild.id")
        == "change"
    )
    links = driver.execute_script("return [...document.querySelectorAll('nav a')].map(a => a.getAttribute('href'))")
    assert links.index("#live") == links.index("#change") - 1
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not driver.execute_script(seen)
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
