"""Discrete-event simulation of flushes on a KVM host, written from what the kernel does and not from the formulas.

It imports nothing from the rest of the package, so that it can contradict it. Times are in seconds, rates in 1/s.
"""
