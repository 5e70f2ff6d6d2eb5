"""costmodel measure"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

import click

from costmodel.errors import BadInput

NAMES = ("flush", "refill", "neighbour", "bandwidth", "broadcast", "invalidations", "sev")
HELP = {
    "flush": "Time per line of CLFLUSH, CLFLUSHOPT and CLWB over line state, range and page size.",
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
def command(context: click.Context, share: Path | None) -> None:
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
    def run_probe(profile: str | None, out: Path | None, quick: bool, seed: int) -> None:
        _measure(NAMES if name == "all" else (name,), profile, out, quick, seed, name)

    return click.command(name=name, help=HELP[name])(run_probe)


for _name in HELP:
    command.add_command(_probe_command(_name))


def _measure(names: tuple[str, ...], profile: str | None, out: Path | None, quick: bool, seed: int, asked: str) -> None:
    from costmodel.measure import session
    from costmodel.measure.host import describe
    from costmodel.measure.probe import Settings
    from costmodel.measure.profile import checked_name, default_name, require, write

    require()
    settings = Settings(quick=quick, seed=seed)
    name = checked_name(profile or default_name(describe()))
    folder = (out or _hosts_dir()) / name
    if folder.exists():
        raise BadInput("exists already", file=folder, remedy="choose another --name or --out, or remove it")
    words = ["costmodel measure", asked, *(["--quick"] if quick else []), *([f"--seed {seed}"] if seed != 1 else [])]
    with contextlib.ExitStack() as stack:
        bars: list[contextlib.AbstractContextManager] = []

        def progress(probe: str) -> Callable[[], None]:
            if bars:
                stack.pop_all().close()
            bar = click.progressbar(length=session.ticks(probe, settings), label=f"{probe:<14}", file=sys.stderr)
            bars.append(bar)
            opened = stack.enter_context(bar)
            return lambda: opened.update(1)

        try:
            outcome = session.run(names, settings, " ".join(words), progress)
        except KeyboardInterrupt:
            click.echo("\ninterrupted: tunables are restored, nothing was written", err=True)
            sys.exit(130)
    for text in outcome.findings():
        click.echo(text)
    write(outcome, folder)
    _refresh_package(folder)
    rows = sum(len(table.rows) for table in outcome.tables.values())
    click.echo(f"{rows} repetitions of {len(outcome.tables)} probes in {folder}")
    if out is not None:
        click.echo(f"use it with COSTMODEL_HOSTS={out} costmodel calibrate --host {name}")


def _hosts_dir() -> Path:
    from costmodel.evidence.paths import PACKAGE, data_dir

    data = data_dir()
    return data / "hosts" if data != PACKAGE / "_data" else Path.cwd()


def _refresh_package(folder: Path) -> None:
    """Renew the checksums of the data package where the profile lies in it."""
    from costmodel.evidence import package
    from costmodel.evidence.files import DESCRIPTION
    from costmodel.evidence.paths import data_dir
    from costmodel.hashing import write_beside

    if data_dir().resolve() in folder.resolve().parents:
        write_beside(data_dir() / DESCRIPTION, package.render(data_dir()))


def _share(folder: Path) -> None:
    import tarfile

    files = sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in (".csv", ".toml"))
    if folder / "host.toml" not in files:
        raise BadInput("holds no host.toml", file=folder, remedy="name a folder that `costmodel measure` wrote")
    for path in files:
        click.echo(f"==== {path.name}")
        click.echo(path.read_text(), nl=False)
    target = Path.cwd() / f"{folder.name}.tar.gz"
    if target.exists():
        raise BadInput("exists already", file=target, remedy="remove it")
    with tarfile.open(target, "w:gz") as archive:
        for path in files:
            info = archive.gettarinfo(path, arcname=f"{folder.name}/{path.name}")
            info.uid = info.gid = 0
            info.uname = info.gname = ""
            info.mtime = 0
            with path.open("rb") as stream:
                archive.addfile(info, stream)
    click.echo(f"==== the above is all that {target.name} holds; unpack it under data/hosts/ and open a pull request")


@command.command(
    name="import", help="Read a trace that was taken elsewhere: bpftrace, perf script, trace-cmd, tracefs."
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write CSV here [default: standard output]."
)
def import_trace(file: Path, out: Path | None) -> None:
    from costmodel.hashing import write_beside
    from costmodel.measure import traces
    from costmodel.measure.profile import as_csv

    found = traces.read(file)
    for line, text in found.bad[:10]:
        click.echo(f"{file.name}:{line}: not understood: {text[:100]!r}", err=True)
    click.echo(found.sentence(), err=True)
    if not found.rows:
        raise BadInput("holds no event or histogram", file=file, remedy="see `costmodel measure import --help`")
    if out is None:
        click.echo(as_csv(found.rows), nl=False)
    else:
        write_beside(out, as_csv(found.rows))
