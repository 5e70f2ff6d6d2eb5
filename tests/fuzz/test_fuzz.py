"""A short run of the fuzz harness, and that the harness itself can find something."""

import contextlib
import time

import pytest

from costmodel.errors import BadInput
from tests.fuzz import harness, readers
from tests.fuzz.harness import HANG_S, Report, run
from tests.fuzz.readers import Reader
from tests.samples import sampled

NUMBER = 200


def test_no_reader_lets_a_hostile_file_through():
    report = run(NUMBER)
    assert not report.bad, report.text()
    assert report.inputs.total() == NUMBER
    assert NUMBER / 4 < report.refused.total() < NUMBER, report.text()


def test_every_reader_gets_its_turn():
    names = [one.name for one in readers.readers()]
    assert len(names) == len(set(names)) >= 19 and all(one.weight > 0 and one.seeds for one in readers.readers())


def only(monkeypatch, read):
    monkeypatch.setattr(harness, "readers", lambda: [Reader("a.txt", lambda: [b"good 1"], read)])


def test_the_same_seed_gives_the_same_inputs(monkeypatch):
    seen = []
    only(monkeypatch, lambda path: seen.append(path.read_bytes()))
    run(50, seed=7)
    run(50, seed=7)
    assert seen[:51] == seen[51:] and len(set(seen)) > 25


def test_a_traceback_is_found_with_its_kind_and_its_input(monkeypatch):
    def read(path):
        if path.read_bytes() != b"good 1":
            raise KeyError("x")

    only(monkeypatch, read)
    report = run(30)
    assert report.bad and "a.txt: outside: KeyError" in report.findings
    assert report.kept["a.txt: outside: KeyError"][0] != b"good 1"
    assert "tracebacks, 0 hangs" in report.text()


def test_a_seed_that_is_refused_is_a_finding(monkeypatch):
    def read(path):
        raise BadInput("no")

    only(monkeypatch, read)
    assert any("the seed is refused" in finding for finding in run(0).findings)


def test_a_message_of_two_lines_is_a_finding(monkeypatch):
    class Loud(BadInput):
        def __str__(self):
            return "two\nlines"

    def read(path):
        raise Loud("x")

    only(monkeypatch, read)
    assert "a.txt: a message that is no line" in run(1).findings


def test_a_hang_is_found_even_where_everything_is_caught(monkeypatch):
    def read(path):
        if path.read_bytes() != b"good 1":
            with contextlib.suppress(Exception):
                time.sleep(60)

    monkeypatch.setattr(harness, "HANG_S", HANG_S / 100)
    only(monkeypatch, read)
    assert any("Hang" in finding for finding in run(3).findings)


def test_a_machine_that_was_busy_once_is_no_hang(monkeypatch):
    slow = []

    def read(path):
        if path.read_bytes() != b"good 1" and not slow:
            slow.append(True)
            time.sleep(60)

    monkeypatch.setattr(harness, "HANG_S", HANG_S / 100)
    only(monkeypatch, read)
    assert not run(3).findings and slow


def test_too_much_memory_is_bad():
    assert Report(peak_bytes=2**30 + 1).bad and not Report(peak_bytes=2**30).bad


@pytest.mark.parametrize("reader", sampled(readers.readers(), 3), ids=lambda reader: reader.name)
def test_changes_of_a_file_reach_its_reader(reader):
    """Of 40 changed files some are another file and some are refused: the mutations are neither void nor all noise."""
    report = run(40, only=reader.name)
    assert not report.bad, report.text()
    assert report.refused[reader.name] > 0
