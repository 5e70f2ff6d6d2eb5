"""costmodel predict"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

import click

from costmodel.cli import options
from costmodel.errors import BadInput, CostModelError, UnknownName

COLUMNS = ("instruction", "state", "range_bytes")
OUTPUT = ("predicted_ns", "low_ns", "high_ns", "slope_ns_per_line", "note")
STATES = {"dirty": (1.0, 1.0), "clean": (1.0, 0.0), "absent": (0.0, 0.0)}
"""Cached and dirty share of a range in each state."""


@dataclass(frozen=True)
class Call:
    """One call of the kernel's loop: seconds with the fences, their 90 % interval (None: too little was measured), and
    the slope per further line.
    """

    time_s: float
    low_s: float | None
    high_s: float | None
    slope_s: float
    note: str


Predictor = Callable[[str, str, float, str], Call]
"""A call from instruction, state, range in bytes and page size."""


@click.command(
    name="predict",
    epilog="""\b
Example:
  printf 'instruction,state,range_bytes\\nCLFLUSHOPT,dirty,65536\\n' | costmodel predict --machine my-host --cells -
""",
)
@options.machine
@click.option(
    "--cells",
    required=True,
    type=click.File(encoding="utf-8-sig"),
    metavar="FILE.csv",
    help="Columns instruction,state,range_bytes and, if wanted, page (4KiB or 2MiB); - reads standard input.",
)
def command(machine: str, cells: TextIO) -> None:
    """Predicted time of each range flush and its 90 % interval for a new run, as CSV: the same columns and order.

    The time is that of a whole call as the kernel's loop takes it, both fences included; the slope, the mean per line
    without them, has a column of its own. States are dirty, clean and absent: how one CPU left the range before the call.
    A catalogued machine that nobody measured takes CLFLUSHOPT only, from the measured machines of its core generation or
    vendor, with the wide interval of one machine more; what its caches do not hold of a range is absent, and the note
    says of which lines the slope is.
    """
    from costmodel.evidence.store import load

    evidence = load()
    measured = machine in evidence.hosts and evidence.hosts[machine].has("flush")
    predictor = of_host(evidence.hosts[machine]) if measured else of_catalogue(machine)
    click.echo(predicted(predictor, cells), nl=False)


def of_host(profile: object) -> Predictor:
    """From the host's own sweep: interpolation between measured ranges."""
    from costmodel.calibration.host_flush import LINE_BYTES, FlushModel, cells_of

    calls, slopes = FlushModel(cells_of(profile, whole=True)), FlushModel(cells_of(profile))

    def predict(instruction: str, state: str, size: float, page: str) -> Call:
        lines = max(1.0, size / LINE_BYTES)
        each = calls.predict(instruction, state, size, page)
        low, high = (None if end is None else end * lines for end in (each.low_s, each.high_s))
        return Call(each.line_s * lines, low, high, slopes.predict(instruction, state, size, page).line_s, each.note)

    return predict


def of_catalogue(machine: str) -> Predictor:
    """From the parameters of a machine: joint draws of start, slopes and the other socket's factor.

    One CPU prepared the range: its second level and the last level of its domain hold at most what they can, and the
    other lines are absent, as in the probe of a measured host.
    """
    import numpy

    from costmodel.calibration.calibrate import parameters_of
    from costmodel.cost.draws import Draws
    from costmodel.evidence.store import load
    from costmodel.formulas.compiled import value

    evidence = load()
    asked = evidence.machine(machine)
    line_bytes, held_bytes = asked.line_bytes, asked.llc_bytes_per_domain + asked.l2_bytes_per_core
    parameters = parameters_of(evidence, machine)
    names = ("range_start_s", "line_dirty_s", "line_clean_s", "line_absent_s", "remote_factor")
    draws = Draws(parameters)

    def predict(instruction: str, state: str, size: float, page: str) -> Call:
        if instruction != "CLFLUSHOPT":
            raise UnknownName("instruction of a machine that nobody measured", instruction, ["CLFLUSHOPT"])
        if state not in STATES:
            raise UnknownName("line state", state, STATES)
        if not line_bytes <= size <= 2**32:
            raise BadInput(f"{size:g} is no range of a single call", remedy="give 64 bytes to 4 GiB")
        cached, dirty = STATES[state]
        present = cached * min(1.0, held_bytes / size)
        shares = {"present_fraction": present, "dirty_fraction": dirty, "line_bytes": line_bytes}
        known = {name: draws[name] for name in names} | shares | {"writeback_bytes_per_s": _writeback(draws)}
        times = value("range_flush", lines=size / line_bytes, **known)
        slope = value("range_flush", lines=1.0, **known) - value("range_flush", lines=0.0, **known)
        low, middle, high = numpy.quantile(times, (0.05, 0.5, 0.95))
        note = f"EXTRAPOLATED: not measured; slope of {_lines(state, cached, present)} lines"
        return Call(float(middle), float(low), float(high), float(numpy.median(slope)), note)

    return predict


def _lines(state: str, cached: float, present: float) -> str:
    """The state of the lines; of both kinds with their shares where the caches do not hold all."""
    return state if present == cached else f"{100 * present:.2g} % {state} and {100 * (1 - present):.2g} % absent"


def _writeback(draws: object) -> object:
    """Draws of the write-back bandwidth; no bound where nobody published it."""
    import numpy

    try:
        return draws["writeback_bytes_per_s"]
    except CostModelError:
        return numpy.inf


def predicted(predictor: Predictor, cells: TextIO) -> str:
    """The file `cells` with the predictions beside each row, as CSV. Raises BadInput; a bad row is no row."""
    from costmodel.calibration.host_flush import DEFAULT_PAGE
    from costmodel.evidence.table import csv_text

    name, columns, rows = options.read_cells(cells, COLUMNS)
    out = []
    for number, row in rows:
        try:
            size = float(row["range_bytes"])
            call = predictor(row["instruction"].upper(), row["state"].lower(), size, row.get("page") or DEFAULT_PAGE)
        except (TypeError, ValueError, AttributeError):
            problem = f"{row['range_bytes'][:40]!r} is no size"
            raise BadInput(problem, file=name, row=number, field="range_bytes", remedy="give bytes") from None
        except CostModelError as error:
            remedy = "see the profile's flush.csv"
            raise BadInput(str(error)[:500], file=name, row=number, remedy=remedy) from None
        ends = ("" if end is None else f"{end * 1e9:.6g}" for end in (call.low_s, call.high_s))
        times = f"{call.time_s * 1e9:.6g}", *ends, f"{call.slope_s * 1e9:.6g}"
        out.append([*(row[column] for column in columns), *times, call.note])
    return csv_text([*columns, *OUTPUT], out)
