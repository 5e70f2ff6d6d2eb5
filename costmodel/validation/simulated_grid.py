"""The designed grid: settings of the simulator that cover what the contention formulas claim, and some beyond it."""

from __future__ import annotations

from functools import lru_cache

from costmodel.validation import simulated_lines, simulated_lock, simulated_parts, simulated_whole, simulated_windows
from costmodel.validation.simulated_design import Case
from costmodel.validation.simulated_edges import edges


@lru_cache(maxsize=1)
def grid() -> tuple[Case, ...]:
    """All settings, each with an id of its own."""
    families = (
        simulated_lock.lock_open(),
        simulated_lock.lock_p99(),
        simulated_lock.lock_faults(),
        simulated_windows.window_parallel(),
        simulated_windows.retries(),
        simulated_windows.window_serial(),
        simulated_windows.closed(),
        simulated_lines.coalesced(),
        simulated_lines.queued(),
        simulated_lock.saturated(),
        simulated_lines.batches(),
        simulated_lines.attackers(),
        simulated_parts.dirty(),
        simulated_parts.masks(),
        simulated_parts.domains(),
        simulated_parts.broadcasts(),
        simulated_parts.addresses(),
        simulated_parts.numa(),
        edges(),
        simulated_whole.walks(),
        simulated_whole.in_line(),
        simulated_whole.answers(),
        simulated_whole.whole_edges(),
    )
    return tuple(case for family in families for case in family)
