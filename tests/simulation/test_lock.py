"""mmu_lock: writers exclude everyone, readers share, and everybody enters in the order of arrival."""

import pytest
import simpy

from tests.simulation.host import RwLock


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
