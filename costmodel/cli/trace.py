"""costmodel trace"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from costmodel.cli import options
from costmodel.cli.options import progress
from costmodel.errors import BadInput
from costmodel.plain import visible

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)
GIVEN = click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True)
CLOCK_HZ = click.option(
    "--clock-hz",
    type=click.FloatRange(1.0, 1e12),
    help=(
        "Counts per second of the trace clock, where times are whole numbers: 1e9 for ns, what `dmesg | grep tsc:` "
        "says for x86-tsc."
    ),
)


@click.group(
    name="trace",
    epilog="""\b
Examples:
  costmodel trace import perf-script.txt --out host1.parquet
  costmodel trace summary host1.parquet host2.parquet
  costmodel trace replay host1.parquet --machine epyc-7763-2s --guest sev
  costmodel trace fleet traces/ --guest sev --machine epyc-7763-2s
  costmodel trace rate perf-stat.txt
""",
)
def trace_command() -> None:
    """Import, sum up and replay traces of invalidations (kvm:kvm_unmap_hva_range) from your own hosts.

    The tracepoint has neither the notifier's event type nor the VM: what depends on them is called not decidable.
    """


@trace_command.command(
    name="import",
    short_help="Read traces into one Parquet file, sorted by time.",
    epilog="""\b
Examples:
  costmodel trace import trace.txt --out host1.parquet
  costmodel trace import cpu0.txt cpu1.txt --out host1.parquet
  perf script --ns -i perf.data | costmodel trace import - --out host1.parquet
  costmodel trace import data/hosts/epyc-genoa-4cpu-vm/invalidations.csv --out vm.parquet
""",
)
@click.argument("files", nargs=-1, required=True, type=GIVEN)
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="File to write: .parquet.")
@CLOCK_HZ
@options.as_json
def import_trace(files: tuple[Path, ...], out: Path, clock_hz: float | None, as_json: bool) -> None:
    """Read FILES of one host and one clock into one Parquet file, sorted by time.

    Text of tracefs, perf script, perf trace, trace-cmd report and bpftrace's printf, packed or not (`-`: standard input);
    CSV or Parquet with the columns t_ns (or t_s), task, start, end and, where known, pid, cpu, trigger, vm, overlap_bytes,
    duration_ns; invalidations.csv of a host profile. Use `perf script --ns` and `trace-cmd report -t` for times in ns.
    Call chains (perf record -g, trace-cmd record -T, kstack) tell the trigger of each event.
    """
    from costmodel.measure import opened
    from costmodel.report.trace import lost
    from costmodel.traces import reader, store

    if out.suffix != store.SUFFIX:
        remedy = f"name it {out.stem}{store.SUFFIX}: a trace is written as Parquet"
        raise BadInput(f"does not end in {store.SUFFIX}", file=out, field="--out", remedy=remedy)
    if not out.resolve().parent.is_dir():
        raise BadInput("its folder does not exist", file=out, remedy="make it first")
    if files.count(opened.STDIN) > 1:
        raise BadInput("names standard input twice", field="FILES", remedy="name it once")
    if any(out.resolve() == file.resolve() for file in files if file != opened.STDIN):
        raise BadInput("would overwrite what it reads", file=out, remedy="choose another --out")
    notes = reader.Notes()
    source = ", ".join(map(str, files))
    with progress(None, "batches of events read") as step:

        def batches() -> Iterator[Any]:
            for file in files:
                for batch in reader.batches(file, notes, clock_hz):
                    yield batch
                    step()

        footer = store.write(batches(), out, source, lambda: store.Said(notes.lost, notes.remarks))
    for file, line, text in notes.bad:
        click.echo(f"{visible(file)}:{line}: not understood: {text[:100]!r}", err=True)
    if as_json:
        found = {"events": footer.events, "span_s": footer.span_s, "tasks": footer.tasks, "lines": notes.lines}
        found |= {"lost_events": footer.lost_events, "triggers": footer.triggers}
        found |= {"not_understood": notes.bad_lines, "without_event": notes.without_event, "remarks": notes.remarks}
        options.print_json(found)
        return
    click.echo(f"{footer.events:,} events of {len(footer.tasks)} tasks, {footer.span_s:.6g} s, in {visible(str(out))}")
    if footer.lost_events:
        click.echo(lost(footer.lost_events), err=True)
    told = sum(count for (_, trigger), count in footer.groups.items() if trigger)
    if told:
        click.echo(f"call chains tell the trigger of {told:,} events", err=True)
    for text in (*notes.remarks, *(f"left out: {n} {kind}" for kind, n in notes.without_event.items())):
        click.echo(visible(text), err=True)
    if notes.bad_lines:
        click.echo(f"{notes.bad_lines} lines not understood", err=True)


@trace_command.command(
    short_help="Counts of perf stat, kvm_stat, bpftrace, bcc as rates.",
    epilog="""\b
Examples:
  costmodel trace rate perf-stat.txt
  costmodel trace rate bpftrace.txt --seconds 60
  perf stat -a -I 1000 -e kvm:kvm_unmap_hva_range -- sleep 300 2>&1 | costmodel trace rate -
""",
)
@click.argument("files", nargs=-1, required=True, type=GIVEN)
@click.option(
    "--seconds", type=click.FloatRange(1e-9, 1e12), help="How long was counted, where the tool does not say it."
)
@options.as_json
def rate(files: tuple[Path, ...], seconds: float | None, as_json: bool) -> None:
    """Rates of what the tools of FILES counted, with the 90 % interval that a Poisson count of so many allows (Garwood).

    Read are perf stat (also -I, -A, -x, and -j), kvm_stat (-1, -l, its screen), maps of bpftrace (those of call chains by
    trigger), funccount and funclatency of bcc, and perf kvm stat (a guest's WBINVD). Several FILES add up.
    """
    from costmodel.measure import counts, trace_formats
    from costmodel.report import measurement
    from costmodel.traces.triggers import trigger_of_chain

    rows: list[dict] = []
    notes: list[str] = []
    for file in files:
        found = trace_formats.read(file, trigger_of_chain)
        rows += found.rows
        notes += [*found.notes.remarks, *(f"left out: {n} {kind}" for kind, n in found.notes.without_event.items())]
        notes += [f"not understood: {text[:100]!r}" for _, _, text in found.notes.bad]
    shown = ", ".join(map(str, files))
    if not any(one["kind"] == "count" for one in rows):
        remedy = (
            "count with perf stat -e kvm:kvm_unmap_hva_range; `costmodel trace import` reads single events, "
            "`costmodel measure import` histograms and durations"
        )
        raise BadInput("holds no count", file=shown, remedy=remedy)
    rates = counts.rates(rows, seconds)
    if not rates:
        raise BadInput("does not say how long was counted", file=shown, field="--seconds", remedy="give it")
    for text in dict.fromkeys(notes):
        click.echo(visible(text), err=True)
    if as_json:
        options.print_json([one.as_json() for one in rates])
        return
    for one in rates:
        click.echo(visible(measurement.counted(one)))


@trace_command.command(
    short_help="Rates, range lengths, gaps, bursts, triggers by task name.",
    epilog="""\b
Examples:
  costmodel trace summary host1.parquet
  costmodel trace summary host1.parquet --json > host1.json
  costmodel trace summary host1.json host2.json host3.parquet
""",
)
@click.argument("files", nargs=-1, required=True, type=EXISTING)
@options.scheduler
@options.as_json
def summary(files: tuple[Path, ...], scheduler: str | None, as_json: bool) -> None:
    """Rates, range lengths, gaps, bursts and triggers by task name, of all FILES together.

    FILES are traces (of `trace import`) or summaries (of `trace summary --json`), of one host or of many.
    """
    from costmodel import cluster
    from costmodel.report import trace
    from costmodel.traces import summary as summaries

    paths = [file.resolve() for file in files] if scheduler else files
    found = summaries.merge(cluster.map_in_order(summaries.read, paths, scheduler))
    if as_json:
        options.print_json(found.as_json())
    else:
        click.echo(trace.summary(found), nl=False)


@trace_command.command(
    short_help="Cost and latency of each strategy on the recorded events.",
    epilog="""\b
Examples:
  costmodel trace replay host1.parquet --machine epyc-7763-2s --guest sev
  costmodel trace replay host1.parquet --machine epyc-9654-2s --guest sev --memslots slots.csv --cpus-that-ran 8
  costmodel trace replay host1.parquet --machine epyc-7763-2s --guest sev --arrivals open --json
  costmodel trace replay host*.parquet --machine epyc-7763-2s --guest sev --scheduler tcp://127.0.0.1:8786
""",
)
@click.argument("files", nargs=-1, required=True, type=EXISTING)
@options.guest
@options.machine
@options.workload
@options.kernel
@click.option(
    "--arrivals",
    type=click.Choice(["closed", "open"]),
    default="closed",
    show_default=True,
    help="closed: each thread waits for its flush (open is shown too where it differs); open: recorded times only.",
)
@click.option("--memslots", type=EXISTING, help="CSV with the columns start,end: only events that meet a slot count.")
@click.option("--vcpus", type=click.IntRange(1), help="vCPUs of the guest.")
@click.option("--resident-bytes", type=options.BYTES, help="Resident memory of the guest, in bytes or as 16G.")
@click.option("--cpus-that-ran", type=click.IntRange(1), help="CPUs that ran the guest [default: all, unpinned].")
@options.scheduler
@options.as_json
def replay(
    files: tuple[Path, ...],
    guest: str,
    machine: str,
    workload: str,
    kernel: str,
    arrivals: str,
    memslots: Path | None,
    scheduler: str | None,
    as_json: bool,
    **numbers: Any,
) -> None:
    """Cost, latency and saturation of each strategy on the recorded sequence of events in each of FILES.

    The workload gives the size of the guest; rates and ranges are those of the trace. --json of several FILES is a list.
    """
    from costmodel import cluster
    from costmodel.evidence.store import load
    from costmodel.report import trace
    from costmodel.report.replayed import replayed
    from costmodel.traces import store

    for file in files:
        store.footer_of(file)  # one that is no trace is refused before the first is replayed
    if scheduler is not None:
        files = tuple(file.resolve() for file in files)
        memslots = memslots.resolve() if memslots else None
    host = load().machine(machine)
    told = host if host.given else None
    answer = partial(
        replayed, guest=guest, machine=machine, workload=workload, kernel=kernel, arrivals=arrivals, memslots=memslots,
        told=told, **numbers,
    )  # fmt: skip
    found = []
    with progress(len(files), "traces") as step:
        for one in cluster.map_in_order(answer, files, scheduler):
            found.append(one)
            step()
    if as_json:
        values = [one.model_dump(mode="json") for one in found]
        options.print_json(values if len(files) > 1 else values[0])
        return
    for number, one in enumerate(found):
        click.echo(("\n" if number else "") + trace.replay(one), nl=False)


@trace_command.command(
    short_help="Rates, worst hosts and savings over the traces of many hosts.",
    epilog="""\b
Examples:
  costmodel trace fleet traces/ --guest sev --machine epyc-7763-2s
  costmodel trace fleet 'traces/rack7-*.parquet' --guest sev --machines racks.csv --html fleet.html
  costmodel trace fleet traces.zip --json
  costmodel trace fleet /srv/traces --guest sev --scheduler tcp://127.0.0.1:8786
""",
)
@click.argument("places", metavar="PLACE", nargs=-1, required=True)
@click.option("--guest", type=options.GUEST, help="Guest type of all hosts; without it nothing is costed.")
@click.option(
    "--machine",
    type=options.MACHINE,
    callback=options.machine_named,
    help="Machine of all hosts (`costmodel list machines`).",
)
@click.option(
    "--machines",
    type=EXISTING,
    help="CSV with the columns host,machine [default: machines.csv at PLACE, where there is one].",
)
@options.workload
@options.kernel
@click.option("--vcpus", type=click.IntRange(1), help="vCPUs of the guests.")
@click.option("--resident-bytes", type=options.BYTES, help="Resident memory of a guest, in bytes or as 16G.")
@click.option("--cpus-that-ran", type=click.IntRange(1), help="CPUs that ran a guest [default: all, unpinned].")
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write the page to this file, too."
)
@options.scheduler
@options.as_json
def fleet(
    places: tuple[str, ...],
    guest: str | None,
    machine: str | None,
    machines: Path | None,
    workload: str,
    kernel: str,
    page: Path | None,
    scheduler: str | None,
    as_json: bool,
    **numbers: Any,
) -> None:
    """Rates of each trigger over a fleet, the hosts that are hit most, and what each strategy would save on all of them.

    PLACE is a folder, a quoted pattern, a zip archive or an address that fsspec reads (http, s3 and others with their own
    libraries). Each .parquet of `trace import` or .json of `trace summary --json` is a host of the file's name. A file
    that cannot be used is named in the answer, as is a host whose machine is not named, or is none that is known.
    """
    from costmodel.cluster import check_address
    from costmodel.hashing import write_beside
    from costmodel.report import fleet as shown
    from costmodel.traces import fleet as fleets

    place, *more = places
    if more:
        remedy = "quote a pattern, so that the shell leaves it alone: 'traces/*.parquet'"
        raise BadInput(f"is one of {len(places)} places, and one is asked about", file=place, remedy=remedy)
    if machine and machines:
        raise BadInput("goes without --machine", field="--machines", remedy="name the machine of each host in the file")
    if page is not None and not page.resolve().parent.is_dir():
        raise BadInput("its directory does not exist", file=page, field="--html", remedy="create it first")
    if scheduler is not None:
        check_address(scheduler)
    with ExitStack() as bars:
        step: list[Callable[[], None]] = []
        found = fleets.fleet(
            place, guest=guest, machine=machine, machines=machines, workload=workload, kernel=kernel, scheduler=scheduler,
            started=lambda hosts: step.append(bars.enter_context(progress(hosts, "hosts"))),
            tick=lambda: step[0](), **numbers,
        )  # fmt: skip
    if page is not None:
        write_beside(page, shown.html(found))
    click.echo(shown.as_json(found) if as_json else shown.text(found), nl=False)
