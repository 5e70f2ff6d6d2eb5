"""What upstream did, kernel by kernel: three choices were bugs, and a later range fixed each."""

import csv

import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.kvm import kernels
from costmodel.kvm.admissibility import judge
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, triggers_of

RANGES = kernels.KERNEL_RANGES
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
