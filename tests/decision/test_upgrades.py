"""Upgrade advice over all versions: what is named exists, is newer, and mends what it is said to mend."""

import re

import pytest

from costmodel.calibration.cached import parameters_of
from costmodel.cost.draws import Draws
from costmodel.cost.scenario import scenario
from costmodel.decision.advice import upgrade_advice
from costmodel.decision.policy import Study
from costmodel.evidence.store import load
from costmodel.kvm import kernels
from costmodel.kvm.releases import dotted, releases
from costmodel.kvm.triggers import TRIGGERS, triggers_of

MOVE = TRIGGERS["intra_host_migration_move_ctx"].title
IDS = {trigger.title: id for id, trigger in TRIGGERS.items()}
MINORS = {5: range(11, 20), 6: range(20), 7: range(4)}
AROUND = [(6, 18, level) for level in (54, 55, 56)] + [(7, 2, level) for level in (8, 9, 10)]
"""Patch levels around the backports that the fixture `mended` takes as released."""
VERSIONS = sorted(
    {(major, minor, 0) for major, minors in MINORS.items() for minor in minors} | set(AROUND) | {(5, 15, 70)}
)


def studies_of(case, draws):
    return [Study(trigger, case, draws.parameters, draws, {}) for trigger in triggers_of(case.guest)]


@pytest.fixture(scope="module")
def draws():
    return Draws(parameters_of(load(), "epyc-7763-2s"), 4)


@pytest.fixture(scope="module")
def advised(draws):
    """The upgrade from a version, with the scenario."""

    def find(guest, version):
        name = version if isinstance(version, str) else dotted(version)
        case = scenario(load(), guest, "epyc-7763-2s", "autonuma-default", name)
        found = upgrade_advice(studies_of(case, draws))
        return case, found[0] if found else None

    return find


@pytest.mark.parametrize("guest", ["plain", "sev", "sev-es", "sev-snp", "sev-snp-gmem"])
@pytest.mark.usefixtures("mended")
def test_each_upgrade_exists_is_newer_and_mends_what_it_names(guest, advised, draws):
    seen = {release.name: release.version for release in releases()}
    named = 0
    for version in VERSIONS:
        case, advice = advised(guest, version)
        if advice is None:
            continue
        where = (guest, version, advice.title)
        assert "-rc" not in advice.title, where
        target = re.search(r"\d+\.\d+\.\d+", advice.title)
        if advice.kind == "guest":
            assert target is None or seen[target[0]] > case.release, where
            continue
        named += 1
        assert advice.status.startswith("released"), where
        assert seen[target[0]] > case.release, where
        there = {s.trigger.id: s for s in studies_of(case.on(target[0]), draws)}
        told = advice.caveat.partition("needed for correctness: this kernel can lose a flush at ")[2].partition(";")[0]
        mended = [IDS[title] for title in told.split(", ") if title]
        for trigger in mended:
            assert there[trigger].chosen is not None and not there[trigger].unsafe_running, (where, trigger)
        here = {s.trigger.id: s for s in studies_of(case, draws)}
        unsafe = {t for t, s in here.items() if s.unsafe_running}
        assert set(mended) == {t for t in unsafe if there[t].chosen}, where
        assert not {t for t, s in there.items() if s.unsafe_running} - unsafe, where
    assert named or guest in ("plain", "sev-snp", "sev-snp-gmem")


@pytest.mark.parametrize(
    ("version", "expected"),
    [("6.8", "6.18.55"), ("6.12.112", "6.18.55"), ("6.17", "6.18.55"), ("6.18.54", "6.18.55"), ("6.19", "7.2.9")],
)
@pytest.mark.usefixtures("mended")
def test_the_flush_of_a_moved_guest_is_where_a_release_has_it(version, expected, advised):
    """v6.17, once named for it, lacks it as well."""
    _, advice = advised("sev", version)
    assert advice.title == f"Upgrade the host kernel to {expected} or a later {expected.rpartition('.')[0]}.y"
    assert MOVE in advice.caveat and advice.caveat.startswith("needed for correctness")


@pytest.mark.parametrize("version", ["6.8", "6.12.112"])
def test_what_no_release_mends_is_said_and_no_release_is_named_for_it(version, advised):
    """6.18.55 and 7.2.9 have the first half of that fix only; the second is queued (data/kvm/backports.csv)."""
    _, advice = advised("sev", version)
    assert advice.title == "Upgrade the host kernel to 6.18.55 or a later 6.18.y"
    assert f"no release that was seen mends {MOVE}" in advice.caveat and "needed for correctness" not in advice.caveat


@pytest.mark.parametrize("version", ["6.17", "6.18.55", "7.2.9"])
def test_a_kernel_that_no_release_betters_is_left_alone(version, advised):
    assert advised("sev", version)[1] is None


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("version", ["6.18.55", "6.18.60", "7.2.9", "newest"])
def test_a_kernel_that_has_all_fixes_is_left_alone(version, advised):
    assert advised("sev", version)[1] is None


@pytest.mark.usefixtures("mended")
def test_the_first_kernels_are_not_led_to_one_that_loses_other_flushes(advised):
    """6.12 flushes at invalidations, and moves guests without a flush: 5.11 could not move them."""
    _, advice = advised("sev", "5.11")
    assert "6.18.55" in advice.title
    assert kernels.resolve("6.12.112") != kernels.resolve("6.18.55")
