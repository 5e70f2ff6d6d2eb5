"""Where the hook runs relative to mmu_lock, and who waits there (KERNEL flow of kvm_mmu_notifier_invalidate_range_start())."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.kvm.guests import guest
from costmodel.kvm.kernels import KERNEL_RANGES
from costmodel.kvm.triggers import trigger


@dataclass(frozen=True)
class Placement:
    """A hook placement; `admissible` is false where the page may be reused before the flush.

    `hooks` are the names that the thread of 2023-08-18 gives to a hook there: before/after pairs around lock and
    unlock, or on_lock and on_unlock symmetric with respect to the lock.
    """

    id: str
    title: str
    waits: str
    admissible: bool
    hooks: tuple[str, ...] = ()


PLACEMENTS = {
    placement.id: placement
    for placement in (
        Placement(
            "under_mmu_lock",
            "under mmu_lock",
            "all page faults of the VM",
            True,
            ("after_lock", "before_unlock", "on_lock and on_unlock, symmetric"),
        ),
        Placement(
            "after_unlock",
            "after unlock, in SRCU",
            "faults in the merged range; memslot updates, also for SRCU",
            True,
            ("after_unlock", "on_unlock as it was up to v6.7"),
        ),
        Placement(
            "after_srcu",
            "after SRCU is dropped",
            "faults in the merged range; memslot updates",
            True,
            ("after found_memslot, v6.8 on",),
        ),
        Placement(
            "after_range_end",
            "after range_end",
            "nobody, but the page may already belong to someone else",
            False,
        ),
        Placement(
            "gmem_window",
            "inside its gmem window",
            "faults in the hole; other operations on the same guest_memfd",
            True,
        ),
        Placement("outside_notifier", "outside the notifier", "whoever holds the lock of that path", True),
    )
}
HOOK_PLACEMENTS = ("under_mmu_lock", "after_unlock", "after_srcu", "after_range_end")
"""Where a notifier hook can run, in the order of the code path; each is dominated by the admissible ones after it."""
SRCU_KERNEL = "v6.8-v6.10"
"""First range whose hook runs after SRCU is dropped (commits cec29eef0a81, 193bbfaacc84)."""


def placement_for(guest_id: str, trigger_id: str, kernel: str) -> str:
    """Id of the placement that the kernel range uses at the trigger."""
    g, t = guest(guest_id), trigger(trigger_id)
    if g.has("keyid_keyed") and t.page_may_leave_vm and not t.by_hva:
        return "under_mmu_lock"
    if g.has("asid_keyed") and t.pfn_source == "gmem" and t.by_vmm:
        return "gmem_window"
    if not t.in_window:
        return "outside_notifier"
    later = KERNEL_RANGES.index(kernel) >= KERNEL_RANGES.index(SRCU_KERNEL)
    return "after_srcu" if later else "after_unlock"
