"""Signs of work: nothing for what is quick, a line a minute on a pipe, a bar on a terminal."""

import sys

import pytest

from costmodel.cli.options import progress


def run(steps, seconds, length):
    """Steps of `seconds` each by a clock that only they move."""
    now = [0.0]
    with progress(length, "pages", lambda: now[0]) as step:
        for _ in range(steps):
            now[0] += seconds
            step()


def test_what_is_quick_says_nothing(capsys):
    run(3, 0.5, 3)
    assert capsys.readouterr() == ("", "")


def test_a_pipe_gets_a_line_a_minute_on_standard_error(capsys):
    run(10, 30.0, 10)
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == [f"pages: {2 * n} of 10 after {n} min" for n in range(1, 6)]


def test_of_an_unknown_number_only_what_is_done_is_told(capsys):
    run(2, 60.0, None)
    assert capsys.readouterr().err.splitlines() == ["pages: 1 after 1 min", "pages: 2 after 2 min"]


@pytest.mark.parametrize(("seconds", "shown"), [(0.1, False), (3.0, True)])
def test_a_terminal_gets_a_bar_that_ends_full(capsys, monkeypatch, seconds, shown):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    run(4, seconds, 4)
    assert ("100%" in capsys.readouterr().err) is shown
