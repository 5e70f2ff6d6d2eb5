"""What the formulas say about a simulated setting.

Stages with constant times that events pass one after the other wait like the slowest of them alone, and the others only
add their time (Friedman 1965): the slowest stage that events wait for is the serial part of a window, the rest is
parallel.
"""

from __future__ import annotations

from collections.abc import Callable

from costmodel.formulas.compiled import value
from tests.simulation.grid import Case
from tests.simulation.invalidations import UNDER_LOCK, Invalidations
from tests.simulation.samples import IN_TURN

LINE_BYTES = 64.0


def predicted(case: Case) -> dict[str, float]:
    """The formulas' values of the case's outputs."""
    known = _FAMILIES[case.family](case)
    return {output: float(known[output]) for output in case.outputs}


def _hold_s(setting: Invalidations) -> float:
    under = float(setting.placement == UNDER_LOCK)
    return value("lock_hold", zap_s=setting.zap_s, under_lock=under, flush_s=setting.flush_s[0])


def _parts(setting: Invalidations) -> dict[str, float]:
    """Serial and parallel part of the window from begin to end."""
    hold_s = _hold_s(setting)
    waits = setting.whole_cache and setting.placement != UNDER_LOCK
    serial_s = max(hold_s, setting.flush_s[0] * waits)
    return {"serial_s": serial_s, "parallel_s": setting.zap_s + setting.flush_s[0] + setting.work_s - serial_s}


def _lock(case: Case, rate: float, queueing: float) -> dict[str, float]:
    setting = case.setting
    hold = {"rate_per_s": rate, "hold_s": _hold_s(setting)}
    both = {**hold, "end_hold_s": setting.end_hold_s}
    return {
        "lock_busy": value("lock_busy", **both),
        "lock_wait": value("lock_wait", **both, queueing=queueing),
        "lock_wait_quantile": value("lock_wait_quantile", share=case.share, **hold, queueing=queueing),
    }


def _stalls(case: Case, rate: float, merged: float, in_progress: float, stall_s: float) -> dict[str, float]:
    setting = case.setting
    common = {"merged_fraction": merged, "in_progress_fraction": in_progress, "window_stall_s": stall_s}
    return {
        "merged_fraction": merged,
        "window_stall": stall_s,
        "fault_stall": value("fault_stall", **common),
        "retries_per_fault": value(
            "retries_per_fault",
            **common,
            retry_loop_s=setting.retry_loop_s or 1.0,
            rate_per_s=rate,
            fault_work_s=setting.fault_work_s,
        ),
    }


def _lock_open(case: Case) -> dict[str, float]:
    setting = case.setting
    in_progress = value("in_progress", rate_per_s=setting.rate_per_s, **_parts(setting))
    return {**_lock(case, setting.rate_per_s, 1.0), "in_progress": in_progress}


def _saturated(case: Case) -> dict[str, float]:
    """The share of time for which the lock is held while it serves all that it can: saturation rate times hold."""
    hold = {"hold_s": _hold_s(case.setting), "end_hold_s": case.setting.end_hold_s}
    return {"lock_saturation": value("lock_saturation", **hold)}


def _window(case: Case) -> dict[str, float]:
    setting, rate = case.setting, case.setting.rate_per_s
    parts = _parts(setting)
    in_progress = value("in_progress", rate_per_s=rate, **parts)
    stall_s = value("window_stall", rate_per_s=rate, **parts)
    arrivals = {"range_fraction": setting.range_fraction, "rate_per_s": rate, **parts}
    merged = value("merged_fraction", **arrivals)
    window_s = parts["serial_s"] + parts["parallel_s"]
    quantile = value("stall_quantile", share=case.share, merged_fraction=merged, rate_per_s=rate, parallel_s=window_s)
    return {
        **_stalls(case, rate, value("merged_fraction_stall", **arrivals), in_progress, stall_s),
        "merged_fraction": merged,
        "in_progress": in_progress,
        "stall_quantile": quantile,
    }


def _closed(case: Case) -> dict[str, float]:
    setting = case.setting
    pages = setting.pages
    around_s = setting.zap_s + setting.work_s + setting.end_hold_s
    cycle_s = pages * sum(flush_s + around_s for flush_s in setting.flush_s)
    rate = value(
        "closed_rate",
        threads=setting.threads,
        event_fraction=setting.page_fraction,
        events_per_cycle=pages,
        sleep_s=setting.sleep_s,
        cycle_flush_s=cycle_s,
    )
    window_s = setting.zap_s + setting.flush_s[0] + setting.work_s
    in_progress = value("in_progress_closed", rate_per_s=rate, window_s=window_s)
    merged = setting.range_fraction
    quantile = value(
        "stall_quantile_closed", window_s=window_s, share=case.share, rate_per_s=rate, merged_fraction=merged
    )
    return {
        **_lock(case, rate, 0.0),
        **_stalls(case, rate, merged, in_progress, window_s / 2),
        "closed_rate": rate,
        "in_progress_closed": in_progress,
        "stall_quantile_closed": quantile,
    }


def _flush_only(case: Case) -> dict[str, float]:
    """As cost/rates.py: the cycle of a thread is its sleep and its flushes."""
    setting = case.setting
    cycle_s = setting.pages * sum(setting.flush_s)
    loop = {"threads": setting.threads, "event_fraction": setting.page_fraction, "events_per_cycle": setting.pages}
    return {"closed_rate": value("closed_rate", **loop, sleep_s=setting.sleep_s, cycle_flush_s=cycle_s)}


def _line(case: Case) -> dict[str, float]:
    setting = case.setting
    load = {"rate_per_s": setting.rate_per_s, "flush_s": setting.flush_s[0]}
    names = ("coalesced_batch", "coalesced_latency", "queued_latency")
    busy = setting.cpus * value("coalesced_busy", **load)
    return {**{name: value(name, **load) for name in names}, "coalesced_busy": busy}


def _attacker(case: Case) -> dict[str, float]:
    setting = case.setting
    stolen_s = setting.cpus * setting.flush_s[0]
    loop = {"event_s": setting.flush_s[0], "think_s": setting.sleep_s}
    return {"forced_loss": value("forced_loss", stolen_cpu_s_per_event=stolen_s, **loop)}


def _dirty(case: Case) -> dict[str, float]:
    setting = case.setting
    common = {"dirty_lines_per_s": setting.writes_per_s, "lines": setting.lines}
    return {
        "dirty_at_flush": value("dirty_at_flush", **common, rate_per_s=1 / setting.gap_s),
        "dirty_at_flush_regular": value("dirty_at_flush_regular", **common, gap_s=setting.gap_s),
    }


def _mask(case: Case) -> dict[str, float]:
    setting = case.setting
    allowed, common = {"allowed_cpus": setting.allowed_cpus}, {"vcpus": setting.vcpus}
    migrations = {"migrations": setting.migrations}
    return {
        "mask_cpus": value("mask_cpus", **allowed, **common, **migrations),
        "mask_after_migrations": value(
            "mask_after_migrations", other_cpus=setting.allowed_cpus - 2, **common, **migrations
        ),
        "mask_between_flushes": value(
            "mask_between_flushes", **allowed, **common, rate_per_s=1.0, migration_rate_per_s=setting.migrations
        ),
    }


def _domains(case: Case) -> dict[str, float]:
    setting = case.setting
    known = {"domains": setting.domains, "cpus_per_domain": setting.cpus_per_domain, "mask_cpus": setting.mask_cpus}
    return {"domains_touched": value("domains_touched", **known)}


def _broadcast(case: Case) -> dict[str, float]:
    common = {"response_delay_s": case.setting.delay_s, "target_cpus": case.setting.cpus}
    return {
        "slowest_response": value("slowest_response", **common),
        "slowest_response_quantile": value("slowest_response_quantile", share=case.share, **common),
    }


def _whole(case: Case) -> dict[str, float]:
    """One domain without second levels; walking in turn is s = 1, and of WBNOINVD, which drops nothing, r = 1."""
    setting = case.setting
    in_turn = float(setting.walk == IN_TURN)
    flush_s = value(
        "domain_flush",
        walk_start_s=0.0,
        llc_bytes_per_domain=float(setting.lines * LINE_BYTES),
        l2_bytes_per_core=0.0,
        line_bytes=LINE_BYTES,
        line_empty_s=setting.line_s,
        line_valid_s=setting.valid_s,
        cores_flushing=setting.cores,
        serial_exponent=in_turn,
        valid_exponent=in_turn * (not setting.invalidates),
        smt_factor=1.0,
        both_siblings=0.0,
        valid_fraction=setting.valid,
        dirty_fraction=setting.dirty,
        domain_writeback_bytes_per_s=LINE_BYTES / setting.write_s,
    )
    stolen_s = value(
        "stolen_whole_cache",
        cpus_stopped=setting.cores,
        flush_s=flush_s,
        broadcast_s=0.0,
        cpus_outside=0.0,
        memory_bound_fraction=0.0,
        written_bytes_per_socket=0.0,
        writeback_bytes_per_s=LINE_BYTES / setting.write_s,
        reused_fraction=0.0,
        evicted_bytes=0.0,
        cpu_read_bytes_per_s=1.0,
    )
    return {
        "domain_flush": flush_s,
        "stolen_whole_cache": stolen_s,
        "initiators_at_limit": value("initiators_at_limit", limit_s=setting.limit_s, flush_s=flush_s),
    }


def _address(case: Case) -> dict[str, float]:
    setting = case.setting
    known = {"rate_per_s": setting.rate_per_s, "same_page_fraction": 1 / setting.pages, "window_s": setting.window_s}
    return {"missed_flushes": value("missed_flushes", **known)}


def _numa(case: Case) -> dict[str, float]:
    setting = case.setting
    return {
        "numa_rate": value(
            "numa_rate",
            event_fraction=1.0,
            flushes_per_pass=1.0,
            numa_scan_period_s=setting.period_s,
            numa_limiter_factor=32.0,
            event_flush_s=setting.pass_s,
            vcpus=setting.vcpus,
        )
    }


_FAMILIES: dict[str, Callable[[Case], dict[str, float]]] = {
    "lock_open": _lock_open,
    "saturated": _saturated,
    "window": _window,
    "closed": _closed,
    "flush_only": _flush_only,
    "line": _line,
    "attacker": _attacker,
    "dirty": _dirty,
    "mask": _mask,
    "domains": _domains,
    "broadcast": _broadcast,
    "whole": _whole,
    "address": _address,
    "numa": _numa,
}
