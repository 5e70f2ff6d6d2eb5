"""`python -m tests.pictures` renews the pictures of README.md and docs/: a report, and the overview of all reports.

Each holds, as its description, what it shows, so that a test notices when a picture is of yesterday.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from PIL import Image, PngImagePlugin

from costmodel.decision.result import Recommendation
from costmodel.report import overview
from tests.pages import ROOT

WIDTH = 1100
COLOURS = 64
REPORT = ("sev", "epyc-7763-2s")


class Picture(NamedTuple):
    """A file in docs/, the part of a page that it shows, in pixels from the top, and what it tells."""

    name: str
    height: int
    told: str


def pictures():
    """Both pictures with what the committed reports say now."""
    costs = [f"{c['guest']} {c['machine']} {c['cost']}" for c in cells() if c["applicable"]]
    report = json.loads((ROOT / "reports" / REPORT[0] / f"{REPORT[1]}.json").read_text(encoding="utf-8"))
    return Picture("report.png", 830, report["headline"]), Picture("overview.png", 630, "; ".join(costs))


def pages(folder):
    """The page of the report and of the overview, built in `folder`."""
    command = ["report", "--guest", REPORT[0], "--machine", REPORT[1], "--out", str(folder)]
    subprocess.run([sys.executable, "-m", "costmodel", *command], check=True)
    read = {}
    for guest, machine in ((c["guest"], c["machine"]) for c in cells()):
        text = (ROOT / "reports" / guest / f"{machine}.json").read_text(encoding="utf-8")
        read[guest, machine] = Recommendation.model_validate_json(text)
    names = {(guest, machine): f"{guest}/{machine}.html" for guest, machine in read}
    (folder / "index.html").write_text(overview.html(read, names), encoding="utf-8")
    return folder / REPORT[0] / f"{REPORT[1]}.html", folder / "index.html"


def cells():
    """The cells of the committed overview."""
    return json.loads((ROOT / "reports" / "index.json").read_text(encoding="utf-8"))["cells"]


def take(page, picture, out):
    """A picture of the top of a page, with few colours and its description."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert browser, "Chromium takes the pictures: install it"
    raw = page.with_suffix(".png")
    size = f"--window-size={WIDTH},{picture.height}"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size, f"--screenshot={raw}"]
    subprocess.run([browser, *options, page.as_uri()], check=True, capture_output=True)
    described = PngImagePlugin.PngInfo()
    described.add_itxt("Description", picture.told)
    image = Image.open(raw).convert("RGB").quantize(COLOURS)
    image.save(out, optimize=True, pnginfo=described)


def told(path):
    """What a picture says that it shows."""
    return Image.open(path).text.get("Description", "")


def main():
    """Take both pictures anew."""
    with tempfile.TemporaryDirectory() as folder:
        for page, picture in zip(pages(Path(folder)), pictures(), strict=True):
            take(page, picture, ROOT / "docs" / picture.name)
            print(f"renewed docs/{picture.name}", file=sys.stderr)


if __name__ == "__main__":
    main()
