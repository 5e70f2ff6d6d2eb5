"""Versions and ranges, and the three choices of upstream that were bugs."""

import csv

import pytest

from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.paths import data_dir
from costmodel.kvm import admissibility, kernels
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, PLACEMENTS, STRATEGIES, TRIGGERS, triggers_of
from costmodel.kvm.decisions import ANY, remedies
from costmodel.kvm.kernels import KERNELS, newest, placement_for
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
