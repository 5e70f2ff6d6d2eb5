"""The mask of CPUs that ran a guest: pinned, spread, unpinned, cleared."""

import math

import numpy
import pytest

from costmodel.cost import flush
from costmodel.decision.mask import LEFT_OUT, mask_rows

SCAN = "autonuma_prot_none_scan"


@pytest.fixture(scope="module")
def rows(study):
    return {row.label: row for row in mask_rows(study(SCAN))}


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


def test_spreading_pinned_vcpus_takes_cpu_time_off_the_serial_part(study, rows):
    one = study(SCAN)
    for label, packed in (("pinned, packed", True), ("pinned, spread", False)):
        cost = flush.whole_cache(one.draws, one.scenario.machine, 8.0, invalidates=False, packed=packed)
        assert rows[label].stolen_cpu_s_per_event.median == pytest.approx(float(numpy.median(cost.stolen_s)))
    spread, packed = rows["pinned, spread"], rows["pinned, packed"]
    assert spread.stolen_cpu_s_per_event.median < packed.stolen_cpu_s_per_event.median


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
    assert rows["cleared at each flush, 1 migrations per flush"].cpus == pytest.approx(256 - 248 * 255 / 256)


def test_random_places_touch_no_more_domains_than_cpus_or_domains(rows):
    for row in rows.values():
        assert 1 <= row.domains <= min(row.cpus, 16) + 1e-9


@pytest.mark.parametrize("label", ["unpinned, 50 % of the CPUs", "unpinned, 90 % of the CPUs"])
def test_an_unpinned_mask_costs_what_its_domains_say(study, rows, label):
    """128 CPUs at random places are 8 in each of 16 domains, not 16 in each of 8."""
    one = study(SCAN)
    row = rows[label]
    assert row.domains == pytest.approx(16, abs=0.1)
    cost = flush.whole_cache(one.draws, one.scenario.machine, row.cpus, invalidates=False, packed=False)
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
