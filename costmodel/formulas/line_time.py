"""Time per line flushed on a machine: a reference time of vendor and state, times a factor for the second socket."""

from __future__ import annotations

from costmodel.formulas.formula import Formula, Quantity, symbol

c, g, two = symbol("line_reference_s"), symbol("two_socket_factor"), symbol("two_sockets")

LINE_TIME = Formula(
    id="line_time",
    title="Time per flushed line on a machine",
    expression=c * g**two,
    unit="second",
    symbols={
        "line_reference_s": Quantity("second", "time on a single-socket machine of the vendor, by line state"),
        "two_socket_factor": Quantity("dimensionless", "how much dearer a line is on a two-socket machine"),
        "two_sockets": Quantity("dimensionless", "1 on a machine with two sockets, else 0"),
    },
    source="regression on rows C1xx; that two-socket machines are 1.4 to 3 times dearer is an inference from them",
    validity="CLFLUSHOPT and CLFLUSH throughput of one thread; cache state undocumented in the sources",
)
FORMULAS = (LINE_TIME,)
