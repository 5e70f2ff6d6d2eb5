"""The traces of a fleet as plain text, 7-bit and fit to be pasted into a mail, as a page and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from costmodel.numbers import quantity, shortened, significant
from costmodel.report import page
from costmodel.report.layout import aligned, ascii_text, cell, command_lines, listed, widths_of, wrap
from costmodel.report.page import fragment
from costmodel.report.trace import count, lost, plural
from costmodel.traces.fleet import Fleet, HostRow, StrategySum, TriggerRate

MOST_NAMED = 20
MOST_IN_TEXT = 10
UNSURE = "one of {0} triggers: the task's name does not tell which"


def trigger_title(row: TriggerRate) -> str:
    """What the events of a row are."""
    if not row.catalogued:
        return "an event that no trigger is catalogued for"
    return " or ".join(row.triggers) if len(row.triggers) <= 3 else UNSURE.format(len(row.triggers))


def states(row: StrategySum) -> str:
    """Admissibility of a strategy over the hosts: one word where it is the same on all."""
    if not row.states:
        return "refused"
    return next(iter(row.states)) if len(row.states) == 1 else ", ".join(f"{n} {s}" for s, n in row.states.items())


def named(names: Sequence[str]) -> str:
    """The first of many names."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f", and {more} more (--json names all)" if more > 0 else "")


def without_cost(found: Fleet) -> list[str]:
    """Hosts that are not costed and why, each reason once."""
    lines = []
    if found.guest and found.without_machine:
        noun = plural(len(found.without_machine), "host")
        lines.append(f"{noun} whose machine is not named: {named(found.without_machine)}")
    return lines + by_reason(found.not_costed)


def by_reason(reasons: Mapping[str, str]) -> list[str]:
    """Hosts with the same reason together."""
    groups: dict[str, list[str]] = {}
    for host, why in reasons.items():
        groups.setdefault(why, []).append(host)
    return [f"{named(hosts)}: {why}" for why, hosts in groups.items()]


def text(found: Fleet) -> str:
    """The whole block, ending with the command that prints it again."""
    blocks = [
        _head(found),
        _triggers(found.triggers),
        _strategies(found),
        _hosts("HOSTS WITH THE HIGHEST RATES", found.busiest),
        _hosts("HOSTS WHERE FLUSHES TAKE MOST CPU TIME", found.costliest),
        listed("NOT COSTED", without_cost(found)),
        listed("FILES THAT CANNOT BE USED", by_reason(found.broken)),
        listed("HOW", notes(found)),
        ["Again with:", *command_lines(found.command), f"costmodel {found.costmodel_version}, data {found.data_hash}"],
    ]
    return "\n".join("\n".join(block) + "\n" for block in blocks if block)


def _head(found: Fleet) -> list[str]:
    lines = wrap(f"{plural(found.hosts, 'host')} at {found.place}", "", "  ")
    lines += wrap(
        f"{plural(found.events, 'event')} in {quantity(found.host_seconds, 's', 3)} of host time; "
        f"{cell(found.rate_per_s)} per host, mean over the hosts",
        "  ",
    )
    if told := lost(found.lost_events):
        lines += wrap(f"Lost: {told}", "  ", "    ")
    if found.guest and found.machines:
        hosts = ", ".join(f"{n} x {name}" for name, n in found.machines.items())
        lines += wrap(f"{found.guest_title}, kernel {found.kernel}; {hosts}", "  ", "    ")
        lines += wrap("Costs are MODEL, median [90 % interval]; * marks EXTRAPOLATED (a prior by rule went in).", "  ")
    return lines


def _triggers(rows: Iterable[TriggerRate]) -> list[str]:
    lines = ["RATES per host, by what the events can be"]
    for row in rows:
        lines += wrap(trigger_title(row), "  ", "    ")
        spread = f"median host {significant(row.median_host_per_s)}, 95 % of hosts {significant(row.p95_host_per_s)}"
        told = f"{cell(row.rate_per_s)} on average; {spread}; {plural(row.events, 'event')}"
        lines += wrap(f"{told} on {plural(row.hosts, 'host')}, most on {row.highest_host}", "    ", "    ")
    return lines


def _strategies(found: Fleet) -> list[str]:
    if not found.strategies:
        return []
    lines = ["CPUs that flushes keep busy over the fleet, and what each strategy would save"]
    for row in found.strategies:
        title = row.strategy + (" (this kernel)" if row.running else "")
        lines += wrap(f"{title}: {states(row)}, on {plural(row.hosts, 'host')}", "  ", "    ")
        if row.busy_cpus is not None:
            lines += wrap(f"{cell(row.busy_cpus, marked=True)}{saving(row)}", "    ", "      ")
        for gap, hosts in row.refused.items():
            lines += wrap(f"no number on {plural(hosts, 'host')}: {gap}", "    ", "      ")
    return lines


def saving(row: StrategySum) -> str:
    """What a strategy takes beside the running kernel."""
    if row.verdict is None:
        return "; not compared: what the kernel does is not one strategy with a cost on all of these hosts"
    if row.verdict == "equal" or row.saved_cpus is None:
        return ""
    if row.verdict == "undecided":
        return "; more or less than now: not decided"
    if row.verdict == "lower":
        return f"; saves {cell(row.saved_cpus, marked=True)}"
    return f"; takes {cell(row.ratio)} times what it takes now" if row.ratio else "; takes more than now"


def _hosts(title: str, rows: Sequence[HostRow]) -> list[str]:
    if not rows:
        return []
    cells = [("host", "events/s", "fullest s", "busy CPUs", "machine")]
    for row in rows[:MOST_IN_TEXT]:
        busy = cell(row.busy_cpus, marked=True)
        name = ascii_text(row.host)[-24:]
        cells.append((name, significant(row.rate_per_s.median), count(row.fullest_second), busy, row.machine or "-"))
    widths = widths_of(cells)
    return [title, *(line for row in cells for line in aligned(row, widths, indent="  "))]


def notes(found: Fleet) -> list[str]:
    """How the fleet was counted and costed."""
    texts = [
        "a host counts with its own rate, whatever the length of its recording; the interval of a mean is the wider of "
        "that of a Poisson count and that of the mean of unlike hosts (Student t on the logarithm); that of one host is "
        "Poisson's, which bursts make too narrow",
        "range lengths are counted in bins 0.8 to 1.6 % wide; a cost is taken at the mean length of a bin; where call "
        "chains told several triggers for one task name, all have the lengths of that name",
    ]
    if found.brief:
        texts.append(
            f"recorded for less than a second: {named(found.brief)}; what such a moment shows counts as if it went on"
        )
    if found.without_file:
        texts.append(f"in the table of machines and without a file: {named(found.without_file)}")
    if found.guest is None:
        texts.append("no guest type was named (--guest), so nothing is costed")
    if found.strategies:
        texts.append(
            "CPUs kept busy are the rate times the CPU time of an event, on each host at most its own; near that, events wait "
            "for each other: `costmodel trace replay` follows them"
        )
    return texts


def html(found: Fleet) -> str:
    """The whole page; every text from a file is escaped."""
    words = {
        "count": count, "plural": plural, "lost": lost, "states": states, "title_of": trigger_title, "saving": saving,
        "not_costed": without_cost(found), "broken": by_reason(found.broken),
        "notes": notes(found),
    }  # fmt: skip
    return page.page(f"Invalidations at {found.place}", fragment("fleet", f=found, **words), "index.html")


def as_json(found: Fleet) -> str:
    """The answer as JSON, keys sorted, 6 significant digits."""
    return (
        json.dumps(
            shortened(found.model_dump(mode="json") | {"notes": notes(found)}),
            indent=2,
            sort_keys=True,
            allow_nan=False,
        )
        + "\n"
    )
