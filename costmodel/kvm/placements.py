"""Where the hook runs relative to mmu_lock, and who waits there (KERNEL flow of kvm_mmu_notifier_invalidate_range_start())."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.kvm.guests import guest
from costmodel.kvm.kernels import KERNEL_RANGES
from costmodel.kvm.triggers import trigger


@dataclass(frozen=True)
class Placement:
    """A hook placement; `admissible` is false where the page may be reused before the flush."""

    id: str
    title: str
    waits: str
    admissible: bool


PLACEMENTS = {
    placement.id: placement
    for placement in (
        Placement("under_mmu_lock", "under mmu_lock", "all page faults of the VM", True),
        Placement(
            "after_unlock",
            "after unlock, inside SRCU",
            "faults in the merged range; memslot updates also wait for SRCU",
            True,
        ),
        Placement("after_srcu", "after SRCU is dropped", "faults in the merged range", True),
        Placement(
            "after_range_end", "after range_end", "nobody, but the page may already belong to someone else", False
        ),
        Placement("outside_notifier", "outside the notifier", "whoever holds the lock of that path", True),
    )
}
SRCU_KERNEL = "v6.8-v6.10"
"""First range whose hook runs after SRCU is dropped (commits cec29eef0a81, 193bbfaacc84)."""


def placement_for(guest_id: str, trigger_id: str, kernel: str) -> str:
    """Id of the placement that the kernel range uses at the trigger."""
    g, t = guest(guest_id), trigger(trigger_id)
    if g.has("keyid_keyed") and t.page_may_leave_vm and not t.by_hva:
        return "under_mmu_lock"
    if t.path != "hva_notifier":
        return "outside_notifier"
    later = KERNEL_RANGES.index(kernel) >= KERNEL_RANGES.index(SRCU_KERNEL)
    return "after_srcu" if later else "after_unlock"
