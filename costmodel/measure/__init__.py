"""Measurements on the user's own machine.

In comes the running host (its CPUs, caches, tracepoints, kernel log and guests); out goes a profile of the form of
data/hosts/, host.toml and one CSV per probe with every repetition, which evidence reads like a published one. A probe
is a function in the module of what it looks at (`caches`, `cpus`, `counts`, `kvm`), listed in `session.PROBES`, with
its columns in costmodel/evidence/hosts.py.
"""
