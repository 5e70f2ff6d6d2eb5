"""Versions and ranges, and the three choices of upstream that were bugs."""

import pytest

from costmodel.errors import BadInput
from costmodel.kvm import kernels
from costmodel.kvm.admissibility import judge
from costmodel.kvm.guests import GUESTS
from costmodel.kvm.placements import PLACEMENTS, placement_for
from costmodel.kvm.remedies import ANY, remedies
from costmodel.kvm.strategies import STRATEGIES
from costmodel.kvm.triggers import TRIGGERS, triggers_of


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
        *((name, name) for name in kernels.KERNEL_RANGES),
    ],
)
def test_a_version_lies_in_its_range(version, expected):
    assert kernels.resolve(version) == expected


@pytest.mark.parametrize("version", ["", "six", "5.10", "2.6.32", "6", "6.6; rm -rf", "99.0", "../6.6"])
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
            for kernel in kernels.KERNEL_RANGES:
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
            for kernel in kernels.KERNEL_RANGES:
                done = kernels.upstream(guest, trigger.id, kernel)
                assert done is None or (set(done.strategies) <= set(STRATEGIES) and done.locator)


def test_a_guest_type_begins_with_the_kernel_that_brought_it():
    assert not kernels.hosts("sev-snp-gmem", "v6.8-v6.10")
    assert kernels.hosts("sev-snp-gmem", "v6.11-v6.16")
    assert kernels.hosts("tdx", "v6.11-v6.16") and not kernels.hosts("tdx", "v6.8-v6.10")
    assert all(kernels.hosts("sev", kernel) for kernel in kernels.KERNEL_RANGES)


def test_no_hook_runs_after_the_end_of_the_invalidation():
    for guest in GUESTS:
        for trigger in triggers_of(guest):
            for kernel in kernels.KERNEL_RANGES:
                assert PLACEMENTS[placement_for(guest, trigger.id, kernel)].admissible


def test_the_sev_hook_is_never_under_mmu_lock_and_left_srcu_in_v6_8():
    for kernel in kernels.KERNEL_RANGES:
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
        assert not remedy.first_kernel or remedy.first_kernel in kernels.KERNEL_RANGES


def test_numa_balancing_off_stops_the_scan_and_nothing_else_of_ksm():
    off = next(r for r in remedies() if "numa_balancing=0" in r.title)
    assert off.applies_to("sev", TRIGGERS["autonuma_prot_none_scan"])
    assert not off.applies_to("sev", TRIGGERS["ksm_replace_page"])


@pytest.mark.parametrize("version", ["7.4", "7.4-rc1", "7.5.1", "8.0"])
def test_a_kernel_after_the_last_that_was_read_is_refused_not_guessed(version):
    with pytest.raises(BadInput, match="newer than v7.3-rc, the last that was read.*give newest"):
        kernels.resolve(version)


@pytest.mark.parametrize(
    "version",
    ["5.14.0-503.11.1.el9_5.x86_64", "6.8.0-45-generic", "6.12.61-amd64", "5.15.0-1092-azure", "6.6.119+bpo-amd64"],
)
def test_a_kernel_of_a_distribution_is_refused_with_how_to_find_out(version):
    with pytest.raises(BadInput, match="no source here tells what was backported") as refused:
        kernels.resolve(version)
    assert "/proc/kallsyms" in str(refused.value)
    for given in ("6.17", "6.11", "5.18", "5.11"):
        assert given in str(refused.value) and kernels.resolve(given)
