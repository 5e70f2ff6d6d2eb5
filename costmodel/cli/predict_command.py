"""costmodel predict"""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

import click

from costmodel.cli import options
from costmodel.errors import BadInput, CostModelError

if TYPE_CHECKING:
    from costmodel.calibration.host_flush import FlushModel

COLUMNS = ("instruction", "state", "range_bytes")
OUTPUT = ("predicted_ns", "low_ns", "high_ns", "predicted_ns_per_line", "note")


@click.command(
    name="predict",
    epilog="""\b
Example:
  printf 'instruction,state,range_bytes\\nCLFLUSHOPT,dirty,65536\\n' | costmodel predict --machine my-host --cells -
""",
)
@click.option("--machine", required=True, help="A measured host (see `costmodel measure`).")
@click.option(
    "--cells",
    required=True,
    type=click.File(encoding="utf-8-sig"),
    metavar="FILE.csv",
    help="Columns instruction,state,range_bytes and, if wanted, page (4KiB or 2MiB); - reads standard input.",
)
def command(machine: str, cells: TextIO) -> None:
    """Predicted time of each range flush and its 90 % interval for a new run, as CSV: the same columns and order.

    The time is that of the lines: fences and timer are cancelled, as the flush probe does it (the time of twice the
    range minus that of the range). States are dirty, clean and absent.
    """
    from costmodel.calibration.host_flush import FlushModel, cells_of
    from costmodel.evidence.store import load

    click.echo(predicted(FlushModel(cells_of(load().host(machine))), cells), nl=False)


def predicted(model: FlushModel, cells: TextIO) -> str:
    """The file `cells` with the predictions of `model` beside each row, as CSV. Raises BadInput; a bad row is no row."""
    from costmodel.calibration.host_flush import DEFAULT_PAGE, LINE_BYTES
    from costmodel.evidence.table import csv_text

    name, columns, rows = options.read_cells(cells, COLUMNS)
    out = []
    for number, row in rows:
        try:
            size = float(row["range_bytes"])
            lines = max(1.0, size / LINE_BYTES)
            guess = model.predict(
                row["instruction"].upper(), row["state"].lower(), size, row.get("page") or DEFAULT_PAGE
            )
        except (TypeError, ValueError, AttributeError):
            problem = f"{row['range_bytes'][:40]!r} is no size"
            raise BadInput(problem, file=name, row=number, field="range_bytes", remedy="give bytes") from None
        except CostModelError as error:
            remedy = "see the profile's flush.csv"
            raise BadInput(str(error)[:500], file=name, row=number, remedy=remedy) from None
        ends = ("" if end is None else f"{end * lines * 1e9:.6g}" for end in (guess.low_s, guess.high_s))
        total, each = (f"{value:.6g}" for value in (guess.line_s * lines * 1e9, guess.line_s * 1e9))
        out.append([*(row[column] for column in columns), total, *ends, each, guess.note])
    return csv_text([*columns, *OUTPUT], out)
