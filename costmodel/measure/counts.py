"""Counts and histograms of the tools that give no single events: bpftrace, perf stat, perf kvm stat, kvm_stat,
funccount, funclatency; and a count as a rate with its interval.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, cast

if TYPE_CHECKING:
    from costmodel.measure.trace_formats import Reading

BIGGEST = 2**64
LINE_MAX = 2048
"""No tool prints a longer line, but for one of `bpftrace -f json`."""
JSON_MAX = 2**22
KEY_LINES = 256
SCALE = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
UNITS = {
    **dict.fromkeys(("ns", "nsec", "nsecs", "nanoseconds"), ("s", 1e-9)),
    **dict.fromkeys(("us", "usec", "usecs", "microseconds"), ("s", 1e-6)),
    **dict.fromkeys(("ms", "msec", "msecs", "milliseconds"), ("s", 1e-3)),
    **dict.fromkeys(("sec", "secs", "seconds"), ("s", 1.0)),
    **dict.fromkeys(("b", "bytes"), ("B", 1.0)),
    **dict.fromkeys(("kib", "kb"), ("B", 2.0**10)),
    **dict.fromkeys(("mib", "mb"), ("B", 2.0**20)),
    **dict.fromkeys(("pages", "page"), ("B", 4096.0)),
}
"""Unit that the last word of a map's name says, in SI; powers of two as bpftrace's own suffixes."""
NO_COUNT = {"avg", "average", "mean", "min", "max", "sum"}
"""Words in a map's name that say that its number is no count."""
TITLE = re.compile(r"@(?P<name>\w*)(?:\[(?P<key>.*)\])?:\s*(?P<value>-?\d{1,19})?\s*$", re.ASCII)
STATS = re.compile(
    r"@(?P<name>\w*)(?:\[(?P<key>.*)\])?: count (?P<count>\d{1,19}), average (?P<average>-?\d{1,19}), total (?P<total>-?\d{1,20})\s*$",
    re.ASCII,
)
KEY_BEGINS = re.compile(r"@(?P<name>\w*)\[(?P<key>[^\]]*)$", re.ASCII)
KEY_ENDS = re.compile(r"(?P<rest>[^\]]*)\]:\s*(?P<value>-?\d{1,19})?\s*$", re.ASCII)
BUCKET = re.compile(
    r"[\[(](?P<low>-?\d{1,19})(?P<low_scale>[KMGT]?)(?:, (?P<high>-?\d{1,19})(?P<high_scale>[KMGT]?)[\])]|\])"
    r"\s+(?P<count>\d{1,19})\s+\|",
    re.ASCII,
)
TAIL = re.compile(
    r"[\[(]?(?:\.\.\., (?P<below>-?\d{1,19}[KMGT]?)\)|(?P<above>-?\d{1,19}[KMGT]?), \.\.\.\))\s+(?P<count>\d{1,19})\s+\|",
    re.ASCII,
)
FUNCTION = re.compile(
    r"\s*(?:[0-9a-f]{8,16}\s+)?(?P<name>[A-Za-z_]\w*)[\w.]*\+(?:0x)?[0-9a-f]+(?:/0x[0-9a-f]+)?(?:\s|$)", re.ASCII
)
HIST_LINE = re.compile(r"(?:\{ )?(?P<key>.*?)\s*\} hitcount:\s+(?P<count>\d{1,19})\b", re.ASCII)
HIST_END = re.compile(r"Totals:\s*$|\s+(?:Hits|Entries|Dropped|Duplicates): \d+\s*$")
NUMBER = r"\d{1,3}(?:[.,' \u00a0\u202f]\d{3}){1,6}|\d{1,19}"
STAT_LINE = re.compile(
    rf"\s*(?:(?P<time>\d{{1,10}}[.,]\d{{6,9}})\s+)?(?:(?P<where>CPU\d+|S\d+\S*|N\d+|\S(?:.{{0,30}}\S)?-\d+)\s+(?:\d+\s+(?=[\d<]))?)?"
    rf"(?P<count>{NUMBER}|<not counted>|<not supported>)\s+(?P<event>[a-z][\w-]*(?::[\w./=,-]+)+|k(?:ret)?probe\S+)"
    r"(?P<rest>\s.*)?$",
    re.ASCII,
)
STAT_ELAPSED = re.compile(r"\s*(?P<seconds>\d{1,9}[.,]\d+)\s+(?:\+-\s+\S+\s+)?seconds time elapsed", re.ASCII)
STAT_HEAD = re.compile(
    r"\s*Performance counter stats for .*?(?:\((?P<runs>\d+) runs\))?:?\s*$|\s*[\d.,]+ (?:\+- \S+ )?seconds (?:user|sys)\s*$"
)
STAT_CSV = re.compile(
    r"(?:\s*(?P<time>\d{1,10}\.\d{1,9}),)?(?:(?P<where>(?:CPU|S|N)\d[^,;]*),(?:\d+,)?)?(?P<count>\d{1,19}|<not counted>|<not supported>),,"
    r"(?P<event>[a-z][\w-]*(?::[\w./=-]+)+),(?P<rest>.*)$",
    re.ASCII,
)
KVM_BATCH = re.compile(r"(?P<event>[a-z][\w()-]{2,60})\s+(?P<total>\d{1,19})\s+(?P<delta>\d{1,19})\s*$", re.ASCII)
KVM_SCREEN = re.compile(
    r"\s*(?P<event>[a-z][\w()-]{2,60})\s+(?P<total>\d{1,19})\s+(?P<share>\d{1,3}\.\d|inf|nan)\s*(?P<rate>\d{1,19})?\s*$",
    re.ASCII,
)
KVM_BANNER = re.compile(r"[a-z][\w()-]*(?:[,\s]+[a-z][\w()-]*)*\s*$", re.ASCII)
KVM_LOG = re.compile(r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?P<counts>(?:[,\s]+\d{1,19})+)\s*$", re.ASCII)
KVM_HEAD = re.compile(
    r"\s*(?:Event|Guest Name)\s+Total\s+%Total\s+CurAvg/s\s*$|\s*kvm statistics - |\s*Total\s+\d+\s+\d*\s*$"
)
FUNC_NAME = re.compile(r"Tracing (?:\d+ functions? for \"(?:b')?)?(?P<name>[^\"'\s]{1,200}?)(?:'?\"|\.\s+Hit Ctrl)")
FUNC_ONE = re.compile(r"\s*Function = (?:b')?(?P<name>[\w.:*]{1,200})'?")
FUNC_UNIT = re.compile(r"\s*(?P<unit>[num]?secs?)\s+:\s+count\s+distribution\s*$")
FUNC_BUCKET = re.compile(r"\s*(?P<low>\d{1,19}) -> (?P<high>\d{1,19})\s+:\s+(?P<count>\d{1,19})\s+\|", re.ASCII)
FUNC_TOTAL = re.compile(
    r"\s*avg = (?P<average>\d{1,19}) (?P<unit>\w+), total: (?P<total>\d{1,20}) \w+, count: (?P<count>\d{1,19})\s*$",
    re.ASCII,
)
FUNC_HEAD = re.compile(r"\s*FUNC\s+COUNT\s*$")
FUNC_COUNT = re.compile(r"(?:b')?(?P<name>[A-Za-z_][\w.:]{0,200})'?\s+(?P<count>\d{1,19})\s*$", re.ASCII)
CLOCK = re.compile(r"(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)\s*$", re.ASCII)
EXITS_HEAD = re.compile(r"\s*(?:VM-EXIT|IO Port Access|MMIO Access|Event name)\s+Samples\s")
EXIT = re.compile(r"\s*(?P<name>[A-Za-z_]\S*)\s+(?P<count>\d{1,19})\s+\d+\.\d+%\s", re.ASCII)
EXITS_TAIL = re.compile(r"\s*(?:Analyze events for|Total Samples:|\d\d:\d\d:\d\d\.\d+\s*$)")
EXIT_OF_WBINVD, TRIGGER_OF_WBINVD = "VM exit WBINVD", "guest_executes_wbinvd"
UNCATALOGUED = "uncatalogued"
"""Stands for the trigger where a call chain tells an event that no trigger is catalogued for."""
INTERVAL = 0.9
EVENT_NAME = "kvm_unmap_hva"


def row(
    kind: str,
    name: str,
    key: object = "",
    *,
    time_s: object = "",
    low: object = "",
    high: object = "",
    unit: str = "",
    count: int = 1,
    seconds: object = "",
) -> dict[str, Any]:
    """A row of `measure import`. `seconds` is the time in which a count was counted, where the tool says it; the key of
    a call chain is its functions, innermost first, joined by `;`; `trigger` is for whoever knows what chains mean.
    """
    return {
        "kind": kind, "name": name, "key": key or "", "trigger": "", "time_s": time_s, "low": low, "high": high,
        "unit": unit, "count": count, "seconds": seconds,
    }  # fmt: skip


def unit_of(name: str) -> tuple[str, float] | None:
    """SI unit and factor that the name of a map says, None where it says none.

    >>> unit_of("wb_us"), unit_of("nsecs"), unit_of("lat")
    (('s', 1e-06), ('s', 1e-09), None)
    """
    return UNITS.get(name.rpartition("_")[2].lower())


def printed(line: str) -> list[str]:
    """The lines that a line of `bpftrace -f json` says were printed; any other line as it is."""
    if not line.startswith('{"type": "printf"'):
        return [line]
    try:
        text = json.loads(line)["data"]
        return text.splitlines() if isinstance(text, str) else [line]
    except (ValueError, KeyError, TypeError, RecursionError):
        return [line]


@dataclass
class Format:
    """A way in which lines are written. `take` reads a line of at most `most` characters into the reading, and says
    whether it is one.
    """

    _reading: Reading
    most: ClassVar[int] = LINE_MAX

    def take(self, line: str) -> bool:
        raise NotImplementedError

    def finish(self) -> None:
        """What the lines as a whole say."""


@dataclass
class HistTrigger(Format):
    """The hist trigger of tracefs: keys and their hitcounts."""

    _key: list[str] | None = None

    def take(self, line: str) -> bool:
        if self._key is None and line[0] != "{" and not HIST_END.match(line):
            return False
        if found := HIST_LINE.match(line):
            key = folded([*(self._key or ()), *re.split(r",\s+", found["key"])])
            self._key = None
            self._reading.rows.append(row("count", "hitcount", key, count=int(found["count"])))
            return True
        if line[0] == "{" and line.startswith("{ "):
            self._key = [line[1:].strip().removesuffix("stacktrace:")]
        elif self._key is not None and len(self._key) < KEY_LINES:
            self._key.append(line)
        else:
            self._key = None
            return HIST_END.match(line) is not None
        return True


@dataclass
class Maps(Format):
    """Maps and histograms of bpftrace, as text and as `-f json`."""

    most = JSON_MAX
    _title: tuple[str, str] | None = None
    _name: str = ""
    _key: list[str] | None = None

    def take(self, line: str) -> bool:
        if self._key is not None:
            return self._key_goes_on(self._key, line)
        if line[0] == "{":
            return self._json(line)
        if line[0] == "@" and len(line) <= LINE_MAX:
            return self._map(line)
        if line[0] in "[(." and self._title is not None and len(line) <= LINE_MAX:
            return self._bucket(line)
        return False

    def _map(self, line: str) -> bool:
        self._reading.close()
        if found := STATS.match(line):
            self._stats(found["name"], found["key"], found["count"], found["average"])
        elif found := TITLE.match(line):
            self._titled(found["name"], found["key"] or "", found["value"])
        elif found := KEY_BEGINS.match(line):
            self._name, self._key = found["name"], [found["key"]]
        else:
            return False
        return True

    def _key_goes_on(self, key: list[str], line: str) -> bool:
        """A line of a key that is a call chain."""
        if found := KEY_ENDS.match(line[:LINE_MAX]):
            words = [*key, found["rest"]]
            self._key = None
            self._titled(self._name, folded(words), found["value"])
            return True
        key.append(line[:LINE_MAX])
        if len(key) > KEY_LINES:
            self._key = None
            return False
        return True

    def _titled(self, name: str, key: str, value: str | None) -> None:
        self._title = (name, key)
        if value is not None:
            self._number(name, key, int(value))

    def _number(self, name: str, key: object, value: int) -> None:
        """A number of a map: a count, unless the name says that it is something else."""
        if NO_COUNT & set(name.lower().split("_")) or unit_of(name):
            self._other(name, key, value)
        else:
            self._reading.rows.append(row("count", name, key, count=value))

    def _other(self, name: str, key: object, value: int) -> None:
        self._value(name, key, value)
        self._reading.notes.remark(f"@{name} is an average, a sum or an extreme, and no count")

    def _value(self, name: str, key: object, value: int) -> None:
        unit, factor = unit_of(name) or ("1", 1.0)
        self._reading.rows.append(row("value", name, key, low=value * factor, high=value * factor, unit=unit))

    def _stats(self, name: str, key: object, count: str, average: str) -> None:
        self._reading.rows.append(row("count", name, key, count=_whole(count)))
        self._value(f"mean of {name}", key, _whole(average))

    def _bucket(self, line: str) -> bool:
        name, key = self._title or ("", "")
        if found := BUCKET.match(line):
            low = int(found["low"]) * SCALE[found["low_scale"]]
            high = low + 1 if found["high"] is None else int(found["high"]) * SCALE[found["high_scale"]]
            self._histogram(name, key, low, high, int(found["count"]))
        elif found := TAIL.match(line):
            bound = cast(re.Match[str], re.fullmatch(r"(-?\d+)([KMGT]?)", found["below"] or found["above"]))
            value = int(bound[1]) * SCALE[bound[2]]
            self._histogram(
                name, key, None if found["below"] else value, value if found["below"] else None, int(found["count"])
            )
        else:
            return False
        return True

    def _histogram(self, name: str, key: object, low: float | None, high: float | None, count: int) -> None:
        known = unit_of(name)
        if known is None:
            self._reading.notes.remark(
                f"the name of @{name} does not end in a unit (_us, _ns, _kib): its values stay as they are"
            )
        unit, factor = known or ("1", 1.0)
        ends = ["" if end is None else end * factor for end in (low, high)]
        self._reading.rows.append(row("histogram", name, key, low=ends[0], high=ends[1], unit=unit, count=count))

    def _json(self, line: str) -> bool:
        rows = self._reading.rows
        before = len(rows)
        try:
            message = json.loads(line)
            kind, data = message["type"], message.get("data", {})
            if kind in ("hist", "lhist", "map", "stats"):
                self._maps(kind, data)
            elif kind == "lost_events":
                self._reading.lost_lines += max(0, _whole(data["events"]))
            elif kind != "attached_probes":
                return kind in ("printf", "time", "cat", "join", "syscall") and self._aside(kind)
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            del rows[before:]
            return False
        return True

    def _aside(self, kind: str) -> bool:
        if kind == "printf":
            return False
        self._reading.notes.left_out(f"lines of bpftrace's {kind}")
        return True

    def _maps(self, kind: str, data: dict) -> None:
        for name, content in data.items():
            name = name.removeprefix("@")
            stats = kind == "stats" and isinstance(content, dict) and {"count", "average"} <= content.keys()
            entries = content.items() if isinstance(content, dict) and not stats else [("", content)]
            for key, value in entries:
                key = folded(key.split("\n")) if "\n" in key else key
                if kind == "map":
                    self._number(name, key, _whole(value))
                elif kind == "stats" and isinstance(value, dict):
                    self._stats(name, key, value["count"], value["average"])
                elif kind == "stats":
                    self._other(name, key, _whole(value))
                else:
                    for bucket in value:
                        low = _whole(bucket["min"]) if "min" in bucket else None
                        high = _whole(bucket["max"]) + 1 if "max" in bucket else None
                        self._histogram(name, key, low, high, _whole(bucket["count"]))


def folded(words: Iterable[str]) -> str:
    """Parts of a key and functions of a call chain, joined by `;`, without offsets.

    >>> folded(["ksmd, ", "    __mmu_notifier_invalidate_range_start+133", ""])
    'ksmd;__mmu_notifier_invalidate_range_start'
    """
    found = ((FUNCTION.match(word), word.strip(", \t")) for word in words)
    return ";".join(part for part in (function["name"] if function else word for function, word in found) if part)


def _whole(value: Any) -> int:
    """A number of a map. Raises ValueError where it is beyond what a kernel counts in."""
    number = int(value)
    if not -BIGGEST <= number <= BIGGEST:
        raise ValueError(f"{value} is beyond 64 bits")
    return number


@dataclass
class PerfStat(Format):
    """perf stat, with -I, -A, -x, and -j."""

    _last_s: dict[str, float] = field(default_factory=dict)
    _open: list[dict] = field(default_factory=list)
    _runs: int = 1

    def take(self, line: str) -> bool:
        if line[0] == "{" and '"counter-value"' in line:
            return self._json(line)
        if found := STAT_CSV.match(line) or STAT_LINE.match(line):
            return self._count(found)
        if found := STAT_ELAPSED.match(line):
            for one in self._open:
                one["seconds"] = float(found["seconds"].replace(",", ".")) * self._runs
                one["count"] *= self._runs
            self._open, self._runs = [], 1
            return True
        if found := STAT_HEAD.match(line):
            self._open, self._runs = ([], int(found["runs"] or 1)) if "for" in line else (self._open, self._runs)
            return True
        return False

    def _count(self, found: re.Match) -> bool:
        event = found["event"].rstrip(",")
        if found["count"].startswith("<"):
            self._reading.notes.left_out(f"{found['count'].strip('<>')} intervals of {event}")
            return True
        number = int(re.sub(r"\D", "", found["count"]))
        time_s = float(found["time"].replace(",", ".")) if found["time"] else None
        self._add(event, found["where"] or "", number, time_s)
        share = re.search(r"\((\d+\.\d+)%\)\s*$", found["rest"] or "")
        if share and float(share[1]) < 100:
            self._reading.notes.remark(f"{event} was counted {share[1]} % of the time and scaled up by perf")
        return True

    def _add(self, event: str, where: str, number: int, time_s: float | None) -> None:
        key = f"{event} {where}"
        seconds = "" if time_s is None else time_s - self._last_s.get(key, 0.0)
        if time_s is not None:
            self._last_s[key] = time_s
        found = row("count", event, where, time_s="" if time_s is None else time_s, count=number, seconds=seconds)
        if time_s is None:
            self._open.append(found)
        self._reading.rows.append(found)

    def _json(self, line: str) -> bool:
        try:
            found = json.loads(line)
            event, number = str(found["event"]), found["counter-value"]
            if str(number).startswith("<"):
                self._reading.notes.left_out(f"{str(number).strip('<>')} intervals of {event}")
                return True
            where = next((str(found[k]) for k in ("cpu", "core", "socket", "node", "thread") if k in found), "")
            self._add(event, where, _whole(float(number)), float(found["interval"]) if "interval" in found else None)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return False
        return True


@dataclass
class KvmStat(Format):
    """kvm_stat: -1, -l (also --csv), and its screen."""

    _names: list[str] = field(default_factory=list)
    _log: list[tuple[datetime, list[int]]] = field(default_factory=list)

    def take(self, line: str) -> bool:
        if KVM_HEAD.match(line):
            return True
        if found := KVM_LOG.match(line):
            return self._logged(found)
        if found := KVM_BATCH.match(line):
            self._reading.rows.append(row("count", found["event"], count=int(found["delta"]), seconds=1.0))
            return True
        if found := KVM_SCREEN.match(line):
            self._reading.rows.append(row("count", found["event"], count=int(found["total"])))
            return True
        if ("kvm_" in line or line.startswith("timestamp,")) and KVM_BANNER.match(line):
            self.finish()
            self._names = [name for name in re.split(r"[,\s]+", line.strip()) if name != "timestamp"]
            return True
        return False

    def _logged(self, found: re.Match) -> bool:
        numbers = [int(text) for text in re.findall(r"\d+", found["counts"])]
        try:
            now = datetime.fromisoformat(found["time"])
        except ValueError:
            return False
        if len(numbers) != len(self._names):
            return False
        self._log.append((now, numbers))
        return True

    def finish(self) -> None:
        """The lines of a log as counts; its interval is what its times say."""
        log, self._log = self._log, []
        step_s = (log[-1][0] - log[0][0]).total_seconds() / (len(log) - 1) if len(log) > 1 else 0.0
        for _, numbers in log:
            for name, number in zip(self._names, numbers, strict=True):
                self._reading.rows.append(row("count", name, count=number, seconds=step_s if step_s > 0 else ""))


@dataclass
class Functions(Format):
    """funclatency and funccount of bcc."""

    _name: str = ""
    _counting: bool = False
    _factor: float | None = None
    _clock_s: float | None = None
    _since_clock: float | None = None

    def take(self, line: str) -> bool:
        if found := FUNC_NAME.match(line):
            self._name, self._factor = found["name"], None
        elif found := FUNC_ONE.match(line):
            self._name = found["name"]
        elif found := FUNC_UNIT.match(line):
            self._factor = UNITS[found["unit"]][1]
        elif self._factor is not None and (found := FUNC_BUCKET.match(line)):
            low, high = int(found["low"]) * self._factor, (int(found["high"]) + 1) * self._factor
            self._reading.rows.append(
                row("histogram", self._name, low=low, high=high, unit="s", count=int(found["count"]))
            )
        elif (found := FUNC_TOTAL.match(line)) and found["unit"] in UNITS:
            self._counted(self._name, int(found["count"]))
            mean_s = int(found["average"]) * UNITS[found["unit"]][1]
            self._reading.rows.append(row("value", f"mean of {self._name}", low=mean_s, high=mean_s, unit="s"))
        elif FUNC_HEAD.match(line):
            self._counting = True
        elif self._counting and (found := FUNC_COUNT.match(line)):
            self._counted(found["name"], int(found["count"]))
        elif found := CLOCK.match(line):
            self._tick(found)
        else:
            return False
        return True

    def _counted(self, name: str, number: int) -> None:
        seconds = "" if self._since_clock is None else self._since_clock
        self._reading.rows.append(row("count", name, count=number, seconds=seconds))

    def _tick(self, found: re.Match) -> None:
        """A time of day before the counts of an interval; the first interval has none before it, and is as long as the
        next.
        """
        now = int(found["hour"]) * 3600.0 + int(found["minute"]) * 60 + int(found["second"])
        first = self._since_clock is None
        if self._clock_s is not None:
            self._since_clock = (now - self._clock_s) % 86400
            if first:
                for one in self._reading.rows:
                    if one["kind"] == "count" and one["seconds"] == "":
                        one["seconds"] = self._since_clock
        self._clock_s = now


@dataclass
class Exits(Format):
    """perf kvm stat: counts of VM exits, of which only WBINVD is a trigger."""

    _open: bool = False

    def take(self, line: str) -> bool:
        if EXITS_HEAD.match(line):
            self._open = True
            return True
        if EXITS_TAIL.match(line):
            return True
        if not self._open or (found := EXIT.match(line)) is None:
            return False
        if "wbinvd" in found["name"].lower() or "wbnoinvd" in found["name"].lower():
            self._reading.rows.append(row("count", EXIT_OF_WBINVD, count=int(found["count"])))
        else:
            self._reading.notes.left_out("VM exits other than WBINVD", int(found["count"]))
        return True


FORMATS = (PerfStat, KvmStat, Functions, Exits)
"""Beside Maps and HistTrigger, whose keys go over several lines and so come first."""


@dataclass(frozen=True)
class Rate:
    """`count` events of a name (and a trigger, where it is told) in so many seconds."""

    name: str
    trigger: str
    count: int
    seconds: float

    @property
    def per_s(self) -> float:
        return self.count / self.seconds

    @property
    def interval_per_s(self) -> tuple[float, float]:
        """The rates at which a Poisson count of at most or of at least this many has a probability of 5 % (Garwood)."""
        from scipy.special import gammaincinv

        low = float(gammaincinv(self.count, (1 - INTERVAL) / 2)) if self.count else 0.0
        return low / self.seconds, float(gammaincinv(self.count + 1, (1 + INTERVAL) / 2)) / self.seconds

    @property
    def option(self) -> str | None:
        """How `recommend` and others take the rate; None of what is no event at a hook."""
        trigger = "all" if EVENT_NAME in self.name else self.trigger
        return (
            f"--rate {trigger}={self.count}/{self.seconds:.6g}"
            if trigger not in ("", UNCATALOGUED) and " " not in trigger
            else None
        )

    def as_json(self) -> dict[str, Any]:
        """What `trace rate --json` prints."""
        low, high = self.interval_per_s
        return {
            "name": self.name, "trigger": self.trigger, "count": self.count, "seconds": self.seconds, "per_s": self.per_s,
            "low_per_s": low, "high_per_s": high, "option": self.option,
        }  # fmt: skip


def rates(rows: Iterable[dict[str, Any]], seconds: float | None = None) -> list[Rate]:
    """The counts of `rows` by name and trigger, over the time that they say, else `seconds`. Several CPUs counted at
    once: the time is that of the CPU with most. Names whose time is not known are left out.
    """
    counts: dict[tuple[str, str], int] = {}
    spans: dict[tuple[str, str], dict[object, float]] = {}
    for one in rows:
        if one["kind"] == "count":
            name = str(one["name"]), str(one["trigger"])
            counts[name] = counts.get(name, 0) + int(one["count"])
            span = spans.setdefault(name, {})
            span[one["key"]] = span.get(one["key"], 0.0) + (math.nan if one["seconds"] == "" else float(one["seconds"]))
    found = []
    for name, count in counts.items():
        longest = max(spans[name].values())
        longest = (seconds or 0.0) if math.isnan(sum(spans[name].values())) else longest
        if longest > 0 and count >= 0:
            found.append(Rate(*name, count, longest))
    return found
