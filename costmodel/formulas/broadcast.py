"""Broadcast: interrupting k other CPUs and waiting until all have answered.

Source: smp_call_function_many_cond() sends to each target in turn and waits for each in turn, so the time grows with k.
The rival form, a tree, is fitted beside it; held-out CPU counts decide.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

a, b, k = symbol("broadcast_start_s"), symbol("broadcast_per_cpu_s"), symbol("target_cpus")

_SYMBOLS = {
    "broadcast_start_s": Quantity("second", "fixed part of an inter-processor interrupt round"),
    "broadcast_per_cpu_s": Quantity("second", "increment per target CPU (linear) or per doubling (tree)"),
    "target_cpus": Quantity("dimensionless", "CPUs that are interrupted"),
}
BROADCAST = Formula(
    id="broadcast",
    title="Time of an empty broadcast to k CPUs",
    expression=a + b * k,
    unit="second",
    symbols=_SYMBOLS,
    source="smp_call_function_many_cond(); rows I06a..h (Milan, includes mmap_lock contention: an upper bound)",
    validity="1 to 72 CPUs on bare metal; virtual IPIs are one to two orders slower (rows I01 to I03)",
)
BROADCAST_TREE = Formula(
    id="broadcast_tree",
    title="Time of an empty broadcast to k CPUs, rival form",
    expression=a + b * sympy.log(1 + k, 2),
    unit="second",
    symbols=_SYMBOLS,
    source="rival of broadcast: interrupts spread as a tree",
    validity="shown beside the linear form only",
)
FORMULAS = (BROADCAST, BROADCAST_TREE)
