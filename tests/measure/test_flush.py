"""Which cells of range flushes are measured, and what a measured cell says."""

from dataclasses import replace

from costmodel.measure import hardware
from costmodel.measure.probe import Settings, Table

QUICK = Settings(quick=True)


def test_instructions_that_the_cpu_lacks_are_left_out_and_said(host):
    old = replace(host, features=(), transparent_hugepage="never")
    assert {cell["instruction"] for cell in hardware.range_cells(old, QUICK)} == {"CLFLUSH"}
    assert {cell["page"] for cell in hardware.range_cells(old, QUICK)} == {"4KiB"}
    said = " ".join(hardware.skipped(old))
    assert "clflushopt" in said and "clwb" in said and "huge pages" in said
    assert hardware.skipped(host) == []


def test_ranges_go_from_a_line_to_twice_the_second_level_and_64_mib(host):
    sizes = hardware.ranges(quick=False)
    assert sizes[0] == 64 and sizes[-1] == 64 * 2**20 >= 2 * host.cache(2).bytes
    assert all(later == 2 * earlier for earlier, later in zip(sizes, sizes[1:], strict=False))


def test_absent_lines_are_cheaper_than_dirty_ones():
    table = Table("flush", "measured_line_s")
    with hardware.Buffer(2**22) as memory:
        for state in ("dirty", "absent"):
            cell = {"instruction": "CLFLUSH", "state": state, "range_bytes": 2**20, "page": "4KiB"}
            values = sorted(hardware._measure_flush({"4KiB": memory}, cell)["line_s"] for _ in range(9))
            table.rows.append({"state": state, "measured_line_s": values[4]})
    assert table.rows[0]["measured_line_s"] > table.rows[1]["measured_line_s"] > 0
