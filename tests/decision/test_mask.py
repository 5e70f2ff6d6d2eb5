"""The mask of CPUs that ran a guest: pinned, spread, unpinned, cleared."""

import math
from dataclasses import replace

import numpy
import pytest

from costmodel.cost import flush
from costmodel.cost.rates import event_rate
from costmodel.cost.totals import event_of
from costmodel.decision.mask import LEFT_OUT, _domains, mask_rows
from costmodel.kvm.strategies import STRATEGIES
from tests.decision.made import candidate, study_of

SCAN = "autonuma_prot_none_scan"


@pytest.fixture(scope="module")
def rows(study):
    return {row.label: row for row in mask_rows(study(SCAN))}


def at_its_rate(one, cpus, packed):
    """The flush with what it finds dirty at the rate that the scan then has."""
    case = replace(one.scenario, cpus_that_ran=cpus, packed=packed)
    _, _, rate = event_of(STRATEGIES["WBNOINVD_MASK"], SCAN, case, one.draws)
    for _ in range(2):
        found = flush.at_rate(one.draws, case.machine, rate)
        cost = flush.whole_cache(found, case.machine, cpus, invalidates=False, packed=packed)
        rate = event_rate(STRATEGIES["WBNOINVD_MASK"], SCAN, case, found)
    return cost


def test_from_the_pinned_guest_to_all_cpus(rows):
    sizes = [row.cpus for row in rows.values() if row.admissible]
    assert sizes[0] == sizes[1] == 8
    assert sizes[-1] == 256
    assert sizes == sorted(sizes)


def test_a_larger_mask_never_costs_less(rows):
    packed = [row for row in rows.values() if row.admissible and "spread" not in row.label]
    costs = [row.stolen_cpu_s_per_event.median for row in packed]
    assert costs == sorted(costs)


def test_eight_vcpus_packed_fill_half_a_domain_and_spread_touch_eight(rows):
    """A domain of Milan has 16 CPUs; there are 16 domains."""
    assert rows["pinned, packed"].domains == 1
    assert rows["pinned, spread"].domains == 8


def test_spreading_pinned_vcpus_writes_back_more_caches(study, rows):
    """Eight domains instead of one: their dirty lines are written too, and everybody on the socket waits for that."""
    one = study(SCAN)
    for label, packed in (("pinned, packed", True), ("pinned, spread", False)):
        cost = at_its_rate(one, 8.0, packed=packed)
        assert rows[label].stolen_cpu_s_per_event.median == pytest.approx(float(numpy.median(cost.stolen_s)))
    spread, packed = rows["pinned, spread"], rows["pinned, packed"]
    assert spread.stolen_cpu_s_per_event.median > packed.stolen_cpu_s_per_event.median


def test_all_cpus_cost_what_a_flush_on_all_cpus_costs(study, rows):
    stolen = study(SCAN).cost("WBNOINVD_ALL").event.stolen_s
    assert rows["unpinned, all CPUs"].stolen_cpu_s_per_event.median == pytest.approx(float(numpy.median(stolen)))


@pytest.mark.parametrize("share", LEFT_OUT)
def test_the_migrations_to_a_share_are_those_of_a_collector_of_cpus(rows, share):
    """Of 248 CPUs outside a share exp(-M / 256) is left."""
    note = rows[f"unpinned, {100 * (1 - share):g} % of the CPUs"].note
    expected = 256 * math.log(248 / (256 * share))
    told = float(note.removeprefix("after ").split()[0])
    assert told == pytest.approx(expected, rel=0.05)


def test_at_one_migration_per_second_they_take_as_many_seconds(rows):
    assert rows["unpinned, 50 % of the CPUs"].note == "after 170 migrations: 170 s at one per second"


def test_clearing_the_mask_is_inadmissible_and_says_why(rows):
    cleared = [row for label, row in rows.items() if label.startswith("cleared")]
    assert len(cleared) == 2
    for row in cleared:
        assert not row.admissible
        assert "loses a flush" in row.note
    assert all(row.admissible for label, row in rows.items() if not label.startswith("cleared"))


def test_one_migration_per_flush_adds_at_most_one_cpu(rows):
    """256 - 248 x 255 / 256 = 8.97: nearly every migration lands outside the 8 CPUs."""
    assert rows["cleared at each flush, 1 migration per flush"].cpus == pytest.approx(256 - 248 * 255 / 256)


def test_random_places_touch_no_more_domains_than_cpus_or_domains(rows):
    for row in rows.values():
        assert 1 <= row.domains <= min(row.cpus, 16) + 1e-9


@pytest.mark.parametrize("label", ["unpinned, 50 % of the CPUs", "unpinned, 90 % of the CPUs"])
def test_an_unpinned_mask_costs_what_its_domains_say(study, rows, label):
    """128 CPUs at random places are 8 in each of 16 domains, not 16 in each of 8."""
    one = study(SCAN)
    row = rows[label]
    assert row.domains == pytest.approx(16, abs=0.1)
    cost = at_its_rate(one, row.cpus, packed=False)
    assert row.stolen_cpu_s_per_event.median == pytest.approx(float(numpy.median(cost.stolen_s)))


def test_the_kernels_own_flush_is_the_one_that_is_told(study):
    assert {row.strategy for row in mask_rows(study(SCAN))} == {"WBNOINVD_MASK"}


def test_a_guest_as_large_as_the_host_has_no_cpu_to_leave_out(study):
    labels = [row.label for row in mask_rows(study(SCAN, vcpus=256))]
    assert not any("% of the CPUs" in label for label in labels)
    assert labels[-3] == "unpinned, all CPUs"


def test_more_vcpus_than_cpus_are_the_cpus(study):
    rows = mask_rows(study(SCAN, vcpus=1000))
    assert {row.cpus for row in rows} == {256}


def test_no_mask_where_rules_exclude_it(study):
    """The CPUs that ran a TDX guest are not kept."""
    assert mask_rows(study(SCAN, guest="tdx", machine="xeon-8570-2s")) == []


def test_the_rows_are_the_ones_that_the_page_explains(rows):
    assert {label: row.cpus for label, row in rows.items()} == pytest.approx(
        {
            "pinned, packed": 8,
            "pinned, spread": 8,
            "unpinned, 50 % of the CPUs": 128,
            "unpinned, 90 % of the CPUs": 230.4,
            "unpinned, 99 % of the CPUs": 253.44,
            "unpinned, all CPUs": 256,
            "cleared at each flush, 1 migration per flush": 256 - 248 * 255 / 256,
            "cleared at each flush, 100 migrations per flush": 256 - 248 * 255 / 355,
        }
    )
    assert rows["unpinned, all CPUs"].domains == 16


def test_a_guest_with_half_of_the_cpus_leaves_less_than_half_out(study):
    labels = [row.label for row in mask_rows(study(SCAN, vcpus=128))]
    assert "unpinned, 50 % of the CPUs" not in labels and "unpinned, 90 % of the CPUs" in labels


def test_an_unpinned_mask_lies_on_all_domains_and_a_pinned_one_as_it_is_told(study, rows):
    one = study(SCAN)
    case = one.scenario
    for cpus, packed, domains in ((8.0, True, 1), (17.0, True, 2), (8.0, False, 8), (40.0, False, 16)):
        assert _domains(replace(case, packed=packed), cpus, uniform=False) == domains
    assert _domains(case, 40.0, uniform=True) == pytest.approx(16 * (1 - missed(40)), abs=0.05)
    touched = rows["cleared at each flush, 1 migration per flush"]
    assert touched.domains == pytest.approx(16 * (1 - missed(9)), abs=0.1)


def missed(cpus):
    """Probability that a domain of 16 has none of `cpus` CPUs out of 256."""
    return math.comb(240, cpus) / math.comb(256, cpus)


def test_a_row_costs_what_its_mask_costs(study, rows):
    one = study(SCAN)
    for label, packed in (("unpinned, all CPUs", True), ("cleared at each flush, 100 migrations per flush", False)):
        row = rows[label]
        cost = at_its_rate(one, row.cpus, packed=packed)
        assert row.event_time_s.median == pytest.approx(float(numpy.median(cost.time_s)))
        assert row.stolen_cpu_s_per_event.median == pytest.approx(float(numpy.median(cost.stolen_s)))


def test_the_flush_that_the_kernel_runs_goes_before_the_last_of_the_catalogue():
    masks = [candidate("WBINVD_MASK", running=True), candidate("WBNOINVD_MASK")]
    assert {row.strategy for row in mask_rows(with_draws(masks))} == {"WBINVD_MASK"}
    idle = [candidate("WBINVD_MASK"), candidate("WBNOINVD_MASK")]
    assert {row.strategy for row in mask_rows(with_draws(idle))} == {"WBNOINVD_MASK"}
    unsafe = [candidate("WBINVD_MASK", state="undecided"), candidate("WBNOINVD_ALL", running=True)]
    assert mask_rows(with_draws(unsafe)) == []


def with_draws(candidates):
    return study_of(candidates, trigger=SCAN)
