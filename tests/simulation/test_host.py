"""CPUs execute flushes one initiator after the other; a coalesced flush serves who came before it began."""

import pytest
import simpy

from tests.simulation.host import Coalescer, Host, Notifier, RwLock


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


# mmu_lock: writers exclude everyone, readers share, and everybody enters in the order of arrival.


@pytest.fixture
def world():
    env = simpy.Environment()
    return env, RwLock(env), []


def hold(world, kind, at_s, length_s):
    """One holder; the log gets (kind, asked, taken, released)."""
    env, lock, log = world

    def run():
        yield env.timeout(at_s)
        blocked = lock.write() if kind == "w" else lock.read()
        if blocked is not None:
            yield blocked
        taken_s = env.now
        yield env.timeout(length_s)
        (lock.write_unlock if kind == "w" else lock.read_unlock)()
        log.append((kind, at_s, taken_s, env.now))

    env.process(run())


def test_readers_share_and_writers_exclude(world):
    for kind, at_s in (("r", 0), ("r", 1), ("w", 2), ("w", 3)):
        hold(world, kind, at_s, 10)
    world[0].run()
    assert world[2] == [("r", 0, 0, 10), ("r", 1, 1, 11), ("w", 2, 11, 21), ("w", 3, 21, 31)]


def test_a_reader_does_not_overtake_a_waiting_writer(world):
    for kind, at_s in (("r", 0), ("w", 1), ("r", 2), ("r", 3), ("w", 4)):
        hold(world, kind, at_s, 10)
    world[0].run()
    taken = {at_s: taken_s for _, at_s, taken_s, _ in world[2]}
    assert taken == {0: 0, 1: 10, 2: 20, 3: 20, 4: 30}


def test_the_log_has_every_writer_in_order(world):
    for at_s in (0, 1, 2):
        hold(world, "w", at_s, 5)
    world[0].run()
    assert world[1].requested_s == [0, 1, 2]
    assert world[1].released_s == [5, 10, 15]


# The notifier's state: nested invalidations, a range that only widens, a sequence count that changes at each end.


@pytest.fixture
def world_notifier():
    env = simpy.Environment()
    return env, Notifier(env)


def at(env, time_s, action):
    def run():
        yield env.timeout(time_s)
        action()

    env.process(run())


def test_the_range_widens_and_is_reset_when_none_is_in_progress(world_notifier):
    env, notifier = world_notifier
    seen = []
    at(env, 0, lambda: notifier.begin(0.2, 0.3))
    at(env, 1, lambda: notifier.begin(0.7, 0.8))
    at(env, 2, notifier.end)
    at(env, 3, lambda: seen.append((notifier.covers(0.5), notifier.covers(0.1), notifier.covers(0.8))))
    at(env, 4, notifier.end)
    at(env, 5, lambda: seen.append(notifier.covers(0.5)))
    at(env, 6, lambda: notifier.begin(0.4, 0.45))
    at(env, 7, lambda: seen.append((notifier.covers(0.42), notifier.covers(0.25))))
    env.run()
    assert seen == [(True, False, False), False, (True, False)]


def test_the_sequence_count_changes_at_every_end(world_notifier):
    env, notifier = world_notifier
    for time_s, action in enumerate((lambda: notifier.begin(0, 1), lambda: notifier.begin(0, 1), *[notifier.end] * 2)):
        at(env, time_s, action)
    env.run()
    assert (notifier.sequence, notifier.in_progress) == (2, 0)


def test_the_pieces_are_the_times_left_until_the_count_is_zero(world_notifier):
    env, notifier = world_notifier
    at(env, 1, lambda: notifier.begin(0.0, 0.1))
    at(env, 3, lambda: notifier.begin(0.4, 0.5))
    at(env, 4, notifier.end)
    at(env, 9, notifier.end)
    env.run()
    assert notifier.pieces == [(8, 6, pytest.approx(0.1)), (6, 0.0, pytest.approx(0.5))]
