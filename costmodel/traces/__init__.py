"""Traces of invalidations from a user's own hosts: import, summary, replay under each flush strategy.

In come recordings of other tools (reader, kept by store), a guest and a machine; out go a Summary that adds up over
hosts, a Replay with latency, CPU time and saturation of each strategy on the recorded sequence, and a Fleet over the
files of many hosts. A text format of another tool goes into FORMATS of costmodel.measure.trace_formats, a new count
into summary, a new kind of arrivals into replay with its loop in loops, what a call chain tells into
data/kvm/call_chains.csv.
"""
