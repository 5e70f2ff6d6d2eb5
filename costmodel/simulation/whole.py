"""Whole-cache flushes of one last-level-cache domain, line by line: every core walks the lines, whoever asked for it.

on_each_cpu() queues a request on every CPU, and a CPU executes all that it finds queued in one interrupt. WBINVD drops
the lines that it meets, WBNOINVD leaves them valid and clean. A core that meets a dirty line waits until memory, which
all cores share, has taken it. How cores of one domain walk at the same time is not published: `walk` says it.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy

from costmodel.simulation.draws import streams
from costmodel.simulation.measure import Estimate
from costmodel.simulation.sampling import mean_of

RUNS = 12
IN_TURN, AT_ONCE, SHARES = "in_turn", "at_once", "shares"
"""One core after the other; all over all lines; each over its share of them."""


@dataclass(frozen=True)
class WholeCache:
    """`initiators` ask all `cores` at the same moment. `valid` and `dirty` are shares of the lines and of the valid ones.

    A line takes `line_s` whatever it holds and `valid_s` more where it is valid; memory takes `write_s` per dirty line.
    `limit_s` is the time in line that `initiators_in_line` is asked about.
    """

    cores: int
    lines: int
    valid: float
    dirty: float
    line_s: float
    valid_s: float
    write_s: float
    walk: str
    invalidates: bool = True
    initiators: int = 1
    limit_s: float = 0.0

    def ends_s(self, rng: numpy.random.Generator) -> numpy.ndarray:
        """When each core is done with each initiator's flush, (initiators, cores)."""
        valid = (rng.random(self.lines) < self.valid).tolist()
        dirty = [held and changed for held, changed in zip(valid, rng.random(self.lines) < self.dirty, strict=True)]
        ends_s = numpy.zeros((self.initiators, self.cores))
        share = self.cores if self.walk == SHARES else 1
        memory_free_s = free_s = 0.0
        ready = [(0.0, core, 0, core if share > 1 else 0) for core in range(self.cores)]
        turn = self.walk == IN_TURN
        while ready:
            now_s, core, flush, line = heapq.heappop(ready)
            if turn and line == 0:
                now_s = max(now_s, free_s)
            while line < self.lines:
                now_s += self.line_s
                if valid[line]:
                    now_s += self.valid_s
                    if dirty[line]:
                        memory_free_s = now_s = max(now_s, memory_free_s) + self.write_s
                        dirty[line] = False
                    valid[line] = not self.invalidates
                line += share
                if not turn:
                    break
            if line < self.lines:
                heapq.heappush(ready, (now_s, core, flush, line))
                continue
            ends_s[flush, core] = free_s = now_s
            if flush + 1 < self.initiators:
                heapq.heappush(ready, (now_s, core, flush + 1, core if share > 1 else 0))
        return ends_s


def _in_line(ends_s: numpy.ndarray, limit_s: float) -> float:
    """Flushes in line after which the slowest core has had interrupts off for `limit_s`."""
    last_s = numpy.concatenate([[0.0], ends_s.max(axis=1)])
    return float(numpy.interp(limit_s, last_s, numpy.arange(len(last_s)), right=numpy.nan))


def simulate(setting: WholeCache, seed: int) -> dict[str, Estimate]:
    """`flush_s`: until the last core is done with the last flush. `stolen_s`: CPU time that the cores stand still, per
    initiator. `initiators_in_line`: how many keep a core busy for the limit.
    """
    (rng,) = streams(seed, 1)

    def block(of) -> Estimate:
        return mean_of(lambda: numpy.array([of(setting.ends_s(rng)) for _ in range(RUNS)]))

    found = {
        "flush_s": block(lambda ends_s: ends_s.max()),
        "stolen_s": block(lambda ends_s: ends_s[-1].sum() / setting.initiators),
    }
    if setting.limit_s:
        found["initiators_in_line"] = block(lambda ends_s: _in_line(ends_s, setting.limit_s))
    return found
