"""Kernel logs: which lines bound WBINVD, in which formats, and which logs say nothing."""

import random
import re
from dataclasses import replace

import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.records import RENDEZVOUS, read_rendezvous
from costmodel.measure import bootlog
from costmodel.report import measurement

ROWS = read_rendezvous(data_dir() / RENDEZVOUS)
DEBUG_PRINT = "s3-test-box"
"""Its gap begins at a debug print of a patched kernel, which no other log has."""

BOOT = """\
[    0.000000] Linux version 6.18.0-rc2 (a@b) #5 SMP
[    0.000000] tsc: Detected 2395.439 MHz processor
[    0.140000] clocksource: jiffies: mask: 0xffffffff max_cycles: 0xffffffff, max_idle_ns: 1911260446275000 ns
[    0.143144] smpboot: CPU0: AMD EPYC 9999 8-Core Processor (family: 0x1a, model: 0x2, stepping: 0x1)
[    0.202000] smp: Brought up 1 node, 16 CPUs
[    0.203000] smpboot: Max logical packages: 1
[    0.203183] smpboot: Total of 16 processors activated (63880.96 BogoMIPS)
[    0.204269] devtmpfs: initialized
[    1.902591] sched_clock: Marking stable (1901001039, 1365910)->(1902707735, -340786)
"""
RESUME = """\
[  100.000000] PM: suspend entry (deep)
[  100.000100] printk: Suspending console(s) (use no_console_suspend to debug)
[  100.100000] ACPI: PM: Low-level resume complete
[  100.200000] Enabling non-boot CPUs ...
[  100.201000] smpboot: Booting Node 0 Processor 1 APIC 0x2
[  100.202000] CPU1 is up
[  100.203000] smpboot: Booting Node 0 Processor 3 APIC 0x4
[  100.204000] CPU3 is up
[  100.205500] ACPI: PM: Waking up from system sleep state S3
[  100.300000] nvme nvme0: 16/0/0 default/read/poll queues
"""
AMD = bootlog.Machine("AMD EPYC 9999", self_snoop=False, llc_bytes_per_domain=2.0**25, l2_bytes_per_core=2.0**20)


def event(text):
    (found,) = bootlog.read(text).events
    return found


def bound(text, machine=AMD):
    (row,) = bootlog.rows(bootlog.read(text), machine, "test")
    return row


@pytest.mark.parametrize("name", [name for name in ROWS if name != DEBUG_PRINT])
def test_the_quoted_lines_of_each_row_say_what_its_columns_say(name):
    row = ROWS[name]
    found = event(row.quote.replace(" | ", "\n"))
    assert found.gap_s == pytest.approx(row.gap_s, abs=1e-9)
    assert found.lost_s == (None if row.lost_s is None else pytest.approx(row.lost_s, abs=1e-9))
    assert found.deferred_init_s == row.deferred_init_s
    assert (found.logical_cpus, found.method, found.clock) == (row.logical_cpus, row.method, row.clock)


@pytest.mark.parametrize("name", [name for name in ROWS if name != DEBUG_PRINT])
def test_the_bound_computed_from_the_quote_is_that_of_the_row(name):
    row = ROWS[name]
    machine = bootlog.Machine(
        self_snoop=row.self_snoop,
        llc_bytes_per_domain=row.llc_bytes_per_domain,
        l2_bytes_per_core=row.l2_bytes_per_core,
    )
    again = replace(bound(row.quote.replace(" | ", "\n"), machine), hz=row.hz)
    for field in ("longest_s", "flush_at_most_s", "line_at_most_s"):
        ours, theirs = getattr(again, field), getattr(row, field)
        assert ours == (None if theirs is None else pytest.approx(theirs, rel=1e-6))


def test_the_gap_of_the_debug_print_is_that_of_its_two_lines():
    first, last = (float(line.split("]")[0].strip("[ ")) for line in ROWS[DEBUG_PRINT].quote.split(" | "))
    assert last - first == pytest.approx(ROWS[DEBUG_PRINT].gap_s)


def test_a_boot_gives_cpu_kernel_tick_and_bound():
    log = bootlog.read(BOOT)
    assert log.machine.cpu == "AMD EPYC 9999 8-Core Processor" and log.machine.family_model == "1Ah/02h"
    assert log.machine.self_snoop is False and log.machine.sockets == 1
    (found,) = log.events
    assert (found.kernel, found.hz, found.logical_cpus) == ("6.18.0-rc2", 1000, 16)
    row = bound(BOOT)
    assert row.longest_s == pytest.approx(1.086e-3 + 0.340786e-3 + 1e-3)
    assert row.flush_at_most_s == pytest.approx(row.longest_s / 32)
    assert row.line_at_most_s == pytest.approx(row.flush_at_most_s / ((2**25 + 2**20) / 64))


def test_a_resume_counts_the_cpus_that_came_up():
    """CPU 2 stayed offline: with it the bound would come out too low."""
    found = event(RESUME)
    assert (found.logical_cpus, found.clock, found.console) == (3, "stable", "suspended")
    assert bound(RESUME).flush_at_most_s == pytest.approx(1.5e-3 / 6)


def test_hibernation_is_told_from_suspend():
    assert event(RESUME).method == "resume-s3"
    assert event(RESUME.replace("state S3", "state S4")).method == "resume-s4"
    without = RESUME.replace("ACPI: PM: Waking up from system sleep state S3", "nvme nvme1: up")
    assert event(without).method == "resume-s3"
    assert event(without + "[  101.0000] PM: hibernation: hibernation exit\n").method == "resume-s4"


def test_without_the_waking_line_the_next_one_ends_the_gap_and_that_is_said():
    found = event(RESUME.replace("[  100.205500] ACPI: PM: Waking up from system sleep state S3\n", ""))
    assert found.gap_s == pytest.approx(0.096)
    assert "`Waking up` is missing" in found.remarks[0]


def test_where_cpus_disagree_about_the_time_the_gap_ends_more_than_a_tick_later():
    led_by_the_tick = RESUME.replace("100.203000", "100.201900")
    found = event(led_by_the_tick)
    assert found.clock == "stepped"
    assert found.gap_s == pytest.approx(0.096)
    assert bound(led_by_the_tick).longest_s == pytest.approx(0.096 + 0.01)


def test_where_no_line_is_a_tick_later_nothing_is_bounded():
    lines = RESUME.replace("100.203000", "100.201900").splitlines()[:-1]
    assert bound("\n".join(lines)).longest_s is None


def test_several_boots_and_resumes_are_told_apart():
    log = bootlog.read(BOOT + RESUME + RESUME.replace("[  1", "[  2") + BOOT + RESUME)
    assert [found.method for found in log.events] == ["boot", "resume-s3", "resume-s3", "boot", "resume-s3"]
    rows = bootlog.rows(log, AMD, "test")
    assert len({row.id for row in rows}) == len(rows)


FORMATS = {
    "raw": lambda time, text: f"<6>[{time:12.6f}] {text}",
    "caller": lambda time, text: f"[{time:12.6f}][    T1] {text}",
    "raw with caller": lambda time, text: f"<6>[{time:12.6f}][ T3127] {text}",
    "newer dmesg with caller": lambda time, text: f"[{time:12.6f}] [      T1] {text}",
    "decoded": lambda time, text: f"kern  :info  : [{time:12.6f}] {text}",
    "differences": lambda time, text: f"[{time:12.6f} <    0.000010>] {text}",
    "syslog": lambda time, text: f"Aug 26 09:05:31 ananda kernel: [{time:12.6f}] {text}",
    "journalctl": lambda time, text: f"[{time:12.6f}] ananda kernel: {text}",
    "mail": lambda time, text: f"> > [{time:12.6f}] {text}",
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_the_same(name):
    plain = bootlog.read(BOOT + RESUME)
    lines = (line.split("] ", 1) for line in (BOOT + RESUME).splitlines())
    text = "\n".join(FORMATS[name](float(time.strip("[ ")), rest) for time, rest in lines)
    assert bootlog.read(text) == plain


@pytest.mark.parametrize("broken", ["=\n", "\n", "\n> "])
@pytest.mark.parametrize("after", ["stable (1901001039, ", "(1902707735, "])
def test_a_long_line_that_a_mail_broke_is_read_whole(broken, after):
    """Quoted-printable, flowed, and quoted by an answer."""
    assert bootlog.read(BOOT.replace(after, after + broken)) == bootlog.read(BOOT)


@pytest.mark.parametrize(
    "line",
    [
        "[Thu Nov 28 13:02:08 2026] smpboot: Total of 16 processors activated (1.0 BogoMIPS)",
        "Nov 28 13:02:08 host kernel: smpboot: Total of 16 processors activated (1.0 BogoMIPS)",
        "2026-11-28T13:02:08,123456+00:00 smpboot: Total of 16 processors activated (1.0 BogoMIPS)",
    ],
)
def test_times_of_the_wall_clock_are_refused_with_the_way_out(line):
    with pytest.raises(BadInput, match="wall clock") as refused:
        bootlog.read(line, "x.txt")
    assert str(refused.value).startswith("x.txt: ") and "journalctl -k -o short-monotonic" in str(refused.value)


@pytest.mark.parametrize("text", ["", "nothing", "\0\0", "[ 1.0] " * 10])
def test_what_is_no_log_is_refused(text):
    with pytest.raises(BadInput, match="has no line with"):
        bootlog.read(text)


def test_a_log_without_boot_or_resume_is_refused():
    with pytest.raises(BadInput, match="neither a boot nor a resume"):
        bootlog.read("[    1.000000] usb usb1: hello\n")


def test_a_marking_line_that_does_not_add_up_is_refused():
    with pytest.raises(BadInput, match="does not add up"):
        bootlog.read(BOOT.replace("-340786", "-340787"))


def test_a_boot_that_lost_nothing_or_was_never_marked():
    ahead = BOOT.replace("(1902707735, -340786)", "(1902366949, 0)")
    assert event(ahead).lost_s == 0.0
    unmarked = "\n".join(BOOT.splitlines()[:-1])
    assert bound(unmarked).longest_s is None and "`Marking stable` is missing" in bound(unmarked).remarks


def test_a_line_of_another_cpu_with_an_earlier_time_does_not_end_the_gap():
    late = BOOT.replace("[    0.204269] devtmpfs", "[    0.004152] smpboot: CPU 1 late\n[    0.204269] devtmpfs")
    assert event(late).gap_s == pytest.approx(1.086e-3)


def test_deferred_initialisation_inside_the_gap_is_taken_out():
    deferred = BOOT.replace(
        "[    0.204269] devtmpfs: initialized", "[    0.244269] node 0 deferred pages initialised in 40ms"
    )
    row = bound(deferred)
    assert row.deferred_init_s == 0.04
    assert row.longest_s == pytest.approx(0.041086 + 0.340786e-3 - 0.04 + 2e-3)


def test_a_serial_console_is_seen_only_where_it_prints_before_the_clock_is_stable():
    line = "[    {}] printk: console [ttyS0] enabled\n"
    early = BOOT.replace("[    0.202000]", line.format("0.150000") + "[    0.202000]")
    assert event(early).console == "serial" and bound(early).quality == "weak"
    assert event(BOOT + line.format("3.000000")).console == "none seen"


@pytest.mark.parametrize("line", ["Hypervisor detected: KVM", "Booting paravirtualized kernel on KVM"])
def test_a_virtual_machine_bounds_nothing(line):
    log = bootlog.read(BOOT.replace("tsc: Detected 2395.439 MHz processor", line))
    with pytest.raises(BadInput, match="virtual machine"):
        bootlog.rows(log, log.machine, "test")
    bare = bootlog.read(BOOT.replace("tsc: Detected", "Booting paravirtualized kernel on bare hardware"))
    assert bootlog.rows(bare, bare.machine, "test")


def test_an_intel_log_must_be_told_whether_the_cpu_snoops():
    intel = bootlog.read(BOOT.replace("AMD EPYC 9999 8-Core Processor", "Intel(R) Xeon(R) Gold 5520+"))
    with pytest.raises(BadInput, match="--self-snoop or --no-self-snoop"):
        bootlog.rows(intel, intel.machine, "test")
    (row,) = bootlog.rows(intel, replace(intel.machine, self_snoop=True), "test")
    assert row.flushes == 0 and row.flush_at_most_s is None and row.quality == "control"
    said = "\n".join(measurement.bounds([row]))
    assert "no WBINVD is executed" in said and "WBINVD at most" not in said


def test_what_is_shared_is_what_the_reader_of_the_data_takes(tmp_path):
    rows = bootlog.rows(bootlog.read(BOOT + RESUME), AMD, "own host")
    path = tmp_path / "amd_rendezvous.csv"
    path.write_text(bootlog.as_csv(rows))
    assert list(read_rendezvous(path).values()) == rows


def test_no_line_of_a_log_makes_it_fail_otherwise_than_in_one_line():
    """Lines lost, doubled, cut and mixed: a bound, or one refusal."""
    draw = random.Random(12)
    lines = (BOOT + RESUME).splitlines()
    for _ in range(300):
        text = "\n".join(line[: draw.choice((200, draw.randrange(80)))] for line in draw.choices(lines, k=14))
        try:
            rows = bootlog.rows(bootlog.read(text), AMD, "test")
        except BadInput as refused:
            assert "\n" not in str(refused)
        else:
            assert all(row.longest_s is None or row.longest_s > 0 for row in rows)
            assert list(measurement.bounds(rows))


def own_log_of(monkeypatch, outputs):
    """dmesg and journalctl as programs that print what `outputs` says, or are not there."""

    class Done:
        def __init__(self, text, complaint=""):
            self.stdout, self.stderr = text.encode(), complaint.encode()

    def run(words, **_):
        found = outputs.get(words[0])
        if found is None:
            raise FileNotFoundError(2, "No such file or directory")
        return Done(*found)

    monkeypatch.setattr(bootlog.subprocess, "run", run)


def test_the_own_log_is_the_first_that_holds_something(monkeypatch):
    own_log_of(monkeypatch, {"dmesg": ("[ 5.0] late\n",), "journalctl": (BOOT,)})
    text, name = bootlog.own_log()
    assert text == BOOT and name.startswith("journalctl -k -b")


def test_where_no_log_can_be_read_both_reasons_and_the_way_out_are_said(monkeypatch):
    own_log_of(monkeypatch, {"dmesg": ("", "dmesg: read kernel buffer failed: Operation not permitted")})
    with pytest.raises(BadInput) as refused:
        bootlog.own_log()
    said = str(refused.value)
    assert "Operation not permitted" in said and "journalctl: No such file" in said and "sudo dmesg |" in said


def test_a_log_that_does_not_tell_hz_is_read_with_the_slowest_tick_and_that_is_said():
    told = "\n".join(measurement.bounds([bound(BOOT)]))
    assert "clock in ticks of 1 ms)" in told and "assumed" not in told
    silent = "\n".join(line for line in BOOT.splitlines() if "jiffies" not in line)
    assert bound(silent).longest_s == pytest.approx(bound(BOOT).longest_s + 9e-3)
    assert "ticks of 10 ms, assumed: the log does not tell HZ" in "\n".join(measurement.bounds([bound(silent)]))


def test_times_are_told_in_units_that_fit_them():
    """The log of a server with a serial console lost seconds: it was told as 2.666e+04 us and 3.41e+03 ms."""
    marked = "Marking stable (22668686593, 1890227542)->(27947117592, -3388203457)"
    lost = re.sub(r"Marking stable .*", marked, BOOT)
    (told, *_) = measurement.bounds([bound(lost)])
    assert re.search(r"WBINVD at most 1\d\d ms in the mean of 32", told)
    assert "together at most 3.39 s (gap 1.09 ms, lost 3.39 s, clock" in told


def test_where_there_is_no_bound_nothing_is_said_of_one():
    said = list(measurement.bounds([bound("\n".join(BOOT.splitlines()[:-1]), replace(AMD, llc_bytes_per_domain=None))]))
    assert said[0] == "boot: no bound"
    assert not any("upper bound" in text or "--llc-bytes" in text for text in said)


@pytest.mark.parametrize(
    ("family", "model", "generation"),
    [("0x19", "0x1", "zen3"), ("0x17", "0x71", "zen2"), ("0x1a", "0x2", "zen5"), ("0x10", "0x2", "")],
)
def test_a_row_to_share_has_the_core_generation_of_the_log(family, model, generation):
    text = BOOT.replace("family: 0x1a, model: 0x2,", f"family: {family}, model: {model},")
    (row,) = bootlog.bounds(text.encode(), "x.txt", {})
    assert row.generation == generation
