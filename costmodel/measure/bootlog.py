"""What a kernel log says of WBINVD: an upper bound from the boot, and one from every resume.

Order of events, read in Linux v7.0. Boot: native_smp_cpus_done() (arch/x86/kernel/smpboot.c) prints "Total of N
processors activated" and calls cache_aps_init(), where every CPU without self-snoop executes WBINVD twice, one CPU at
a time. Resume: thaw_secondary_cpus() (kernel/cpu.c) prints "CPUn is up" for the last CPU and calls the same function;
acpi_pm_finish() (drivers/acpi/sleep.c) prints "Waking up from system sleep state" after it.

The clock of a log is led by the tick until it is called stable, and what it did not count by then is printed with a
minus in "sched_clock: Marking stable (...)->(..., -X)". A clock that is never called stable shows on resume: lines
of different CPUs step backwards. Then only a line that is more than a tick later is certain to be later.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from costmodel import __version__
from costmodel.errors import BadInput
from costmodel.evidence.machine_input import microarchitecture
from costmodel.evidence.records import SLOWEST_HZ, Rendezvous
from costmodel.evidence.store import load
from costmodel.evidence.tables import columns_of, csv_text
from costmodel.measure.host import Host, describe

STAMP = re.compile(
    r"^[>|\s]*(?:<\d+>|[\w.]+ *:[\w.]+ *: *)?"  # quoted in a mail; level of dmesg -r or -x
    r"(?:\w{3}\s+\d+ [\d:.]+ \S+ kernel: )?"  # syslog
    r"\[\s*(\d+\.\d{3,})(?: *<[^>]*>)?\](?:\[\s*[TC]\d+\])?"  # monotonic time, difference of dmesg -d, caller
    r"(?: (?:\[\s*[TC]\d+\] )?(?:\S+ kernel: )?(.*)| *)$"  # caller of newer dmesg; host of journalctl; text
)
WALL_CLOCK = re.compile(
    r"^[>|\s]*(?:\[\w{3} \w{3} +\d+ [\d:]+ \d{4}\]|\w{3} +\d+ [\d:]+ \S+ kernel: |\d{4}-\d\d-\d\d[T ])"
)
START = re.compile(r"Linux version (\d+(?:\.\d+)*(?:-rc\d+)?)")
CPU = re.compile(r"CPU0: (.*?) \(family: 0x([0-9a-f]+), model: 0x([0-9a-f]+)")
TOTAL = re.compile(r"Total of (\d+) processors activated")
MARK = re.compile(r"sched_clock: Marking stable \((-?\d+), (-?\d+)\)->\((-?\d+), (-?\d+)\)")
DEFERRED = re.compile(r"node \d+ (?:deferred pages initialised in (\d+)ms|initialised, \d+ pages in (\d+)ms)")
JIFFIES = re.compile(r"clocksource: jiffies: .*max_idle_ns: (\d+) ns")
IDLE_NS_AT_1_HZ = 1911260446275000000
"""max_idle_ns of the clocksource jiffies is a fixed number of ticks: at HZ=1000 the kernel prints 1911260446275000."""
SERIAL = re.compile(r"console \[ttyS\d+\] enabled")
SOCKETS = re.compile(r"[Mm]ax\.? logical packages:\s+(\d+)")
HYPERVISOR = re.compile(r"Hypervisor detected: (.*)|paravirtualized kernel on (?!bare hardware)(.*)")
ENABLING = re.compile(r"Enabling non-boot CPUs")
UP = re.compile(r"CPU(\d+) is up$")
WAKING = re.compile(r"Waking up from system sleep state S([34])")
SUSPENDED = re.compile(r"Suspending console\(s\)")
HIBERNATION = re.compile(r"PM: hibernation")
WITHOUT_SELF_SNOOP = ("AMD", "Hygon")
"""First words of the names of CPUs that have no self-snoop, whichever the model."""

LOGS = (("dmesg",), ("journalctl", "-k", "-b", "-o", "short-monotonic", "--no-pager"))
READABLE = "give the text of `dmesg`, of `journalctl -k -o short-monotonic`, or a syslog with [seconds]"


class Line(NamedTuple):
    """One line: seconds of the kernel's clock, and the text without what the log put in front."""

    time_s: float
    text: str

    def quoted(self) -> str:
        return f"[{self.time_s:12.6f}] {self.text}"


@dataclass(frozen=True)
class Machine:
    """What a log or the host itself says of the machine, called as in Rendezvous; empty or None where it does not."""

    cpu: str = ""
    family_model: str = ""
    generation: str = ""
    self_snoop: bool | None = None
    sockets: int | None = None
    cores: int | None = None
    llc_bytes_per_domain: float | None = None
    l2_bytes_per_core: float | None = None
    hypervisor: str = ""


@dataclass(frozen=True)
class Event:
    """One rendezvous as the log shows it, called as in Rendezvous."""

    method: str
    logical_cpus: int
    gap_s: float
    lost_s: float | None
    deferred_init_s: float
    clock: str
    hz: int | None
    console: str
    kernel: str
    remarks: tuple[str, ...]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Log:
    """What was read: the machine as far as the log names it, and its events in order."""

    machine: Machine
    events: tuple[Event, ...]


def read(text: str, name: str = "-") -> Log:
    """The rendezvous in the text of a log. Raises BadInput where its times cannot be used or it holds none."""
    lines = [Line(float(found[1]), found[2] or "") for found in map(STAMP.match, _unwrapped(text)) if found]
    if not lines:
        wall = any(map(WALL_CLOCK.match, text.splitlines()))
        problem = "has times of the wall clock (dmesg -T?), which are rounded" if wall else "has no line with [seconds]"
        raise BadInput(problem, file=name, remedy=READABLE)
    boots = list(_boots(lines))
    events = [event for boot in boots for event in (*_boot(boot), *_resumes(boot))]
    if not events:
        raise BadInput(
            "shows neither a boot nor a resume of all CPUs",
            file=name,
            remedy="give a log that begins with the boot, or one with `CPUn is up` of a resume (rtcwake -m mem -s 5)",
        )
    return Log(_machine(boots), tuple(events))


def _unwrapped(text: str) -> Iterator[str]:
    """Lines of the text, the one about the clock whole: it is long, and mails break it in two."""
    lines = iter(text.splitlines())
    for line in lines:
        if "Marking stable" in line and not MARK.search(line):
            line = line.rstrip("= ") + " " + next(lines, "").lstrip("> |")
        yield line


def _boots(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines of one boot after the other: a log of a service may hold many."""
    first = 0
    for number, line in enumerate(lines):
        if number > first and START.match(line.text):
            yield list(lines[first:number])
            first = number
    yield list(lines[first:])


def _first(pattern: re.Pattern[str], lines: Sequence[Line]) -> re.Match[str] | None:
    return next((found for line in lines if (found := pattern.search(line.text))), None)


def _machine(boots: Sequence[Sequence[Line]]) -> Machine:
    for lines in boots:
        if cpu := _first(CPU, lines):
            sockets = _first(SOCKETS, lines)
            hypervisor = _first(HYPERVISOR, lines)
            return Machine(
                cpu=" ".join(cpu[1].split()),
                family_model=f"{int(cpu[2], 16):02X}h/{int(cpu[3], 16):02X}h",
                self_snoop=False if cpu[1].startswith(WITHOUT_SELF_SNOOP) else None,
                sockets=int(sockets[1]) if sockets else None,
                hypervisor=(hypervisor[1] or hypervisor[2]) if hypervisor else "",
            )
    return Machine()


def _facts(lines: Sequence[Line]) -> tuple[int | None, str]:
    """HZ (None where the log does not tell) and version of the kernel."""
    jiffies, version = _first(JIFFIES, lines), _first(START, lines)
    hz = round(IDLE_NS_AT_1_HZ / int(jiffies[1])) if jiffies else None
    return hz, version[1] if version else ""


def _boot(lines: Sequence[Line]) -> Iterator[Event]:
    """The rendezvous of the boot, where its lines are there."""
    number = next((n for n, line in enumerate(lines) if TOTAL.search(line.text)), None)
    if number is None:
        return
    total = lines[number]
    cpus = cast(re.Match[str], TOTAL.search(total.text))
    after = next((line for line in lines[number + 1 :] if line.time_s >= total.time_s), None)
    if after is None:
        return
    mark = next((line for line in lines[number:] if MARK.search(line.text)), None)
    deferred = DEFERRED.search(after.text)
    hz, kernel = _facts(lines)
    remarks = [] if mark else ["the line `Marking stable` is missing: what the clock lost is not known"]
    until_marked = lines[: lines.index(mark)] if mark else lines
    serial = _first(SERIAL, until_marked)
    if serial:
        remarks.append("serial console: each line that it prints adds to what the clock lost")
    yield Event(
        method="boot",
        logical_cpus=int(cpus[1]),
        gap_s=max(1e-6, round(after.time_s - total.time_s, 9)),
        lost_s=_lost_s(mark) if mark else None,
        deferred_init_s=int(deferred[1] or deferred[2]) / 1000 if deferred else 0.0,
        clock="stepped",
        hz=hz,
        console="serial" if serial else "none seen" if START.match(lines[0].text) else "unknown",
        kernel=kernel,
        remarks=tuple(remarks),
        lines=tuple(line for line in (total, after, mark) if line),
    )


def _lost_s(mark: Line) -> float:
    """What the clock had not counted when it was called stable: its raw reading less its own."""
    gtod, gtod_offset, raw, offset = map(int, cast(re.Match[str], MARK.search(mark.text)).groups())
    if gtod + gtod_offset - raw != offset:
        raise BadInput("does not add up", field=mark.text[:80], remedy="give the log as the kernel wrote it")
    return round(max(0, -offset) * 1e-9, 9)


def _resumes(lines: Sequence[Line]) -> Iterator[Event]:
    """The rendezvous of each resume: after the last CPU that came up."""
    ups = [number for number, line in enumerate(lines) if UP.search(line.text)]
    begin = 0
    for number, following in zip(ups, [*ups[1:], None], strict=False):
        last_of_its_resume = following is None or any(ENABLING.search(line.text) for line in lines[number:following])
        if last_of_its_resume and number + 1 < len(lines):
            yield _resume(lines, begin, number)
            begin = number + 1


def _resume(lines: Sequence[Line], begin: int, number: int) -> Event:
    """The resume whose last CPU is up in line `number`; its lines begin at `begin`."""
    enabling = next((n for n in range(number, begin - 1, -1) if ENABLING.search(lines[n].text)), None)
    block = lines[begin if enabling is None else enabling : number + 1]
    ups = [int(found[1]) for line in block if (found := UP.search(line.text))]
    rest = lines[number + 1 :]
    waking = next((n for n, line in enumerate(rest) if WAKING.search(line.text)), None)
    remarks = []
    if waking is None:
        remarks.append("the line `Waking up` is missing: the gap ends at the next line and may hold more")
    if enabling is None:
        remarks.append("the beginning of the resume is missing: CPUs are counted by the last number")
    hz, kernel = _facts(lines)
    first = rest[waking or 0]
    end: Line | None = first
    back = next((n for n in range(1, len(block)) if block[n].time_s < block[n - 1].time_s), None)
    shown = [lines[number], first]
    if back is not None:
        tick_s = 1 / (hz or SLOWEST_HZ)
        later = next((line for line in rest[waking or 0 :] if line.time_s > first.time_s + tick_s), None)
        remarks.append("clocks of the CPUs differ: the gap ends at the first line that is more than a tick later")
        shown = [block[back - 1], block[back], *shown, *([later] if later else [])]
        end = later
    woken = WAKING.search(rest[waking].text) if waking is not None else None
    state = woken[1] if woken else ""
    s4 = state == "4" or (not state and _first(HIBERNATION, lines[begin:]) is not None)
    return Event(
        method="resume-s4" if s4 else "resume-s3",
        logical_cpus=len(ups) + 1 if enabling is not None else max(ups) + 1,
        gap_s=max(1e-6, round((end or shown[-1]).time_s - lines[number].time_s, 9)),
        lost_s=0.0 if end else None,
        deferred_init_s=0.0,
        clock="stable" if back is None else "stepped",
        hz=hz,
        console="suspended" if _first(SUSPENDED, lines[begin:number]) else "unknown",
        kernel=kernel,
        remarks=tuple(remarks),
        lines=tuple(shown),
    )


def of_host(host: Host, flags: str) -> Machine:
    """The machine that we run on; `flags` is /proc/cpuinfo."""
    return Machine(
        cpu=host.cpu_model,
        family_model=f"{host.family:02X}h/{host.model:02X}h",
        self_snoop=re.search(r"^flags\s*:.*\bss\b", flags, flags=re.M) is not None,
        sockets=host.sockets,
        cores=max(1, host.logical_cpus // host.threads_per_core),
        llc_bytes_per_domain=float(host.llc.bytes) if host.llc and host.llc.level > 2 else None,
        l2_bytes_per_core=float(cache.bytes) if (cache := host.cache(2)) else None,
        hypervisor=host.hypervisor if host.virtual else "",
    )


def rows(log: Log, machine: Machine, source: str, name: str = "-") -> list[Rendezvous]:
    """The events as rows of data/kvm/amd_rendezvous.csv. Raises BadInput where no bound can be drawn from them."""
    if machine.hypervisor:
        raise BadInput(
            f"the log is of a virtual machine ({machine.hypervisor}), where WBINVD is the hypervisor's business",
            file=name,
            remedy="give the log of the host",
        )
    if machine.self_snoop is None:
        raise BadInput(
            "whether the CPU has self-snoop is not known", file=name, remedy="say --self-snoop or --no-self-snoop"
        )
    found, used = [], set()
    for event in log.events:
        stem = re.sub(r"[^a-z0-9]+", "-", f"{event.method} {machine.cpu}".lower()).strip("-")[:60]
        id = next(n for n in (stem, *(f"{stem}-b{k}" for k in range(2, len(log.events) + 2))) if n not in used)
        used.add(id)
        found.append(_row(id, event, machine, source))
    return found


def _row(id: str, event: Event, machine: Machine, source: str) -> Rendezvous:
    if event.lost_s is None:
        quality = "incomplete"
    elif machine.self_snoop:
        quality = "control"
    elif event.clock == "stable" and not event.remarks:
        quality = "good"
    else:
        quality = "weak" if event.console == "serial" or event.method != "boot" else "fair"
    told = vars(machine) | vars(event)
    told |= {"id": id, "cpu": machine.cpu or "not stated", "self_snoop": bool(machine.self_snoop), "quality": quality}
    told |= {"remarks": "; ".join(event.remarks), "quote": " | ".join(line.quoted() for line in event.lines)}
    return Rendezvous(**{name: told[name] for name in columns_of(Rendezvous) if name in told}, source=source)


def bounds(content: bytes | None, name: str, given: Mapping[str, Any]) -> list[Rendezvous]:
    """The rows of a log: of `content`, or where that is None of this boot of this host.

    What the log says of its machine is completed by this host where it is the same one, and by `given` (fields of
    Machine, None where nothing was given). Raises BadInput.
    """
    host = of_host(describe(), Path("/proc/cpuinfo").read_text())
    if content is None:
        text, name = own_log()
        log, machine, source = read(text, name), host, "own host"
    else:
        log = read(content.decode(errors="replace"), name)
        same = bool(log.machine.cpu) and (log.machine.cpu, log.machine.family_model) == (host.cpu, host.family_model)
        machine, source = (host if same else log.machine), "own host" if same else "log of a host"
    hypervisor = log.machine.hypervisor or machine.hypervisor
    known = {field: value for field, value in given.items() if value is not None}
    source += f", read by costmodel measure bootlog {__version__}"
    return rows(log, replace(machine, hypervisor=hypervisor, generation=_generation(machine), **known), source, name)


def _generation(machine: Machine) -> str:
    """Core generation by data/core_generations.csv; empty where the CPU is not told, or not in there."""
    told = re.fullmatch(r"([0-9A-F]{2,3})h/([0-9A-F]{2})h", machine.family_model)
    if not told:
        return ""
    vendor = "intel" if machine.cpu.lower().startswith("intel") else machine.cpu.partition(" ")[0].lower()
    return microarchitecture(load(), vendor, int(told[1], 16), int(told[2], 16))


def own_log() -> tuple[str, str]:
    """The kernel's log of this boot and what printed it: the first program whose output holds a boot or a resume.

    Raises BadInput.
    """
    wrong = []
    for words in LOGS:
        try:
            done = subprocess.run(words, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        except OSError as error:
            wrong.append(f"{words[0]}: {error.strerror}")
            continue
        text = done.stdout.decode(errors="replace")
        if TOTAL.search(text) or re.search(r"CPU\d+ is up\s", text):
            return text, " ".join(words)
        wrong.append(f"{words[0]}: {done.stderr.decode(errors='replace').strip() or 'holds neither boot nor resume'}")
    raise BadInput(
        f"the log of this boot cannot be read ({'; '.join(wrong)})",
        field="FILE",
        remedy="try `sudo dmesg | costmodel measure bootlog -`, or give the file of an earlier log",
    )


def as_json(found: Sequence[Rendezvous]) -> dict[str, Any]:
    """The rows with their bounds; times in seconds."""
    derived = ("flushes", "longest_s", "flush_at_most_s", "capacity_lines", "line_at_most_s")
    return {"rendezvous": [asdict(row) | {name: getattr(row, name) for name in derived} for row in found]}


def as_csv(found: Sequence[Rendezvous]) -> str:
    """The rows as a file that costmodel.evidence.records reads."""
    columns = list(columns_of(Rendezvous))
    return csv_text(columns, [[_cell(getattr(row, name)) for name in columns] for row in found])


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else f"{value:.9g}" if isinstance(value, float) else value
