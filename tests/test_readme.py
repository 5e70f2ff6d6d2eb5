"""The table of the README is the model's, and every command block of README.md and docs/ runs, or says why a test does
not run it.
"""

import os
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import costmodel
from costmodel.cli import COMMANDS, cli
from costmodel.numbers import interval, quantity
from costmodel.report import drawing
from tests.mail.conftest import UPDATE
from tests.pages import BLOCKS, PAGES, executed, shown, steps, write_samples
from tests.samples import sampled

ROOT = Path(costmodel.__file__).parent.parent
README = (ROOT / "README.md").read_text() if (ROOT / "README.md").is_file() else ""
pytestmark = pytest.mark.skipif(not README, reason="no checkout")


def table():
    """Cells of the answer table by guest type."""
    rows = [line for line in README.splitlines() if line.startswith("| ") and "---" not in line]
    start = next(i for i, line in enumerate(rows) if line.startswith("| guest type"))
    return {
        (cells := [c.strip() for c in row.strip("|").split("|")])[0]: cells[1:] for row in rows[start + 1 : start + 6]
    }


def loss(result):
    """Host CPUs lost at the workload's triggers, as the README writes them."""
    running = {e.trigger: e.strategy for e in result.policy}
    rows = [r for r in result.costs if r.strategy == running[r.trigger] and r.host_cpu_s_per_s is not None]
    lead = max(rows, key=lambda row: row.host_cpu_s_per_s.median)
    most, least = lead.host_cpu_s_per_s, lead.least_host_cpu_s_per_s
    if most.median == 0:
        return "0"
    ends = [interval(end.low, end.median, end.high, "1", end.most) for end in (most, least)]
    return f"at most {ends[0]}, at least {ends[1]} host CPUs"


@pytest.mark.parametrize(
    ("row", "guest", "machine"),
    [
        ("plain", "plain", "epyc-7763-2s"),
        ("SEV, SEV-ES", "sev", "epyc-7763-2s"),
        ("SEV, SEV-ES", "sev-es", "epyc-7763-2s"),
        ("SEV-SNP without guest_memfd (`sev-snp`, never in mainline)", "sev-snp", "epyc-7763-2s"),
        ("SEV-SNP with guest_memfd (`sev-snp-gmem`)", "sev-snp-gmem", "epyc-7763-2s"),
        ("TDX", "tdx", "xeon-8570-2s"),
    ],
)
def test_the_costs_of_the_table_are_the_models(answer, row, guest, machine):
    cells = table()[row]
    assert cells[1] == loss(answer(guest, machine))


def test_the_strategies_of_the_table_are_the_policies(answer):
    for row, guest, word in (
        ("SEV, SEV-ES", "sev", "WBNOINVD on the CPUs that ran the guest"),
        ("SEV-SNP without guest_memfd (`sev-snp`, never in mainline)", "sev-snp", "WBINVD on all CPUs"),
    ):
        entry = next(e for e in answer(guest).policy if e.trigger == "autonuma_prot_none_scan")
        assert table()[row][0].startswith(word)
        assert entry.strategy == {"sev": "WBNOINVD_MASK", "sev-snp": "WBINVD_ALL"}[guest]


PICTURE = ROOT / "docs" / "breakeven.svg"


RUN = [b for b in BLOCKS if not b.reason and b.lines[0].startswith(("$", "costmodel"))]
FIRST = [b for b in RUN if b.page == "README.md"]


@pytest.mark.parametrize("block", [*FIRST, *sampled([b for b in RUN if b not in FIRST], 8)], ids=str)
def test_every_command_block_runs_and_prints_what_it_shows(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_samples()
    if block.lines[0].startswith("$ "):
        for command, output in steps(block.lines):
            assert shown(executed(command)) == output, "`make docs-outputs` renews it"
        return
    for line in block.lines:
        printed = executed(line)
        assert printed.strip() or ">" in line or "--out" in line


def test_every_other_block_is_python_or_says_why_it_is_not_run():
    assert len([block for block in BLOCKS if not block.reason]) >= 5
    for block in BLOCKS:
        assert block.reason or block.lines[0].startswith(("$ costmodel ", "costmodel ", "import costmodel")), block


@pytest.mark.parametrize("block", [b for b in BLOCKS if b.lines[0].startswith("import costmodel")], ids=str)
def test_the_python_of_the_readme_runs_as_it_stands(block):
    """And its picture is up to date: the same names, axes and numbers."""
    matplotlib = pytest.importorskip("matplotlib")
    pytest.importorskip("seaborn")
    matplotlib.use("Agg")
    names = {}
    from matplotlib import pyplot

    pyplot.close("all")
    exec("\n".join(block.lines), names)
    assert names["sev"].recommend().result.headline_strategy == "WBNOINVD_MASK"
    assert {"median", "low", "high", "unit", "state"} <= set(names["costs"].columns)
    (number,) = pyplot.get_fignums()
    figure = pyplot.figure(number)
    figure.set_size_inches(8.6, 3.6)
    svg = drawing.svg(figure, told(names["costs"]))
    pyplot.close("all")
    if os.environ.get(UPDATE):
        PICTURE.write_text(svg)
    assert words(svg) == words(PICTURE.read_text()), f"{UPDATE}=1 renews it"


def told(costs):
    """The alternative text of the picture: what each line costs at its ends."""
    rows = costs.query("quantity == 'cpu_time' and median > 0").groupby("strategy", sort=False)["median"]
    ends = "; ".join(f"{name} {quantity(own.iloc[0], 's')} to {quantity(own.iloc[-1], 's')}" for name, own in rows)
    return f"CPU time of one flush of 4 KiB to 1 GiB: {ends}"


def words(svg):
    return re.search(r'aria-label="([^"]*)"', svg)[1], sorted(re.findall(r">([^<>]*\S[^<>]*)</(?:text|tspan)>", svg))


def test_every_command_of_the_readme_exists_with_its_options():
    lines = [
        line.removeprefix("$ ") for block in BLOCKS for line in block.lines if line.startswith(("$ ", "costmodel "))
    ]
    assert len(lines) > 8
    for line in lines:
        words = shlex.split(line.split(">")[0].rstrip("\\"))[1:]
        assert words[0] in COMMANDS
        group = words[:2] if words[0] == "trace" else words[:1]
        help_text = CliRunner().invoke(cli, [*group, "--help"]).output
        for option in (word for word in words if word.startswith("--")):
            assert option in help_text or words[0] == "measure"


def test_the_readme_is_short_and_says_where_the_command_lies():
    assert len(README.splitlines()) < 120
    assert ".venv/bin/costmodel" in README and "pip install" in README


def test_no_path_of_a_machine_and_no_word_of_how_it_was_made():
    for path in (*PAGES, ROOT / "data" / "README.md", ROOT / "CHANGELOG.md"):
        text = path.read_text()
        assert not re.search(r"/(home|root|work|usr/local)/", text)
