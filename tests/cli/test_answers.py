"""Answers that are kept: the same words, data and code give the same bytes without being worked out again."""

import os
import subprocess
import sys

import pytest

from costmodel import cache
from costmodel.cli import answers
from costmodel.errors import BadInput, ExitCode
from costmodel.report import unchanged

WORDS = ("recommend", "--guest", "sev", "--machine", "epyc-7763-2s")
HEAVY = ("sympy", "pandas", "seaborn", "papermill", "scipy", "numpy", "pydantic", "matplotlib")


@pytest.fixture
def asked(tmp_path, monkeypatch, capsys):
    """Ask `kept` with an own, empty cache; says (code, printed, whether it was worked out)."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    cache._checked.cache_clear()

    def ask(words=WORDS, text="the answer\n", code=0, error="", fails=None):
        worked_out = []

        def answer():
            worked_out.append(1)
            print(text, end="")
            print(error, end="", file=sys.stderr)
            if fails:
                raise fails
            return code

        found = answers.kept(words, answer)
        shown = capsys.readouterr()
        assert shown.err == (error if worked_out else "")
        return found, shown.out, bool(worked_out)

    yield ask
    cache._checked.cache_clear()


@pytest.mark.parametrize("code", [ExitCode.OK, ExitCode.NOT_APPLICABLE])
def test_what_was_asked_before_is_not_worked_out_again(asked, code):
    assert asked(code=code) == (code, "the answer\n", True)
    assert asked(code=code, text="never printed") == (code, "the answer\n", False)


def test_other_words_are_another_question(asked):
    asked()
    assert asked((*WORDS, "--json"))[2] and not asked()[2]


def test_other_data_are_another_question(asked, data, monkeypatch):
    monkeypatch.setenv("COSTMODEL_DATA", str(data))
    asked()
    assert not asked()[2]
    with (data / "workloads/idle.toml").open("a") as stream:
        stream.write("\n")
    assert asked()[2]


@pytest.mark.parametrize("variable", ["COSTMODEL_MACHINES", "COSTMODEL_HOSTS"])
def test_what_the_user_adds_is_another_question_and_another_report(asked, tmp_path, monkeypatch, variable):
    monkeypatch.setenv(variable, str(tmp_path / "own"))
    asked()
    before = unchanged.inputs_hash()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "mine.toml").write_text("title = 'mine'\n")
    assert asked()[2] and unchanged.inputs_hash() != before


@pytest.mark.parametrize(
    "words",
    [
        (*WORDS[:-1], "this"),
        (*WORDS[:-1], "-"),
        (*WORDS[:-1], "lscpu.txt"),
        ("recommend", "--guest", "sev", "--machine=lscpu.txt"),
        (*WORDS, "--kernel", "this"),
        ("host",),
        ("reply", "mail.eml"),
        ("recommend", "--help"),
        (),
    ],
    ids=" ".join,
)
def test_what_depends_on_more_than_the_words_is_asked_each_time(asked, tmp_path, words):
    (tmp_path / "lscpu.txt").write_text("CPU(s): 2\n")
    assert asked(words)[2] and asked(words)[2]


def test_an_answer_with_a_warning_gives_it_each_time(asked):
    assert asked(error="costmodel: note: look\n")[2] and asked(error="costmodel: note: look\n")[2]


def test_an_error_is_not_kept_and_what_was_printed_before_it_is_shown(asked, capsys):
    with pytest.raises(BadInput):
        asked(fails=BadInput("is wrong", remedy="mend it"))
    assert capsys.readouterr().out == "the answer\n"
    assert asked()[2]


def test_a_damaged_answer_is_worked_out_again(asked, tmp_path):
    asked()
    (entry,) = (tmp_path / "cache" / "costmodel").glob("answer-*")
    entry.write_bytes(entry.read_bytes()[:-1] + b"!")
    assert asked() == (0, "the answer\n", True)


def test_the_oldest_answers_go(asked, tmp_path, monkeypatch):
    monkeypatch.setattr(answers, "MOST_KEPT", 3)
    for number in range(5):
        asked((*WORDS, str(number)))
    assert len(list((tmp_path / "cache" / "costmodel").glob("answer-*"))) == 3
    assert not asked((*WORDS, "4"))[2] and asked((*WORDS, "0"))[2]


NEEDED = ("numpy", "pydantic")
"""What a new answer is made with; the rest of HEAVY is for fits, frames and reports."""


def imported(done):
    """Libraries that a run under -X importtime loaded."""
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}


def test_a_new_answer_is_made_of_what_was_calibrated_before_and_a_kept_one_of_nothing(tmp_path):
    """As a shell has it, the first time after installation: the second call is told apart by what it imports."""
    command = [sys.executable, "-X", "importtime", "-m", "costmodel", *WORDS]
    place = {**os.environ, "XDG_CACHE_HOME": str(tmp_path)}
    first, again = (subprocess.run(command, capture_output=True, text=True, check=True, env=place) for _ in range(2))
    assert again.stdout == first.stdout and first.stdout.startswith("AMD SEV")
    assert imported(first) & set(HEAVY) == set(NEEDED), "scipy: run `make calibration`"
    assert "costmodel" in imported(again) and not imported(again) & set(HEAVY)
