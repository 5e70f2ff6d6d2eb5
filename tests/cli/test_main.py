"""The command line as a shell sees it."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from costmodel.cli import COMMANDS, cli


def run(*words, text=None):
    return subprocess.run([sys.executable, "-m", "costmodel", *words], capture_output=True, text=True, input=text)


@pytest.mark.parametrize(
    "words",
    [
        ("recommend", "--guest", "sevv", "--machine", "epyc-7763-2s"),
        ("recommend", "--guest", "sev", "--machine", "epyc"),
        ("recommend", "--guest", "sev", "--machine", "epyc-7763-2s", "--kernel", "1.0"),
        ("admissible", "--guest", "sev", "--trigger", "ksm"),
        ("formula", "flush"),
        ("breakeven", "--machine", "epyc-7763-2s", "--between", "A", "B", "--over", "cpus"),
        ("calibrate", "--machine", "none"),
        ("calibrate", "--host", "none"),
        ("predict", "--machine", "epyc-7763-2s", "--cells", "-"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(words):
    done = run(*words, text="")
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_an_unknown_option_is_exit_code_2():
    assert run("recommend", "--gest", "sev").returncode == 2


def test_a_closed_pipe_is_no_traceback():
    shell = f"{sys.executable} -m costmodel list triggers | head -1"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr


def test_help_needs_no_heavy_library():
    code = (
        "import sys; from costmodel.cli import cli\n"
        "try: cli(['--help'], standalone_mode=False)\n"
        "finally: print(sorted(set(sys.modules) & {'numpy','scipy','sympy','papermill','matplotlib','pydantic'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_shows_an_example(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0
    if name != "audit":
        assert "Example" in result.output


@pytest.mark.parametrize("kind", ["guests", "machines", "workloads", "strategies", "triggers", "kernels", "formulas"])
def test_lists_are_json_where_a_script_follows(kind):
    found = json.loads(CliRunner().invoke(cli, ["list", kind, "--json"]).output)
    assert found and all(entry["id"] for entry in found)
    text = CliRunner().invoke(cli, ["list", kind]).output
    assert [line.split()[0] for line in text.splitlines()] == [entry["id"] for entry in found]


def test_a_command_that_is_almost_one_is_named():
    done = run("recomend")
    assert done.returncode == 2 and "Did you mean 'recommend'?" in done.stderr and len(done.stderr.splitlines()) == 1


def test_ids_are_known_in_any_case_and_sizes_with_their_units():
    words = ("--guest", "SEV", "--machine", "Milan", "--workload", "KSM-default", "--kernel", "NEWEST")
    found = json.loads(run("recommend", *words, "--resident-bytes", "16G", "--json").stdout)
    assert (found["guest"], found["machine"], found["workload"]) == ("sev", "epyc-7763-2s", "ksm-default")
    assert found["scenario"]["resident_bytes"] == 2.0**34


def test_a_size_that_is_none_is_one_line():
    done = run("recommend", "--guest", "sev", "--machine", "milan", "--resident-bytes", "16cows")
    assert done.returncode == 2 and "'16cows' is no size above zero; write bytes, or 16G" in done.stderr
