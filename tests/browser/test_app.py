"""The explorer as a page without code: the command of `make app`, in a browser."""

import json
import re
import shlex
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from costmodel.report import runner
from tests.browser.conftest import notebooks, resize
from tests.browser.servers import answers, free_port, serving, wait_for
from tests.browser.test_lab import answer_of, changed_from

pytestmark = [
    pytest.mark.browser,
    pytest.mark.notebook,
    pytest.mark.skipif(find_spec("voila") is None, reason="the extra app is not installed"),
]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """What `make app` starts, on a free port: its port and the address that it prints."""
    told = subprocess.run(["make", "-n", "app"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in told.splitlines() if "voila" in line]
    enter, folder, then, program, *words = shlex.split(line)
    assert (enter, folder, then, Path(program).name) == ("cd", "notebooks", "&&", "voila")
    port, home = free_port(), tmp_path_factory.mktemp("app")
    with serving([sys.executable, "-m", "voila", *words, f"--port={port}"], home, notebooks()) as log:
        address = wait_for(lambda: re.search(r"http://\S+token=\w+", log.read_text()), "the address").group()
        answers(address)
        yield port, address


@pytest.fixture(scope="module")
def page(browser, app):
    resize(browser, 1400, 1600)
    browser.get(app[1])
    wait_for(lambda: answer_of(browser), "the answer")
    yield browser
    browser.get("about:blank")


def test_it_shows_controls_answer_and_picture_and_no_code(page):
    from selenium.webdriver.common.by import By

    assert len(page.find_elements(By.CSS_SELECTOR, ".widget-slider, .jupyter-widget-slider")) == 5
    (plot,) = page.find_elements(By.CSS_SELECTOR, "img[alt^='Cost of each strategy']")
    assert plot.is_displayed() and plot.size["width"] > 400
    shown = page.find_element(By.TAG_NAME, "body").text
    assert "What would it cost on my host?" in shown
    assert "import" not in shown and "Traceback" not in shown and runner.SENTINEL not in shown


def widest(page):
    """Where what the package adds to the page ends on the right."""
    return page.execute_script(
        "const seen = [...document.querySelectorAll('.costmodel, .jupyter-widgets')];"
        "return Math.max(...seen.map(e => e.getBoundingClientRect().right))"
    )


def test_it_fits_a_narrow_window_and_is_light_whatever_the_system_prefers(page):
    """The page of Voila is light; so is what the package adds to it."""
    dark = {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", dark)
    resize(page, 390, 1600)
    try:
        wait_for(lambda: widest(page) <= 390, "controls and answer that fit into 390 px", 10)
        own = "return getComputedStyle(document.querySelector('.costmodel')).backgroundColor"
        assert page.execute_script(own) == "rgb(255, 255, 255)"
    finally:
        resize(page, 1400, 1600)
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_a_slider_moves_the_answer_and_back(page):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.common.keys import Keys

    before = answer_of(page)
    handle = page.find_elements(By.CSS_SELECTOR, ".noUi-handle")[2]
    handle.send_keys(Keys.ARROW_RIGHT)
    after = changed_from(page, before)
    handle.send_keys(Keys.ARROW_LEFT)
    assert changed_from(page, after) == before


def test_what_lies_elsewhere_is_not_loaded(page):
    """The template of Voila links a font on the net: its policy keeps the browser from asking for it."""
    seen = [json.loads(entry["message"])["message"] for entry in page.get_log("performance")]
    asked = {
        one["params"]["requestId"]: one["params"]["request"]["url"]
        for one in seen
        if one["method"] == "Network.requestWillBeSent"
    }
    blocked = {
        one["params"]["requestId"]
        for one in seen
        if one["method"] == "Network.loadingFailed" and one["params"].get("blockedReason") == "csp"
    }
    loaded = [urlsplit(url) for name, url in asked.items() if name not in blocked]
    assert {place.hostname for place in loaded if place.scheme in ("http", "https", "ws", "wss")} == {"127.0.0.1"}


def test_it_is_reached_on_loopback_only_and_with_its_token(app, browser):
    port, address = app
    with pytest.raises(OSError), socket.create_connection((_own_address(), port), timeout=2):
        pass
    browser.delete_all_cookies()
    browser.get(address.partition("?")[0])
    wait_for(lambda: "login" in browser.current_url, "the question for the token")


def _own_address():
    """An address of this machine that is not loopback's 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
            own = probe.getsockname()[0]
        except OSError:
            own = "127.0.0.2"
    return own if not own.startswith("127.0.0.1") else "127.0.0.2"
