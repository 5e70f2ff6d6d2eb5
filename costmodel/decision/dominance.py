"""Dominance: a strategy that does a part of another's work, or the same with a cheaper instruction, needs no numbers."""

from __future__ import annotations

from costmodel.kvm.strategies import STRATEGIES

_SCOPE = {"mask": 0, "all_cpus": 1}
_INSTRUCTION = {"wbnoinvd": 0, "wbinvd": 1}


def dominates(first: str, second: str) -> bool:
    """Whether `first` costs at most as much as `second` on every machine.

    No flush dominates every flush; of the whole-cache flushes a subset of the CPUs dominates all CPUs, and WBNOINVD
    dominates WBINVD ("functionally a superset", arch/x86/include/asm/special_insns.h).
    """
    one, other = STRATEGIES[first], STRATEGIES[second]
    if first == second:
        return False
    if one.instruction == "none":
        return other.instruction != "none"
    if one.scope not in _SCOPE or other.scope not in _SCOPE:
        return False
    if one.instruction not in _INSTRUCTION or other.instruction not in _INSTRUCTION:
        return False
    return _SCOPE[one.scope] <= _SCOPE[other.scope] and _INSTRUCTION[one.instruction] <= _INSTRUCTION[other.instruction]
