"""No worker outlives its block: the memory that it works on is given back next."""

import threading

import pytest

from costmodel.measure.host import usable_cpus
from costmodel.measure.native import Worker, ended, spinning, together

CPU = usable_cpus()[0]


def workers():
    return [thread for thread in threading.enumerate() if isinstance(thread, Worker)]


def test_every_work_is_done_on_its_own_thread():
    assert [worker.result for worker in together([CPU, CPU], [lambda: 1, lambda: 2])] == [1, 2]
    assert workers() == []


def test_the_first_error_is_raised():
    def fail():
        raise OSError(12, "Cannot allocate memory")

    with pytest.raises(OSError, match="allocate"):
        together([CPU, CPU], [fail, lambda: 1])


def test_an_interrupted_spin_ends():
    with pytest.raises(KeyboardInterrupt), spinning([CPU]):
        assert len(workers()) == 1
        raise KeyboardInterrupt
    assert workers() == []


def test_an_interrupt_waits_for_workers_and_frees_those_at_the_barrier():
    stop, barrier = threading.Event(), threading.Barrier(3)
    waiting = [Worker(CPU, stop.wait, barrier), Worker(CPU, stop.wait, barrier)]
    with pytest.raises(KeyboardInterrupt), ended(waiting, barrier, stop.set):
        waiting[0].start()
        raise KeyboardInterrupt
    assert workers() == []
    assert isinstance(waiting[0].error, threading.BrokenBarrierError)
