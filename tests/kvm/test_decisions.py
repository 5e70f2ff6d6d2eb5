"""The decisions of upstream: every row is read, and it agrees with what each kernel does."""

import csv
import re

import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.table import csv_text
from costmodel.kvm import decisions, kernels

ALL = decisions.decisions()


def by_number(number):
    return next(d for d in ALL if d.number == number)


def test_every_row_is_there_once_and_in_order():
    assert [d.number for d in ALL] == list(range(1, 23))


def test_each_decision_says_what_it_does_and_where_that_was_read():
    for d in ALL:
        assert d.effect and d.source and d.guests
        assert re.fullmatch(r"(\d{4}(-\d{2}(-\d{2})?)?)?", d.date)
        assert all(re.fullmatch(r"[0-9a-f]{12}", commit) for commit in d.commits)
        assert d.status != "merged" or d.commits or d.note


def test_what_was_not_read_is_empty_and_the_note_says_so():
    for d in ALL:
        if not (d.title and d.author and d.date):
            assert "not read" in d.note, d.number


def test_nothing_that_was_remembered_or_inferred_is_in_the_file():
    text = (data_dir() / "kvm" / decisions.FILE).read_text(encoding="utf-8")
    assert "[MEM]" not in text and "[INF]" not in text
    assert text.isascii()
    assert len(list(csv.DictReader(text.splitlines()))) == len(ALL)


def test_refused_and_withdrawn_decisions_are_in_no_kernel():
    assert {d.number for d in ALL if d.status == "refused"} == {6, 7}
    assert {d.number for d in ALL if d.status == "withdrawn"} == {5}
    assert {d.number for d in ALL if d.status == "queued"} == {22}
    for d in ALL:
        if d.status in ("refused", "withdrawn"):
            assert not d.ranges


def test_a_merged_strategy_runs_in_the_kernels_of_its_release():
    """WBNOINVD on all CPUs (14) was narrowed in the same release (15), the eviction by the guest (18) has no release."""
    for d in ALL:
        if d.status != "merged" or not d.strategies or not d.ranges or d.number == 14:
            continue
        for guest in d.guests:
            found = {
                name
                for trigger in d.triggers
                for kernel in d.ranges
                if (done := kernels.upstream(guest, trigger, kernel))
                for name in done.strategies
            }
            assert set(d.strategies) <= found, d.number


def test_ranges_of_versions():
    assert by_number(4).ranges == ("v5.18-v6.7", "v5.15.70+")
    assert by_number(1).ranges == ()
    assert by_number(22).ranges == ()
    assert by_number(20).ranges == ("v7.3-rc",)


@pytest.mark.parametrize(
    ("guest", "trigger", "before", "after", "numbers"),
    [
        ("sev", "ksm_replace_page", "v6.11-v6.16", "v6.17-v7.2", [14, 15]),
        ("sev", "unreg_region", "v5.18-v6.7", "v6.17-v7.2", [14, 15]),
        ("sev", "ksm_replace_page", "v5.11", "v5.18-v6.7", [4]),
        ("sev", "ksm_replace_page", "v5.11", "v5.15.70+", [4]),
        ("sev", "ksm_replace_page", "v5.15.70+", "v5.18-v6.7", []),
        ("sev-es", "vmsa_page_free", "v5.11", "v5.15.70+", [3]),
        ("sev", "vm_destroy", "v6.11-v6.16", "v6.17-v7.2", [13]),
        ("sev", "asid_recycle", "v6.11-v6.16", "v6.17-v7.2", []),
        ("sev-snp-gmem", "ksm_replace_page", "v6.8-v6.10", "v6.11-v6.16", [9]),
        ("sev-snp-gmem", "unreg_region", "v6.8-v6.10", "v6.11-v6.16", []),
        ("plain", "gmem_punch_hole", "v5.11", "v6.17-v7.2", []),
    ],
)
def test_all_commits_that_changed_a_trigger(guest, trigger, before, after, numbers):
    assert [d.number for d in decisions.changes(guest, trigger, before, after)] == numbers


def test_a_hook_that_moved():
    assert [d.number for d in decisions.moved("sev", "ksm_replace_page", "v6.8-v6.10")] == [8]
    assert not decisions.moved("sev", "unreg_region", "v6.8-v6.10")


def test_mainline_does_not_go_through_a_stable_series():
    assert decisions.mainline("v6.8-v6.10", "v5.11") == ("v5.11", "v5.18-v6.7", "v6.8-v6.10")
    assert decisions.mainline("v5.15.70+", "v5.18-v6.7") == ("v5.15.70+", "v5.18-v6.7")


def test_the_release_of_a_decision_in_a_range():
    assert by_number(4).version_in("v5.18-v6.7") == "v5.18" and by_number(4).version_in("v5.15.70+") == "5.15.70"
    assert by_number(3).version_in("v5.15.70+") == "v5.18"


def test_a_commit_as_text():
    assert by_number(15).commit == "commit 6f38f8c57464"
    assert by_number(14).commit == "commit a77896eea33d"
    assert by_number(8).commit == "commits cec29eef0a81, 193bbfaacc84"
    assert by_number(19).commit.startswith("mprotect.c")


@pytest.mark.parametrize(
    ("cell", "text"),
    [("status", "perhaps"), ("strategy", "WBINVD_SOME"), ("guest_types", "sevv"), ("triggers", "ksm"),
     ("triggers", "hva|"), ("number", "x"), ("number", "9" * 5000), ("number", "1.5"), ("effect", ""), ("guest_types", "hva")],
)  # fmt: skip
def test_a_row_that_cannot_be_read_is_refused_with_its_place(tmp_path, cell, text):
    with (data_dir() / "kvm" / decisions.FILE).open(newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    path = tmp_path / "d.csv"
    path.write_text(csv_text(list(row), [list({**row, cell: text}.values())]), encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        decisions.read(path)
    assert (caught.value.file, caught.value.field) == ("d.csv", cell) and caught.value.row
