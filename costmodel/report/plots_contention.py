"""Plots about waiting: hook placements over the event rate, sharing a flush, the mask of CPUs that ran the guest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy

from costmodel.cost.contention import Contention, contention
from costmodel.cost.draws import Draws
from costmodel.cost.scenario import Scenario
from costmodel.cost.totals import total
from costmodel.decision.model import MaskRow
from costmodel.formulas.compiled import value
from costmodel.kvm.placements import PLACEMENTS
from costmodel.report.drawing import INK, PALETTE, new_figure, svg

SHOWN = ("under_mmu_lock", "after_srcu")
POINTS = 61
OUTPUTS = {
    "fault_wait_mean_s": "mean wait of a page fault (seconds)",
    "memslot_wait_mean_s": "mean wait of a memslot update (seconds)",
    "lock_busy_fraction": "share of time mmu_lock is held",
    "in_progress_fraction": "share of time an invalidation is in progress",
}


def placements(scenario: Scenario, trigger: str, strategy: str, draws: Draws, rates_per_s: tuple[float, float]) -> str:
    """What waits, over the rate of an open trigger, with the hook under mmu_lock and after SRCU; 90 % bands."""
    rates = numpy.geomspace(*rates_per_s, POINTS)
    found = {name: [_at(scenario, trigger, strategy, draws, name, rate) for rate in rates] for name in SHOWN}
    figure, axes = new_figure(9.0, 6.2, 2, 2)
    for (output, label), axis in zip(OUTPUTS.items(), axes.flat, strict=True):
        for colour, (name, waits) in zip(PALETTE, found.items(), strict=False):
            low, middle, high = _bands(waits, output)
            axis.fill_between(rates, low, high, color=colour, alpha=0.2, linewidth=0)
            axis.plot(rates, middle, color=colour, label=PLACEMENTS[name].title)
        axis.set_xscale("log")
        if output.endswith("_s"):
            axis.set_yscale("log")
        axis.set_xlabel("invalidations per second")
        axis.set_ylabel(label)
        axis.grid(color=INK, alpha=0.2)
    figure.suptitle(f"{strategy}, bands: 90 % of the draws", fontsize=10)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    last = {name: _bands(waits, "fault_wait_mean_s")[1][POINTS // 2] for name, waits in found.items()}
    alt = f"{strategy}: mean wait of a page fault at {rates[POINTS // 2]:.3g} invalidations per second: " + "; ".join(
        f"{PLACEMENTS[name].title} {wait:.2g} s" for name, wait in last.items()
    )
    return svg(figure, alt)


def _at(scenario: Scenario, trigger: str, strategy: str, draws: Draws, placement: str, rate_per_s: float) -> Contention:
    case = replace(scenario, rate_per_s=float(rate_per_s))
    return contention(total(trigger, strategy, case, draws), case, placement)


def _bands(waits: Sequence[Contention], output: str) -> tuple[numpy.ndarray, numpy.ndarray, numpy.ndarray]:
    """5 %, 50 % and 95 % over the draws at each rate; not a number where there is no bound."""
    values = numpy.stack([getattr(one, output) for one in waits])
    found = numpy.quantile(values, (0.05, 0.5, 0.95), axis=1, method="higher")
    return tuple(numpy.where(numpy.isfinite(row), row, numpy.nan) for row in found)


def sharing() -> str:
    """One flush per event against one for all that wait: mean latency and flushes per event, over the load."""
    load = numpy.geomspace(0.02, 20, 121)
    rate, flush_s = load, 1.0
    below = load < 0.999
    queued = numpy.where(
        below, value("queued_latency", rate_per_s=numpy.where(below, rate, 0), flush_s=flush_s), numpy.nan
    )
    shared = value("coalesced_latency", rate_per_s=rate, flush_s=flush_s)
    batch = value("coalesced_batch", rate_per_s=rate, flush_s=flush_s)
    figure, axes = new_figure(9.0, 3.4, 1, 2)
    left, right = axes.flat
    left.plot(load, queued, color=PALETTE[0], label="one flush per event (the kernel)")
    left.plot(load, shared, color=PALETTE[1], label="shared by all that wait")
    left.axvline(1.0, color=INK, linewidth=0.8, linestyle=":")
    left.set_ylim(0.9, 12)
    left.set_ylabel("mean latency (flush times)")
    left.legend()
    right.plot(load, 1 / batch, color=PALETTE[1])
    right.set_ylabel("flushes per event, shared")
    for axis in (left, right):
        axis.set_xscale("log")
        axis.set_xlabel("events per flush time")
        axis.grid(color=INK, alpha=0.2)
    return svg(
        figure,
        "Latency of one flush per event grows without bound as the load nears 1; shared flushes stay below 1.5 flush "
        "times at every load",
    )


def mask(scenario: Scenario, rows: Sequence[MaskRow]) -> str:
    """CPUs in the mask over the migrations since the guest was created, and CPU time per event of the mask's rows."""
    cpus, vcpus = float(scenario.machine.logical_cpus), float(scenario.vcpus)
    moves = numpy.geomspace(1, 20 * cpus, 200)
    figure, axes = new_figure(9.0, 3.6, 1, 2)
    left, right = axes.flat
    grown = value("mask_cpus", allowed_cpus=cpus, vcpus=vcpus, migrations=moves)
    left.plot(moves, grown, color=PALETTE[0])
    left.axhline(cpus, color=INK, linewidth=0.8, linestyle=":")
    left.axhline(vcpus, color=INK, linewidth=0.8, linestyle=":")
    left.set_xscale("log")
    left.set_xlabel("migrations since the guest was created")
    left.set_ylabel("CPUs that ran it")
    for y, row in enumerate(reversed(rows)):
        cost = row.stolen_cpu_s_per_event
        colour = PALETTE[2] if row.admissible else INK
        right.plot([cost.low, cost.high], [y, y], color=colour, linewidth=5, alpha=0.45, solid_capstyle="butt")
        right.plot([cost.median], [y], "o", color=colour, markersize=5)
    right.set_yticks(range(len(rows)), [row.label.replace(", ", ",\n", 1) for row in reversed(rows)], fontsize=7)
    right.set_xscale("log")
    right.set_xlabel("CPU time per event (seconds)")
    for axis in (left, right):
        axis.grid(color=INK, alpha=0.2)
    reached = ", ".join(f"{row.label}: {row.stolen_cpu_s_per_event.median:.2g} s" for row in rows)
    return svg(figure, f"The mask grows from {vcpus:g} to {cpus:g} CPUs. CPU time per event: {reached}")


def bill(parts: Mapping[str, tuple[float, float]]) -> str:
    """Who pays for one event: for each strategy the CPU time (seconds) of its own guest and of everyone else."""
    figure, axes = new_figure(8.2, 0.9 + 0.34 * len(parts))
    axis = axes[0][0]
    names = list(parts)
    for y, name in enumerate(reversed(names)):
        own, others = parts[name]
        axis.plot(own, y, "o", color=PALETTE[0], markersize=7)
        if others > 0:
            axis.plot(others, y, "s", color=PALETTE[1], markersize=7)
    axis.plot([], [], "o", color=PALETTE[0], label="CPUs of the guest that caused it")
    axis.plot([], [], "s", color=PALETTE[1], label="everyone else (none for a range flush)")
    axis.set_xscale("log")
    axis.set_yticks(range(len(names)), list(reversed(names)))
    axis.set_xlabel("CPU time per event (seconds), median")
    axis.grid(axis="x", color=INK, alpha=0.25)
    figure.legend(loc="outside lower center", ncols=2)
    told = "; ".join(f"{name} guest {own:.2g} s, others {others:.2g} s" for name, (own, others) in parts.items())
    return svg(figure, f"Who pays for one event: {told}")
