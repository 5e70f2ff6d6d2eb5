"""The notifier's state: nested invalidations, a range that only widens, a sequence count that changes at each end."""

import pytest

from tests.simulation.host import Notifier
from tests.simulation.statistics import environment


@pytest.fixture
def world():
    env = environment()
    return env, Notifier(env)


def at(env, time_s, action):
    def run():
        yield env.timeout(time_s)
        action()

    env.process(run())


def test_the_range_widens_and_is_reset_when_none_is_in_progress(world):
    env, notifier = world
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


def test_the_sequence_count_changes_at_every_end(world):
    env, notifier = world
    for time_s, action in enumerate((lambda: notifier.begin(0, 1), lambda: notifier.begin(0, 1), *[notifier.end] * 2)):
        at(env, time_s, action)
    env.run()
    assert (notifier.sequence, notifier.in_progress) == (2, 0)


def test_the_pieces_are_the_times_left_until_the_count_is_zero(world):
    env, notifier = world
    at(env, 1, lambda: notifier.begin(0.0, 0.1))
    at(env, 3, lambda: notifier.begin(0.4, 0.5))
    at(env, 4, notifier.end)
    at(env, 9, notifier.end)
    env.run()
    assert notifier.pieces == [(8, 6, pytest.approx(0.1)), (6, 0.0, pytest.approx(0.5))]
