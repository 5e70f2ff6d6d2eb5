"""Traces taken elsewhere, in every format that the documentation names."""

import pytest

from costmodel.measure import trace_formats
from costmodel.report.measurement import imported
from costmodel.traces.triggers import trigger_of_chain

RAW = "            ksmd-46      [002] .....  1234.567890: kvm_unmap_hva_range: mmu notifier unmap range: 0x7f1234000000 -- 0x7f1234001000"
PERF = "CPU 0/KVM  4711 [001]    77.123456: kvm:kvm_unmap_hva_range: mmu notifier unmap range: 0x7f1234000000 -- 0x7f1234200000"
TRACE_CMD = "            qemu-kvm-812   [003]  9.5: kvm_unmap_hva_range:  mmu notifier unmap range: 0x1000 -- 0x3000"
TGID = "       qemu-123   (   123) [000] d..2.   100.000001: kvm_unmap_hva_range: mmu notifier unmap range: 0x1000 -- 0x2000"


@pytest.mark.parametrize(
    ("line", "comm", "length"),
    [(RAW, "ksmd", 4096), (PERF, "CPU 0/KVM", 2**21), (TRACE_CMD, "qemu-kvm", 8192), (TGID, "qemu", 4096)],
)
def test_events_of_every_tool(tmp_path, line, comm, length):
    (row,) = read(tmp_path, line).rows
    assert (row["key"], row["low"]) == (comm, length)


@pytest.mark.parametrize("line", [RAW.replace("--", "++"), RAW.replace("4001000", "3000000")])
def test_an_event_without_a_range_is_not_understood(tmp_path, line):
    found = read(tmp_path, f"{PERF}\n{line}\n")
    assert len(found.rows) == 1 and found.notes.bad_lines == 1


def read(tmp_path, text):
    path = tmp_path / "trace.txt"
    path.write_text(text)
    return trace_formats.read(path, trigger_of_chain)


def test_bpftrace_text_and_json_give_the_same_histogram(tmp_path):
    text = read(tmp_path, "Attaching 1 probe...\n\n@wb_us[ksmd]:\n[4, 8)      12 |@@@@|\n[1K, 2K)     3 |@   |\n")
    data = (
        '{"type": "attached_probes", "data": {"probes": 1}}\n'
        '{"type": "hist", "data": {"@wb_us": {"ksmd": [{"min": 4, "max": 7, "count": 12}, '
        '{"min": 1024, "max": 2047, "count": 3}]}}}\n'
    )
    assert read(tmp_path, data).rows == text.rows
    assert [row["low"] for row in text.rows] == pytest.approx([4e-6, 1.024e-3])
    assert {row["unit"] for row in text.rows} == {"s"}
    assert not text.notes.bad


def test_durations_of_the_flush_functions(tmp_path):
    text = (
        " 1) ! 1234.567 us |  wbinvd_on_all_cpus();\n"
        " 0) # 5000.000 us |  sev_guest_memory_reclaimed [kvm_amd]();\n"
        " 0)   0.100 us    |  something_else();\n"
    )
    found = read(tmp_path, text)
    assert [(row["name"], row["low"]) for row in found.rows] == [
        ("wbinvd_on_all_cpus", pytest.approx(1.234567e-3)),
        ("sev_guest_memory_reclaimed", pytest.approx(5e-3)),
    ]


def test_counts(tmp_path):
    assert [row["count"] for row in read(tmp_path, "@n[ksmd]: 17\n@total: 20\n").rows] == [17, 20]


def test_bad_lines_are_counted_and_kept(tmp_path):
    found = read(tmp_path, f"{RAW}\nwhat is this\n{{broken json\n{PERF}\n")
    assert [number for _, number, _ in found.notes.bad] == [2, 3]
    assert "2 lines not understood" in imported(found)
    assert len(found.rows) == 2


def test_the_rows_have_one_shape(tmp_path):
    found = read(tmp_path, f"{RAW}\n@n: 3\n 1) 9.0 us | wbinvd_on_all_cpus();\n")
    assert len({tuple(row) for row in found.rows}) == 1 and len(found.rows) == 3


@pytest.mark.parametrize(
    "line",
    [
        RAW.replace("0x7f1234001000", "9" * 5000),
        RAW.replace("ksmd-46", "ksmd-" + "9" * 5000),
        RAW.replace("1234.567890", "9" * 400 + ".0"),
        "@n[a]: " + "9" * 5000,
        "[4, " + "9" * 5000 + ")      12 |@@@@|",
        "9" * 400 + " us | wbinvd_on_all_cpus();",
        '{"type": "map", "data": {"@n": {"a": 1e400}}}',
        '{"type": "map", "data": {"@n": {"a": ' + "9" * 400 + "}}}",
        '{"type": "hist", "data": {"@n_us": {"a": [{"min": ' + "9" * 400 + ', "count": 1}]}}}',
        '{"type": "map", "data": ' + '{"a":' * 5000 + "1" + "}" * 5001,
        '{"type": "map", "data": {"@n": {"a": ' + "9" * 5000 + "}}}",
    ],
)
def test_numbers_that_no_kernel_prints_are_bad_lines(tmp_path, line):
    found = read(tmp_path, f"@n_us[ksmd]:\n{line}\n{PERF}\n")
    assert len(found.rows) == 1 and [number for _, number, _ in found.notes.bad] == [2]


def test_lost_events_are_in_the_sentence(tmp_path):
    found = read(tmp_path, f"CPU:3 [LOST 12 EVENTS]\n{PERF}\n")
    assert found.notes.lost == 12 and "at least 12 events were lost" in imported(found) and not found.notes.bad


def test_lines_that_end_in_carriage_returns(tmp_path):
    assert len(read(tmp_path, f"{RAW}\r{PERF}\r").rows) == 2
