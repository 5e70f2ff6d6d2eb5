"""Discrete-event simulation of flushes on a KVM host, written from what the kernel does and not from the formulas.

statistics, host, invalidations and samples are the simulator: they import nothing of the package, so that they can
contradict it. grid names the settings, predicted asks the formulas, results puts both beside each other. Times are in
seconds, rates in 1/s.
"""
