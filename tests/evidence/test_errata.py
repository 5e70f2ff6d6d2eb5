"""data/errata.csv is the table of the change log: what an old reply said, and what is said now."""

import csv

import costmodel
from costmodel.evidence import paths


def test_the_change_log_and_the_data_say_the_same():
    with (paths.data_dir() / "errata.csv").open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    log = (paths.data_dir().parent / "CHANGELOG.md").read_text(encoding="utf-8")
    assert rows and {row["since"] for row in rows} <= {costmodel.__version__}
    for row in rows:
        assert f"| {row['number']} | {row['was_said']} | {row['is_said']} | {row['why']} |" in log
