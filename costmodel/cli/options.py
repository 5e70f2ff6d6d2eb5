"""Options that several commands share."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from typing import TextIO

import click

from costmodel.errors import BadInput

guest = click.option("--guest", required=True, help="Guest type: plain, sev, sev-es, sev-snp, sev-snp-gmem, tdx.")
machine = click.option("--machine", required=True, help="Machine id (see `costmodel list machines`).")
workload = click.option(
    "--workload", default="autonuma-default", show_default=True, help="Workload id (see `costmodel list workloads`)."
)
kernel = click.option("--kernel", default="newest", show_default=True, help="Host kernel version, such as 6.6 or 6.17.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def scenario_numbers(command: Callable) -> Callable:
    """Numbers of the guest that a user may set."""
    for option in (
        click.option(
            "--event-fraction", type=click.FloatRange(0, 1), help="Share of scanned pages that cause an event."
        ),
        click.option(
            "--cpus-that-ran", type=click.IntRange(1), help="CPUs that ran the guest [default: all, unpinned]."
        ),
        click.option("--resident-bytes", type=click.FloatRange(0, min_open=True), help="Resident bytes of the guest."),
        click.option("--vcpus", type=click.IntRange(1), help="vCPUs of the guest."),
    ):
        command = option(command)
    return command


def read_cells(file: TextIO, columns: Sequence[str]) -> tuple[str, list[str], list[dict[str, str]]]:
    """Name, header and rows of a CSV file that must have `columns`. Raises BadInput."""
    name = getattr(file, "name", "-")
    try:
        reader = csv.DictReader(file)
        header = list(reader.fieldnames or ())
        missing = [column for column in columns if column not in header]
        if missing:
            remedy = f"the first line must name {','.join(columns)}"
            raise BadInput(f"has no column {', '.join(missing)}", file=name, row=1, remedy=remedy)
        return name, header, list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadInput(f"is not CSV text: {error}", file=name, remedy="save it as UTF-8 CSV") from None


def print_json(value: object) -> None:
    """One JSON document on stdout, keys sorted, so that scripts and diffs can follow."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, allow_nan=False))
