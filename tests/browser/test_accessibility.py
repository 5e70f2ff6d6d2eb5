"""axe-core finds no violation on the pages, everything unfolded, in light and dark."""

import base64
from pathlib import Path

import pytest

from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS
from costmodel.report import explore, overview, page, sections
from costmodel.report.live import live
from costmodel.report.record import recommend

pytestmark = [pytest.mark.browser, pytest.mark.nightly]
axe = pytest.importorskip("axe_core_python.base")
MACHINE, WORKLOAD = "epyc-7763-2s", "autonuma-default"
LONGEST_S = 180
PAGES = ("index", "sev", "sev-snp-gmem", "explorer")


def report(guest):
    result = recommend(guest, MACHINE, WORKLOAD)
    parts = [sections.answer(result), sections.change(result), sections.contention(result), sections.evidence(result)]
    return page.page(f"{guest} on {MACHINE}", "\n".join(parts), "../index.html", live(result))


def index():
    """Every cell shows one of two answers."""
    own, none = recommend("sev", MACHINE, WORKLOAD), recommend("sev", "xeon-8570-2s", WORKLOAD)
    machines = load().machines
    cells = {(g, m): own if machines[m].vendor == "amd" else none for g in GUESTS for m in machines}
    return overview.html(cells, {(guest, machine): f"{guest}/{machine}.html" for guest, machine in cells})


def explorer():
    """What the controls of the explorer show, under the heading that its notebook has, without a kernel."""
    found, picture = explore.answer(explore.Question("sev", MACHINE, WORKLOAD)), explore.Picture()
    picture.show(found.study, "range_bytes")
    drawn = page.fragment("picture", data=base64.b64encode(picture.png()).decode(), alt="Cost over the range length")
    return page.page("Explorer", f"<h1>What would it cost?</h1>{page.scoped(explore.told(found))}{drawn}", "index.html")


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    out, built = tmp_path_factory.mktemp("pages"), {"index": index, "explorer": explorer}
    found = {}
    for name in PAGES:
        place = Path(out / f"{name}.html")
        place.write_text(built[name]() if name in built else report(name))
        found[name] = place.as_uri()
    return found


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_violation(browser, addresses, name, scheme):
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": features})
    browser.set_script_timeout(LONGEST_S)
    browser.get(addresses[name])
    browser.execute_script("document.querySelectorAll('details').forEach(part => part.open = true)")
    browser.execute_script(axe.AXE_SCRIPT)
    checked = browser.execute_async_script("axe.run().then(arguments[0])")
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    found = [f"{one['id']}: {node['html'][:120]}" for one in checked["violations"] for node in one["nodes"]]
    assert checked["passes"] and found == []
