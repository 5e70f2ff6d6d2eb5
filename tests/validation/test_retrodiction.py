"""What was seen on real hosts, and what would refute it."""

import pytest

from costmodel.errors import UnknownName
from costmodel.evidence.store import load
from costmodel.validation import retrodiction

EVIDENCE = load()
IDS = ["E01-E03", "N30", "S01-S02", "S06a", "S06b", "S06c", "S07a", "S07b", "S07c"]


def rows_of(evidence):
    return {row.id: row for row in retrodiction.rows(evidence)}


@pytest.fixture(scope="module")
def rows():
    return rows_of(EVIDENCE)


def test_every_retrodiction_is_there(rows):
    assert list(rows) == IDS


def test_what_fails_is_known(rows):
    """The third shut-down took longer than its pages do in the two others: a constant per page is no model of it."""
    assert [row.id for row in rows.values() if row.verdict == "fail"] == ["S06c"]


def test_the_lockups_are_retrodicted(rows):
    row = rows["E01-E03"]
    assert row.verdict == "pass"
    assert row.value >= row.low > 0


def test_the_rates_are_those_of_the_rows(rows):
    """Eight chunks of ten passes per second, and the pages that a guest of 16 vCPUs moved, as huge pages of 128 vCPUs."""
    pages = EVIDENCE.one("N02c").si / EVIDENCE.one("N03").si
    assert rows["E01-E03"].value == pytest.approx(8 * 10 + 128 / 16 * pages / 512)


def test_without_those_rates_there_is_no_lockup():
    calm = EVIDENCE.with_value("N17", 1e-3).with_value("N02c", 1e-4)
    assert rows_of(calm)["E01-E03"].verdict == "fail"


def test_a_host_of_fewer_cpus_needs_no_lower_rate():
    """The flush of 4 CPUs is no longer than that of 500."""
    few = rows_of(EVIDENCE.with_value("E03", 4 / EVIDENCE.one("E03").si))["E01-E03"]
    assert few.low >= rows_of(EVIDENCE)["E01-E03"].low


@pytest.mark.parametrize("id", ["E01", "E03", "L02", "N02c", "N03", "N17", "S01", "S02", "S06b", "S07a"])
def test_a_row_that_is_gone_is_missed_by_name(id):
    with pytest.raises(UnknownName, match=id):
        retrodiction.rows(EVIDENCE.without(id))


@pytest.mark.parametrize(("id", "factor"), [("S02", 100), ("S02", 0.01), ("S01", 0.01)])
def test_another_total_of_rmpupdate_is_refuted(id, factor):
    assert rows_of(EVIDENCE.with_value(id, factor))["S01-S02"].verdict == "fail"


def test_rmpupdate_of_all_pages_by_hand(rows):
    """16 GB in pages of 4 KiB at 1 us: 3.9 s, 5 s published."""
    row = rows["S01-S02"]
    pages = EVIDENCE.one("S02").range_bytes / 4096
    assert row.low < pages * EVIDENCE.one("S01").si < row.high
    assert row.low <= EVIDENCE.one("S02").si <= row.high


@pytest.mark.parametrize("id", ["S07a", "S07b", "S07c"])
def test_a_shutdown_is_foretold_from_the_two_others(rows, id):
    others = [o for o in ("S07a", "S07b", "S07c") if o != id]
    per_page = [EVIDENCE.one(o).si / EVIDENCE.one(o).range_bytes for o in others]
    middle = (per_page[0] * per_page[1]) ** 0.5 * EVIDENCE.one(id).range_bytes
    assert rows[id].verdict == "pass"
    assert (rows[id].low * rows[id].high) ** 0.5 == pytest.approx(middle)


def test_its_own_value_does_not_move_what_is_foretold(rows):
    other = rows_of(EVIDENCE.with_value("S07a", 10))["S07a"]
    assert (other.low, other.high) == pytest.approx((rows["S07a"].low, rows["S07a"].high))


def test_a_shutdown_far_off_is_not_explained_away():
    """An explanation belongs to the row that it was found for (S06c); another row that is missed fails."""
    assert rows_of(EVIDENCE.with_value("S07a", 10))["S07a"].verdict == "fail"


def test_an_interval_that_holds_anything_tests_nothing(rows):
    for row in rows.values():
        if row.id.startswith("S06") and row.high / row.low > 16.01:
            assert row.verdict == "not testable"
            assert row.low <= row.value <= row.high


def test_the_row_that_the_model_misses_says_why(rows):
    row = rows["S06c"]
    assert row.verdict == "fail"
    assert row.value > row.high
    assert "vCPUs" in row.note


def test_a_boot_without_its_duration_is_no_test(rows):
    row = rows["N30"]
    assert row.verdict == "not testable"
    assert "neither the boot's duration" in row.note
    assert "35" in row.what
