"""Versions and ranges, and the three choices of upstream that were bugs."""

import csv
import re

import pytest

from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import csv_text
from costmodel.kvm import admissibility, kernels
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, PLACEMENTS, STRATEGIES, TRIGGERS, triggers_of
from costmodel.kvm.kernels import ANY, KERNELS, newest, placement_for, remedies
from costmodel.report.names import kernel_ground


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("5.11", "v5.11"),
        ("5.15", "v5.15.70+"),
        ("5.15.69", "v5.11"),
        ("5.15.70", "v5.15.70+"),
        ("5.17", "v5.11"),
        ("5.18", "v5.18-v6.7"),
        ("v6.6.9", "v5.18-v6.7"),
        ("6.8", "v6.8-v6.10"),
        ("6.16.12", "v6.11-v6.16"),
        ("6.17", "v6.17-v7.2"),
        ("7.3-rc5", "v7.3-rc"),
        ("newest", "v7.3-rc"),
        *((name, name) for name in kernels.KERNELS),
    ],
)
def test_a_version_lies_in_its_range(version, expected):
    assert kernels.resolve(version) == expected


@pytest.mark.parametrize("version", ["", "six", "5.3", "2.6.32", "6", "6.6; rm -rf", "99.0", "../6.6"])
def test_what_is_not_catalogued_is_refused(version):
    with pytest.raises(BadInput):
        kernels.resolve(version)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("6.12.61", (6, 12, 61)),
        ("v6.19", (6, 19, 0)),
        ("7.3-rc5", (7, 3, 0)),
        ("newest", (7, 3, 0)),
        ("v6.17-v7.2", (7, 2, 0)),
        ("v5.15.70+", (5, 15, 70)),
    ],
)
def test_the_release_is_what_was_asked_and_of_a_range_its_last(version, expected):
    assert kernels.release(version) == expected
    assert kernels.resolve("{}.{}.{}".format(*expected)) == kernels.resolve(version)


def test_upstream_choices_that_the_rules_forbid_are_the_three_bugs():
    """KERNEL flow: fixed by 683412ccf612 (CVE-2022-0171), d45829b351ee and 93de2a6a4b91."""
    forbidden = set()
    for guest in GUESTS.values():
        for trigger in triggers_of(guest.id):
            for kernel in kernels.KERNELS:
                done = kernels.upstream(guest.id, trigger.id, kernel)
                if done is None or not guest.has("upstream"):
                    continue
                for name in done.strategies:
                    if judge(guest.id, trigger.id, name).label == "no":
                        forbidden.add((guest.id, "hva" if trigger.by_hva else trigger.id, name, kernel))
    kinds = {(trigger, strategy) for _, trigger, strategy, _ in forbidden}
    assert kinds == {
        ("hva", "NO_FLUSH"),
        ("vmsa_page_free", "SKIP_COHERENT"),
        ("intra_host_migration_move_ctx", "NO_FLUSH"),
    }
    for guest, trigger, _, kernel in forbidden:
        assert guest in ("sev", "sev-es")
        if trigger != "intra_host_migration_move_ctx":
            assert kernel == "v5.11"
        else:
            assert kernel != "v7.3-rc"


def test_every_catalogued_strategy_and_trigger_is_known():
    for guest in GUESTS:
        for trigger in triggers_of(guest):
            for kernel in kernels.KERNELS:
                done = kernels.upstream(guest, trigger.id, kernel)
                assert done is None or (set(done.strategies) <= set(STRATEGIES) and done.locator)


def test_a_guest_type_begins_with_the_kernel_that_brought_it():
    assert not kernels.hosts("sev-snp-gmem", "v6.8-v6.10")
    assert kernels.hosts("sev-snp-gmem", "v6.11-v6.16")
    assert kernels.hosts("tdx", "v6.11-v6.16") and not kernels.hosts("tdx", "v6.8-v6.10")
    assert all(kernels.hosts("sev", kernel) for kernel in kernels.KERNELS)


def test_no_hook_runs_after_the_end_of_the_invalidation():
    for guest in GUESTS:
        for trigger in triggers_of(guest):
            for kernel in kernels.KERNELS:
                assert PLACEMENTS[placement_for(guest, trigger.id, kernel)].admissible


def test_the_sev_hook_is_never_under_mmu_lock_and_left_srcu_in_v6_8():
    for kernel in kernels.KERNELS:
        assert placement_for("sev", "ksm_replace_page", kernel) != "under_mmu_lock"
    assert placement_for("sev", "ksm_replace_page", "v5.18-v6.7") == "after_unlock"
    assert placement_for("sev", "ksm_replace_page", "v6.8-v6.10") == "after_srcu"


def test_the_page_chain_of_tdx_runs_under_mmu_lock():
    assert placement_for("tdx", "gmem_punch_hole", "v7.3-rc") == "under_mmu_lock"


def test_remedies_name_what_exists_and_say_where_that_was_read():
    for remedy in remedies():
        assert remedy.title and remedy.source and remedy.caveat
        assert remedy.triggers - {ANY} <= set(TRIGGERS)
        assert remedy.guests - {ANY} <= set(GUESTS)
        assert not remedy.first_kernel or remedy.first_kernel in kernels.KERNELS


def test_numa_balancing_off_stops_the_scan_and_nothing_else_of_ksm():
    off = next(r for r in remedies() if "numa_balancing=0" in r.title)
    assert off.applies_to("sev", TRIGGERS["autonuma_prot_none_scan"])
    assert not off.applies_to("sev", TRIGGERS["ksm_replace_page"])


@pytest.mark.parametrize("version", ["7.4", "7.4-rc1", "7.5.1", "8.0"])
def test_a_kernel_after_the_last_that_was_read_is_refused_not_guessed(version):
    with pytest.raises(BadInput, match="newer than v7.3-rc, the last that was read.*give newest"):
        kernels.resolve(version)


@pytest.mark.parametrize("version", ["6.8.0-45-generic", "6.12.61-amd64", "5.15.0-1092-azure", "6.6.119+bpo-amd64"])
def test_a_kernel_without_a_source_is_refused_with_all_that_it_may_be_and_how_to_find_out(version):
    with pytest.raises(kernels.SeveralKernels, match="no source here tells what was backported") as refused:
        kernels.resolve(version)
    may = [one.kernel for one in refused.value.candidates]
    assert len(may) > 1 and len({kernels.resolve(one) for one in may}) == len(may)
    assert "/proc/kallsyms" in str(refused.value) and all(one in str(refused.value) for one in may)


@pytest.mark.parametrize(
    ("version", "guest", "expected"),
    [
        ("5.15.0-1092-azure", "sev", ["5.15.0", "5.18", "6.17"]),
        ("5.15.0-1092-azure", "plain", ["5.15.0"]),
        ("6.8.12-4-pve", "sev", ["v6.8-v6.10"]),
        ("6.8.12-13-pve", "sev", ["v6.8-v6.10", "6.17"]),
        ("6.8.12-pve", "sev", ["6.8.12", "6.17"]),
        ("6.14.5-1-bpo12-pve", "sev-es", ["v6.11-v6.16"]),
        ("6.14.5-1-pve", "tdx", ["6.14.5", "6.16"]),
        ("6.8.12-4-pve", "sev-snp-gmem", ["6.8.12", "6.11", "6.17"]),
        ("6.8.0-1004-intel", "tdx", ["6.8.0", "6.16"]),
        ("5.14.0-503.11.1.el9_5.x86_64", "sev", ["v6.11-v6.16"]),
        ("5.14.0-427.13.1.el9_4.x86_64", "sev", ["v6.8-v6.10"]),
        ("5.14.0-611.5.1.el9_7.x86_64", "sev", ["v6.11-v6.16", "6.17"]),
        ("4.18.0-553.el8_10.x86_64", "sev", ["v5.18-v6.7"]),
        ("4.18.0-400.el8.x86_64", "sev", ["v5.11", "v5.18-v6.7"]),
        ("4.18.0-193.14.2.el8_2.x86_64", "sev", ["v5.11"]),
        ("6.12.43+deb13-amd64", "sev", ["6.12.43", "6.17"]),
        ("6.1.0-37-amd64", "sev", ["6.1.0", "6.17"]),
        ("6.1.0-rc4-snp-host-93fa8c5918a4", "sev", ["6.1.0"]),
        ("6.16.0-rc5-next-20250710", "sev", ["6.16.0", "6.17"]),
        ("6.14.0-rc5-next-20250310", "sev", ["6.14.0"]),
        ("6.17.0-rc3-kvm-next", "sev", ["6.17.0"]),
        ("6.6.0-rc4-kvm-x86-g0123abc", "sev", ["6.6.0"]),
        ("5.15.0-1092-kvm", "sev", ["5.15.0", "5.18", "6.17"]),
        ("6.6.30-mykvmhost", "sev", ["6.6.30", "6.17"]),
        ("6.1.155-1.el9.elrepo.x86_64", "sev", ["6.1.155", "6.17"]),
        ("6.8.0-45-generic", "sev", ["6.8.0", "6.17"]),
        ("6.8.0-1018-aws", "sev-es", ["6.8.0", "6.17"]),
        ("6.5.0-1014-gcp", "sev", ["6.5.0", "6.17"]),
        ("6.4.0-150600.23.53-default", "sev", ["6.4.0", "6.17"]),
        ("5.4.0-150-generic", "sev", ["5.4.0", "5.18", "6.17"]),
        ("6.17.4-2-pve", "sev", ["6.17.4"]),
        ("6.12.61", "sev", ["6.12.61"]),
        ("NEWEST", "sev", ["newest"]),
    ],
)
def test_what_uname_prints_is_read_and_what_it_may_stand_for_is_said(version, guest, expected):
    found = kernels.candidates(version, guest)
    assert [one.kernel for one in found] == expected
    assert all(one.grounds for one in found) == kernels.is_build(version), (
        "a kernel of a builder is never taken without a word"
    )
    for one in found:
        assert kernels.resolve(one.kernel) in kernels.KERNELS


@pytest.mark.parametrize(
    ("version", "expected", "said"),
    [
        ("5.4.200", "v5.11", "older than v5.11"),
        ("5.7", "v5.11", "was not read"),
        ("5.10.145", "v5.11", "older than v5.11"),
        ("5.10.146", "v5.15.70+", "older than v5.11"),
        ("5.10.300", "v5.15.70+", "read up to 5.10.265"),
        ("6.18.999", "v6.17-v7.2", "was not released"),
    ],
)
def test_the_nearest_kernel_stands_in_with_a_warning(version, expected, said):
    assert kernels.resolve(version) == expected
    assert said in kernel_ground(kernels.candidates(version)[0])


@pytest.mark.parametrize("version", ["6.99", "5.20", "4.21", "6.20.3-1-pve"])
def test_a_version_that_never_was_is_pointed_out(version):
    with pytest.raises(BadInput, match=r"there is no Linux \d\.\d\d: .* was followed by"):
        kernels.resolve(version)


def test_before_v5_11_the_end_of_a_region_flushes_its_pages_only():
    old = kernels.upstream("sev", "unreg_region", "v5.11", kernels.release("5.4.100"))
    assert old.strategies == ("CLFLUSHOPT_DM_PINNED", "SKIP_COHERENT")
    assert kernels.upstream("sev", "unreg_region", "v5.11", kernels.release("5.10.100")).strategies == ("WBINVD_ALL",)


@pytest.mark.parametrize(
    ("guest", "version"),
    [
        ("sev-es", "5.10.200"),
        ("sev-es", "5.4"),
        ("sev-es", "4.18.0-305.el8.x86_64"),
        ("tdx", "5.14.0-570.12.1.el9_6.x86_64"),
    ],
)
def test_a_kernel_that_was_read_without_a_guest_type_does_not_run_it(guest, version):
    assert "does not run" in kernels.not_hosted(guest, version)


@pytest.mark.parametrize("guest", ["plain", "sev"])
def test_what_was_read_with_a_guest_type_runs_it(guest):
    for version in (
        "5.10.200",
        "4.18.0-305.el8.x86_64",
        "5.14.0-570.12.1.el9_6.x86_64",
        "6.8.0-45-generic",
        "v6.8-v6.10",
    ):
        assert kernels.not_hosted(guest, version) == ""


# Where a flush runs: for every guest, trigger and kernel a place that exists and that is not too late.

CELLS = [(guest, trigger) for guest in GUESTS for trigger in triggers_of(guest)]
AMD = [name for name, guest in GUESTS.items() if guest.has("asid_keyed")]


@pytest.mark.parametrize("kernel", KERNELS)
def test_every_flush_has_a_place_before_the_page_is_free(kernel):
    for guest, trigger in CELLS:
        place = PLACEMENTS[placement_for(guest, trigger.id, kernel)]
        assert place.admissible, (guest, trigger.id)


def test_only_the_place_after_range_end_is_too_late():
    assert [place.id for place in PLACEMENTS.values() if not place.admissible] == ["after_range_end"]


def test_every_place_says_who_waits():
    assert all(place.title and place.waits for place in PLACEMENTS.values())


@pytest.mark.parametrize("guest", AMD)
def test_an_amd_guest_never_flushes_under_mmu_lock_in_the_newest_kernel(guest):
    places = {placement_for(guest, trigger.id, newest()) for trigger in triggers_of(guest)}
    assert places - {"gmem_window"} == {"after_srcu", "outside_notifier"}


def test_only_holes_and_conversions_of_a_guest_memfd_have_a_window_of_their_own():
    found = {(g, t.id) for g, t in CELLS if placement_for(g, t.id, newest()) == "gmem_window"}
    assert found == {
        ("sev-snp-gmem", "gmem_punch_hole"),
        ("sev-snp-gmem", "convert_private_to_shared_in_place"),
    }


def test_tdx_pages_are_written_back_under_mmu_lock():
    under = {t.id for t in triggers_of("tdx") if placement_for("tdx", t.id, newest()) == "under_mmu_lock"}
    assert under == {"gmem_punch_hole", "gmem_free_folio_teardown", "convert_private_to_shared", "tdr_page_free"}


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_notifier_hook_runs_inside_the_notifier_and_nothing_else_does(kernel):
    inside = {"after_unlock", "after_srcu"}
    for guest, trigger in CELLS:
        assert (placement_for(guest, trigger.id, kernel) in inside) == trigger.in_window


def test_the_exit_of_an_address_space_opens_no_window():
    """kvm_flush_shadow_all() flushes from the release callback, which has neither range_start nor range_end."""
    assert placement_for("sev", "vm_teardown_mn_release", newest()) == "outside_notifier"
    assert not TRIGGERS["vm_teardown_mn_release"].in_window


def test_the_notifier_hook_leaves_srcu_once_and_for_all():
    for guest, trigger in CELLS:
        if trigger.in_window:
            places = [placement_for(guest, trigger.id, kernel) for kernel in KERNELS]
            first = list(KERNELS).index("v6.8-v6.10")
            assert places == ["after_unlock"] * first + ["after_srcu"] * (len(KERNELS) - first)


def test_only_the_hook_depends_on_the_kernel():
    for guest, trigger in CELLS:
        if not trigger.in_window:
            assert len({placement_for(guest, trigger.id, kernel) for kernel in KERNELS}) == 1


def test_unknown_ids_are_refused():
    with pytest.raises(UnknownName):
        placement_for("sevv", next(iter(TRIGGERS)), newest())
    with pytest.raises(UnknownName):
        placement_for("sev", "nothing", newest())


# The facts file: which cells it holds, on which side of the split they lie, and what is said of the rest.

FACTS = admissibility.facts()
HELD_OUT = set(TRIGGERS) - admissibility.TRAINING_TRIGGERS


def documented():
    with (data_dir() / "kvm" / "disagreements.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_each_cell_is_judged_once_and_occurs():
    cells = [row.cell for row in FACTS]
    assert len(set(cells)) == len(cells) > 1000
    assert set(cells) <= {(g, t.id, s) for g in GUESTS for t in triggers_of(g) for s in STRATEGIES}


def test_labels_are_three_and_each_row_has_reason_and_source():
    assert {row.admissible for row in FACTS} == {"yes", "conditional", "no"}
    assert all(row.reason.strip() and row.source.strip() for row in FACTS)


def test_every_guest_and_trigger_that_occurs_is_in_the_facts():
    assert {(row.guest_type, row.trigger) for row in FACTS} == {(g, t.id) for g in GUESTS for t in triggers_of(g)}


def test_the_split_covers_every_row_without_overlap():
    seen = {row.trigger for row in FACTS}
    assert seen == admissibility.TRAINING_TRIGGERS | HELD_OUT
    assert abs(len(admissibility.TRAINING_TRIGGERS) - len(HELD_OUT)) <= 1
    cells = {name: score.cells for name, score in admissibility.scores().items()}
    for side, triggers in (("training", admissibility.TRAINING_TRIGGERS), ("held out", HELD_OUT)):
        counted = sum(count for name, count in cells.items() if name.startswith(side))
        assert counted == sum(row.trigger in triggers for row in FACTS)


@pytest.mark.parametrize("kind", ["by definition", "read in sources"])
def test_held_out_triggers_are_met(kind):
    score = admissibility.scores()[f"held out, {kind}"]
    assert score.cells > 100
    assert score.share >= 0.95


def test_the_scores_are_what_a_plain_count_gives():
    score = admissibility.scores()["held out, read in sources"]
    rows = [r for r in FACTS if r.trigger in HELD_OUT and r.source != "by definition of the strategy"]
    assert score.cells == len(rows)
    assert score.agree == sum(judge(*row.cell).label == row.admissible for row in rows)


def test_every_disagreement_has_a_reason():
    assert all(len(one.why.split()) > 5 for one in admissibility.disagreements())


@pytest.mark.parametrize("row", documented(), ids=lambda row: f"{row['trigger']}-{row['strategy']}")
def test_no_documented_disagreement_is_stale(row):
    key = row["guest"], row["trigger"], row["strategy"]
    (fact,) = (one for one in FACTS if one.cell == key)
    assert judge(*key).label != fact.admissible


ALL = kernels.decisions()


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
    text = (data_dir() / "kvm" / kernels.DECISIONS).read_text(encoding="utf-8")
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
    assert [d.number for d in kernels.changes(guest, trigger, before, after)] == numbers


def test_a_hook_that_moved():
    assert [d.number for d in kernels.moved("sev", "ksm_replace_page", "v6.8-v6.10")] == [8]
    assert not kernels.moved("sev", "unreg_region", "v6.8-v6.10")


def test_mainline_does_not_go_through_a_stable_series():
    assert kernels.mainline("v6.8-v6.10", "v5.11") == ("v5.11", "v5.18-v6.7", "v6.8-v6.10")
    assert kernels.mainline("v5.15.70+", "v5.18-v6.7") == ("v5.15.70+", "v5.18-v6.7")


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
    with (data_dir() / "kvm" / kernels.DECISIONS).open(newline="", encoding="utf-8") as file:
        row = next(csv.DictReader(file))
    path = tmp_path / "d.csv"
    path.write_text(csv_text(list(row), [list({**row, cell: text}.values())]), encoding="utf-8")
    with pytest.raises(BadInput) as caught:
        kernels.read_decisions(path)
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
