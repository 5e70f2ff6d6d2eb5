"""Signals end a run once, in good order, and only where they would have ended it anyway."""

import os
import signal

import pytest

from costmodel.measure.journal import SIGNALS, Interrupted, Signals


def send(number):
    os.kill(os.getpid(), number)
    signal.sigtimedwait([], 1)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_is_to_be_done_is_done_before_the_exception(number):
    done = []
    with pytest.raises(Interrupted) as caught, Signals() as signals:
        signals.on_signal = lambda: done.append(number)
        try:
            send(number)
        finally:
            assert done == [number]
    assert caught.value.exit_code == 128 + number


def test_a_held_signal_waits():
    order = []
    with pytest.raises(Interrupted), Signals() as signals:
        signals.on_signal = lambda: order.append("undone")
        with signals.held():
            with signals.held():
                send(signal.SIGTERM)
            order.append("made")
        order.append("never reached")
    assert order == ["made", "undone"]


def test_what_was_ignored_before_stays_ignored():
    """nohup costmodel measure all &"""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_handlers_are_those_of_before_afterwards():
    before = [signal.getsignal(number) for number in SIGNALS]
    with Signals():
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before
