"""The table and the commands of the README are what the tool gives."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

import costmodel
from costmodel.cli import COMMANDS, cli
from costmodel.decision.recommend import recommend
from costmodel.numbers import interval

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


def loss(guest, workload, machine="epyc-7763-2s"):
    """Host CPUs lost at the workload's triggers, as the README writes them."""
    result = recommend(guest, machine, workload)
    running = {e.trigger: e.strategy for e in result.policy}
    rows = [
        r.host_cpu_s_per_s for r in result.costs if r.strategy == running[r.trigger] and r.host_cpu_s_per_s is not None
    ]
    if all(row.median == 0 for row in rows):
        return "0"
    if "at all" in result.headline_cost:
        return re.search(r"; (.*? host CPUs) at all", result.headline_cost)[1]
    lead = max(rows, key=lambda row: row.median)
    return f"{interval(lead.low, lead.median, lead.high, '1')} host CPUs"


@pytest.mark.parametrize(
    ("row", "guest", "machine"),
    [
        ("plain", "plain", "epyc-7763-2s"),
        ("SEV, SEV-ES", "sev", "epyc-7763-2s"),
        ("SEV, SEV-ES", "sev-es", "epyc-7763-2s"),
        ("SEV-SNP without guest_memfd (never in mainline)", "sev-snp", "epyc-7763-2s"),
        ("SEV-SNP with guest_memfd", "sev-snp-gmem", "epyc-7763-2s"),
        ("TDX", "tdx", "xeon-8570-2s"),
    ],
)
def test_the_costs_of_the_table_are_the_models(row, guest, machine):
    cells = table()[row]
    assert cells[1] == loss(guest, "autonuma-default", machine)


def test_the_strategies_of_the_table_are_the_policies():
    for row, guest, word in (
        ("SEV, SEV-ES", "sev", "WBNOINVD on the CPUs that ran the guest"),
        ("SEV-SNP without guest_memfd (never in mainline)", "sev-snp", "WBINVD on all CPUs"),
    ):
        entry = next(e for e in recommend(guest, "epyc-7763-2s").policy if e.trigger == "autonuma_prot_none_scan")
        assert table()[row][0].startswith(word)
        assert entry.strategy == {"sev": "WBNOINVD_MASK", "sev-snp": "WBINVD_ALL"}[guest]


def test_the_python_of_the_readme_runs_as_it_stands():
    matplotlib = pytest.importorskip("matplotlib")
    pytest.importorskip("seaborn")
    matplotlib.use("Agg")
    block = README.split("## In Python\n\n")[1].split("\n\n`")[0]
    names = {}
    from matplotlib import pyplot

    pyplot.close("all")
    exec("\n".join(line.removeprefix("    ") for line in block.splitlines()), names)
    assert names["sev"].recommend().result.headline_strategy == "WBNOINVD_MASK"
    assert {"median", "low", "high", "unit", "state"} <= set(names["costs"].columns)
    assert len(pyplot.get_fignums()) == 1
    pyplot.close("all")


def test_every_command_of_the_readme_exists_with_its_options():
    lines = [line.strip() for line in README.splitlines() if line.startswith("    costmodel ")]
    assert len(lines) > 8
    for line in lines:
        words = shlex.split(line.split(">")[0])[1:]
        assert words[0] in COMMANDS
        help_text = CliRunner().invoke(cli, [words[0], "--help"]).output
        for option in (word for word in words if word.startswith("--")):
            assert option in help_text or words[0] == "measure"


def test_the_files_that_it_links_are_there():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).is_file()


def test_no_path_of_a_machine_and_no_word_of_how_it_was_made():
    for path in (
        ROOT / "README.md",
        ROOT / "docs" / "measuring.md",
        ROOT / "data" / "README.md",
        ROOT / "CHANGELOG.md",
    ):
        text = path.read_text()
        assert not re.search(r"/(home|root|work|usr/local)/", text)
