"""Memory slots given beside a trace: which events meet one, and over how many bytes."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy

from costmodel.errors import BadInput
from costmodel.traces.schema import HUGE


@dataclass(frozen=True)
class Memslots:
    """Disjoint address ranges in order: `start` and `bytes` of shape (n,), `before`: bytes of the slots before each."""

    start: numpy.ndarray
    bytes: numpy.ndarray
    before: numpy.ndarray

    @classmethod
    def of(cls, ranges: list[tuple[int, int]]) -> Memslots:
        """From (start, end) pairs; those that touch or overlap become one."""
        merged: list[list[int]] = []
        for start, end in sorted(ranges):
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(merged[-1][1], end)
            else:
                merged.append([start, end])
        table = numpy.array(merged, numpy.int64).reshape(-1, 2)
        length = table[:, 1] - table[:, 0]
        return cls(table[:, 0], length, numpy.concatenate([[0], numpy.cumsum(length)[:-1]]).astype(numpy.int64))

    def _below(self, address: numpy.ndarray) -> numpy.ndarray:
        """Bytes of the slots below each address."""
        at = numpy.searchsorted(self.start, address, "right") - 1
        slot = numpy.maximum(at, 0)
        inside = numpy.clip(address - self.start[slot], 0, self.bytes[slot])
        return numpy.where(at < 0, 0, self.before[slot] + inside)

    def overlap_bytes(self, start: numpy.ndarray, end: numpy.ndarray) -> numpy.ndarray:
        """Bytes of each range that lie in slots.

        >>> slots = Memslots.of([(0, 4096), (8192, 12288)])
        >>> slots.overlap_bytes(numpy.array([2048, 4096]), numpy.array([10240, 8192])).tolist()
        [4096, 0]
        """
        return self._below(end) - self._below(start)


def read(path: Path) -> Memslots:
    """Slots of a CSV file with the columns start and end (decimal or 0x...). Raises BadInput."""
    remedy = "give the columns start,end with one slot a line"
    ranges = []
    try:
        with path.open(newline="", encoding="utf-8") as stream:
            reader = csv.DictReader(stream)
            if not {"start", "end"} <= set(reader.fieldnames or ()):
                raise BadInput("has no columns start and end", file=path, row=1, remedy=remedy)
            for row in reader:
                try:
                    start, end = (int(row[name], 0) for name in ("start", "end"))
                except (TypeError, ValueError):
                    raise BadInput("is no address", file=path, row=reader.line_num, remedy=remedy) from None
                if not -HUGE < start < end < HUGE:
                    raise BadInput("end does not lie behind start", file=path, row=reader.line_num, remedy=remedy)
                ranges.append((start, end))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"is not CSV text: {error}", file=path, remedy=remedy) from None
    if not ranges:
        raise BadInput("names no slot", file=path, remedy=remedy)
    return Memslots.of(ranges)
