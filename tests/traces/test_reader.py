"""Every format of `measure import` that carries events, CSV, Parquet; and what hostile files do."""

import pyarrow
import pyarrow.parquet
import pytest

from costmodel.errors import BadInput
from costmodel.traces import reader, schema
from tests.measure.test_traces import PERF, RAW, TGID, TRACE_CMD


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
    assert (row["start"], row["end"], notes.bad_lines) == (0, schema.HUGE, 0)


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
    optional = {field.name for field in schema.schema() if field.nullable}
    assert optional == set(schema.OPTIONAL)
