"""data/workloads: loops, ranges and sources."""

import pytest

from costmodel.errors import BadInput
from costmodel.evidence import store
from costmodel.evidence.workloads import trigger_ids
from costmodel.kvm.catalog import TRIGGERS


def test_catalogue(evidence):
    """Every file of data/workloads is a workload, and none of those that reports and the thread speak of is lost."""
    assert set(evidence.workloads) == {path.stem for path in (evidence.root / "workloads").glob("*.toml")}
    assert set(evidence.workloads) >= {
        "idle",
        "ksm-default",
        "ksm-aggressive",
        "autonuma-default",
        "compaction-thp",
        "swap-pressure",
        "teardown",
        "vm-boot",
    }
    used = {load.trigger for workload in evidence.workloads.values() for load in workload.triggers}
    assert used <= trigger_ids(evidence.root) == set(TRIGGERS)


def test_the_loads_that_a_kernel_makes_by_itself_say_so(evidence):
    assert {one.id for one in evidence.workloads.values() if one.defaults} == {"ksm-default", "autonuma-default"}


@pytest.mark.parametrize(("workload", "row"), [("ksm-default", "N10"), ("ksm-aggressive", "N15")])
def test_both_ksm_notifiers_share_the_one_thread(evidence, workload, row):
    loads = [evidence.workload(workload).load(name) for name in ("ksm_write_protect", "ksm_replace_page")]
    assert {load.thread for load in loads} == {"ksmd"}
    for load in loads:
        assert load.loop == "closed_batch"
        assert load.events_per_cycle.si == evidence.one(row).si
        assert load.sleep_s.si == evidence.one("N11").si
        assert load.ranges(1e9) == ((4096.0, 1.0),)


def test_numa_balancing_takes_its_tunables_from_the_rows(evidence):
    load = evidence.workload("autonuma-default").load("autonuma_prot_none_scan")
    assert load.ranges(1e9) == ((evidence.one("N07").si, 1.0),)
    for name, number in load.tunables.items():
        assert number.si == evidence.one(number.sources[0]).si
        assert evidence.one(number.sources[0]).observable == f"event_rates.{name}"


def test_collapse_is_eight_huge_pages_per_ten_seconds(evidence):
    load = evidence.workload("compaction-thp").load("thp_collapse")
    assert (load.events_per_cycle.si, load.sleep_s.si, load.ranges(1e9)) == (8, 10, ((2.0**21, 1.0),))


def test_whole_vm_ranges_are_the_resident_bytes(evidence):
    for workload in evidence.workloads.values():
        for load in workload.triggers:
            if load.whole_vm:
                assert load.ranges(7.0) == ((7.0, 1.0),)
    assert evidence.workload("teardown").load("vm_destroy").whole_vm
    assert not evidence.workload("teardown").load("vmsa_page_free").whole_vm


def test_rates_that_nobody_published_are_an_axis(evidence):
    load = evidence.workload("swap-pressure").load("swap_reclaim")
    assert load.axis_per_s == (0.1, 1, 10, 100, 1e3, 1e4, 1e5)
    assert load.sleep_s is None


def test_event_fraction_is_a_named_ceiling(evidence):
    load = evidence.workload("ksm-default").load("ksm_write_protect")
    assert load.event_fraction.si == 1.0
    assert load.event_fraction.sources == ("scenario",)
    assert load.event_fraction.note.startswith("ceiling: every scanned page merges")


SWAP = "workloads/swap-pressure.toml"
KHUGEPAGED = 'sleep_s = { value = 10000, unit = "ms", source = "N13" }'


@pytest.mark.parametrize(
    ("name", "old", "new", "field"),
    [
        (SWAP, '"swap_reclaim"', '"sleep"', "trigger"),
        (SWAP, '"axis"', '"sometimes"', "loop"),
        (SWAP, "[0.1, 1, 10", "[-0.1, 1, 10", "axis_per_s"),
        (SWAP, "[[4096, 1.0]]", "[[4096, 0.5]]", "range_bytes"),
        (SWAP, "[[4096, 1.0]]", "[[-4096, 1.0]]", "range_bytes"),
        (SWAP, "[[4096, 1.0]]", '"all"', "range_bytes"),
        (SWAP, 'residency = "cold"', 'residency = "warm"', "residency"),
        (
            SWAP,
            "sources = []",
            'sources = []\nevent_fraction = { value = 0.5, unit = "1", source = "scenario", note = "half" }',
            "event_fraction",
        ),
        (
            "workloads/compaction-thp.toml",
            "event_fraction = { value = 1.0",
            "event_fraction = { value = 1.5",
            "event_fraction",
        ),
        (SWAP, "sources = []", "sources = []\nmood = 1", "mood"),
        (SWAP, "vms = { value = 1,", "vms = { value = 0,", "vms"),
        (SWAP, "[0.1, 1, 10", '["0.1", 1, 10', "axis_per_s"),
        (SWAP, "[[4096, 1.0]]", "4096", "range_bytes"),
        (SWAP, "sources = []", "sources = 1", "sources"),
        (SWAP, "[[triggers]]", "[triggers]", "triggers"),
        (SWAP, "sources = []", "sources = []\ntunables = 1", "tunables"),
        ("workloads/compaction-thp.toml", KHUGEPAGED, "", "loop"),
    ],
)
def test_bad_workload_is_refused_with_its_place(edit, name, old, new, field):
    root = edit(name, old, new)
    with pytest.raises(BadInput) as caught:
        store.read(root)
    assert f"workloads/{caught.value.file}" == name
    assert field in caught.value.field.split(".") and caught.value.remedy
