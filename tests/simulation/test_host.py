"""CPUs execute flushes one initiator after the other; a coalesced flush serves who came before it began."""

import pytest
import simpy

from tests.simulation.host import Coalescer, Host


def finished(starts, flush):
    """Times at which initiators that start at `starts` are done."""
    env = simpy.Environment()
    flush = flush(env)
    done = []

    def initiator(at_s, number):
        yield env.timeout(at_s)
        yield flush(number)
        done.append((number, env.now))

    for number, at_s in enumerate(starts):
        env.process(initiator(at_s, number))
    env.run()
    return [time_s for _, time_s in sorted(done)]


def test_flushes_of_several_initiators_follow_each_other():
    def on_all(env):
        host = Host(env, 4)
        return lambda number: host.flush(range(4), 10.0)

    assert finished((0, 1, 2, 50), on_all) == [10, 20, 30, 60]


def test_an_initiator_waits_for_the_slowest_of_its_cpus_only():
    def overlapping(env):
        host = Host(env, 4)
        masks = ((0, 1), (2, 3), (1, 2))
        return lambda number: host.flush(masks[number], 10.0)

    assert finished((0, 1, 2), overlapping) == [10, 11, 21]


def test_stopped_time_counts_every_cpu():
    env = simpy.Environment()
    host = Host(env, 8)
    host.flush(range(8), 2.0)
    host.flush((3,), 1.0)
    assert host.stopped_s == pytest.approx(17.0)


def test_initiators_that_come_during_a_flush_share_the_next():
    def shared(env):
        coalescer = Coalescer(Host(env, 2), range(2), 10.0)
        shared.batches = coalescer.batches
        return lambda number: coalescer.join()

    assert finished((0, 1, 2, 9, 40), shared) == [10, 20, 20, 20, 50]
    assert shared.batches == [1, 3, 1]
