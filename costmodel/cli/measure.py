"""costmodel measure"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from costmodel.cli import options
from costmodel.cli.options import progress
from costmodel.errors import BadInput
from costmodel.plain import shell_word, visible

if TYPE_CHECKING:
    from costmodel.measure.journal import Changes, Signals
    from costmodel.measure.probe import Settings
    from costmodel.measure.session import Outcome

NAMES = ("flush", "flush_cells", "refill", "neighbour", "bandwidth", "broadcast", "invalidations", "sev")
TOGETHER = {"all": NAMES, "flush": ("flush", "flush_cells")}
"""Probes of a command that runs several; the others run the one of their name."""
HELP = {
    "flush": "Time per line of CLFLUSH, CLFLUSHOPT and CLWB over line state, range and page size, and its cells.",
    "refill": "Time to read a working set again after it was flushed.",
    "neighbour": "Slow-down of a thread while another CPU flushes ranges.",
    "bandwidth": "Write-back and copy bandwidth over the number of threads.",
    "broadcast": "Cost of interrupting k CPUs (proxy: membarrier).",
    "invalidations": "mmu-notifier events of the live kernel by trigger (needs root, /dev/kvm, tracefs).",
    "sev": "The kernel's whole-cache flush on an SEV host (not yet run on SEV hardware).",
    "all": "Every probe that this machine can run.",
}


@click.group(
    name="measure",
    invoke_without_command=True,
    epilog="""\b
Examples:
  costmodel measure all --quick --out /tmp/hosts
  costmodel measure flush --name my-host
  costmodel measure import trace.txt
  costmodel measure bootlog
  costmodel measure wbinvd
  costmodel measure restore
  costmodel measure --share data/hosts/my-host
""",
)
@click.option(
    "--share",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="PROFILE",
    help="Show a profile in full and pack it to be sent as a pull request to data/hosts/.",
)
@click.pass_context
def measure_command(context: click.Context, share: Path | None) -> None:
    """Measure this machine: a profile under data/hosts/ that calibrates the model.

    No compiler is needed. In a virtual machine what cannot be identified is labelled so.
    """
    if share is not None:
        _share(share)
    elif context.invoked_subcommand is None:
        click.echo(context.get_help())


def _probe_command(name: str) -> click.Command:
    @click.option("--name", "profile", help="Name of the profile [default: from CPU model and count].")
    @click.option(
        "--out",
        type=click.Path(file_okay=False, path_type=Path),
        help="Directory that the profile goes into [default: data/hosts of the checkout, else the current one].",
    )
    @click.option("--quick", is_flag=True, help="A short run: fewer cells, fewer repetitions, wider intervals.")
    @click.option("--seed", type=int, default=1, show_default=True, help="Seed of the random order of the cells.")
    def run_probe(
        profile: str | None, out: Path | None, quick: bool, seed: int, on_a_host_with_guests: bool = False
    ) -> None:
        _measure(name, profile, out, quick, seed, on_a_host_with_guests)

    if name in ("invalidations", "sev", "all"):
        run_probe = click.option(
            "--on-a-host-with-guests",
            is_flag=True,
            help="Disturb the virtual machines that run here; what will be done is printed first.",
        )(run_probe)
    return click.command(name=name, help=HELP[name])(run_probe)


for _name in HELP:
    measure_command.add_command(_probe_command(_name))


def _measure(asked: str, profile: str | None, out: Path | None, quick: bool, seed: int, among_guests: bool) -> None:
    from costmodel.measure.journal import Signals
    from costmodel.measure.probe import Settings
    from costmodel.measure.session import checked_name, default_name, prepared, require, this_host, write

    require()
    settings = Settings(quick=quick, seed=seed)
    words = ["costmodel measure", asked, *(["--quick"] if quick else []), *([f"--seed {seed}"] if seed != 1 else [])]
    unrestored: list[str] = []
    with Signals() as signals, _said_when_interrupted(signals, unrestored):
        name = checked_name(profile or default_name(this_host()))
        folder = (out or _hosts_dir()) / name
        with prepared(folder):
            with _leave_to_change(asked, signals, unrestored) as changes:
                outcome = _run(asked, settings, " ".join(words), changes, among_guests)
            write(outcome, folder)
    for text in outcome.findings():
        click.echo(text)
    _refresh_package(folder)
    rows = sum(len(table.rows) for table in outcome.tables.values())
    click.echo(f"{rows} repetitions of {len(outcome.tables)} probes in {folder}")
    if out is not None:
        click.echo(f"use it with COSTMODEL_HOSTS={shell_word(str(out))} costmodel calibrate --host {shell_word(name)}")
    if unrestored:
        sys.exit(1)


@contextlib.contextmanager
def _said_when_interrupted(signals: Signals, unrestored: list[str]) -> Iterator[None]:
    """An interrupt of the block is one line, if there is still a terminal to print it on."""
    try:
        yield
    except (KeyboardInterrupt, OSError) as error:
        if isinstance(error, OSError) and not signals.ended_by:  # else it is the terminal that went with SIGHUP
            raise
        done = "not everything is restored" if unrestored else "tunables are restored"
        with contextlib.suppress(OSError):
            click.echo(f"\ninterrupted: {done}, nothing was written", err=True)
        sys.exit(128 + signals.ended_by if signals.ended_by else 130)


@contextlib.contextmanager
def _leave_to_change(asked: str, signals: Signals, unrestored: list[str]) -> Iterator[Changes | None]:
    """Leave to change tunables, where the user may and a probe wants to; what could not be put back is printed."""
    from costmodel.measure.journal import State, changing, may_change

    if asked not in ("invalidations", "wbinvd", "all") or not may_change():
        yield None
        return
    changes = None
    try:
        with changing(signals) as changes:
            for finding in changes.findings:
                click.echo(f"left by an earlier run: {finding.text}", err=True)
            changes.findings.clear()
            yield changes
    finally:
        for finding in changes.findings if changes is not None else ():
            if finding.state in (State.LEFT, State.FAILED):
                if finding.state is State.FAILED:
                    unrestored.append(finding.text)
                with contextlib.suppress(OSError):
                    click.echo(f"costmodel: {finding.text}", err=True)


def _run(asked: str, settings: Settings, words: str, changes: Changes | None, among_guests: bool) -> Outcome:
    """Run the probes with a bar of progress each; those that guests would feel only where that is allowed."""
    from costmodel.measure import invalidations, kvm, session
    from costmodel.report import measurement

    names = TOGETHER.get(asked, (asked,))
    disturbing = session.disturbing(names, changes)
    refusals: dict[str, str] = {}
    if among_guests:
        if "sev" in disturbing:
            click.echo(measurement.whole_cache_plan(kvm.planned(settings)), err=True)
        if "invalidations" in disturbing and changes:
            for one in invalidations.planned(changes.system):
                click.echo(measurement.changed(one), err=True)
    else:
        refusals = session.refused(disturbing)
        if asked in refusals:
            raise BadInput(f"{asked} is refused: {refusals[asked]}")
    with contextlib.ExitStack() as bars:

        def ticks(probe: str) -> Callable[[], None]:
            bars.close()
            return bars.enter_context(progress(session.ticks(probe, settings), f"{probe:<14}"))

        return session.run(names, settings, words, ticks, changes, refusals)


def _hosts_dir() -> Path:
    from costmodel.evidence.paths import PACKAGE, data_dir

    data = data_dir()
    if data != PACKAGE / "_data":
        return data / "hosts"
    try:
        return Path.cwd()
    except OSError as error:
        raise BadInput(f"the current directory is gone: {error.strerror}", field="--out", remedy="name one") from None


def _refresh_package(folder: Path) -> None:
    """Renew the checksums of the data package where the profile lies in it."""
    from costmodel.evidence import package
    from costmodel.evidence.paths import DESCRIPTION, data_dir
    from costmodel.hashing import write_beside

    if data_dir().resolve() in folder.resolve().parents:
        write_beside(data_dir() / DESCRIPTION, package.render(data_dir()))


def _share(folder: Path) -> None:
    import tarfile

    from costmodel.hashing import write_beside

    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in (".csv", ".toml"))
        contents = {path.name: path.read_bytes() for path in files}
        name = folder.resolve().name
        target = Path.cwd() / f"{name}.tar.gz"
        texts = {file: content.decode() for file, content in contents.items()}
        taken = target.exists()
    except OSError as error:
        raise BadInput(
            f"cannot be packed: {error.strerror}",
            file=error.filename or folder,
            remedy="name a folder that can be read",
        ) from None
    except UnicodeDecodeError:
        raise BadInput(
            "holds a file that is no text", file=folder, remedy="name a folder that `costmodel measure` wrote"
        ) from None
    if "host.toml" not in contents:
        raise BadInput("holds no host.toml", file=folder, remedy="name a folder that `costmodel measure` wrote")
    if taken:
        raise BadInput("exists already", file=target, remedy="remove it")
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for file, content in contents.items():
            info = tarfile.TarInfo(f"{name}/{file}")  # no owner, no time: nothing that names the machine
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    for file, text in texts.items():
        click.echo(f"==== {file}")
        click.echo(text, nl=False)
    write_beside(target, packed.getvalue())
    click.echo(f"==== the above is all that {target.name} holds; unpack it under data/hosts/ and open a pull request")


@measure_command.command(name="restore")
def restore() -> None:
    """Put back what a run that was killed left changed: tunables, tracing instance, mount of tracefs, zram
    swap, range of /proc/mtrr.

    A value is put back only where it is still the one that the run wrote. Needs the user who ran it (root).

    \b
    Exit code 0: everything is as before, or was left because somebody else has changed it since (it is named).
    Exit code 1: something could not be put back; it is named, and stays in the journal for the next try.
    Exit code 2: a run is still at work, or the journal cannot be read.
    """
    from costmodel.measure import journal
    from costmodel.measure.journal import Signals

    with Signals() as signals:
        findings = journal.restore(signals)
    for finding in findings:
        click.echo(finding.text, err=finding.state is journal.State.FAILED)
    if not findings:
        click.echo("no run has left anything to be put back")
    if any(finding.state is journal.State.FAILED for finding in findings):
        sys.exit(1)


@measure_command.command(
    name="import", help="Read a trace that was taken elsewhere: bpftrace, perf script, trace-cmd, tracefs."
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True))
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write CSV here [default: standard output]."
)
@click.option("--clock-hz", type=click.FloatRange(1.0, 1e12), help="As in `costmodel trace import`.")
def import_trace(file: Path, out: Path | None, clock_hz: float | None) -> None:
    from costmodel.hashing import write_beside
    from costmodel.measure import counts, trace_formats
    from costmodel.measure.session import as_csv
    from costmodel.report import measurement
    from costmodel.traces.triggers import trigger_of_chain

    found = trace_formats.read(file, trigger_of_chain, clock_hz)
    notes = found.notes
    for _, line, text in notes.bad:
        click.echo(f"{visible(file.name)}:{line}: not understood: {text[:100]!r}", err=True)
    click.echo(measurement.imported(found), err=True)
    for text in (*notes.remarks, *(f"left out: {n} {kind}" for kind, n in notes.without_event.items())):
        click.echo(visible(text), err=True)
    for rate in counts.rates(found.rows):
        click.echo(visible(measurement.counted(rate)), err=True)
    if not found.rows:
        raise BadInput("holds no event or histogram", file=file, remedy="see `costmodel measure import --help`")
    if out is None:
        click.echo(as_csv(found.rows), nl=False)
    else:
        write_beside(out, as_csv(found.rows))


@measure_command.command(
    name="bootlog",
    epilog="""\b
Examples:
  costmodel measure bootlog                       # this host, its own log
  sudo dmesg | costmodel measure bootlog -
  costmodel measure bootlog epyc.txt --llc-bytes 33554432 --l2-bytes 1048576
  costmodel measure bootlog --csv                 # a row for data/kvm/amd_rendezvous.csv
""",
)
@click.argument("file", type=click.File("rb"), required=False)
@click.option(
    "--llc-bytes", type=options.WHOLE_BYTES, help="Last-level cache of one domain, for a log of another host."
)
@click.option("--l2-bytes", type=options.WHOLE_BYTES, help="Second-level cache of one core, for a log of another host.")
@click.option("--self-snoop/--no-self-snoop", default=None, help="Whether the CPU has `ss`, for a log of another host.")
@click.option("--csv", "as_csv_row", is_flag=True, help="Rows in the shape of data/kvm/amd_rendezvous.csv, to share.")
@options.as_json
def bootlog(
    file: BinaryIO | None,
    llc_bytes: int | None,
    l2_bytes: int | None,
    self_snoop: bool | None,
    as_csv_row: bool,
    as_json: bool,
) -> None:
    """Bound WBINVD from above by a kernel log: the boot, and every resume from S3 or S4.

    Whenever the kernel sets the memory type ranges on all CPUs, a CPU without self-snoop (every AMD) executes WBINVD
    twice, one CPU after the other. Two lines of the log bound the time of all of them together. Without FILE the log of
    this boot is read (dmesg, else journalctl).

    \b
    Nearly all of these flushes meet an empty cache: the bound says little of a full or dirty one.
    It cannot see what else happens between the two lines: deferred initialisation of memory where the log does not name
    it, a slow console, and at boot any time with interrupts off before the clock is called stable.
    """
    from costmodel.measure import bootlog as logs
    from costmodel.report import measurement

    if as_csv_row and as_json:
        raise BadInput("--csv and --json exclude each other", field="--csv", remedy="give one of them")
    given = {"llc_bytes_per_domain": llc_bytes, "l2_bytes_per_core": l2_bytes, "self_snoop": self_snoop}
    rows = logs.bounds(file.read() if file else None, getattr(file, "name", "-"), given)
    if as_json:
        options.print_json(logs.as_json(rows))
    elif as_csv_row:
        click.echo(logs.as_csv(rows), nl=False)
    else:
        for text in measurement.bounds(rows):
            click.echo(text)


@measure_command.command(name="wbinvd")
@click.option("--yes", is_flag=True, help="Do it: without this option the plan is printed and nothing is done.")
@click.option("--dirty", is_flag=True, help="Dirty the caches of one domain before the second stop.")
@options.as_json
def wbinvd(yes: bool, dirty: bool, as_json: bool) -> None:
    """Bound WBINVD from above by stopping this host twice (bare metal, AMD, root; not yet run on any).

    Adds one unused memory type range to /proc/mtrr and deletes it again. For each, the kernel stops all CPUs with
    interrupts off, and every CPU executes WBINVD twice, one after the other. Refused where virtual machines run.
    A profile is not written: the result is printed.
    """
    from costmodel.measure import wbinvd as probe
    from costmodel.measure.host import usable_cpus
    from costmodel.measure.journal import Signals
    from costmodel.measure.session import this_host
    from costmodel.report import measurement

    host = this_host()
    probe.check(host)
    plan = measurement.stop_plan(probe.planned(host))
    if not yes:
        raise BadInput(f"wbinvd: {'; '.join(plan)}", remedy="say --yes if this may be done")
    unrestored: list[str] = []
    with (
        Signals() as signals,
        _said_when_interrupted(signals, unrestored),
        _leave_to_change("wbinvd", signals, unrestored) as changes,
    ):
        for text in plan:
            click.echo(text, err=True)
        result = probe.measure(host, cast("Changes", changes), usable_cpus()[-1], dirty)
    if as_json:
        options.print_json(result.as_json())
    else:
        for text in measurement.stops(result):
            click.echo(text)
    if unrestored:
        sys.exit(1)
