"""Broadcast: interrupting k other CPUs and waiting until all have answered.

Source: smp_call_function_many_cond() sends to each target in turn and waits for each in turn, so the time grows with k.
Two rival forms are fitted beside it, a tree and a wait for the slowest of k late answers; held-out CPU counts decide.

The mean of the largest of k exponential delays is their mean times the harmonic number H_k. H_k is continued to any
k >= 0 by its recurrence and the asymptotic series of H at k + 2, off by less than 2e-5.
"""

from __future__ import annotations

import sympy

from costmodel.formulas.formula import Formula, Quantity, symbol

a, b, k = symbol("broadcast_start_s"), symbol("broadcast_per_cpu_s"), symbol("target_cpus")
delay, x = symbol("response_delay_s"), symbol("share")
_far = k + sympy.Rational(5, 2)
_gamma = sympy.EulerGamma.evalf(17)
harmonic = sympy.log(_far) + _gamma + 1 / (24 * _far**2) - 7 / (960 * _far**4) - 1 / (k + 1) - 1 / (k + 2)

_SYMBOLS = {
    "broadcast_start_s": Quantity("second", "fixed part of an inter-processor interrupt round"),
    "broadcast_per_cpu_s": Quantity("second", "increment per target CPU (linear) or per doubling (tree)"),
    "target_cpus": Quantity("dimensionless", "CPUs that are interrupted"),
}
DELAY = Quantity("second", "mean time until a target answers: interrupts off, a virtual CPU that does not run")
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
SLOWEST_RESPONSE = Formula(
    id="slowest_response",
    title="Mean delay of the slowest of k CPUs",
    expression=delay * harmonic,
    unit="second",
    symbols={"response_delay_s": DELAY, "target_cpus": _SYMBOLS["target_cpus"]},
    source="E[max of k exponential delays] = mean H_k, H_k = 1 + 1/2 + ... + 1/k",
    validity="independent exponential delays of one mean; no source publishes the delay",
)
BROADCAST_SLOWEST = Formula(
    id="broadcast_slowest",
    title="Time of an empty broadcast to k CPUs that answer late, rival form",
    expression=a + b * k + delay * harmonic,
    unit="second",
    symbols=_SYMBOLS | {"response_delay_s": DELAY},
    source="rival of broadcast: csd_lock_wait() waits for the slowest of k independent exponential delays",
    validity="delays of the targets independent, exponential and of one mean; shown beside the linear form only",
)
SLOWEST_QUANTILE = Formula(
    id="slowest_response_quantile",
    title="Delay of the slowest of k CPUs that a share x of the rounds exceeds",
    expression=-delay * sympy.log(1 - sympy.Max(0, 1 - x) ** (1 / k)),
    unit="second",
    symbols={
        "share": Quantity("dimensionless", "share of the rounds that take longer: 0.01 for the 99th percentile"),
        "target_cpus": _SYMBOLS["target_cpus"],
        "response_delay_s": DELAY,
    },
    source="P(all k below t) = (1 - exp(-t / mean))^k, solved for t",
    validity="as slowest_response",
)
BROADCAST_QUANTILE = Formula(
    id="broadcast_quantile",
    title="Time of an empty broadcast to k CPUs that a share x of the rounds exceeds",
    expression=BROADCAST.expression + SLOWEST_QUANTILE.expression,
    unit="second",
    symbols=_SYMBOLS | SLOWEST_QUANTILE.symbols,
    source="broadcast plus slowest_response_quantile",
    validity="as slowest_response",
)
FORMULAS = (BROADCAST, BROADCAST_TREE, SLOWEST_RESPONSE, BROADCAST_SLOWEST, SLOWEST_QUANTILE, BROADCAST_QUANTILE)
