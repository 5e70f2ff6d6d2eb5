"""Text of the tools that record or count invalidations, as people post it.

Read are single events (tracefs, trace-cmd report, perf script, perf trace, probes, bpftrace's printf) with their call
chains, durations of the flush functions (function_graph), and what `counts` knows: counts and histograms. FORMATS is
the table of all of them. What is left out is counted by its kind; what is not understood is kept with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from costmodel.errors import BadInput
from costmodel.measure import counts
from costmodel.measure.counts import BIGGEST, JSON_MAX, LINE_MAX, Format
from costmodel.measure.opened import Opened, opened

EVENT = "kvm_unmap_hva_range"
NAME_MAX = 255
PID_LIMIT = 2**22
"""PID_MAX_LIMIT of the kernel."""
TIME_LIMIT_NS = 2**62
SECOND_NS = 10**9
PAGE_BYTES = 4096
BATCH = 2**16
LATE = 4096
"""A call chain may come so many events after its own: other CPUs write in between."""
CHAIN_MAX = 64
UNNAMED = "(no name)"
"""The task of an event whose line names none."""
FEW = 8
"""Differences of fewer events than this may rise by chance."""
DURATIONS = (
    "wbinvd_on_all_cpus",
    "wbnoinvd_on_all_cpus",
    "wbnoinvd_on_cpus_mask",
    "wbinvd_on_cpus_mask",
    "sev_guest_memory_reclaimed",
    "sev_writeback_caches",
    "sev_flush_asids",
    "sev_gmem_invalidate",
    "sev_gmem_make_shared",
)
OURS = (EVENT, "kvm_unmap_hva")
"""The tracepoint, and that of old kernels for a single page."""
NOTIFIED = ("kvm_unmap_hva", "kvm_mmu_notifier_invalidate_range_start")
"""Where a probe sees what KVM is told: names of functions, or of probes on them, that hold one of these."""

EVENT_LINE = re.compile(
    r"(?P<head>.*?)(?:(?<=[\s\]])|^)(?:\[(?P<us>[0-9a-f]{1,16})\]\s+\d+\.\d{3}ms \(\+[\d.]+ms\)|"
    r"(?:\[[0-9a-f]{16}\]\s+)?(?P<time>\d{1,20}(?:\.\d{1,9})?)(?P<unit>us[ !+#*@$]?)?(?: \(\+\d+\))?):\s+"
    r"(?:\(\+\d+\)\s+)?(?:\d+\s+)?"
    r"(?:(?P<event>[^\s:<]+(?::[^\s:<]+)*):(?=\s|$)|(?P<other><(?:user )?stack trace ?>|PERF_RECORD_\w+|\S+ <-\S+))"
    r"\s*(?P<payload>.*)$",
    re.ASCII,
)
"""`head time: event: payload` of tracefs (also verbose, latency-format), trace-cmd report and perf script."""
USUAL = re.compile(
    r"(?:(?:kvm:)?kvm_unmap_hva_range: {1,9})?mmu notifier unmap range: 0x([0-9a-f]{1,16}) -- 0x([0-9a-f]{1,16})",
    re.ASCII,
)
SECONDS = re.compile(r"\d{1,10}\.\d{6}(?:\d{3})?", re.ASCII)
"""What nearly every line of nearly every trace ends in, read without EVENT_LINE for speed; perf script -F without
`event`
writes no name before the text, which no other event has.
"""
PRINTED = "mmu notifier unmap "
"""What the kernel's own text of the event begins with."""
FILE = re.compile(r"\s*(?P<file>\S{1,255}):\s+(?=\S.*?-\d+\s)")
"""What trace-cmd report writes before each line of several files."""
HEADS = (
    re.compile(
        r"\s*(?P<comm>\S.*?)-(?P<pid>\d{1,10})\s+(?:\([\s\-\d]+\)\s+)?\[(?P<cpu>\d{1,9})\]\s*(?:[\w.#!+*$@]{1,10}\s*)?$",
        re.ASCII,
    ),
    re.compile(r"\s*(?P<cut>\S.*?)-(?P<pid>\d{1,10})\s+(?P<cpu>\d{1,5})[.dDXbB][.\w#]{2,5}\s*$", re.ASCII),
    re.compile(
        r"\s*(?P<comm>\S.*?)\s+(?P<pid>\d{1,10})\s+(?P<cpu>\d{1,5}) \d+ [0-9a-f]{8} [0-9a-f]{8,16}\s*$", re.ASCII
    ),
    re.compile(
        r"\s*(?:(?P<comm>\S.*?)(?:\s+|$))??(?:(?:\d{1,10}/)?(?P<pid>-?\d{1,10})(?:\s+|$))?(?:\[(?P<cpu>\d{1,9})\]\s*)?$",
        re.ASCII,
    ),
)
"""Task, thread and CPU before the time: tracefs and trace-cmd; their latency formats; tracefs, verbose; perf script."""
PERF_HEAD = len(HEADS) - 1
ADDRESS = r"(?:0x)?[0-9a-f]{1,20}"
RANGE = re.compile(
    rf"(?:mmu notifier )?unmap range:\s+(?P<start>{ADDRESS})\s*--?\s*(?P<end>{ADDRESS})(?=[\s,)]|$)"
    rf"|\(?start[=:]\s*(?P<start_field>{ADDRESS})\b(?: \(\d+\))?,?\s+end[=:]\s*(?P<end_field>{ADDRESS})\b",
    re.ASCII,
)
PAGE = re.compile(rf"(?:mmu notifier )?unmap hva:?\s+(?P<start>{ADDRESS})\b|hva=(?P<field>{ADDRESS})\b", re.ASCII)
PROBED = re.compile(rf"\((?:(?P<function>[A-Za-z_][\w.]*)\+0x[0-9a-f]+|{ADDRESS})[^)]*\)", re.ASCII)
PROBE_RANGE = re.compile(rf"\bstart=(?P<start>{ADDRESS})\s(?:.*\s)?end=(?P<end>{ADDRESS})(?=\s|$)", re.ASCII)
PERF_TRACE = re.compile(
    r"\s*(?P<ms>\d{1,13}\.\d{3})\s+(?:\([^)]{0,20}\):\s+)?(?:(?P<comm>\S.*?)/(?P<pid>\d{1,10})\s+)?"
    r"(?P<event>[\w-]+(?::\w+)?)[:(](?P<payload>.*)$",
    re.ASCII,
)
FRAME = re.compile(
    r"(?:=>\s*)?(?:[0-9a-f]{1,16}(?:\s+(?:(?P<symbol>[A-Za-z_]\w*)|\S).*)?"
    r"|(?P<name>[A-Za-z_]\w*)[\w.$]*(?:\+(?:0x)?[0-9a-f]+)?(?:/0x[0-9a-f]+)?(?:\s+[(\[<].*)?|[\[</].*)$",
    re.ASCII,
)
"""A function of a call chain, with or without its address, as perf, tracefs, trace-cmd and bpftrace write it."""
PRINTF = re.compile(
    rf"\s*(?P<time>\d{{1,20}}(?:\.\d{{1,9}})?)[\s,;]+(?P<who>.*?)[\s,;]*\b(?P<start>{ADDRESS})(?:\s+--?\s+|[\s,;-]+)"
    rf"(?P<end>{ADDRESS})\s*$",
    re.ASCII,
)
FIELDS = re.compile(r"(\w+)\s?[=:]\s?(.*?)(?=[\s,;]+\w+\s?[=:]|\s*$)", re.ASCII)
WHO = re.compile(
    r"(?:(?P<first>\d{1,10})[\s,;]+)?(?:(?P<second>\d{1,10})[\s,;]+)?(?P<comm>.*?)(?:[\s,;]+(?P<last>\d{1,10}))?$"
)
GRAPH = re.compile(
    r"(?<![\d.])(?P<number>\d{1,15}(?:\.\d{1,9})?)\s+us\s+\|\s+(?:/\* |\} /\* )?(?P<name>\w+)\s*(?:\[\w+\])?\s*(?:\(\);|\*/)?\s*$",
    re.ASCII,
)
GRAPH_ANY = re.compile(
    r"(?!.*\d{17})\s*(?:\d+\)\s.*(?:\||=>)|[-!+#*@$]?\s*(?:[\d.]+\s+us\s+)?\|\s|\d+\.\d+\s+\|\s+\d+\))", re.ASCII
)
LOST = re.compile(
    r"CPU:\d+ \[(?:LOST (?P<ftrace>\d{1,19} )?EVENTS|(?P<trace_cmd>\d{1,19} )?EVENTS DROPPED)\]"
    r"|(?:\x1b\[[\d;]{0,9}m)?LOST (?P<perf_trace>\d{1,19}) events!"
    r"|.{0,200}PERF_RECORD_LOST(?:_SAMPLES)?:? lost (?P<perf_script>\d{1,19})"
    r"|Lost (?P<bpftrace>\d{1,19}) events"
    r"|.{0,40}Processed \d{1,19} events and lost (?P<chunks>\d{1,19}) chunks"
    r"|CPU ?\d+: (?P<recorder>\d{1,19}) events lost",
    re.ASCII,
)
"""How ftrace (trace and trace_pipe), trace-cmd report, perf trace, perf script and bpftrace say that events are
missing.
"""
WRITTEN = re.compile(r"# entries-in-buffer/entries-written: (?P<kept>\d{1,19})/(?P<written>\d{1,19})\s", re.ASCII)
NOISE = re.compile(
    r"\s*(?:#.*|Attach(?:ing|ed) \d+ probes?.*|(?:\S+:\s*)?cpus=\d+|version = .*|\^C|Detaching\.*"
    r"|\[ perf record: .*|-{10,}|(?:Hit Ctrl.C|Ctrl.C) to .*|CPU \d+ is empty|.* not valid for .* events\. Ignoring\."
    r"|Exiting trace of .*|)$"
)
RAW = re.compile(r"(?:\d+ \d+ \d{5,20}|[0-9a-f]{8} [0-9a-f]{8} [0-9a-f]{16}) (?:type: \d+|\d+ \?)\s*$", re.ASCII)
"""What tracefs writes with its option raw or hex: no range."""


@dataclass
class Notes:
    """What was left out: `bad` lines (the first ten), counts of other things by their kind, and remarks on what was
    taken for what.

    `lost` counts the events that the recordings say they lost: there may be more.
    """

    lines: int = 0
    bad_lines: int = 0
    bad: list[tuple[str, int, str]] = field(default_factory=list)
    without_event: dict[str, int] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    lost: int = 0

    def left_out(self, kind: str, count: int = 1) -> None:
        if kind not in self.without_event and len(self.without_event) >= 100:
            kind = "others"
        self.without_event[kind] = self.without_event.get(kind, 0) + count

    def remark(self, text: str) -> None:
        if text not in self.remarks and len(self.remarks) < 20:
            self.remarks.append(text)

    def not_understood(self, file: str, number: int, line: str) -> None:
        self.bad_lines += 1
        if len(self.bad) < 10:
            self.bad.append((file, number, line[:LINE_MAX]))


class Clock:
    """Times of one file in ns. Seconds are what they are; counts need `hz`; differences (perf script --deltatime) add
    up.

    perf sorts what it writes: where its times begin at 0 and go back, they are differences. Until they do, both
    readings are kept of the events that are held.
    """

    def __init__(self, notes: Notes, file: Path, hz: float | None) -> None:
        self._notes, self._file, self._hz = notes, file, hz
        self._last = self._sum = 0
        self._undecided: list[tuple[list, int]] | None = None
        self._begun = self._adding = False

    def ns(self, text: str, unit: str | None = None) -> int | None:
        """Time of an event; None where no kernel prints it. Raises BadInput for a count of a clock of unknown speed."""
        seconds, point, fraction = text.partition(".")
        if point:
            found = int(seconds) * SECOND_NS + int(fraction.ljust(9, "0"))
        elif unit:
            found = int(seconds) * 1000
        elif self._hz is None:
            raise BadInput(
                "has times that count a clock without saying how fast it is (trace_clock x86-tsc, counter, uptime; "
                "trace-cmd -C boot)",
                file=self._file,
                remedy=(
                    "record with trace_clock mono (trace-cmd record -C mono), or give --clock-hz: 1e9 for boot, what "
                    "`dmesg | grep tsc:` says for x86-tsc"
                ),
            )
        else:
            found = round(int(seconds) * SECOND_NS / self._hz)
        return found if found < TIME_LIMIT_NS else None

    def perf_ns(self, text: str) -> int | None:
        """Time of a line of perf script, be it an event or not."""
        found = self.ns(text)
        if found is None:
            return None
        if not self._begun and found == 0:
            self._undecided = []
        elif self._undecided is not None and found < self._last:
            for event, time_ns in self._undecided:
                event[0] = time_ns
            self._undecided, self._adding = None, True
            self._notes.remark("times are differences (perf script --deltatime) and were added up")
        self._begun, self._last = True, found
        self._sum += found
        return self._sum if self._adding else found

    def held(self, event: list) -> None:
        """`event` has the time of the last line."""
        if self._undecided is not None:
            self._undecided.append((event, self._sum))

    def settle(self, events: int) -> None:
        """Events are let go, `events` in all so far: what they were read as stays."""
        if self._undecided is not None:
            text = "times begin at 0: taken for times since the first event (perf script --reltime)"
            if events < FEW:
                text += "; if they are differences (--deltatime), the events are further apart than told"
            self._notes.remark(text)
            self._undecided = None


class Reading:
    """One file: the events that are held until their call chains are complete, and the rows of counts."""

    def __init__(self, file: Path, notes: Notes, clock_hz: float | None = None) -> None:
        self.file, self.notes = file, notes
        self.clock = Clock(notes, file, clock_hz)
        self.events: list[list] = []
        self.rows: list[dict[str, Any]] = []
        self.read = 0
        self.unnamed = self.addresses_only = self.back = 0
        self.lost_lines = self.lost_buffer = 0
        self._last_ns: int | None = None
        self._open: list | None = None
        self._chain: list[str] | None = None
        self._chains: dict[tuple[str, ...], tuple[str, ...]] = {}
        self._of_thread: dict[object, list | None] = {}

    def event(self, time_ns: int, comm: str, pid: int | None, cpu: int | None, start: int, end: int) -> bool:
        """One event: [t_ns, task, pid, cpu, start, end, functions of its call chain]; False where a number cannot
        be.
        """
        if not start < end <= BIGGEST or (pid is not None and pid >= PID_LIMIT) or len(comm) > NAME_MAX:
            return self.unread(pid)
        self.close()
        if not comm:
            self.unnamed += 1
            comm = UNNAMED
        if self._last_ns is not None and time_ns < self._last_ns:
            self.back += 1
        self._last_ns = time_ns
        found = [time_ns, comm, pid, cpu, start, end, ()]
        self.events.append(found)
        self.read += 1
        self._open = self._of_thread[pid] = found
        return True

    def other(self, kind: str, thread: object) -> bool:
        """A line of another event."""
        self.unread(thread)
        self.notes.left_out(kind)
        return True

    def unread(self, thread: object) -> bool:
        """A line of an event whose call chain is not ours, or not of use."""
        self.close()
        self._of_thread[thread] = None
        self._chain = []
        return False

    def chain_of(self, thread: object, user: bool) -> None:
        """A call chain begins that belongs to the last event of the thread; that of a program says nothing."""
        self.close()
        self._open = None if user else self._of_thread.get(thread)
        self._chain = []

    def frame(self, line: str) -> bool:
        """A line of the open call chain."""
        if self._open is None and self._chain is None:
            return False
        found = FRAME.match(line.strip())
        if found is None:
            return False
        if self._open is not None:
            if self._chain is None:
                self._chain = []
            if len(self._chain) < CHAIN_MAX:
                self._chain.append(found["symbol"] or found["name"] or "")
        return True

    def close(self) -> None:
        """The open call chain is complete."""
        if self._open is not None and self._chain:
            named = tuple(name for name in self._chain if name)
            self.addresses_only += not named
            self._open[6] = self._chains.setdefault(named, named)
            if len(self._chains) > BATCH:
                self._chains.clear()
        self._open = self._chain = None

    def blank(self) -> None:
        """A blank line ends a call chain that has begun."""
        if self._chain:
            self.close()

    def duration(self, text: str) -> bool:
        """A line of function_graph: the time of a flush function; others are left out."""
        found = GRAPH.search(text)
        if found is None or found["name"] not in DURATIONS:
            if not GRAPH_ANY.match(text):
                return False
            self.notes.left_out("lines of function_graph on other functions or without a time")
            return True
        time_s = float(found["number"]) * 1e-6
        self.rows.append(counts.row("duration", found["name"], low=time_s, high=time_s, unit="s"))
        return True

    def taken(self, keep: int) -> list[list]:
        """The events but the last `keep`, which are complete."""
        self.clock.settle(self.read)
        done, self.events = (self.events[:-keep], self.events[-keep:]) if keep else (self.events, [])
        if len(self._of_thread) > BATCH:
            self._of_thread.clear()
        return done

    def finish(self) -> None:
        """Say what the file as a whole showed."""
        self.close()
        notes = self.notes
        notes.lost += max(self.lost_lines, self.lost_buffer)
        if self.unnamed:
            notes.remark("events name no task (perf script -F +comm would): they may be of any")
        if self.addresses_only:
            notes.remark("call chains hold addresses only: perf script -F +sym names the functions")
        if self.back:
            notes.remark(f"times go back {self.back} times (buffers of several CPUs, or of several files): sorted")


@dataclass
class Events(Format):
    """tracefs, trace-cmd report, perf script."""

    _heads: dict[str, tuple[int, str, int | None, int | None] | None] = field(default_factory=dict)
    _files: set[str] = field(default_factory=set)

    def take(self, line: str) -> bool:
        if ":" not in line or len(line) > LINE_MAX:
            return False
        reading = self._reading
        left, _, right = line.partition(": ")
        if usual := USUAL.fullmatch(right):
            begin = left.rfind(" ") + 1
            head, time = left[:begin], left[begin:]
            who = self._heads.get(head) or self._who(head)
            if who is not None and SECONDS.fullmatch(time):
                return self._event(who, time, None, int(usual[1], 16), int(usual[2], 16))
        found = EVENT_LINE.match(line)
        if found is None:
            return False
        head, us, time, unit, event, other, payload = found.groups()
        who = self._heads.get(head) or self._who(head)
        if who is None:
            return False
        kind, comm, pid, cpu = who
        name = event.rpartition(":")[2] if event else other
        if (kind == PERF_HEAD and us is None and "." not in time) or name.startswith("PERF_RECORD_LOST"):
            return False
        thread = pid if pid is not None else comm
        if name in ("<stack trace>", "<user stack trace>", "kernel_stack", "user_stack"):
            reading.chain_of(thread, "user" in name)
            if payload.startswith("=>"):
                reading.frame(payload)
            return True
        if name.startswith("funcgraph_"):
            return reading.duration(payload)
        ends = _range(name, payload, reading)
        if ends is None:
            if name in OURS:
                return reading.unread(thread)
            if kind == PERF_HEAD:
                reading.clock.perf_ns(time)
            return reading.other(f"events {name}" if event else "lines of functions" if " <-" in name else name, thread)
        return self._event(who, time if us is None else f"{int(us, 16)}", unit if us is None else "us", *ends)

    def _event(
        self, who: tuple[int, str, int | None, int | None], time: str, unit: str | None, start: int, end: int
    ) -> bool:
        reading = self._reading
        kind, comm, pid, cpu = who
        if kind != PERF_HEAD:
            time_ns = reading.clock.ns(time, unit)
            return time_ns is not None and reading.event(time_ns, comm, pid, cpu, start, end)
        time_ns = reading.clock.perf_ns(time)
        if time_ns is None or not reading.event(time_ns, comm, pid, cpu, start, end):
            return False
        reading.clock.held(reading.events[-1])
        return True

    def _who(self, head: str) -> tuple[int, str, int | None, int | None] | None:
        """As _head, and kept."""
        if len(self._heads) > BATCH:
            self._heads.clear()
        found = self._heads[head] = self._head(head)
        return found

    def _head(self, head: str) -> tuple[int, str, int | None, int | None] | None:
        """Which of HEADS it is, task, thread, CPU."""
        for kind, pattern in enumerate(HEADS):
            file = FILE.match(head) if kind != PERF_HEAD else None
            text = head[file.end() :] if file else head
            if (found := pattern.match(text)) is None:
                continue
            if file:
                self._files.add(file["file"])
                if len(self._files) == 2:
                    self._reading.notes.remark(
                        "lines of several files were taken for one host and one clock, as trace-cmd report joined them"
                    )
            parts = found.groupdict()
            if parts.get("cut"):
                self._reading.notes.remark("names of tasks are cut to 8 characters, as the latency format prints them")
            pid = int(parts["pid"]) if parts["pid"] else -1
            cpu = int(parts["cpu"]) if parts["cpu"] else None
            return kind, (parts.get("cut") or parts.get("comm") or "").strip(), pid if pid >= 0 else None, cpu
        return None


def _range(name: str, payload: str, reading: Reading) -> tuple[int, int] | None:
    """The range of an event that KVM was told of; None of every other event."""
    if name == EVENT:
        if (found := RANGE.search(payload)) is None:
            return _probe(name, payload, reading)
        if found["start"] is not None:
            return int(found["start"], 16), int(found["end"], 16)
        return _number(found["start_field"]), _number(found["end_field"])
    if name == "kvm_unmap_hva" and (found := PAGE.search(payload)):
        start = int(found["start"] or found["field"], 16)
        return start, start + PAGE_BYTES
    return _probe(name, payload, reading)


def _number(text: str) -> int:
    """An address of a field: hexadecimal with 0x or a letter, else decimal."""
    return int(text, 10) if text.isdecimal() else int(text, 16)


def _probe(name: str, payload: str, reading: Reading) -> tuple[int, int] | None:
    """The range of a kprobe or uprobe with the arguments start and end."""
    found, place = PROBE_RANGE.search(payload), PROBED.match(payload)
    if found is None or place is None:
        return None
    known = place["function"] or name
    if not any(part in known for part in NOTIFIED):
        if place["function"]:
            return None
        reading.notes.remark("a probe does not say on which function it is: its ranges are taken for invalidations")
    return _number(found["start"]), _number(found["end"])


class PerfTrace(Format):
    """perf trace: times in milliseconds, arguments in parentheses."""

    def take(self, line: str) -> bool:
        if (found := PERF_TRACE.match(line)) is None:
            return False
        reading, name = self._reading, found["event"].rpartition(":")[2]
        pid = int(found["pid"]) if found["pid"] else None
        ends = _range(name, found["payload"], reading)
        if ends is None:
            if name in OURS:
                return reading.unread(pid)
            return reading.other(f"events {name}" if ":" in found["event"] else "system calls of perf trace", pid)
        time_ns = int(found["ms"].replace(".", "")) * 1000
        return time_ns < TIME_LIMIT_NS and reading.event(time_ns, (found["comm"] or "").strip(), pid, None, *ends)


class Frames(Format):
    """Lines of call chains, and what else continues the line above."""

    def take(self, line: str) -> bool:
        if not (line[0].isspace() or line.startswith("=>")):
            return False
        if self._reading.frame(line):
            return True
        if self._reading.read and line[0].isspace() and not any(c in line for c in "|:"):
            self._reading.notes.left_out("lines that continue an event")
            return True
        return False


class Printf(Format):
    """printf of bpftrace: time, thread, task, start, end, in this order or named."""

    def take(self, line: str) -> bool:
        if PRINTED in line:
            return False
        named = {key.lower(): text for key, text in FIELDS.findall(line)} if "start" in line else {}
        if {"start", "end"} <= named.keys():
            time = next((named[key] for key in ("nsecs", "time", "t", "ts", "ns") if key in named), None)
            first = re.match(r"\s*(\d{1,20}(?:\.\d{1,9})?)[\s,;]", line)
            time = time or (first and first[1])
            pid = next((named[key] for key in ("tid", "pid") if key in named), "")
            comm = next((named[key] for key in ("comm", "task", "name") if key in named), "")
            ends = _pages(named["start"], named["end"])
        elif found := PRINTF.match(line):
            who = cast(re.Match[str], WHO.match(found["who"]))
            time, ends = found["time"], _pages(found["start"], found["end"])
            pid, comm = who["second"] or who["first"] or who["last"] or "", who["comm"]
        else:
            return False
        if not time or ends is None or not re.fullmatch(r"\d{1,20}(\.\d{1,9})?", time, re.ASCII):
            return False
        seconds, point, fraction = time.partition(".")
        time_ns = int(seconds) * SECOND_NS + int(fraction.ljust(9, "0")) if point else int(seconds)
        thread = int(pid) if re.fullmatch(r"\d{1,10}", pid, re.ASCII) else None
        if time_ns >= TIME_LIMIT_NS or not self._reading.event(time_ns, comm.strip(), thread, None, *ends):
            return False
        unit = "seconds" if point else "nsecs"
        self._reading.notes.remark(f"lines of printf were read as time ({unit}), thread, task, start, end")
        return True


def _pages(start: str, end: str) -> tuple[int, int] | None:
    """A range of whole pages, hexadecimal or, where only that gives whole pages, decimal."""
    if not all(re.fullmatch(ADDRESS, text, re.ASCII) for text in (start, end)):
        return None
    found = [
        (int(start, base), int(end, base)) for base in (16, 10) if base == 16 or (start.isdecimal() and end.isdecimal())
    ]
    whole = [(low, high) for low, high in found if low < high and not low % PAGE_BYTES and not high % PAGE_BYTES]
    return whole[0] if len(whole) == 1 else None


class Durations(Format):
    """function_graph of tracefs."""

    def take(self, line: str) -> bool:
        return self._reading.duration(line)


class Asides(Format):
    """What tools say beside the events: lost events, headers."""

    most = JSON_MAX

    def take(self, line: str) -> bool:
        reading = self._reading
        if written := WRITTEN.match(line):
            reading.lost_buffer += max(0, int(written["written"]) - int(written["kept"]))
            return True
        if lost := LOST.match(line[:LINE_MAX]):
            reading.lost_lines += int(next(filter(None, lost.groups()), 1))
            return True
        return len(line) <= LINE_MAX and NOISE.match(line) is not None


FORMATS = (Events, counts.Maps, counts.HistTrigger, Frames, *counts.FORMATS, Asides, PerfTrace, Printf, Durations)
"""Every way in which a line can be written; the first that takes it has it."""


def lines(source: Opened) -> Iterator[tuple[int, str]]:
    """Number and text of each line, whatever ends it; one beyond JSON_MAX characters is cut, and so never
    understood.
    """
    number, whole = 0, True
    for raw in source.lines(JSON_MAX):
        if whole:
            number += 1
            yield number, raw.rstrip("\n")
        whole = raw.endswith("\n")


def batches(numbered: Iterable[tuple[int, str]], reading: Reading) -> Iterator[list[list]]:
    """The events of numbered lines in lists, as `Reading.event` makes them; rows of counts gather in `reading.rows`.

    Raises BadInput where the lines can be no trace.
    """
    notes, name = reading.notes, reading.file.name
    formats = [kind(reading) for kind in FORMATS]
    raw = 0
    usual = formats[0].take
    for number, line in numbered:
        notes.lines += 1
        if len(reading.events) >= BATCH + LATE:
            yield reading.taken(LATE)
        if usual(line):
            continue
        if not line or line.isspace():
            reading.blank()
            continue
        for text in counts.printed(line):
            if not text:
                reading.blank()
            elif not any(len(text) <= one.most and one.take(text) for one in formats):
                raw += RAW.match(text[:LINE_MAX]) is not None
                notes.not_understood(name, number, text)
    reading.finish()
    for one in formats:
        one.finish()
    if raw and not reading.read:
        raise BadInput(
            "was written with the option raw or hex of tracefs: it holds no ranges",
            file=reading.file,
            remedy="echo 0 into options/raw and options/hex and read the trace again",
        )
    if events := reading.taken(0):
        yield events


@dataclass
class Imported:
    """Rows of one shape, and what was left out."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    notes: Notes = field(default_factory=Notes)


def read(path: Path, trigger_of: Callable[[Sequence[str]], str], clock_hz: float | None = None) -> Imported:
    """All rows of a trace: its events, then counts, histograms and durations. `trigger_of` says which trigger a call
    chain stands for. Raises BadInput.
    """
    found = Imported()
    with opened(path) as source:
        reading = Reading(source.path, found.notes, clock_hz)
        for events in batches(lines(source), reading):
            for time_ns, comm, _, _, start, end, chain in events:
                length = end - start
                one = counts.row("event", EVENT, comm, time_s=time_ns / SECOND_NS, low=length, high=length, unit="B")
                found.rows.append(one | {"trigger": trigger_of(chain)})
    found.rows += counted(reading.rows, trigger_of)
    return found


def counted(rows: list[dict[str, Any]], trigger_of: Callable[[Sequence[str]], str]) -> list[dict[str, Any]]:
    """`rows` with the trigger of those whose key is a call chain, and of WBINVD in a guest."""
    for one in rows:
        if one["name"] == counts.EXIT_OF_WBINVD:
            one["trigger"] = counts.TRIGGER_OF_WBINVD
        elif one["key"]:
            one["trigger"] = trigger_of(str(one["key"]).split(";"))
    return rows
