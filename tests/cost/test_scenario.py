"""What is asked: ids, numbers a user may set, and what they change."""

import math
from dataclasses import replace

import numpy
import pytest

from costmodel.cost.scenario import AXES, scenario
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.records import PAGE_BYTES


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"guest": "sevv"}, UnknownName),
        ({"machine": "epyc"}, UnknownName),
        ({"workload": "busy"}, UnknownName),
        ({"kernel": "2.6.32"}, BadInput),
        ({"vcpus": 0}, BadInput),
        ({"cpus_that_ran": 0}, BadInput),
        ({"cpus_that_ran": 257}, BadInput),
        ({"event_fraction": 1.5}, BadInput),
        ({"event_fraction": -0.1}, BadInput),
        ({"resident_bytes": 0}, BadInput),
        ({"resident_bytes": float("nan")}, BadInput),
    ],
)
def test_impossible_questions_are_refused(evidence, change, error):
    asked = {"guest": "sev", "machine": "epyc-7763-2s", "workload": "ksm-default", **change}
    with pytest.raises(error):
        scenario(evidence, **asked)


def test_an_unpinned_guest_has_run_on_every_cpu(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    assert case.cpus_that_ran == evidence.machine("epyc-7763-2s").logical_cpus


def test_the_event_fraction_replaces_that_of_the_workload(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", event_fraction=0.25)
    assert case.load("ksm_write_protect").event_fraction.si == 0.25
    assert case.workload.load("ksm_write_protect").event_fraction.si == 1.0


def test_a_trigger_without_a_rate_has_no_event_fraction(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "teardown", event_fraction=0.25)
    assert case.load("vm_teardown_mn_release").event_fraction is None


def test_a_whole_vm_range_follows_the_guest_size(evidence):
    case = scenario(evidence, "sev-snp-gmem", "epyc-7763-2s", "teardown", resident_bytes=2**30)
    assert case.ranges("gmem_free_folio_teardown") == ((2.0**30, 1.0),)


def test_a_trigger_of_another_workload_keeps_its_range_but_has_no_rate(evidence):
    case = scenario(evidence, "sev-snp-gmem", "epyc-7763-2s", "ksm-default", resident_bytes=2**30)
    assert case.load("gmem_free_folio_teardown") is None
    assert case.ranges("gmem_free_folio_teardown") == ((2.0**30, 1.0),)


def test_a_trigger_of_no_workload_has_one_page(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    assert case.ranges("memslot_delete_or_move") == ((PAGE_BYTES, 1.0),)
    assert case.range_is_assumed("memslot_delete_or_move")
    assert case.range_note("memslot_delete_or_move") == "range not published: one 4 KiB page assumed"


@pytest.mark.parametrize("trigger", ["ksm_write_protect", "autonuma_prot_none_scan", "intra_host_migration_move_ctx"])
def test_a_known_range_is_not_called_an_assumption(evidence, trigger):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    assert not case.range_is_assumed(trigger) and case.range_note(trigger) == ""


def test_a_range_that_is_set_is_no_assumption(evidence):
    case = replace(scenario(evidence, "sev", "epyc-7763-2s", "ksm-default"), range_bytes=2.0**21)
    assert not case.range_is_assumed("memslot_delete_or_move")


def test_an_intra_host_migration_moves_the_whole_guest(evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default", resident_bytes=2**30)
    assert case.ranges("intra_host_migration_move_ctx") == ((2.0**30, 1.0),)


def asked(evidence, **numbers):
    return scenario(evidence, **{"guest": "sev", "machine": "epyc-7763-2s", "workload": "ksm-default"} | numbers)


@pytest.mark.parametrize(
    "numbers",
    [
        {"vcpus": 1},
        {"vcpus": 2**16},
        {"cpus_that_ran": 1},
        {"cpus_that_ran": 256},
        {"event_fraction": 0.0},
        {"event_fraction": 1.0},
        {"resident_bytes": 1.0},
    ],
)
def test_the_ends_of_what_is_possible_are_taken(evidence, numbers):
    ((name, number),) = numbers.items()
    assert getattr(asked(evidence, **numbers), name) == number


@pytest.mark.parametrize(
    "numbers", [{"vcpus": 2**16 + 1}, {"resident_bytes": float("inf")}, {"event_fraction": 1.0001}]
)
def test_beyond_the_ends_it_is_refused(evidence, numbers):
    with pytest.raises(BadInput) as error:
        asked(evidence, **numbers)
    assert error.value.field == next(iter(numbers))


def test_what_is_not_asked_for_is_the_workload_s_and_the_machine_s(evidence):
    case = asked(evidence)
    load = evidence.workload("ksm-default")
    assert (case.vcpus, case.resident_bytes) == (load.vcpus.si, load.resident_bytes.si)
    assert (case.event_fraction, case.range_bytes, case.rate_per_s, case.packed) == (None, None, None, True)
    assert case.number_words == []
    assert math.copysign(1.0, asked(evidence, event_fraction=-0.0).event_fraction) == 1.0


def test_the_words_of_a_command_set_the_same_numbers_again(evidence):
    case = asked(evidence, vcpus=3, resident_bytes=1e9, cpus_that_ran=5, event_fraction=0.25)
    assert case.number_words == [
        *("--vcpus", "3"),
        *("--resident-bytes", "1000000000"),
        *("--cpus-that-ran", "5"),
        *("--event-fraction", "0.25"),
    ]


def test_dma_that_bypasses_the_caches_belongs_to_guests_without_encryption(evidence):
    plain = asked(evidence, guest="plain", noncoherent_dma=True)
    assert plain.number_words == ["--noncoherent-dma"]
    assert [plain.known("guest_executes_wbinvd")[name] for name in ("noncoherent_dma", "has_wbinvd_exit")] == [
        True,
        True,
    ]
    assert asked(evidence, guest="plain").known("guest_executes_wbinvd")["noncoherent_dma"] is False
    for guest in ("sev", "sev-snp-gmem"):
        with pytest.raises(BadInput, match="noncoherent_dma.*ask for the guest plain"):
            asked(evidence, guest=guest, noncoherent_dma=True)
    with pytest.raises(BadInput, match="neither true nor false"):
        asked(evidence, guest="plain", noncoherent_dma="yes")


def test_what_the_guest_executes_has_no_range(evidence):
    assert asked(evidence, guest="plain").range_note("guest_executes_wbinvd") == ""


def test_ranges_are_those_that_are_set_then_the_workload_s(evidence):
    case = asked(evidence)
    assert replace(case, range_bytes=77.0).ranges("ksm_write_protect") == ((77.0, 1.0),)
    assert case.ranges("ksm_write_protect") == case.workload.load("ksm_write_protect").range_bytes
    alone = replace(case, elsewhere={})
    assert case.shape("autonuma_prot_none_scan") is not None
    assert alone.shape("autonuma_prot_none_scan") is None
    assert alone.shape("ksm_write_protect") == case.shape("ksm_write_protect")
    assert alone.range_is_assumed("autonuma_prot_none_scan")
    assert not alone.range_is_assumed("intra_host_migration_move_ctx")


# Axes along which a case is swept.

GIB = 1024.0**3


@pytest.fixture(scope="module")
def case(evidence):
    return scenario(evidence, "sev", "epyc-7763-2s", "autonuma-default")


@pytest.mark.parametrize(
    ("name", "ends"),
    [
        ("range_bytes", (64, 64 * GIB)),
        ("cpus", (1, 256)),
        ("rate_per_s", (0.01, 100_000)),
        ("cache_bytes", (1024.0**2, GIB)),
    ],
)
def test_an_axis_runs_from_the_least_to_the_most(name, ends, case):
    assert AXES[name].span(case) == ends


def test_an_axis_is_evenly_spaced_in_the_logarithm_and_counts_cpus_whole(case):
    ranges = AXES["range_bytes"].values(case, 31)
    assert numpy.diff(numpy.log2(ranges)) == pytest.approx(numpy.ones(30))
    cpus = AXES["cpus"].values(case, 41)
    assert numpy.all(cpus == numpy.round(cpus)) and len(set(cpus)) == len(cpus) < 41


def test_an_axis_knows_where_the_case_lies(case):
    sizes = case.ranges("autonuma_prot_none_scan")
    assert AXES["range_bytes"].here(case, "autonuma_prot_none_scan") == sum(size * weight for size, weight in sizes)
    mixed = replace(case, workload=replace(case.workload, triggers=tuple(with_ranges(case))))
    assert AXES["range_bytes"].here(mixed, "autonuma_prot_none_scan") == pytest.approx(0.25 * 4096 + 0.75 * 8192)
    assert AXES["cpus"].here(case, "autonuma_prot_none_scan") == 256
    assert AXES["cache_bytes"].here(case, "autonuma_prot_none_scan") == case.machine.llc_bytes_per_domain
    assert math.isnan(AXES["rate_per_s"].here(case, "autonuma_prot_none_scan"))


def with_ranges(case):
    for load in case.workload.triggers:
        mixed = ((4096.0, 0.25), (8192.0, 0.75))
        yield replace(load, range_bytes=mixed) if load.trigger == "autonuma_prot_none_scan" else load


@pytest.mark.parametrize("name", AXES)
def test_an_axis_sets_what_it_shows(name, evidence):
    case = scenario(evidence, "sev", "epyc-7763-2s", "ksm-default")
    low, high = AXES[name].span(case)
    values = AXES[name].values(case, 9)
    assert values[0] == pytest.approx(low) and values[-1] == pytest.approx(high)
    assert numpy.all(numpy.diff(values) > 0)
    assert AXES[name].here(AXES[name].at(case, 32.0), "ksm_replace_page") == 32.0
