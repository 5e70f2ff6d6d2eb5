"""Every format of `measure import` that carries events, CSV, Parquet; and what hostile files do."""

import bz2
import csv
import gzip
import json
import lzma
from collections import Counter
from pathlib import Path

import numpy
import pyarrow
import pyarrow.parquet
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from costmodel.cli import cli
from costmodel.errors import BadInput
from costmodel.measure import invalidations, trace_formats
from costmodel.traces import reader, store
from costmodel.traces.triggers import trigger_of_chain
from tests.measure.test_trace_formats import PERF, RAW, TGID, TRACE_CMD


def read(tmp_path, content, name="trace.txt"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    notes = reader.Notes()
    rows = [row for batch in reader.batches(path, notes) for row in batch.to_pylist()]
    return rows, notes


def test_text_of_every_tool(tmp_path):
    rows, notes = read(tmp_path, "\n".join(["# tracer: nop", RAW, PERF, TRACE_CMD, TGID, ""]))
    assert [row["task"] for row in rows] == ["ksmd", "CPU 0/KVM", "qemu-kvm", "qemu"]
    assert [row["pid"] for row in rows] == [46, 4711, 812, 123]
    assert [row["cpu"] for row in rows] == [2, 1, 3, 0]
    assert [row["end"] - row["start"] for row in rows] == [4096, 2**21, 8192, 4096]
    assert rows[0]["t_ns"] == 1_234_567_890_000 and rows[1]["t_ns"] == 77_123_456_000
    assert {row["vm"] for row in rows} == {row["overlap_bytes"] for row in rows} == {None}
    assert notes.bad_lines == 0 and notes.lines == 5


def test_a_name_that_looks_like_a_cpu_is_a_name(tmp_path):
    ((row,), _) = read(tmp_path, RAW.replace("ksmd-46", "a[7] b-46") + "\n")
    assert (row["task"], row["pid"], row["cpu"]) == ("a[7] b", 46, 2)


def test_soft_dirty_clearing_notifies_the_whole_address_space(tmp_path):
    line = RAW.replace("0x7f1234000000", "0x0").replace("0x7f1234001000", "0xffffffffffffffff")
    ((row,), notes) = read(tmp_path, line + "\n")
    assert (row["start"], row["end"], notes.bad_lines) == (0, store.HUGE, 0)


def test_what_is_no_event_is_counted(tmp_path):
    text = f"{RAW}\nwhat is this\n 1) ! 1234.567 us |  wbinvd_on_all_cpus();\n@n[ksmd]: 17\n[4, 8)      12 |@@@@|\n"
    rows, notes = read(tmp_path, text)
    assert len(rows) == 1 and notes.bad == [("trace.txt", 2, "what is this")]
    assert notes.without_event == {"durations of functions": 1, "counts": 1, "buckets of histograms": 1}


def test_only_the_first_bad_lines_are_kept(tmp_path):
    _, notes = read(tmp_path, f"{RAW}\n" + "bad\n" * 1000)
    assert notes.bad_lines == 1000 and len(notes.bad) == 10


@pytest.mark.parametrize(
    "line",
    [
        RAW.replace("1234.567890", "9" * 30 + ".0"),
        RAW.replace("ksmd-46", "ksmd-99999999"),
        RAW.replace("0x7f1234001000", "0x" + "f" * 40),
        RAW.replace("--", "\x00--"),
        "\x00" * 100,
    ],
)
def test_numbers_that_cannot_be_are_bad_lines(tmp_path, line):
    rows, notes = read(tmp_path, f"{RAW}\n{line}\n")
    assert len(rows) == 1 and notes.bad_lines == 1


def test_bytes_that_are_no_text_are_bad_lines(tmp_path):
    rows, notes = read(tmp_path, RAW.encode() + b"\n\xff\xfe\x00\x80\n")
    assert len(rows) == 1 and notes.bad_lines == 1


def test_histograms_alone_are_no_trace(tmp_path):
    with pytest.raises(
        BadInput, match="holds no event in order of time, which a replay needs: 1 buckets of histograms"
    ):
        read(tmp_path, "@len_kib[ksmd]:\n[4, 8)      12 |@@@@|\n")


CSV = "t_ns,task,pid,start,end\n10,ksmd,46,4096,8192\n20,CPU 0/KVM,,0,4096\n"


def test_csv(tmp_path):
    rows, _ = read(tmp_path, CSV, "a.csv")
    assert [(r["t_ns"], r["task"], r["pid"]) for r in rows] == [(10, "ksmd", 46), (20, "CPU 0/KVM", None)]


def test_csv_with_seconds_and_all_optional_columns(tmp_path):
    text = "end,start,task,t_s,vm,overlap_bytes,duration_ns,cpu,extra\n4096,0,a,1.5,vm1,0,12,3,x\n"
    ((row), *_), _ = read(tmp_path, text, "a.csv")
    assert (row["t_ns"], row["vm"], row["overlap_bytes"], row["duration_ns"], row["cpu"]) == (
        1_500_000_000, "vm1", 0, 12, 3,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("10,ksmd,46,4096,8192", "10,ksmd,46,4096,4096", "row 2, field end"),
        ("10,ksmd", ",ksmd", "row 2, field t_ns: is empty"),
        ("10,ksmd", "99999999999999999999999,ksmd", "is not CSV of a trace"),
        ("10,ksmd", "9000000000000000000,ksmd", "field t_ns"),
        ("10,ksmd,46", "10,ksmd,4194304", "field pid"),
        ("4096,8192", "4096,8192,1", "is not CSV of a trace"),
        ("10,ksmd,46,4096", "x,ksmd,46,4096", "is not CSV of a trace"),
        ("10,ksmd", "10," + "k" * 300, "more than 255 characters"),
        ("t_ns,", "t_ns,t_ns,", "names a column twice"),
        ("t_ns,", "time,", "no column t_ns or t_s"),
        ("ksmd", "\xff", None),
    ],
)
def test_bad_csv_is_refused_with_its_place(tmp_path, old, new, told):
    content = CSV.replace(old, new, 1).encode("latin-1")
    with pytest.raises(BadInput) as caught:
        read(tmp_path, content, "a.csv")
    assert "\n" not in str(caught.value)
    if told:
        assert told in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("10,ksmd,46", "10,ksmd,-1", "row 2, field pid: is not from 0"),
        ("t_ns,task,pid", "t_ns,task,cpu", None),
        ("4096,8192", "-9223372036854775808,8192", "field start"),
        ("10,ksmd", "-9223372036854775808,ksmd", "field t_ns"),
    ],
)
def test_numbers_below_what_can_be_are_refused(tmp_path, old, new, told):
    content = CSV.replace(old, new, 1)
    if told is None:
        content, told = content.replace("ksmd,46", "ksmd,-2", 1), "row 2, field cpu: is below 0"
    with pytest.raises(BadInput, match=told):
        read(tmp_path, content, "a.csv")


@pytest.mark.parametrize("column", ["overlap_bytes", "duration_ns"])
def test_a_recorded_minus_one_is_no_missing_number(tmp_path, column):
    with pytest.raises(BadInput, match=f"row 2, field {column}"):
        read(tmp_path, f"t_ns,task,start,end,{column}\n1,a,0,1,-1\n", "a.csv")


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_lines_end_as_they_like(tmp_path, end):
    rows, _ = read(tmp_path, CSV.replace("\n", end), "a.csv")
    assert [row["t_ns"] for row in rows] == [10, 20]
    rows, notes = read(tmp_path, f"{RAW}\n{PERF}\n".replace("\n", end).encode())
    assert len(rows) == 2 and notes.lines == 2


def test_blanks_around_the_names_of_columns(tmp_path):
    ((row,), _) = read(tmp_path, 't_s, task,"start", end\n0.1,a,0,4096\n', "a.csv")
    assert (row["t_ns"], row["end"]) == (100_000_000, 4096)


PROFILE = "trigger,thread,measured_time_s,measured_start_offset_bytes,measured_range_bytes,measured_overlap_bytes\n"


def test_a_profile_without_triggers_is_no_profile(tmp_path):
    with pytest.raises(BadInput):
        read(tmp_path, f"{PROFILE.replace('trigger,', '')}t,1,0,1,1\n", "invalidations.csv")


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("a,t,1e300,0,1,1", "field measured_time_s: is no time"),
        ("a,t,nan,0,1,1", "field measured_time_s: is no time"),
        ("a,t,,0,1,1", "field measured_time_s: is no time"),
        ("a,t,1,9223372036854775807,1,1", "overflow"),
    ],
)
def test_a_profile_with_impossible_numbers_is_refused(tmp_path, row, told):
    with pytest.raises(BadInput, match=told):
        read(tmp_path, PROFILE + row + "\n", "invalidations.csv")


LOST = [
    ("CPU:3 [LOST 12 EVENTS]", 12), ("CPU:3 [LOST EVENTS]", 1), ("CPU:7 [204600 EVENTS DROPPED]", 204600),
    ("CPU:7 [EVENTS DROPPED]", 1), ("LOST 5 events!", 5), ("\x1b[31mLOST 5 events!\x1b[m", 5),
    ("swapper     0 [001] 77.1: PERF_RECORD_LOST lost 9", 9), ("# entries-in-buffer/entries-written: 205/1205   #P:4", 1000),
    ("# entries-in-buffer/entries-written: 205/205   #P:4", 0),
]  # fmt: skip


@pytest.mark.parametrize(("line", "lost"), LOST)
def test_lost_events_of_every_tool_are_counted(tmp_path, line, lost):
    rows, notes = read(tmp_path, f"{RAW}\n{line}\n{PERF}\n")
    assert len(rows) == 2 and (notes.lost, notes.bad_lines) == (lost, 0)


def test_a_long_line_takes_no_time_and_is_not_understood(tmp_path):
    for text in ("1" * 10**6, " " * 10**6 + "x", "@a[" * 10**5, "LOST" * 10**5, f"{RAW}{'1' * 10**5}"):
        rows, notes = read(tmp_path, f"{RAW}\n{text}\n")
        assert len(rows) == 1 and notes.bad_lines == 1


def test_seconds_that_are_no_time_are_refused(tmp_path):
    for wrong in ("nan", "inf", "1e300", ""):
        with pytest.raises(BadInput):
            read(tmp_path, f"t_s,task,start,end\n{wrong},a,0,1\n", "a.csv")


def test_an_empty_file_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is empty"):
        read(tmp_path, "")


def test_lengths_without_addresses_are_refused(tmp_path):
    with pytest.raises(BadInput, match="lengths without addresses"):
        read(tmp_path, "kind,name,key,time_s,low,high,unit,count\nevent,kvm_unmap_hva_range,ksmd,1,4096,4096,B,1\n")


def test_parquet_of_others(tmp_path):
    path = tmp_path / "other.parquet"
    table = pyarrow.table({"t_ns": [3, 1], "task": ["a", "b"], "start": [0, 1], "end": [9, 9], "pid": [1.0, 2.0]})
    pyarrow.parquet.write_table(table, path)
    rows = [row for batch in reader.batches(path, reader.Notes()) for row in batch.to_pylist()]
    assert [(row["t_ns"], row["pid"]) for row in rows] == [(3, 1), (1, 2)]


@pytest.mark.parametrize(
    "columns",
    [
        {"t_ns": [1]},
        {"t_ns": ["x"], "task": ["a"], "start": [0], "end": [1]},
        {"t_ns": [1.5], "task": ["a"], "start": [0], "end": [1]},
        {"t_ns": [None], "task": ["a"], "start": [0], "end": [1]},
        {"t_ns": [1], "task": [None], "start": [0], "end": [1]},
        {"t_ns": [1], "task": [[1]], "start": [0], "end": [1]},
        {"t_ns": [1], "task": ["a"], "start": [0], "end": [1], "overlap_bytes": [2]},
        {"t_ns": [1], "task": ["a"], "start": [0], "end": [1], "duration_ns": [-5]},
        {"t_ns": [1], "task": [b"\xff"], "start": [0], "end": [1]},
        {"t_ns": [1], "task": ["a"], "start": [0], "end": [1], "cpu": [-1]},
        {"t_ns": [1], "task": ["a"], "start": [0], "end": [1], "vm": ["v" * 300]},
    ],
)
def test_parquet_that_is_no_trace_is_refused(tmp_path, columns):
    path = tmp_path / "other.parquet"
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    with pytest.raises(BadInput):
        list(reader.batches(path, reader.Notes()))


def test_a_broken_parquet_file_is_refused(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1" + b"\x00" * 100 + b"PAR1")
    with pytest.raises(BadInput, match="is not a Parquet file"):
        list(reader.batches(path, reader.Notes()))


def test_the_schema_knows_what_the_tracepoint_lacks():
    optional = {field.name for field in store.arrow_schema() if field.nullable}
    assert optional == set(store.OPTIONAL)


# Inputs as people post them: each gives the right events, or a refusal that names the way out.

INPUTS = Path(__file__).parent / "inputs"
MPROTECT, SPLIT, DISCARD = "mprotect_or_uffd_wp", "thp_split", "munmap_or_discard"
NUMA = "autonuma_prot_none_scan"
EIGHT = "names of tasks are cut to 8 characters"


def read_inputs(path, clock_hz=None):
    notes = reader.Notes()
    return [row for batch in reader.batches(path, notes, clock_hz) for row in batch.to_pylist()], notes


def of_text(tmp_path, text, clock_hz=None):
    path = tmp_path / "trace.txt"
    path.write_text(text)
    return read_inputs(path, clock_hz)


# file, events, first and last time in ns, bytes of the first range, task and thread of the first, triggers, a remark
READ = [
    ("other-kvm-events", 2, 1497374834000, 1497374836000, 4096, ("vmm-a", 11795), [None], None),
    ("cmd-latency", 7, 1446381973000, 1446383230000, 2**21, ("vmm-a", 4242), [None], EIGHT),
    ("cmd-raw", 7, 1446381973000, 1446383230000, 2**21, ("vmm-a", 4242), [None], None),
    ("cmd-ts-diff", 7, 1446381973000, 1446383230000, 2**21, ("vmm-a", 4242), [None], None),
    ("ftrace-fields", 4, 1324678416000, 1324678452000, 2**21, ("vmm-a", 4242), [None], None),
    ("ftrace-latency-format", 8, 1324678416000, 1324679562000, 2**21, ("vmm-a", 4242), [None], EIGHT),
    ("ftrace-stack", 4, 1326167472000, 1326178497000, 2**21, ("vmm-a", 4242), [SPLIT, MPROTECT, MPROTECT, DISCARD], None),
    ("perf-probe", 1, 12345678901000, 12345678901000, 4096, ("qemu-kvm", 4242), [None], None),
    ("kprobe", 1, 12345678901000, 12345678901000, 4096, ("qemu-kvm", 4242), [None], None),
    ("old-spelling", 1, 12345678901000, 12345678901000, 4096, ("qemu", 4242), [None], None),
    ("lost-events", 2, 12345678901000, 12399678901000, 4096, ("CPU 0/KVM", 4242), [None], None),
    ("bpftrace-printf", 1, 12345678901, 12345678901, 4096, ("CPU 0/KVM", 4242), [None], "time (nsecs), thread, task"),
    ("perf-callchain", 1, 12345678901234, 12345678901234, 4096, ("CPU 0/KVM", 4242), [NUMA], None),
    (
        "perf-deltatime", 5, 0, 1524000, 2**21, ("vmm-a", 4242), [SPLIT, MPROTECT, MPROTECT, DISCARD, SPLIT],
        "differences (perf script --deltatime) and were added up",
    ),
    ("perf-no-comm", 4, 1366555215000, 1366555602000, 2**21, ("(no name)", 25089), [None], "name no task"),
    ("perf-pid-tid", 6, 1366555215000, 1366556765000, 2**21, ("vmm-a", 4242), [None], None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "events", "first", "last", "length", "who", "triggers", "remark"),
    READ,
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_the_events_of_an_input(name, events, first, last, length, who, triggers, remark):
    rows, notes = read_inputs(INPUTS / f"{name}.txt")
    assert len(rows) == events and notes.bad_lines == 0
    assert (rows[0]["t_ns"], rows[-1]["t_ns"]) == (first, last)
    assert rows[0]["end"] - rows[0]["start"] == length
    assert (rows[0]["task"], rows[0]["pid"]) == who
    found = [row["trigger"] for row in rows]
    assert found == (triggers if len(triggers) == events else triggers * events)
    assert [text for text in notes.remarks if remark and remark in text] or not remark and not notes.remarks


def test_other_events_are_counted_by_kind():
    _, notes = read_inputs(INPUTS / "other-kvm-events.txt")
    assert notes.without_event == {
        f"events {name}": 1
        for name in ("kvm_update_master_clock", "kvm_write_tsc_offset", "kvm_set_spte_hva", "kvm_age_hva")
    }


def test_what_two_lines_say_of_one_loss_is_one_loss():
    assert read_inputs(INPUTS / "lost-events.txt")[1].lost == 5_000_000


@pytest.mark.parametrize("name", ["cmd-x86-tsc", "ftrace-x86-tsc", "ftrace-counter"])
def test_a_clock_that_counts_is_refused_until_its_speed_is_given(name):
    with pytest.raises(BadInput, match=r"record with trace_clock mono .* or give --clock-hz"):
        read_inputs(INPUTS / f"{name}.txt")
    text = (INPUTS / f"{name}.txt").read_text()
    counts = [int(line.split(": ")[0].split("]")[1].split()[-1]) for line in text.splitlines() if "[000]" in line]
    rows, _ = read_inputs(INPUTS / f"{name}.txt", 2e9)
    assert [row["t_ns"] for row in rows] == [round(count / 2) for count in counts]


REFUSED = ["bpftrace-stack", "perf-stat", "funclatency", "bpftrace-units"]


@pytest.mark.parametrize("name", REFUSED)
def test_counts_are_refused_as_a_trace_with_the_command_that_takes_them(name):
    with pytest.raises(BadInput, match=f"`costmodel trace rate .*{name}.txt` makes rates of counts"):
        read_inputs(INPUTS / f"{name}.txt")


def rate(*words, stdin=None):
    done = CliRunner().invoke(cli, ["trace", "rate", *map(str, words), "--json"], input=stdin, catch_exceptions=False)
    return json.loads(done.stdout)


def test_perf_stat_is_a_rate_with_the_interval_of_its_count():
    (found,) = rate(INPUTS / "perf-stat.txt")
    assert (found["count"], found["seconds"]) == (9216, pytest.approx(2.002113744))
    assert found["per_s"] == pytest.approx(4603.13, rel=1e-5)
    assert (found["low_per_s"], found["high_per_s"]) == (
        pytest.approx(4524.55, rel=1e-5),
        pytest.approx(4682.79, rel=1e-5),
    )
    assert found["option"] == "--rate all=9216/2.00211"


def test_a_map_of_call_chains_is_a_rate_of_its_trigger():
    (found,) = rate(INPUTS / "bpftrace-stack.txt", "--seconds", 64)
    assert (found["trigger"], found["per_s"], found["option"]) == (NUMA, 2.0, f"--rate {NUMA}=128/64")


def test_an_average_is_no_count():
    found = {one["name"]: one["count"] for one in rate(INPUTS / "bpftrace-units.txt", "--seconds", 1)}
    assert found == {"c": 42, "s": 24}
    rows = trace_formats.read(INPUTS / "bpftrace-units.txt", trigger_of_chain).rows
    assert [(row["low"], row["unit"]) for row in rows if row["name"] == "usecs"] == [
        (pytest.approx(4096e-6), "s"), (pytest.approx(8192e-6), "s")
    ]  # fmt: skip
    assert [row["unit"] for row in rows if row["name"] == "lat"] == ["1"]


def test_funclatency_is_a_histogram_in_seconds_and_a_count():
    rows = trace_formats.read(INPUTS / "funclatency.txt", trigger_of_chain).rows
    assert [(row["kind"], row["count"]) for row in rows] == [
        ("histogram", 8),
        ("histogram", 16),
        ("count", 24),
        ("value", 1),
    ]
    assert rows[0]["low"] == pytest.approx(4.096e-3) and rows[1]["high"] == pytest.approx(16.384e-3)
    assert rows[3]["low"] == pytest.approx(9e-3)


RANGE = "mmu notifier unmap range: 0x007f0000000000 -- 0x007f0000200000"
START, END = 0x7F0000000000, 0x7F0000200000
NS = 48616758676000
LINES = [
    f"vmm 4242 [001] 48616.758676: kvm:kvm_unmap_hva_range: {RANGE}",
    f"vmm  4200/4242  48616.758676000: kvm:kvm_unmap_hva_range: {RANGE}",
    f"48616.758676: kvm:kvm_unmap_hva_range: {RANGE}",
    f"vmm [000] 48616.758676: kvm:kvm_unmap_hva_range: {RANGE}",
    f"  vmm  4242 [001] 48616.758676:          1 kvm:kvm_unmap_hva_range: {RANGE}",
    f"  vmm  4242 [001] 48616.758676: kvm:kvm_unmap_hva_range:                         {RANGE}",
    f" a.dat:           vmm-4242  [000] 48616.758676: kvm_unmap_hva_range:  {RANGE}",
    f"  vmm-4242    0d.h1 48616.758676000: (+23)    kvm_unmap_hva_range:  {RANGE}",
    f"           vmm-4242  (   4200) [000] d..2. 48616.758676: kvm_unmap_hva_range: {RANGE}",
    f"           vmm-4242    [000]  48616.758676: kvm_unmap_hva_range: {RANGE}",
    f"          vmm    4242   0 0 00000000 00000001 [{48616758676:x}] 176.820ms (+0.000ms): kvm_unmap_hva_range: {RANGE}",
    f"  vmm-4242      1..... 48616758676us!: kvm_unmap_hva_range: {RANGE}",
    "  vmm-4242 [000] 48616.758676: kvm_unmap_hva_range: start=0x7f0000000000 end=0x7f0000200000",
    f"  48616758.676 vmm/4242 kvm:kvm_unmap_hva_range(start: {START}, end: {END})",
    f"  48616758.676 (         ): vmm/4242 kvm:kvm_unmap_hva_range({RANGE})",
    f"{NS} 4242 vmm 7f0000000000 7f0000200000",
    f"{NS},4242,vmm,0x7f0000000000,0x7f0000200000",
    f"{NS} vmm 4242 {START} {END}",
    "48616.758676 4242 vmm 0x7f0000000000 - 0x7f0000200000",
    f"nsecs={NS} tid=4242 comm=vmm start=0x7f0000000000 end=0x7f0000200000",
    f'{{"type": "printf", "data": "{NS} 4242 vmm 7f0000000000 7f0000200000\\n"}}',
    "vmm 4242 [003] 48616.758676: probe:kvm_unmap_hva_range: (ffffffffc0a1b2c3) start=0x7f0000000000 end=0x7f0000200000",
    "  vmm-4242 [003] d..1. 48616.758676: p1: (kvm_mmu_notifier_invalidate_range_start+0x0/0x1b0 [kvm]) start=0x7f0000000000 end=0x7f0000200000",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_one_event_however_it_is_written(tmp_path, line):
    (row,), notes = of_text(tmp_path, line + "\n")
    assert (row["t_ns"], row["start"], row["end"], notes.bad_lines) == (NS, START, END, 0)
    assert row["task"] in ("vmm", "(no name)") and row["pid"] in (4242, None)
    assert ("vmm" in line) == (row["task"] == "vmm") and ("4242" in line) == (row["pid"] == 4242)


def test_a_single_page_of_an_old_kernel(tmp_path):
    ((row,), _) = of_text(tmp_path, "  vmm-4242 [0] 1.000000: kvm_unmap_hva: mmu notifier unmap hva: 0x7f0000000000\n")
    assert (row["start"], row["end"]) == (START, START + 4096)


@pytest.mark.parametrize(
    "line",
    [
        "  vmm-4242 [003] 1.000001: p1: (change_prot_numa+0x0/0x20) start=0x7f0000000000 end=0x7f0000200000",
        "  vmm-4242 [000] 1.000001: kvm_age_hva:   start=0x007f0000000000 end=0x007f0000200000",
    ],
)
def test_ranges_that_kvm_was_not_told_of_are_other_events(tmp_path, line):
    rows, notes = of_text(tmp_path, f"{LINES[0]}\n{line}\n")
    assert len(rows) == 1 and sum(notes.without_event.values()) == 1 and not notes.bad_lines


FRAMES = {
    "perf": "\tffffffff8127fdf4 {}+0x394 ([kernel.kallsyms])",
    "perf -F sym": "\t{} ([kernel.kallsyms])",
    "perf trace": "                                       {} ([kernel.kallsyms])",
    "tracefs": " => {}",
    "trace-cmd": "=> {} (ffffffff8127fdf4)",
    "bpftrace": "        {}+916",
}
CHAINS = [
    (["change_protection", "change_prot_numa", "task_numa_work"], NUMA),
    (["try_to_migrate_one", "rmap_walk_anon", "migrate_pages_batch", "migrate_misplaced_folio", "do_numa_page", "handle_mm_fault"], "numa_or_compaction_migrate"),
    (["try_to_unmap_one", "rmap_walk_anon", "shrink_folio_list.constprop.0", "do_madvise"], "swap_reclaim"),
    (["write_protect_page", "try_to_merge_one_page", "ksm_scan_thread"], "ksm_write_protect"),
    (["try_to_merge_one_page", "ksm_scan_thread"], "ksm_write_protect ksm_replace_page"),
    (["collapse_huge_page", "madvise_collapse", "do_madvise"], "thp_collapse"),
    (["__split_huge_pmd", "zap_page_range_single", "do_madvise"], "thp_split"),
    (["unmap_vmas", "exit_mmap", "__mmput"], "vm_teardown_mn_release"),
    (["unmap_vmas", "vms_clear_ptes.part.0", "do_vmi_align_munmap"], "munmap_or_discard"),
    (["wp_page_copy", "handle_mm_fault", "break_ksm", "do_madvise"], "uncatalogued"),
    (["copy_page_range", "dup_mm"], "uncatalogued"),
    (["something_new", "kthread"], None),
]  # fmt: skip


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
@pytest.mark.parametrize(("chain", "trigger"), CHAINS)
def test_the_innermost_function_that_tells_decides(tmp_path, frame, chain, trigger):
    names = ["kvm_mmu_notifier_invalidate_range_start", "__mmu_notifier_invalidate_range_start", *chain]
    text = "\n".join([LINES[0], *(frame.format(name) for name in names), "", LINES[1], ""])
    rows, notes = of_text(tmp_path, text)
    assert [row["trigger"] for row in rows] == [trigger, None]
    assert not notes.bad_lines and bool(notes.remarks) == (trigger is None)


def test_a_call_chain_belongs_to_its_thread_whoever_writes_in_between(tmp_path):
    text = """\
  vmm-1 [000] ..... 1.000001: kvm_unmap_hva_range: mmu notifier unmap range: 0x1000 -- 0x2000
  vmm-2 [001] ..... 1.000002: kvm_unmap_hva_range: mmu notifier unmap range: 0x1000 -- 0x3000
  vmm-3 [001] ..... 1.000003: kvm_age_hva: mmu notifier age hva: 0x1000 -- 0x3000
  vmm-3 [001] ..... 1.000004: <stack trace>
 => change_prot_numa
  vmm-2 [001] ..... 1.000005: <stack trace>
 => mprotect_fixup
  vmm-1 [000] ..... 1.000006: <user stack trace>
 => change_prot_numa
  vmm-1 [000] ..... 1.000006: <stack trace>
 => collapse_huge_page
"""
    rows, _ = of_text(tmp_path, text)
    assert [(row["pid"], row["trigger"]) for row in rows] == [(1, "thp_collapse"), (2, MPROTECT)]


def test_differences_add_up_over_other_events_too(tmp_path):
    others = "vmm 4242 [000]     0.000500: kvm:kvm_age_hva: x\n"
    text = "".join(f"vmm 4242 [000]     {time}: kvm:kvm_unmap_hva_range: {RANGE}\n{others}" for time in ("0.000000", "0.000300", "0.000100"))  # fmt: skip
    rows, notes = of_text(tmp_path, text)
    assert [row["t_ns"] for row in rows] == [0, 800_000, 1_400_000] and "added up" in notes.remarks[0]


def test_times_that_begin_at_0_and_rise_are_said_to_be_taken_as_they_are(tmp_path):
    text = "".join(
        f"vmm 4242 [000]     {time}: kvm:kvm_unmap_hva_range: {RANGE}\n" for time in ("0.000000", "0.000300")
    )
    rows, notes = of_text(tmp_path, text)
    assert [row["t_ns"] for row in rows] == [0, 300_000] and "if they are differences" in notes.remarks[0]


def test_times_that_go_back_are_said(tmp_path):
    text = f"{LINES[0]}\n{LINES[0].replace('48616', '48615')}\n"
    _, notes = of_text(tmp_path, text)
    assert notes.remarks == ["times go back 1 times (buffers of several CPUs, or of several files): sorted"]


PACKERS = {
    "gz": gzip.compress,
    "xz": lzma.compress,
    "bz2": bz2.compress,
    "zst": lambda data: pyarrow.Codec("zstd").compress(data, asbytes=True),
}


@pytest.mark.parametrize("kind", PACKERS)
@pytest.mark.parametrize("content", [LINES[0], f"t_s,task,start,end\n48616.758676,vmm,{START},{END}"])
def test_packed_files(tmp_path, kind, content):
    path = tmp_path / f"trace.txt.{kind}"
    path.write_bytes(PACKERS[kind](f"{content}\n".encode()))
    ((row,), _) = read_inputs(path)
    assert (row["t_ns"], row["start"]) == (NS, START)


@pytest.mark.parametrize("kind", PACKERS)
def test_a_packed_file_that_is_damaged_is_refused(tmp_path, kind):
    path = tmp_path / "x"
    content = PACKERS[kind]("".join(f"{line}\n" for line in LINES).encode() * 1000)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match="cannot be unpacked"):
        read_inputs(path)


def test_standard_input(tmp_path):
    out = tmp_path / "t.parquet"
    done = CliRunner().invoke(
        cli, ["trace", "import", "-", "--out", str(out)], input=LINES[0] + "\n", catch_exceptions=False
    )
    assert done.stdout.startswith("1 events of 1 tasks")
    (found,) = rate("-", stdin="   1.000000000   50   kvm:kvm_unmap_hva_range\n")
    assert found["per_s"] == 50


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"PERFILE2h\0\0\0", "perf script --ns -i .*perf.data | costmodel trace import -"),
        (b"\x17\x08\x44tracing6\0", "trace-cmd report -t -i .*perf.data"),
        (b"PK\x03\x04", "unpack it first"),
        (b"\0" * 257 + b"ustar", "unpack it first"),
    ],
)
def test_a_recording_is_refused_with_the_command_that_converts_it(tmp_path, content, told):
    path = tmp_path / "perf.data"
    for packed in (content, gzip.compress(content)):
        path.write_bytes(packed)
        with pytest.raises(BadInput, match=told):
            read_inputs(path)


@pytest.mark.parametrize("line", ["1364 1 48459116147020 type: 27", "0000055c 00000001 00002c12d461e3e9 type: 27"])
def test_the_raw_option_of_tracefs_is_named(tmp_path, line):
    with pytest.raises(BadInput, match="echo 0 into options/raw"):
        of_text(tmp_path, f"# tracer: nop\n{line}\n")


# One recording by three tools at once: perf -g, trace-cmd -T and bpftrace agree event by event, and with what was provoked.
#
# recorded/ holds the first events of each kind of 11,971 that `measure invalidations` provoked on Linux 6.18.44 in a minute in
# which all three tools recorded on CLOCK_MONOTONIC. provoked.csv says what was caused when.

RECORDED = Path(__file__).parent / "recorded"
TOOLS = ("perf", "trace-cmd", "bpftrace")
TOLD = {
    "mprotect_or_uffd_wp": {"mprotect_or_uffd_wp"},
    "munmap_or_discard": {"munmap_or_discard"},
    "fork_cow": {"uncatalogued"},
    "thp_collapse": {"thp_collapse"},
    "thp_split": {"thp_split", "munmap_or_discard"},
    "ksm": {"ksm_write_protect", "ksm_write_protect ksm_replace_page"},
    "swap_reclaim": {"swap_reclaim"},
}
"""Triggers of the events of each cause. Giving back a page of a huge page splits it; of fork and copy on write none is catalogued."""


@pytest.fixture(scope="module")
def recordings():
    found = {}
    for tool in TOOLS:
        notes = reader.Notes()
        found[tool] = [row for batch in reader.batches(RECORDED / f"{tool}.txt", notes) for row in batch.to_pylist()]
        assert notes.bad_lines == 0
    return found


@pytest.mark.parametrize("tool", TOOLS[1:])
def test_two_tools_agree_event_by_event(recordings, tool):
    one, other = recordings["perf"], recordings[tool]
    assert len(one) == len(other) == 19
    for left, right in zip(one, other, strict=True):
        for field in ("task", "pid", "start", "end", "trigger"):
            assert left[field] == right[field]
        assert abs(left["t_ns"] - right["t_ns"]) < 2e6, "the first event of a tool waits for its own set-up"


def test_the_triggers_are_those_that_were_provoked(recordings):
    with (RECORDED / "provoked.csv").open() as stream:
        provoked = list(csv.DictReader(stream))
    assert {row["trigger"] for row in provoked} < {cause.trigger for cause in invalidations.CAUSES}
    seen = Counter()
    for row in provoked:
        began, ended = (float(row[name]) * 1e9 for name in ("began_s", "ended_s"))
        events = [event for event in recordings["perf"] if began <= event["t_ns"] <= ended]
        assert {event["trigger"] for event in events} == TOLD[row["trigger"]]
        seen.update(row["trigger"] for _ in events)
    assert seen.total() == len(recordings["perf"]) and seen.keys() == TOLD.keys()


RANGES = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 50)).map(lambda r: (r[0], r[0] + r[1])), min_size=1)


@given(RANGES, RANGES)
def test_overlap_is_counted_byte_by_byte(slots, ranges):
    covered = {byte for start, end in slots for byte in range(start, end)}
    found = reader.Memslots.of(slots).overlap_bytes(*(numpy.array(column) for column in zip(*ranges, strict=True)))
    assert found.tolist() == [len(covered & set(range(start, end))) for start, end in ranges]


def test_addresses_are_decimal_or_hexadecimal(tmp_path):
    path = tmp_path / "slots.csv"
    path.write_text("start,end\n0x7f0000000000,0x7f0000001000\n4096,8192\n")
    found = reader.read_memslots(path)
    assert found.start.tolist() == [4096, 0x7F0000000000] and found.bytes.tolist() == [4096, 4096]


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "start,end\n", "start,end\nx,2\n", "start,end\n2,1\n", "start,end\n1\n", "start,end\n0,1e9\n"]
    + ["start,end\n0," + "9" * 40 + "\n"],
)
def test_what_is_no_list_of_slots_is_refused(tmp_path, text):
    path = tmp_path / "slots.csv"
    path.write_text(text)
    with pytest.raises(BadInput):
        reader.read_memslots(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "slots.csv"
    path.write_bytes(b"start,end\n\xff\xfe\n")
    with pytest.raises(BadInput, match="is not CSV text"):
        reader.read_memslots(path)


BARE = "mmu notifier unmap range: 0x007fd665000000 -- 0x007fd665001000"


@pytest.mark.parametrize(
    ("fields", "line", "task", "pid"),
    [
        ("time,trace", f"53320.057626: {BARE}", "(no name)", None),
        ("tid,time,trace", f" 3458 53320.057626: {BARE}", "(no name)", 3458),
        ("comm,tid,time,trace", f"         CPU 0/KVM  3458 53320.057626: {BARE}", "CPU 0/KVM", 3458),
    ],
)
def test_perf_script_without_the_name_of_the_event_gives_every_event(tmp_path, fields, line, task, pid):
    rows, notes = of_text(tmp_path, f"{line}\n{line.replace('.057626', '.059844')}\n")
    assert [row["t_ns"] for row in rows] == [53320057626000, 53320059844000], fields
    assert {(row["task"], row["pid"]) for row in rows} == {(task, pid)}
    assert not notes.bad_lines


@pytest.mark.parametrize("head", [" 3458 kvm:kvm_unmap_hva_range: ", " 3458 ", "python3 ", ""])
def test_events_without_a_time_are_refused_and_a_thread_is_never_taken_for_one(tmp_path, head):
    with pytest.raises(BadInput, match="2 not understood.*perf script -F needs time and trace"):
        of_text(tmp_path, f"{head}{BARE}\n" * 2)
