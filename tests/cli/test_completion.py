"""Shell completion through click's own protocol: what bash, zsh and fish ask, and what they get."""

import os
import re
import subprocess
import sys

import pytest

START = "import sys; sys.argv[0] = 'costmodel'; from costmodel.cli import main; main()"
"""The installed script: click makes the name of its variable from that of the program."""


def ask(instruction, line="", **more):
    environment = {**os.environ, "_COSTMODEL_COMPLETE": instruction, "COMP_WORDS": line, **more}
    environment.setdefault("COMP_CWORD", str(len(line.split()) - 1 if not line.endswith(" ") else len(line.split())))
    done = subprocess.run(
        [sys.executable, "-c", START],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout


def offered(line):
    """(type, value) of what bash is offered for the last word of the line."""
    return [tuple(item.split(",", 1)) for item in ask("bash_complete", line).splitlines()]


def names(line):
    return [value for kind, value in offered(line) if kind == "plain"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("costmodel rec", ["recommend"]),
        ("costmodel recommend --guest sev-s", ["sev-snp", "sev-snp-gmem"]),
        ("costmodel recommend --guest SEV-S", ["sev-snp", "sev-snp-gmem"]),
        ("costmodel recommend --workload ksm", ["ksm-default"]),
        ("costmodel recommend --kernel v7", ["v7.3-rc"]),
        ("costmodel cost --trigger ksm", ["ksm_write_protect", "ksm_replace_page"]),
        ("costmodel formula range", ["range_flush", "range_lines"]),
        ("costmodel recommend --vmm q", ["qemu"]),
        ("costmodel breakeven --between wbno", ["WBNOINVD_ALL", "WBNOINVD_MASK"]),
        ("costmodel list mach", ["machines"]),
    ],
)
def test_ids_are_completed_in_any_case(line, expected):
    found = names(line)
    assert set(expected) <= set(found)
    typed = line.split()[-1].casefold()
    assert all(one.casefold().startswith(typed) for one in found)


def test_a_machine_is_a_name_or_a_file():
    found = offered("costmodel recommend --machine epyc-7")
    assert ("file", "epyc-7") in found
    assert {"epyc-7763-2s", "epyc-7742-2s"} <= {value for kind, value in found if kind == "plain"}
    assert "this" in names("costmodel machine show th")


def test_what_was_typed_before_neither_reads_standard_input_nor_fails():
    assert "sev" in names("costmodel recommend --machine - --guest se")
    assert "sev" in names("costmodel recommend --machine no-such-machine --kernel nonsense --guest se")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell):
    script = ask(f"{shell}_source")
    assert re.search(rf"_COSTMODEL_COMPLETE=\\?{shell}_complete", script)


@pytest.mark.parametrize(
    ("shell", "line", "more"),
    [
        ("zsh", "costmodel recommend --guest td", {}),
        ("fish", "costmodel recommend --guest td", {"COMP_CWORD": "td"}),
    ],
)
def test_zsh_and_fish_are_offered_the_same(shell, line, more):
    assert "tdx" in ask(f"{shell}_complete", line, **more)
