"""The rendezvous of logs: what a row bounds, and which rows are refused."""

import csv
from pathlib import Path

import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.records import RENDEZVOUS, read_rendezvous

PATH = data_dir() / RENDEZVOUS


@pytest.fixture(scope="module")
def rows():
    return read_rendezvous(PATH)


def written(folder, **changes):
    """A file that holds the first row of the data with these cells instead."""
    with PATH.open(newline="") as stream:
        row = next(csv.DictReader(stream))
    path = Path(folder) / "amd_rendezvous.csv"
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, row)
        writer.writeheader()
        writer.writerow({**row, **changes})
    return path


def test_the_published_bounds_are_met(rows):
    """Means per WBINVD that were worked out by hand from the same lines, in seconds."""
    by_hand = {"boot-epyc-7351p": 1.932e-3, "boot-ryzen-ai-7-350": 75.8e-6, "s3-ryzen-12-core": 55.5e-6}
    for name, value in by_hand.items():
        assert rows[name].flush_at_most_s == pytest.approx(value, rel=2e-3)
    assert rows["s4-epyc-rome-2s"].flush_at_most_s == pytest.approx(63.059e-3 / 256)
    assert rows["s4-epyc-rome-2s"].capacity_lines == (16777216 + 524288) / 64


def test_a_bound_never_lies_below_what_is_seen_between_the_lines(rows):
    for row in rows.values():
        if row.longest_s is not None:
            assert row.longest_s >= row.gap_s - row.deferred_init_s
            assert row.deferred_init_s or row.longest_s >= row.gap_s + row.lost_s


def test_where_the_cpu_snoops_itself_nothing_is_bounded(rows):
    controls = [row for row in rows.values() if row.self_snoop]
    assert controls
    assert all(row.flushes == 0 and row.flush_at_most_s is None and row.longest_s > 0 for row in controls)


def test_a_log_without_the_loss_bounds_nothing(rows):
    incomplete = [row for row in rows.values() if row.quality == "incomplete"]
    assert incomplete
    assert all(row.longest_s is None and row.flush_at_most_s is None for row in incomplete)


def test_an_unknown_tick_is_taken_for_the_longest(tmp_path):
    known, unknown = (read_rendezvous(written(tmp_path, hz=hz))["boot-epyc-7351p"].longest_s for hz in ("100", ""))
    assert known == unknown


def test_named_work_inside_the_gap_is_taken_out_but_for_a_tick(tmp_path):
    plain, deferred = (
        read_rendezvous(written(tmp_path, hz="1000", deferred_init_s=cell))["boot-epyc-7351p"].longest_s
        for cell in ("0", "0.005")
    )
    assert plain - deferred == pytest.approx(0.004)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"lost_s": ""}, "lost_s: goes with every quality but incomplete"),
        ({"quality": "incomplete"}, "lost_s: goes with"),
        ({"self_snoop": "yes"}, "quality: is control where"),
        ({"self_snoop": "maybe"}, "self_snoop: 'maybe' is not one of"),
        ({"gap_s": "0"}, "gap_s: '0' is not a finite number above zero"),
        ({"gap_s": ""}, "gap_s: is empty"),
        ({"cores": "64"}, "cores: is more than the logical CPUs"),
        ({"logical_cpus": "2.5"}, "logical_cpus: '2.5' is not a whole number"),
        ({"deferred_init_s": "1"}, "deferred_init_s: is longer than the gap"),
        ({"method": "resume-s3", "deferred_init_s": "0.001"}, "deferred_init_s: occurs at boot only"),
        ({"clock": "stable"}, "clock: is stepped at boot"),
        ({"method": "reboot"}, "method: 'reboot' is not one of"),
        ({"quote": ""}, "quote: is empty"),
        ({"quote": "=cmd()"}, "quote: begins with '='"),
    ],
)
def test_a_row_that_contradicts_itself_is_one_line_with_its_place(tmp_path, changes, said):
    with pytest.raises(BadInput) as refused:
        read_rendezvous(written(tmp_path, **changes))
    assert f"amd_rendezvous.csv, row boot-epyc-7351p, field {said}" in str(refused.value)
    assert "\n" not in str(refused.value)
