"""The site as its readers move through it: every link leads somewhere, every page can be reached, the build has no warning
and asks nobody else for anything.
"""

import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlparse

import pytest

from costmodel.cli.sweep import sweep_command
from costmodel.formulas.catalog import FORMULAS
from costmodel.kvm.catalog import STRATEGIES
from tests.pages import MADE, ROOT, facts

DOCS = ROOT / "docs"
pytestmark = pytest.mark.skipif(not (DOCS / "index.md").is_file(), reason="no checkout")
LINK = re.compile(r"\]\(\s*<?([^)\s>]*)>?[^)]*\)")
FENCED = re.compile(r"(?ms)^(`{3,}).*?^\1$|`[^`\n]*`")


def written():
    """Every Markdown text of the repository by its path; those of notebooks too."""
    found = {}
    paths = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "data" / "README.md", ROOT / "reports" / "README.md"]
    for path in paths:
        if not {*MADE} & {*path.relative_to(ROOT).parts}:
            found[path] = path.read_text(encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        found[path] = "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")
    return found


def slugs(text):
    """Anchors of the headings of a page, as GitHub and MyST make them."""
    heads = re.findall(r"(?m)^#{1,6} +(.*?)\s*$", re.sub(r"(?ms)^```.*?^```$", "", text))
    return {re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", head).lower()).replace(" ", "-") for head in heads}


TEXTS = written()


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    for target in LINK.findall(FENCED.sub("", TEXTS[path])):
        address = urlparse(target)
        if address.scheme:
            assert address.scheme == "https" and "." in address.netloc, target
            continue
        place = (path.parent / address.path).resolve() if address.path else path
        assert place.exists(), target
        if address.fragment:
            assert address.fragment in slugs(place.read_text(encoding="utf-8")), target


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_reference_names_a_page_or_a_term(path):
    text = TEXTS[path]
    if DOCS not in path.parents:
        return
    for target in re.findall(r"\{doc\}`/?([^`]+)`", text):
        base = DOCS if f"{{doc}}`/{target}`" in text else path.parent
        assert target in pages() or str((base / target).relative_to(DOCS)) in pages(), target
    for term in re.findall(r"\{term\}`([^`]+)`", text):
        assert f"\n{term}\n" in TEXTS[DOCS / "glossary.md"], term


def pages():
    """Every page of the site by its name, but the first."""
    own = [path for path in DOCS.rglob("*") if path.suffix in (".md", ".ipynb")]
    names = {path.relative_to(DOCS).with_suffix("").as_posix() for path in own if not {*MADE} & {*path.parts}}
    return (names | {f"generated/{name}" for name in facts().PAGES}) - {"index"}


def test_no_page_tells_how_long_the_first_replay_compiles():
    """No benchmark takes that time, so that nobody could say which of two pages is right."""
    told = re.compile(r"first replay[^.]*\b(?:seconds?|minutes?)\b")
    assert [path.name for path, text in TEXTS.items() if told.search(text)] == []


def test_every_page_stands_once_in_the_contents():
    trees = re.findall(r"(?ms)^```\{toctree\}\n(?::[^\n]*\n)*\n(.*?)^```$", TEXTS[DOCS / "index.md"])
    listed = [line for tree in trees for line in tree.split()]
    assert sorted(listed) == sorted(pages())


def test_notebooks_are_included_and_not_copied():
    shown = [path for path in DOCS.rglob("*.ipynb") if not {*MADE} & {*path.parts}]
    assert shown
    for path in shown:
        assert path.is_symlink() and path.resolve().parent == ROOT / "notebooks"


def test_the_glossary_has_the_words_of_an_answer():
    text = TEXTS[DOCS / "glossary.md"]
    words = ["dominated", "forced", "EXTRAPOLATED", "30 [6, 60]", "choice and size", "dirty share", "valid share"]
    words += ["mmu_lock", "SPTE", "gfn", "PFN", "CCX", "WBINVD", "WBNOINVD", "at most", "refused", "P(best)"]
    for word in words:
        assert f"\n{word}\n" in text, word


def test_the_glossary_explains_the_end_of_every_strategy_through_the_direct_map():
    text = TEXTS[DOCS / "glossary.md"]
    ends = {name.removeprefix("CLFLUSHOPT_DM") for name in STRATEGIES if name.startswith("CLFLUSHOPT_DM")}
    assert ends == {"_SPTE", "_PINNED", "_GMEM"} and all(f"`{end}`" in text for end in ends)


def test_the_columns_of_a_sweep_are_explained():
    for column in ("state", "chosen", "refused", "against_state"):
        assert f"`{column}`" in TEXTS[DOCS / "manual.md"], column
        assert re.search(rf"\b{column}\b", sweep_command.help), column


class Sources(HTMLParser):
    """What a page fetches when it is opened: scripts, styles, images, fonts, frames."""

    def __init__(self):
        super().__init__()
        self.found, self.ids = [], set()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if "id" in values:
            self.ids.add(values["id"])
        if tag in ("script", "img", "iframe", "source", "embed") and values.get("src"):
            self.found.append(values["src"])
        if tag == "link" and values.get("rel") not in ("canonical", "next", "prev", "index", "search", "author"):
            self.found.append(values["href"])


@pytest.mark.nightly
def test_the_site_is_built_without_a_warning_and_stands_alone(tmp_path):
    pytest.importorskip("furo")
    pytest.importorskip("myst_nb")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q", "-b", "html"]
    done = subprocess.run(
        [*command, "-d", str(tmp_path / "trees"), str(DOCS), str(tmp_path / "html")], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-4000:]
    built = {path.relative_to(tmp_path / "html").as_posix(): path for path in (tmp_path / "html").rglob("*.html")}
    assert {f"{name}.html" for name in pages()} <= built.keys()
    for name, path in built.items():
        page = Sources()
        page.feed(path.read_text(encoding="utf-8"))
        assert not [place for place in page.found if urlparse(place).netloc], name
        if name == "generated/model.html":
            assert {f"formula-{formula.replace('_', '-')}" for formula in FORMULAS} <= page.ids
    for path in (tmp_path / "html" / "_static").rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:|@import", Path(path).read_text(encoding="utf-8")), path
