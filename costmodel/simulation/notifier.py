"""State of KVM's MMU notifier: nested invalidations, the merged range and the sequence count.

kvm_mmu_invalidate_begin() counts up and sets or widens the range (kvm_mmu_invalidate_range_add()), so the range grows
until no invalidation is in progress. kvm_mmu_invalidate_end() changes the sequence count first and then counts down.
Guest frame numbers are places in [0, 1).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy


class Notifier:
    """What page faults look at, and a log of it.

    `pieces` holds one tuple per time between two changes of a period in progress: time to the period's end at the start
    and at the end of the piece, and the share of the gfns that the merged range covers.
    """

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.in_progress = 0
        self.sequence = 0
        self.low = self.high = 0.0
        self.pieces: list[tuple[float, float, float]] = []
        self._begun: list[tuple[float, float]] = []

    def begin(self, start: float, end: float) -> None:
        """An invalidation of the gfns in [start, end) begins; the caller holds mmu_lock for write."""
        if self.in_progress == 0:
            self.low, self.high = start, end
        else:
            self.low, self.high = min(self.low, start), max(self.high, end)
        self.in_progress += 1
        self._begun.append((self.env.now, self.high - self.low))

    def end(self) -> None:
        """An invalidation ends; the caller holds mmu_lock for write."""
        self.sequence += 1
        self.in_progress -= 1
        if self.in_progress == 0:
            now = self.env.now
            left_s = [now - begun_s for begun_s, _ in self._begun] + [0.0]
            self.pieces += zip(left_s, left_s[1:], (covered for _, covered in self._begun), strict=False)
            self._begun.clear()

    def covers(self, gfn: float) -> bool:
        """Whether a fault at `gfn` must retry now: the first test of mmu_invalidate_retry_gfn()."""
        return self.in_progress > 0 and self.low <= gfn < self.high
