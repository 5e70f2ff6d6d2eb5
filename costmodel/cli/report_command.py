"""costmodel report"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from costmodel.cli import options, types
from costmodel.errors import BadInput, ExitCode


@click.command(
    name="report",
    epilog="""\b
Examples:
  costmodel report --out reports --jobs 2
  costmodel report --guest sev --machine epyc-7763-2s --workload ksm-default --out /tmp/reports
  costmodel report --guest sev --machine epyc-7763-2s -p cpus_that_ran=8 --out /tmp/pinned
  costmodel report --trace host1.parquet --guest sev --machine epyc-7763-2s --out /tmp/reports
  costmodel report --check --out reports
""",
)
@click.option("--guest", type=types.GUEST, help="One guest type only [default: all].")
@click.option("--machine", type=types.MACHINE, help="One machine only [default: all].")
@click.option("--workload", type=types.WORKLOAD, default="autonuma-default", show_default=True, help="Workload id.")
@options.kernel
@click.option(
    "-p",
    "--parameter",
    "extra",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another parameter of the notebook: vcpus, cpus_that_ran, event_fraction, vmm, pinned (true or false), backing, "
    "mempolicy, mergeable, noncoherent_dma.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Directory to write to.",
)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Notebooks at a time.")
@click.option(
    "--trace",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only the replay of this trace (of `costmodel trace import`); needs --guest and --machine.",
)
@click.option(
    "--check",
    "check_only",
    is_flag=True,
    help="Write nothing; exit 1 if text, JSON, SVG or index differ from what the inputs give (runs no notebook).",
)
def command(
    guest: str | None,
    machine: str | None,
    workload: str,
    kernel: str,
    extra: tuple[str, ...],
    out: Path,
    jobs: int,
    trace: Path | None,
    check_only: bool,
) -> None:
    """Build the reports: an HTML page, a text block and JSON for each guest type and machine, and the index."""
    from costmodel.report import build

    values = {"workload": workload, "kernel": kernel, **_parse(extra)}
    asked = build.check_parameters({**values, "guest": guest or "sev", "machine": machine or "epyc-7763-2s"})
    if trace is not None:
        if not guest or not machine or check_only:
            raise BadInput("goes with --guest and --machine, without --check", field="--trace", remedy="name both")
        _trace(trace, build.arguments(asked), out)
        return
    todo = build.matrix([guest] if guest else [], [machine] if machine else [], values)
    if not check_only:
        build.make_writable(out)
    with click.progressbar(length=len(todo), label="costs ", file=sys.stderr) as bar:
        files = build.artefacts(todo, lambda: bar.update(1))
    if check_only:
        files = build.committed(files)
        stale = build.differences(files, out, build.COMMITTED)
        for line in stale:
            click.echo(line)
        click.echo(f"{len(files)} files checked, {len(stale)} stale" + ("; run `make report`" if stale else ""))
        sys.exit(ExitCode.CHECK_FAILED if stale else ExitCode.OK)
    with click.progressbar(length=len(todo), label="pages ", file=sys.stderr) as bar:
        build.build_all(todo, files, out, jobs, lambda: bar.update(1))
    click.echo(f"{len(todo)} reports in {out}" + ("" if guest or machine else f", overview {out / 'index.html'}"))


def _trace(trace: Path, asked: dict[str, object], out: Path) -> None:
    """Page, text and JSON of a replayed trace."""
    from costmodel.report import build
    from costmodel.report.trace import files as files_of
    from costmodel.traces.study import study

    if asked.pop("event_fraction", None) is not None:
        raise BadInput("a trace has its own rate", field="event_fraction", remedy="leave it out")
    files = files_of(study(trace, **asked))
    build.write(files, out)
    click.echo("\n".join(str(out / name) for name in files))


SWITCHES = {"true": True, "false": False}
OPTIONS = ("guest", "machine", "workload", "kernel")


def _parse(extra: tuple[str, ...]) -> dict[str, object]:
    """NAME=VALUE pairs as numbers where they are numbers; the contract checks names and types."""
    values: dict[str, object] = {}
    for item in extra:
        name, separator, text = item.partition("=")
        if not separator:
            raise BadInput(f"{item!r} is not NAME=VALUE", field="--parameter", remedy="write -p cpus_that_ran=8")
        if name in OPTIONS:
            raise BadInput(f"{name} has an option of its own", field="--parameter", remedy=f"use --{name}")
        if text in SWITCHES:
            values[name] = SWITCHES[text]
            continue
        for convert in (int, float, str):
            try:
                values[name] = convert(text)
                break
            except ValueError:
                continue
    return values
