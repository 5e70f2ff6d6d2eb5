"""Who starts invalidations: open triggers, which come whatever happens, and threads that wait for their own.

ksmd, khugepaged and an attacker in a loop are closed: ksm_do_scan() takes a batch of pages, waits for the events of
each, and sleeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy

Event = Callable[[], "Iterator[simpy.Event]"]


def open_trigger(env: simpy.Environment, gap_s: Callable[[], float], event: Event) -> Iterator[simpy.Event]:
    """Events whose gaps are `gap_s()`: exponential ones make a Poisson process."""
    while True:
        yield env.timeout(gap_s())
        env.process(event())


def recorded_trigger(env: simpy.Environment, gaps_s: Iterable[float], event: Event) -> Iterator[simpy.Event]:
    """Events at recorded gaps; it ends with the record."""
    for gap_s in gaps_s:
        yield env.timeout(gap_s)
        env.process(event())


def closed_trigger(
    env: simpy.Environment,
    sleep_s: Callable[[], float],
    events_of_cycle: Callable[[], Iterable[Event]],
) -> Iterator[simpy.Event]:
    """A thread that sleeps, then makes the events of one cycle and waits for each before the next."""
    while True:
        yield env.timeout(sleep_s())
        for event in events_of_cycle():
            yield from event()


def bursts(gap_s: Callable[[], float], size: int) -> Iterator[float]:
    """Gaps of a record in which `size` events come together and bursts are `gap_s()` apart."""
    while True:
        yield gap_s()
        for _ in range(size - 1):
            yield 0.0
