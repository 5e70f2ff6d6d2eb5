"""Where a flush runs: for every guest, trigger and kernel a place that exists and that is not too late."""

import pytest

from costmodel.errors import UnknownName
from costmodel.kvm.catalog import GUESTS, PLACEMENTS, TRIGGERS, triggers_of
from costmodel.kvm.kernels import KERNEL_RANGES, newest, placement_for

CELLS = [(guest, trigger) for guest in GUESTS for trigger in triggers_of(guest)]
AMD = [name for name, guest in GUESTS.items() if guest.has("asid_keyed")]


@pytest.mark.parametrize("kernel", KERNEL_RANGES)
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


@pytest.mark.parametrize("kernel", KERNEL_RANGES)
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
            places = [placement_for(guest, trigger.id, kernel) for kernel in KERNEL_RANGES]
            first = KERNEL_RANGES.index("v6.8-v6.10")
            assert places == ["after_unlock"] * first + ["after_srcu"] * (len(KERNEL_RANGES) - first)


def test_only_the_hook_depends_on_the_kernel():
    for guest, trigger in CELLS:
        if not trigger.in_window:
            assert len({placement_for(guest, trigger.id, kernel) for kernel in KERNEL_RANGES}) == 1


def test_unknown_ids_are_refused():
    with pytest.raises(UnknownName):
        placement_for("sevv", next(iter(TRIGGERS)), newest())
    with pytest.raises(UnknownName):
        placement_for("sev", "nothing", newest())
