"""Cells of flushes that wait for their line, a fence, another core or another socket."""

import statistics
from dataclasses import replace

import pytest

from costmodel.measure import hardware, native
from costmodel.measure.host import usable_cpus
from costmodel.measure.native import Buffer
from costmodel.measure.probe import Settings, Skipped

QUICK = Settings(quick=True)


def test_cells_that_the_machine_cannot_give_are_left_out(host):
    old = replace(host, features=())
    assert {cell["instruction"] for cell in hardware.cells_of_states(old, True, True)} == {"CLFLUSH"}
    alone = {cell["cell"] for cell in hardware.cells_of_states(host, False, False)}
    assert alone == {"same_line", "in_turn", "fence_each"}
    every = hardware.cells_of_states(host, True, True)
    assert {cell["cell"] for cell in every} == alone | {"other_core", "other_socket"}
    assert len({tuple(cell.values()) for cell in every}) == len(every)


def test_a_line_that_is_kept_is_never_called_absent(host):
    states = {
        cell["state"]
        for cell in hardware.cells_of_states(host, True, False)
        if cell["cell"] in ("same_line", "in_turn")
    }
    assert states == {"absent", "clean"}
    assert all(
        cell["state"] == "clean"
        for cell in hardware.cells_of_states(host, True, False)
        if cell["instruction"] == "CLWB" and cell["cell"] in ("same_line", "in_turn")
    )


def value(cell, times=9):
    cpus = usable_cpus()
    with Buffer(max(hardware.RANGES)) as memory:
        buffers = {"own": memory, "other": memory}
        return statistics.median(hardware._measure_flush_cells(buffers, cell, cpus[0])["line_s"] for _ in range(times))


def cell(name, lines, state="absent"):
    return {"instruction": "CLFLUSH", "cell": name, "lines": lines, "state": state}


def test_more_lines_in_turn_share_the_latency_of_one():
    """Nothing of a clock: which of two is longer is a property of any CPU that orders flushes of one line."""
    one, many = value(cell("same_line", 1)), value(cell("in_turn", 64))
    assert one > many > 0


def test_a_fence_after_each_line_costs_more_than_none():
    fenced = value(cell("fence_each", hardware.FENCED_LINES))
    free = value(cell("other_socket", hardware.FENCED_LINES))
    assert fenced > free > 0


def test_every_kind_of_cell_can_be_measured():
    kinds = (("other_core", "dirty"), ("other_socket", "dirty"), ("fence_each", "clean"), ("same_line", "absent"))
    assert all(value(cell(name, 512 if name != "same_line" else 1, state), times=1) > 0 for name, state in kinds)


def two_sockets(root, packages, empty=()):
    """Nodes of one CPU each, on these sockets."""
    for number, package in enumerate(packages):
        folder = root / f"sys/devices/system/cpu/cpu{number}/topology"
        folder.mkdir(parents=True)
        (folder / "physical_package_id").write_text(f"{package}\n")
        node = root / f"sys/devices/system/node/node{number}"
        (node / f"cpu{number}").mkdir(parents=True)
        (node / "meminfo").write_text(f"Node {number} MemTotal: {0 if number in empty else 4096} kB\n")
    return root


def test_the_other_socket_is_not_merely_another_node(tmp_path):
    assert hardware.other_node(0, two_sockets(tmp_path / "a", [0, 0, 1])) == 2
    assert hardware.other_node(2, tmp_path / "a") == 0
    assert hardware.other_node(0, two_sockets(tmp_path / "b", [0, 1, 1], empty=(1,))) == 2


def test_one_socket_is_said(tmp_path):
    with pytest.raises(Skipped, match="one socket only"):
        hardware.other_node(0, two_sockets(tmp_path, [0, 0]))


def test_memory_can_be_bound_and_a_node_that_is_not_there_is_refused():
    with hardware.bound_to(0), Buffer(4096) as memory:
        assert memory.address
    with pytest.raises(Skipped, match="set_mempolicy"), hardware.bound_to(1000):
        pass


def test_the_table_has_its_columns_and_says_what_is_missing(host, monkeypatch, tmp_path):
    monkeypatch.setattr(hardware, "RANGES", (2**15,))
    ticks = []
    table = hardware.flush_cells_probe(
        replace(host, features=()), QUICK, lambda: ticks.append(1), usable_cpus()[-1:], tmp_path
    )
    assert table.columns == ["instruction", "cell", "lines", "state", "run", "repetition", "measured_line_s"]
    assert len(ticks) == QUICK.runs * (QUICK.repetitions + 1)
    assert table.notes == ["other_core: one CPU only", "other_socket: one socket only"]
    assert native.LINE_BYTES == 64 and all(row["measured_line_s"] > 0 for row in table.rows)
