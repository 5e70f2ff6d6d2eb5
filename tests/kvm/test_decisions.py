"""The decisions of upstream: every row is read, and it agrees with what each kernel does."""

import csv
import re

import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import csv_text
from costmodel.kvm import decisions, kernels
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, triggers_of
from costmodel.kvm.decisions import ANY, remedies
from costmodel.kvm.kernels import KERNELS

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
    """WBNOINVD on all CPUs (14) was narrowed in the same release (15), the eviction by the guest (18) has no
    release.
    """
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
        decisions.read_decisions(path)
    assert (caught.value.file, caught.value.field) == ("d.csv", cell) and caught.value.row


# Remedies: each names triggers that exist, says where it was read, and helps only where it says so.

REMEDIES = {remedy.id: remedy for remedy in remedies()}
every = pytest.mark.parametrize("name", REMEDIES)


def test_ids_are_unique():
    assert len(REMEDIES) == len(remedies()) >= 5


@every
def test_a_remedy_names_what_exists_and_its_source(name):
    remedy = REMEDIES[name]
    assert remedy.triggers and remedy.triggers <= {ANY, *TRIGGERS}
    assert remedy.guests and remedy.guests <= {ANY, *GUESTS}
    assert remedy.title and remedy.caveat
    assert any(mark in remedy.source for mark in (".c", "commit", "KVM list", "thread", "ocumentation")), remedy.source


@every
def test_a_remedy_does_something_that_the_model_knows(name):
    assert REMEDIES[name].effect in ("stops", "pin_vcpus")


@every
def test_a_remedy_applies_to_some_event_of_some_guest(name):
    assert any(REMEDIES[name].applies_to(guest, trigger) for guest in GUESTS for trigger in triggers_of(guest))


@every
def test_a_remedy_that_stops_triggers_stops_nothing_else(name):
    remedy = REMEDIES[name]
    if remedy.effect == "stops":
        assert ANY not in remedy.triggers
        for guest in GUESTS:
            helped = {trigger.id for trigger in triggers_of(guest) if remedy.applies_to(guest, trigger)}
            assert helped <= remedy.triggers


@every
def test_a_remedy_that_works_goes_on_working_in_newer_kernels(name):
    works = [REMEDIES[name].works_in(kernel) for kernel in KERNELS]
    assert works == sorted(works)
    assert works[-1]
    assert works.index(True) == (list(KERNELS).index(first) if (first := REMEDIES[name].first_kernel) else 0)


def test_pinning_helps_only_where_the_kernel_has_a_mask():
    pinning = [remedy for remedy in remedies() if remedy.effect == "pin_vcpus"]
    assert pinning
    for remedy in pinning:
        assert not remedy.works_in("v6.11-v6.16") and remedy.works_in("v6.17-v7.2")


def test_no_remedy_claims_to_stop_the_recycling_of_asids():
    for remedy in remedies():
        if remedy.effect == "stops":
            assert not remedy.triggers & {"asid_recycle", "snp_init", "vm_destroy", "hkid_free_vm_teardown"}


# What upstream did, kernel by kernel: three choices were bugs, and a later range fixed each.

RANGES = tuple(kernels.KERNELS)
MIGRATION, VMSA = "intra_host_migration_move_ctx", "vmsa_page_free"


@pytest.fixture(scope="module")
def forbidden():
    """(guest, trigger, strategy, kernel) of every upstream choice that the rules forbid."""
    found = set()
    for guest in (one for one in GUESTS.values() if one.has("upstream")):
        for trigger in triggers_of(guest.id):
            for kernel in RANGES:
                done = kernels.upstream(guest.id, trigger.id, kernel)
                for name in done.strategies if done else ():
                    if judge(guest.id, trigger.id, name).label == "no":
                        found.add((guest.id, trigger.id, name, kernel))
    return found


def test_the_notifier_without_a_flush_is_the_bug_of_v5_11(forbidden):
    """CVE-2022-0171."""
    hva = {cell for cell in forbidden if TRIGGERS[cell[1]].by_hva}
    assert {cell[0] for cell in hva} == {"sev", "sev-es"}
    assert {cell[2:] for cell in hva} == {("NO_FLUSH", "v5.11")}
    leaving = {t.id for t in triggers_of("sev") if t.by_hva and t.page_may_leave_vm}
    for guest in ("sev", "sev-es"):
        assert {cell[1] for cell in hva if cell[0] == guest} == leaving


def test_the_vmsa_of_coherent_cpus_is_the_other_bug_of_v5_11(forbidden):
    assert {cell for cell in forbidden if cell[1] == VMSA} == {("sev-es", VMSA, "SKIP_COHERENT", "v5.11")}


def test_the_unflushed_migration_lasted_from_v5_18_to_v7_2(forbidden):
    wrong = RANGES[RANGES.index("v5.18-v6.7") : RANGES.index("v6.17-v7.2") + 1]
    expected = {(guest, MIGRATION, "NO_FLUSH", kernel) for guest in ("sev", "sev-es") for kernel in wrong}
    assert {cell for cell in forbidden if cell[1] == MIGRATION} == expected


def test_there_is_no_fourth_bug(forbidden):
    assert all(TRIGGERS[cell[1]].by_hva or cell[1] in (VMSA, MIGRATION) for cell in forbidden)


def test_each_bug_was_fixed_by_a_later_range(forbidden):
    for guest, trigger, name, kernel in forbidden:
        later = RANGES[RANGES.index(kernel) + 1 :]
        fixed = [one for one in later if (guest, trigger, name, one) not in forbidden]
        assert any(kernels.upstream(guest, trigger, one) for one in fixed), (guest, trigger)


def test_rows_of_the_file_name_what_exists():
    with (data_dir() / "kvm" / "upstream_behaviour.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    keys = [(row["guest_type"], row["trigger"], row["kernel_range"]) for row in rows]
    assert len(set(keys)) == len(keys)
    for row in rows:
        assert row["guest_type"] in GUESTS and row["trigger"] in TRIGGERS
        assert row["kernel_range"] in (*RANGES, kernels.TDX_FIRST, kernels.FACTS_OF_5_4)
        assert set(row["upstream_strategy"].split("|")) <= {*STRATEGIES, *kernels.NOTHING_KNOWN}


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("6.16", "v6.11-v6.16"),
        ("v6.17.3", "v6.17-v7.2"),
        ("v5.14.21", "v5.11"),
        ("5.15.69", "v5.11"),
        ("5.15.70", "v5.15.70+"),
        ("5.16.20", "v5.11"),
        ("5.18.0", "v5.18-v6.7"),
        ("6.7.12", "v5.18-v6.7"),
        ("6.10.14", "v6.8-v6.10"),
        ("6.11-rc1", "v6.11-v6.16"),
        ("7.2.99", "v6.17-v7.2"),
        ("7.3", "v7.3-rc"),
        ("newest", RANGES[-1]),
        *((name, name) for name in RANGES),
    ],
)
def test_a_version_has_one_range(version, expected):
    assert kernels.resolve(version) == expected


def test_newer_versions_never_fall_into_older_ranges():
    versions = [f"5.{minor}" for minor in range(18, 20)] + [f"6.{minor}" for minor in range(20)]
    versions += [f"7.{minor}" for minor in range(4)]
    order = [RANGES.index(kernels.resolve(version)) for version in versions]
    assert order == sorted(order)


@pytest.mark.parametrize(
    "version",
    ["", " ", "newest ", "v", "v6", "six.one", "6.", ".6", "6.1.2.3", "-6.1", "6.1\n", "6.1\x00", "٦.٦", "=1+1", "NaN"],
)
def test_garbage_is_no_version(version):
    with pytest.raises(BadInput) as error:
        kernels.resolve(version)
    assert error.value.field == "kernel" and error.value.remedy


@pytest.mark.parametrize("version", ["0.1", "2.6.32", "4.19", "5.3.18"])
def test_a_kernel_before_the_catalogue_is_refused_with_the_first_one(version):
    with pytest.raises(BadInput, match=r"older than v5\.4"):
        kernels.resolve(version)


@pytest.mark.parametrize("version", ["7.100", "8.0", "99.99"])
def test_a_kernel_after_the_catalogue_is_refused(version):
    with pytest.raises(BadInput, match="newer"):
        kernels.resolve(version)


def test_a_version_of_many_digits_is_refused():
    with pytest.raises(BadInput):
        kernels.resolve("6." + "9" * 5000)
