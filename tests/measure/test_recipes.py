"""The recipes of docs/measuring.md against the live kernel, where tool and tracepoint are there.

Elsewhere their output stands recorded in tests/traces. What was skipped is printed with the reason.
"""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from costmodel.evidence.paths import data_dir
from costmodel.measure import invalidations, kvm, trace_formats
from costmodel.measure.native import Buffer
from costmodel.measure.probe import Skipped
from costmodel.report.measurement import imported
from costmodel.traces.triggers import trigger_of_chain

DOCUMENT = data_dir().parent / "docs/measuring.md"
SECTION = "## Hosts where nothing of ours may run"
TOOLS = ("bpftrace", "perf", "trace-cmd")
TRACING = Path("/sys/kernel/tracing")
CAUSES = [cause for cause in invalidations.CAUSES if cause.trigger in ("mprotect_or_uffd_wp", "munmap_or_discard")]
NOT_ALLOWED = ("Operation not permitted", "Permission denied", "not traceable", "No permission", "does not exist")
"""What the tools say where the kernel, its configuration or a sandbox has no leave or no function for them."""


def recipes():
    """Commands of the section that record or count, each with the file that it writes."""
    section = DOCUMENT.read_text().split(SECTION)[1].split("\n## ")[0]
    blocks = re.findall(r"(?:^    .*\n(?:^      .*\n)*)+", section, re.M)
    commands = [c.strip() for block in blocks for c in re.findall(r"^    \S.*\n(?:^      .*\n)*", block, re.M)]
    return [command for command in commands if not command.startswith("costmodel")]


def missing(command):
    """Why the command cannot run here; empty where it should."""
    for tool in TOOLS:
        if re.search(rf"\b{tool} ", command) and shutil.which(tool) is None:
            return f"{tool} is not installed"
    if "kvm_unmap_hva_range" in command and not (TRACING / "events/kvm/kvm_unmap_hva_range").is_dir():
        return "no tracepoint kvm:kvm_unmap_hva_range under /sys/kernel/tracing"
    if "kprobe:" in command and not (TRACING / "kprobe_events").exists():
        return "the kernel has no kprobes"
    if "function_graph" in command and "function_graph" not in (TRACING / "available_tracers").read_text():
        return "the kernel has no function_graph"
    return ""


def run(command, folder):
    """Run a recipe for a few seconds while mprotect and madvise send invalidations; what it says beside its file."""
    short = re.sub(r"\bsleep \d+", "sleep 4", re.sub(r"-s INT \d+", "-s INT 7", command))
    process = subprocess.Popen(
        ["bash", "-c", short], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        with Buffer(invalidations.MEMORY_BYTES, "4KiB") as memory, kvm.Vm(memory):
            end_s = time.monotonic() + 60
            while process.poll() is None and time.monotonic() < end_s:
                for cause in CAUSES:
                    cause.act(memory, None)
                time.sleep(0.05)
        return process.communicate(timeout=10)[0]
    finally:
        process.kill()
        process.wait()


def test_every_recipe_has_a_test_of_what_it_writes():
    assert len(recipes()) >= 8 and all(re.search(r"> (\S+)$", command) for command in recipes())


def test_the_recipes_run_on_this_kernel(tmp_path, capsys):
    if os.geteuid() != 0 or not os.access("/dev/kvm", os.R_OK | os.W_OK):
        pytest.skip("needs root and /dev/kvm")
    if kvm.guests().holders:
        pytest.skip(kvm.guests().sentence())
    if not (TRACING / "events").is_dir():
        pytest.skip(f"tracefs is not mounted: mount -t tracefs tracefs {TRACING}")
    skipped, ran = {}, []
    for number, command in enumerate(recipes()):
        folder = tmp_path / str(number)
        folder.mkdir()
        if reason := missing(command):
            skipped[command] = reason
            continue
        try:
            said = run(command, folder)
        except Skipped as reason:
            pytest.skip(str(reason))
        written = folder / re.search(r"> (\S+)$", command)[1]
        if not written.exists() or any(text in said for text in NOT_ALLOWED):
            assert any(text in said for text in NOT_ALLOWED), f"{command}: {said}"
            skipped[command] = next(line for line in said.splitlines() if any(text in line for text in NOT_ALLOWED))
            continue
        found = trace_formats.read(written, trigger_of_chain)
        assert found.rows and found.notes.bad_lines == 0, f"{command}: {imported(found)} {found.notes.bad}"
        if " -g " in command or " -T " in command or "kstack" in command:
            told = {row["trigger"] for row in found.rows if row["kind"] in ("event", "count")}
            assert {cause.trigger for cause in CAUSES} <= told, command
        ran.append(command)
    with capsys.disabled():
        print(f"\n{len(ran)} recipes of {DOCUMENT.name} ran, {len(skipped)} were skipped")
        for command, reason in skipped.items():
            print(f"  skipped: {command[:60]!r}: {reason}")
    assert ran, "no recipe ran, although this host has /dev/kvm"
