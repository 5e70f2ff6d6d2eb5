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
    assert all(one.why for one in found) == kernels.is_build(version), (
        "a kernel of a builder is never taken without a word"
    )
    for one in found:
        assert kernels.resolve(one.kernel) in kernels.KERNEL_RANGES


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
    assert said in kernels.candidates(version)[0].why


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
