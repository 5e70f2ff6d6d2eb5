"""Settings of the grid about flushes one after the other: whole caches in line, batches of a thread, attackers."""

from __future__ import annotations

from collections.abc import Iterator

from costmodel.simulation.invalidations import Invalidations
from costmodel.validation.simulated_design import FLUSH_TIMES_S, Case, points


def coalesced() -> Iterator[Case]:
    """Whole-cache flushes of which those that wait share the next one."""
    for index, (flush_s, load) in enumerate(points(16, 18, FLUSH_TIMES_S, (0.1, 4.0))):
        setting = Invalidations(
            flush_s=(flush_s,), rate_per_s=load / flush_s, whole_cache=True, coalesced=True, cpus=1 + index % 8
        )
        outputs = {"coalesced_batch": "batch", "coalesced_busy": "stopped_fraction", "coalesced_latency": "latency"}
        yield Case(f"coalesced-{index:02d}", "line", setting, outputs)


def queued() -> Iterator[Case]:
    """Whole-cache flushes, each event with one of its own, in line."""
    for index, (flush_s, load) in enumerate(points(17, 16, FLUSH_TIMES_S, (0.05, 0.7))):
        setting = Invalidations(flush_s=(flush_s,), rate_per_s=load / flush_s, whole_cache=True, cpus=1 + index % 8)
        yield Case(f"queued-{index:02d}", "line", setting, {"queued_latency": "latency"})


def batches() -> Iterator[Case]:
    """ksmd: a batch of pages, two kinds of events per merged page, each waited for; then it sleeps."""
    for index, (flush_s, ratio, fraction, sleep) in enumerate(
        points(19, 20, (1e-4, 5e-3), (0.2, 1.0), (0.02, 1.0), (0.2, 5.0))
    ):
        pages = (20, 50, 100)[index % 3]
        setting = Invalidations(
            flush_s=(flush_s, flush_s * ratio),
            threads=1 + index % 2,
            pages=pages,
            page_fraction=fraction,
            sleep_s=sleep * pages * fraction * flush_s,
            sleep_random=False,
        )
        outputs = {"closed_rate": "first_kind_rate_per_s" if index % 2 else "last_kind_rate_per_s"}
        yield Case(f"batch-{index:02d}", "closed", setting, outputs)


def attackers() -> Iterator[Case]:
    """One thread that forces flushes in a loop; the CPU time it takes from all CPUs."""
    for index, (flush_s, think) in enumerate(points(20, 8, FLUSH_TIMES_S, (0.02, 2.0))):
        setting = Invalidations(
            flush_s=(flush_s,), threads=1, sleep_s=think * flush_s, whole_cache=True, cpus=2 ** (index % 5)
        )
        yield Case(f"attacker-{index:02d}", "attacker", setting, {"forced_loss": "stopped_fraction"})
