"""Inputs as people post them: each gives the right events, or a refusal that names the way out."""

import bz2
import gzip
import json
import lzma
from pathlib import Path

import pyarrow
import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import BadInput
from costmodel.measure import traces
from costmodel.traces import reader
from costmodel.traces.tasks import trigger_of_chain

INPUTS = Path(__file__).parent / "inputs"
MPROTECT, SPLIT, DISCARD = "mprotect_or_uffd_wp", "thp_split", "munmap_or_discard"
NUMA = "autonuma_prot_none_scan"
EIGHT = "names of tasks are cut to 8 characters"


def read(path, clock_hz=None):
    notes = reader.Notes()
    return [row for batch in reader.batches(path, notes, clock_hz) for row in batch.to_pylist()], notes


def of_text(tmp_path, text, clock_hz=None):
    path = tmp_path / "trace.txt"
    path.write_text(text)
    return read(path, clock_hz)


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
    rows, notes = read(INPUTS / f"{name}.txt")
    assert len(rows) == events and notes.bad_lines == 0
    assert (rows[0]["t_ns"], rows[-1]["t_ns"]) == (first, last)
    assert rows[0]["end"] - rows[0]["start"] == length
    assert (rows[0]["task"], rows[0]["pid"]) == who
    found = [row["trigger"] for row in rows]
    assert found == (triggers if len(triggers) == events else triggers * events)
    assert [text for text in notes.remarks if remark and remark in text] or not remark and not notes.remarks


def test_other_events_are_counted_by_kind():
    _, notes = read(INPUTS / "other-kvm-events.txt")
    assert notes.without_event == {
        f"events {name}": 1
        for name in ("kvm_update_master_clock", "kvm_write_tsc_offset", "kvm_set_spte_hva", "kvm_age_hva")
    }


def test_what_two_lines_say_of_one_loss_is_one_loss():
    assert read(INPUTS / "lost-events.txt")[1].lost == 5_000_000


@pytest.mark.parametrize("name", ["cmd-x86-tsc", "ftrace-x86-tsc", "ftrace-counter"])
def test_a_clock_that_counts_is_refused_until_its_speed_is_given(name):
    with pytest.raises(BadInput, match=r"record with trace_clock mono .* or give --clock-hz"):
        read(INPUTS / f"{name}.txt")
    text = (INPUTS / f"{name}.txt").read_text()
    counts = [int(line.split(": ")[0].split("]")[1].split()[-1]) for line in text.splitlines() if "[000]" in line]
    rows, _ = read(INPUTS / f"{name}.txt", 2e9)
    assert [row["t_ns"] for row in rows] == [round(count / 2) for count in counts]


REFUSED = ["bpftrace-stack", "perf-stat", "funclatency", "bpftrace-units"]


@pytest.mark.parametrize("name", REFUSED)
def test_counts_are_refused_as_a_trace_with_the_command_that_takes_them(name):
    with pytest.raises(BadInput, match=f"`costmodel trace rate .*{name}.txt` makes rates of counts"):
        read(INPUTS / f"{name}.txt")


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
    rows = traces.read(INPUTS / "bpftrace-units.txt", trigger_of_chain).rows
    assert [(row["low"], row["unit"]) for row in rows if row["name"] == "usecs"] == [
        (pytest.approx(4096e-6), "s"), (pytest.approx(8192e-6), "s")
    ]  # fmt: skip
    assert [row["unit"] for row in rows if row["name"] == "lat"] == ["1"]


def test_funclatency_is_a_histogram_in_seconds_and_a_count():
    rows = traces.read(INPUTS / "funclatency.txt", trigger_of_chain).rows
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
    ((row,), _) = read(path)
    assert (row["t_ns"], row["start"]) == (NS, START)


@pytest.mark.parametrize("kind", PACKERS)
def test_a_packed_file_that_is_damaged_is_refused(tmp_path, kind):
    path = tmp_path / "x"
    content = PACKERS[kind]("".join(f"{line}\n" for line in LINES).encode() * 1000)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match="cannot be unpacked"):
        read(path)


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
            read(path)


@pytest.mark.parametrize("line", ["1364 1 48459116147020 type: 27", "0000055c 00000001 00002c12d461e3e9 type: 27"])
def test_the_raw_option_of_tracefs_is_named(tmp_path, line):
    with pytest.raises(BadInput, match="echo 0 into options/raw"):
        of_text(tmp_path, f"# tracer: nop\n{line}\n")


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
