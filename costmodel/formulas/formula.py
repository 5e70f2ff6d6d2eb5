"""What a formula declares: an expression, its symbols with units, its source and where it holds; and the short letters
that stand for the symbols wherever a formula is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import sympy

from costmodel.errors import BadInput


class Quantity(NamedTuple):
    """Unit (as pint reads it) and meaning of a symbol."""

    unit: str
    description: str


@dataclass(frozen=True)
class Formula:
    """One published or derived cost term.

    `expression` uses exactly the symbols of `symbols`; its value is in `unit`.
    `validity` says where it holds, `source` where it comes from.
    """

    id: str
    title: str
    expression: sympy.Expr
    unit: str
    symbols: Mapping[str, Quantity]
    source: str
    validity: str

    def __post_init__(self) -> None:
        free = {str(symbol) for symbol in self.expression.free_symbols}
        if free != set(self.symbols):
            raise ValueError(f"formula {self.id}: symbols {sorted(free ^ set(self.symbols))} do not match")


def symbol(name: str) -> sympy.Symbol:
    """A non-negative real symbol: every quantity of the model is one."""
    return sympy.Symbol(name, nonnegative=True)


NOTATION = {
    "range_bytes": "R",
    "l1_bytes": "C_L1",
    "line_l1_s": "c_1",
    "line_l2_s": "c_2",
    "line_llc_s": "c_3",
    "line_memory_s": "c_4",
    "line_tail_s": "c_t",
    "line_bytes": "L",
    "offset_bytes": "o",
    "lines": "q",
    "present_fraction": "p",
    "dirty_fraction": "d",
    "line_dirty_s": "c_d",
    "line_clean_s": "c_c",
    "line_absent_s": "c_a",
    "remote_factor": "g_r",
    "writeback_bytes_per_s": "B_w",
    "line_reference_s": "c_ref",
    "two_socket_factor": "g",
    "two_sockets": "2S",
    "llc_bytes_per_domain": "C_llc",
    "l2_bytes_per_core": "C_L2",
    "walk_start_s": "t_0",
    "line_empty_s": "c_e",
    "line_valid_s": "c_v",
    "valid_fraction": "v",
    "domain_writeback_bytes_per_s": "B_dom",
    "cores_flushing": "k",
    "serial_exponent": "s",
    "valid_exponent": "r_v",
    "smt_factor": "sigma",
    "both_siblings": "b",
    "domains_per_socket": "D",
    "domain_flush_s": "T_dom",
    "broadcast_start_s": "a_ipi",
    "broadcast_per_cpu_s": "b_ipi",
    "target_cpus": "k",
    "evicted_bytes": "E",
    "reused_fraction": "rho",
    "read_bytes_per_s": "B_r",
    "rate_per_s": "lambda",
    "window_s": "W",
    "under_lock": "u",
    "flush_s": "T",
    "event_fraction": "f",
    "threads": "N",
    "events_per_cycle": "E",
    "sleep_s": "Z",
    "cycle_flush_s": "T_cyc",
    "resident_bytes": "R_vm",
    "numa_scan_size_bytes": "S",
    "numa_max_scan_window_bytes_per_s": "W_max",
    "task_scan_period_s": "P_task",
    "numa_scan_period_s": "P",
    "numa_limiter_factor": "F",
    "flushes_per_pass": "k_f",
    "numa_virtpages_factor": "V",
    "event_flush_s": "T",
    "vcpus": "n",
    "lost_fraction": "x",
    "logical_cpus": "n_cpu",
    "stolen_cpu_s_per_event": "A",
    "pages": "N",
    "rmpupdate_s": "t_rmp",
    "page_flush_s": "T_page",
    "page_operation_s": "t_page",
    "cpus_stopped": "m",
    "broadcast_s": "T_ipi",
    "whole_cache_s": "W",
    "range_start_s": "t_0",
    "line_s": "c",
    "serial_s": "S",
    "parallel_s": "P",
    "merged_fraction": "g_m",
    "range_fraction": "r",
    "share": "x",
    "window_stall_s": "R_w",
    "retry_loop_s": "t_loop",
    "fault_work_s": "t_work",
    "in_progress_fraction": "phi",
    "zap_s": "t_zap",
    "end_hold_s": "h_e",
    "hold_s": "H",
    "queueing": "b_q",
    "delay_s": "D_t",
    "think_s": "Z",
    "limit_s": "L_t",
    "event_s": "T_e",
    "same_page_fraction": "o_p",
    "kvm_zaps_per_s": "lambda_kvm",
    "overlap_fraction": "o_m",
    "dirty_lines_per_s": "w",
    "gap_s": "G",
    "allowed_cpus": "s_a",
    "other_cpus": "o",
    "migrations": "M",
    "migration_rate_per_s": "mu",
    "untouched_fraction": "y",
    "mask_cpus": "m",
    "domains": "K",
    "cpus_per_domain": "k_d",
    "response_delay_s": "delta",
    "cpus_outside": "n_o",
    "memory_bound_fraction": "beta",
    "written_bytes_per_socket": "W_s",
    "cpu_read_bytes_per_s": "B_1",
    "time_s": "T",
    "sockets": "n_s",
    "invalidates": "i",
    "presence_position": "x_p",
    "cold_fraction": "p_0",
    "cached_fraction": "p_max",
}


def letter(name: str) -> str:
    """The letter that stands for the symbol `name` in a printed formula. Raises BadInput where it has none."""
    if name not in NOTATION:
        file, remedy = "costmodel/formulas/formula.py", f'add a line "{name}": "LETTER" to it'
        raise BadInput("the symbol has no letter", file=file, row=name, field="NOTATION", remedy=remedy)
    return NOTATION[name]
