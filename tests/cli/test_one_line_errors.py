"""What a shell gets for bad words: exit code 2, one line on stderr, nothing on stdout, no traceback."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from costmodel.cli import COMMANDS, cli

CASE = ("--guest", "sev", "--machine", "epyc-7763-2s")


def run(*words):
    return subprocess.run([sys.executable, "-m", "costmodel", *words], capture_output=True, text=True, check=False)


def refused(done):
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("recommend", "--guest", "sevv", "--machine", "epyc-7763-2s"), "'sevv'"),
        (("recommend", "--guest", "sev", "--machine", "epyc"), "'epyc'"),
        (("recommend", *CASE, "--workload", "nothing"), "'nothing'"),
        (("recommend", *CASE, "--kernel", "six"), "'six'"),
        (("recommend", *CASE, "--kernel", "4.19"), "4.19"),
        (("cost", *CASE, "--trigger", "nothing"), "'nothing'"),
        (("admissible", "--guest", "sev", "--trigger", "ksm"), "'ksm'"),
        (("admissible", "--guest", "sev", "--trigger", "unreg_region", "--assume", "moon=true"), "'moon'"),
        (("breakeven", "--machine", "epyc", "--between", "NO_FLUSH", "WBINVD_ALL", "--over", "cpus"), "'epyc'"),
        (("formula", "a\nb"), r"'a\nb'"),
    ],
)
def test_an_unknown_name_is_one_line_that_quotes_it(words, named):
    done = run(*words)
    refused(done)
    assert len(done.stderr.splitlines()) == 1
    assert named in done.stderr


USAGE = [
    ("recommend", "--gest", "sev"),
    ("recommend",),
    ("nothing",),
    ("list", "nothing"),
    ("cost", *CASE, "--vcpus", "-1"),
    ("admissible", "--batch", "/nonexistent/cells.csv"),
]


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_a_wrong_option_is_refused(words):
    refused(run(*words))


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_a_wrong_option_is_one_line(words):
    assert len(run(*words).stderr.splitlines()) == 1


def test_a_kernel_of_many_digits_is_no_traceback():
    refused(run("recommend", *CASE, "--kernel", "6." + "9" * 5000))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_help_shows_an_example_that_calls_the_command(name):
    text = CliRunner().invoke(cli, [name, "--help"]).stdout
    assert "Example" in text
    assert f"costmodel {name}" in text.split("Example", 1)[1]


def test_the_help_names_every_command_and_examples():
    text = CliRunner().invoke(cli, ["--help"]).stdout
    assert "Examples" in text
    assert all(f"  {name} " in text for name in COMMANDS)


HEAVY = ("sympy", "scipy", "numpy", "papermill", "nbformat", "matplotlib")


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("list", "guests"), ("admissible", "--help")], ids=" ".join
)
def test_a_light_command_imports_no_heavy_library(words):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "costmodel", *words], capture_output=True, text=True, check=True
    )
    imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}
    assert "costmodel" in imported and "click" in imported
    assert not imported & set(HEAVY)
