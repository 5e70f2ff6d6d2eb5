"""Options that several commands share."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from typing import TextIO

import click

from costmodel.cli import types
from costmodel.errors import BadInput
from costmodel.kvm.setup import BACKINGS, MEMPOLICIES, VMMS

guest = click.option(
    "--guest", required=True, type=types.GUEST, help="Guest type: plain, sev, sev-es, sev-snp, sev-snp-gmem, tdx."
)


def machine_named(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The id of the machine that a user means by `--machine`; one that is only described is told to this process."""
    from costmodel.evidence import machine_input

    return value if value is None or context.resilient_parsing else machine_input.told(value).id


MACHINE_HELP = "Machine: an id (`costmodel list machines`), a name such as 'EPYC 9754', a file of lscpu, - or `this`."
machine = click.option("--machine", required=True, type=types.MACHINE, callback=machine_named, help=MACHINE_HELP)
workload = click.option(
    "--workload",
    default="autonuma-default",
    show_default=True,
    type=types.WORKLOAD,
    help="Workload id (see `costmodel list workloads`).",
)
kernel = click.option(
    "--kernel",
    default="newest",
    show_default=True,
    type=types.KERNEL,
    help="Host kernel: a version such as 6.17, what `uname -r` prints, or `this`.",
)
scheduler = click.option(
    "--scheduler", metavar="ADDRESS", help="Dask scheduler that does the work: tcp://127.0.0.1:8786 or tls://..."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _rates(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str, float | tuple[float, float]]:
    """TRIGGER=PER_S and TRIGGER=COUNT/SECONDS of `--rate` as numbers by trigger. Raises BadInput."""
    found: dict[str, float | tuple[float, float]] = {}
    for item in values:
        trigger, separator, text = item.partition("=")
        count, counted, seconds = text.partition("/")
        try:
            found[trigger] = (float(count), float(seconds)) if counted else float(text)
        except ValueError:
            separator = ""
        if not separator:
            raise BadInput(
                f"{item!r} is neither TRIGGER=PER_S nor TRIGGER=COUNT/SECONDS",
                field="--rate",
                remedy="write --rate ksm_replace_page=20 or --rate all=3000/300",
            )
    return found


def guest_setup(command: Callable) -> Callable:
    """How the guest's memory is set up: what decides which events reach it and which flushes are safe."""
    for option in (
        click.option(
            "--noncoherent-dma",
            is_flag=True,
            help=(
                "A device of the plain guest does DMA that bypasses the caches, such as a GPU: its WBINVD is executed."
            ),
        ),
        click.option(
            "--mergeable/--not-mergeable",
            default=None,
            help="The memory is MADV_MERGEABLE [default: what the VMM does].",
        ),
        click.option("--mempolicy", type=click.Choice(MEMPOLICIES), help="NUMA policy of the guest's memory."),
        click.option(
            "--backing", type=click.Choice(BACKINGS), help="What lies behind the memory [default: what the VMM does]."
        ),
        click.option(
            "--pinned/--not-pinned",
            default=None,
            help="All memory is pinned (registered) [default: what the VMM does].",
        ),
        click.option("--vmm", type=click.Choice(VMMS), help="Program that runs the guest [default: qemu]."),
    ):
        command = option(command)
    return command


def scenario_numbers(command: Callable) -> Callable:
    """Numbers of the guest that a user may set, and how its memory is set up."""
    for option in (
        click.option(
            "--rate",
            "rates",
            multiple=True,
            metavar="TRIGGER=PER_S",
            callback=_rates,
            help=(
                "Events per second that you measured at a trigger, or COUNT/SECONDS as counted; again for another. "
                "The trigger `all` is every event at the guest's hook."
            ),
        ),
        click.option(
            "--event-fraction", type=click.FloatRange(0, 1), help="Share of scanned pages that cause an event."
        ),
        click.option(
            "--cpus-that-ran", type=click.IntRange(1), help="CPUs that ran the guest [default: all, unpinned]."
        ),
        click.option(
            "--folio-bytes",
            type=click.Choice(["4096", "2097152"]),
            callback=lambda _context, _parameter, value: None if value is None else int(value),
            help="Folio size of guest_memfd [default: 4096, as in every kernel that was read].",
        ),
        click.option("--resident-bytes", type=types.BYTES, help="Resident memory of the guest, in bytes or as 16G."),
        click.option("--vcpus", type=click.IntRange(1), help="vCPUs of the guest."),
        guest_setup,
    ):
        command = option(command)
    return command


def read_cells(file: TextIO, columns: Sequence[str]) -> tuple[str, list[str], list[tuple[int, dict[str, str]]]]:
    """Name, header and (line number, row) of a CSV file that must have `columns`. Raises BadInput."""
    name = getattr(file, "name", "-")
    try:
        reader = csv.DictReader(io.StringIO(file.read(), newline=""))
    except UnicodeDecodeError as error:
        line = bytes(error.object)[: error.start].count(b"\n") + 1
        raise BadInput(f"is not UTF-8: {error.reason}", file=name, row=line, remedy="save it as UTF-8") from None
    try:
        header = list(reader.fieldnames or ())
        missing = [column for column in columns if column not in header]
        if missing or len(set(header)) < len(header):
            problem = f"has no column {', '.join(missing)}" if missing else "names a column twice"
            raise BadInput(problem, file=name, row=1, remedy=f"the first line must name {','.join(columns)} once each")
        rows = []
        for row in reader:
            first_line = reader.line_num - sum(str(cell).rstrip("\n").count("\n") for cell in row.values() if cell)
            if None in row or None in row.values():
                remedy = "quote cells that hold commas"
                raise BadInput("has too many or too few cells", file=name, row=first_line, remedy=remedy)
            rows.append((first_line, row))
    except csv.Error as error:
        line = reader.line_num + 1
        raise BadInput(f"is not CSV text: {error}", file=name, row=line, remedy="correct the line") from None
    return name, header, rows


def print_json(value: object) -> None:
    """One JSON document on stdout, keys sorted, so that scripts and diffs can follow."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, allow_nan=False))
