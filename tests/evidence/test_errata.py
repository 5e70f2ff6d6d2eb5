"""data/errata.csv is the table of the change log: what an old reply said, and what is said now."""

import csv
import json

import costmodel
from costmodel.evidence import paths
from costmodel.numbers import interval
from costmodel.report.record import recommend

SCAN = "autonuma_prot_none_scan"
CHECKOUT = paths.PACKAGE.parent
"""Where the change log and the reports lie, whichever data package is asked."""


def test_the_change_log_and_the_data_say_the_same():
    with (paths.data_dir() / "errata.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    log = (CHECKOUT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert rows and {row["since"] for row in rows} <= {costmodel.__version__}
    for row in rows:
        assert f"| {row['number']} | {row['was_said']} | {row['is_said']} | {row['why']} |" in log


def test_what_is_said_now_is_what_the_reports_say():
    """The host CPUs that SEV loses to NUMA balancing: of the change log, of the README and of the committed report."""
    root = CHECKOUT
    report = json.loads((root / "reports" / "sev" / "epyc-7763-2s.json").read_text(encoding="utf-8"))
    costs = {row["strategy"]: row["host_cpu_s_per_s"] for row in report["costs"] if row["trigger"] == SCAN}
    said = {
        name: interval(*(costs[name][end] for end in ("low", "median", "high")), "1") for name in ("WBNOINVD_MASK",)
    }
    readme = (root / "README.md").read_text(encoding="utf-8")
    assert f"| at most {said['WBNOINVD_MASK']}, at least " in readme
    with (paths.data_dir() / "errata.csv").open(newline="", encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["number"].startswith("host CPUs that 2 x EPYC 7763 loses")]
    (row,) = rows
    older = recommend("sev", "epyc-7763-2s", kernel="6.12").costs
    (lost,) = (c.host_cpu_s_per_s for c in older if (c.trigger, c.strategy) == (SCAN, "WBINVD_ALL"))
    assert row["is_said"].startswith(f"{interval(lost.low, lost.median, lost.high, '1')}, EXTRAPOLATED")
    assert f"at most {said['WBNOINVD_MASK']}" in row["why"]
