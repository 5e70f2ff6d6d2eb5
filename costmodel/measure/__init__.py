"""Measurements on the user's own machine.

In comes the running host (its CPUs, caches, tracepoints, kernel log and guests), or text that another tool recorded
there; out goes a profile of the form of data/hosts/, host.toml and one CSV per probe with every repetition, which
evidence reads like a published one, or events and counts. A probe is a function in the module of what it looks at,
listed in `session.PROBES`, with its columns in costmodel/evidence/hosts.py and its name and help in `NAMES` and `HELP` of
costmodel/cli/measure.py, which make its command; a text format of a tracing tool is one entry
of `trace_formats.FORMATS`, one that counts stands in `counts`. Plans, bounds, rates and what could not be seen are
fields; how a command says them stands in report/measurement.py.
"""
