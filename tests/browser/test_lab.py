"""JupyterLab as a reader uses it: every notebook runs to its end and looks right; in the explorer, controls move the
answer.
"""

import contextlib
import shutil
import sys
from importlib.util import find_spec

import pytest

from costmodel.report import runner
from tests.browser.conftest import notebooks, resize
from tests.browser.servers import answers, free_port, serving, wait_for

pytestmark = [
    pytest.mark.browser,
    pytest.mark.notebook,
    pytest.mark.skipif(find_spec("jupyterlab") is None, reason="the extra lab is not installed"),
]
TOKEN = "only-for-this-test"
LONGEST_S = 240


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """JupyterLab on a copy of the notebooks, with its own configuration; its whole process group ends with the test."""
    home = tmp_path_factory.mktemp("lab")
    work = home / "notebooks"
    shutil.copytree(notebooks(), work, ignore=shutil.ignore_patterns(".*"))
    quick = work / "validation.ipynb"  # all of it would simulate and fit for minutes
    asked = quick.read_text().replace("= None  # None: all", "= ['formulas']  #")
    quick.write_text(asked.replace("= None  # of simulated", "= ['numa']  # of simulated"))
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += ["--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={work}"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.news_url=None"]
    port = free_port()
    with serving([*command, f"--ServerApp.port={port}"], home, work):
        answers(f"http://127.0.0.1:{port}/api?token={TOKEN}")
        yield f"http://127.0.0.1:{port}"


def text_of_outputs(driver):
    return driver.execute_script(
        "return [...document.querySelectorAll('.jp-OutputArea-output')].map(e => e.innerText).join('\\n')"
    )


def answer_of(driver):
    """Markup of the widget below the controls, or nothing."""
    return driver.execute_script(
        "const e = document.querySelector('.jp-OutputArea-output section.answer'); return e && e.innerHTML"
    )


@pytest.fixture(scope="module")
def explorer(browser, server):
    """explore.ipynb opened and run to its end."""
    run_to_its_end(browser, server, "explore")
    wait_for(lambda: answer_of(browser), "the answer")
    yield browser
    browser.get("about:blank")


def run_to_its_end(driver, server, name):
    """Open a notebook and run all of its cells."""
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    resize(driver, 1400, 1600)
    driver.get(f"{server}/lab/tree/{name}.ipynb?token={TOKEN}&reset")
    idle = "return !!document.querySelector('.jp-NotebookPanel-toolbar [data-status=idle]')"
    wait_for(lambda: driver.find_elements(By.CSS_SELECTOR, ".jp-Notebook .jp-CodeCell"), "the notebook")
    wait_for(lambda: driver.execute_script(idle), "the kernel")
    asked = "return [...document.querySelectorAll('.jp-InputPrompt')].some(e => /[*0-9]/.test(e.innerText))"
    for _ in range(4):  # a click that comes while Lab still draws its menus is lost, and who made it clicks again
        with contextlib.suppress(pytest.fail.Exception, WebDriverException):
            run_all(driver)
            wait_for(lambda: driver.execute_script(asked), "a cell that runs", 15)
            break
        ActionChains(driver).send_keys(Keys.ESCAPE).perform()  # a menu that is open hides the next click

    def ended():
        """Lab draws only the cells in view: whoever waits for the last one scrolls down."""
        driver.execute_script("document.querySelectorAll('.jp-WindowedPanel-outer').forEach(e => e.scrollTo(0, 1e6))")
        return runner.SENTINEL in text_of_outputs(driver)

    try:
        wait_for(ended, f"the end of {name}", LONGEST_S)
    except pytest.fail.Exception as waited:
        states = driver.execute_script(
            "return [...document.querySelectorAll('[data-status]')].map(e => e.dataset.status)"
        )
        pytest.fail(f"{waited}; kernel {states}; the last that it shows: {text_of_outputs(driver)[-500:]!r}")


def run_all(driver):
    """Run > Run All Cells, by the menu as a user does."""
    from selenium.webdriver.common.by import By

    def entry(selector, text):
        return next(
            (e for e in driver.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed() and e.text.strip() == text),
            None,
        )

    wait_for(lambda: entry(".lm-MenuBar-itemLabel", "Run"), "the menu").click()
    wait_for(lambda: entry(".lm-Menu-itemLabel", "Run All Cells"), "the menu entry").click()


def changed_from(driver, before):
    return wait_for(lambda: (now := answer_of(driver)) and now != before and now, "another answer", 30)


def test_controls_and_plot_are_displayed(explorer):
    from selenium.webdriver.common.by import By

    sliders = explorer.find_elements(By.CSS_SELECTOR, ".widget-slider, .jupyter-widget-slider")
    assert len(sliders) == 5
    assert all(slider.is_displayed() for slider in sliders)
    assert len(explorer.find_elements(By.CSS_SELECTOR, MENUS)) == 7
    (plot,) = explorer.find_elements(By.CSS_SELECTOR, ".jp-OutputArea-output img[alt^='Cost of each strategy']")
    assert plot.size["width"] > 400 and plot.size["height"] > 150


def test_readouts_are_in_human_units(explorer):
    assert readouts(explorer)[2:] == [
        "workload: 256 MiB",
        "workload",
        "built: 32 MiB",
    ]


def test_no_traceback(explorer):
    assert not explorer.execute_script(
        "return document.querySelectorAll(\"[data-mime-type='application/vnd.jupyter.error']\").length"
    )
    assert "Traceback" not in text_of_outputs(explorer)
    assert "Error displaying widget" not in text_of_outputs(explorer)


MENUS = ".widget-dropdown select, .jupyter-widget-dropdown select"
MACHINE, KERNEL, GUEST, WORKLOAD, EVENT, PINNING, OVER = range(7)


def menu(driver, position):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.select import Select

    return Select(driver.find_elements(By.CSS_SELECTOR, MENUS)[position])


def choose(driver, position, value):
    menu(driver, position).select_by_visible_text(value)


def readouts(driver):
    from selenium.webdriver.common.by import By

    return [element.text for element in driver.find_elements(By.CSS_SELECTOR, ".widget-readout")]


def test_another_guest_type_gives_another_answer(explorer):
    before = answer_of(explorer)
    choose(explorer, GUEST, "sev-snp-gmem")
    after = changed_from(explorer, before)
    assert "Traceback" not in text_of_outputs(explorer)
    choose(explorer, GUEST, "sev")
    assert changed_from(explorer, after) == before


def test_a_slider_moves_the_answer_and_back(explorer):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    before, shown = answer_of(explorer), readouts(explorer)
    handle = explorer.find_elements(By.CSS_SELECTOR, ".noUi-handle")[2]
    handle.send_keys(Keys.ARROW_RIGHT)
    after = changed_from(explorer, before)
    assert readouts(explorer)[2] == "4 KiB" != shown[2]
    handle.send_keys(Keys.ARROW_LEFT)
    assert changed_from(explorer, after) == before and readouts(explorer) == shown
    wait_for(lambda: "Computing" not in text_of_outputs(explorer), "silence", 10)


def test_guests_that_a_machine_cannot_host_are_not_offered(explorer):
    before = answer_of(explorer)
    choose(explorer, MACHINE, "xeon-8570-2s")
    wait_for(
        lambda: [o.text for o in menu(explorer, GUEST).options] == ["plain", "tdx"], "the guests of that machine", 30
    )
    choose(explorer, GUEST, "tdx")
    changed_from(explorer, before)
    assert "Traceback" not in text_of_outputs(explorer)


LONG = ("calibration", "validation")
"""Notebooks that fit and try every form anew: a minute and more each."""


@pytest.mark.parametrize(
    "name",
    ["flush_strategy", "tutorial", "contention", *(pytest.param(name, marks=pytest.mark.nightly) for name in LONG)],
)
def test_every_notebook_runs_and_its_tables_look_right(browser, server, name):
    run_to_its_end(browser, server, name)
    test_no_traceback(browser)
    aligned = browser.execute_script(
        "return [...document.querySelectorAll('.costmodel td, .costmodel th')].map(e => getComputedStyle(e).textAlign)"
    )
    assert set(aligned) <= {"left", "start"}
    assert aligned or name != "flush_strategy"
    wide = browser.execute_script(
        "return [...document.querySelectorAll('.jp-OutputArea-output img, .jp-OutputArea-output svg')]"
        ".filter(e => e.getBoundingClientRect().width > e.closest('.jp-OutputArea-output').clientWidth + 1).length"
    )
    assert wide == 0
