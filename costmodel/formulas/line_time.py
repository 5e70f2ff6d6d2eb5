"""Latency of a flush on a machine: a reference time of the vendor, times a factor for the second socket."""

from __future__ import annotations

from costmodel.formulas.formula import Formula, Quantity, symbol

c, g, two = symbol("line_reference_s"), symbol("two_socket_factor"), symbol("two_sockets")

LINE_TIME = Formula(
    id="line_time",
    title="Latency of one flush of one line, again and again",
    expression=c * g**two,
    unit="second",
    symbols={
        "line_reference_s": Quantity("second", "latency on a single-socket machine of the vendor"),
        "two_socket_factor": Quantity("dimensionless", "how much dearer a line is on a two-socket machine"),
        "two_sockets": Quantity("dimensionless", "1 on a machine with two sockets, else 0"),
    },
    source="regression on the rows of range_flush.same_line_s; of two two-socket machines of AMD one is dearer, one is not",
    validity="one thread, one line at a time: no slope of a range",
)
FORMULAS = (LINE_TIME,)
