"""costmodel sweep"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from costmodel.cli import options
from costmodel.errors import BadInput
from costmodel.numbers import SWEEP_DRAWS, bytes_of, quantity, significant
from costmodel.plain import shell_line

if TYPE_CHECKING:
    import pandas

    from costmodel.cost.grid import Grid
    from costmodel.cost.scenario import Scenario

OVER = f"{__name__}.over"
"""Where the context keeps the axes as they were written."""
ENGINE = "numpy"
MOST_VALUES = 10**7
"""Values of one axis: more is a slip of the pen."""
LARGE = 10**10
"""Costs, one for each point, strategy and draw, from which on a calculation says its size: half a minute and more."""


def _axes(context: click.Context, parameter: click.Parameter, texts: Sequence[str]) -> dict[str, list[float]]:
    """AXIS=V,V,... and AXIS=LOW:HIGH:POINTS of `--over` as numbers by axis; points of a range of whole numbers are
    rounded, and each is taken once. Raises BadInput.
    """
    found: dict[str, list[float]] = {}
    context.meta[OVER] = texts
    for text in texts:
        name, separator, told = text.partition("=")
        if not separator or not name:
            raise _unread(text)
        if name in found:
            raise BadInput(f"{name} is given twice", field="--over", remedy="give all its values at once")
        ends = told.split(":")
        if len(ends) == 1:
            found[name] = [_number(one, text) for one in told.split(",")]
            continue
        if len(ends) != 3 or not ends[2].isdecimal():
            raise _unread(text)
        low, high, points = _number(ends[0], text), _number(ends[1], text), int(ends[2])
        if not 0 < low < high or not 2 <= points <= MOST_VALUES:
            remedy = f"give 0 < LOW < HIGH and 2 to {MOST_VALUES} points"
            raise BadInput(f"{text!r} is no range", field="--over", remedy=remedy)
        step = (math.log(high) - math.log(low)) / (points - 1)
        found[name] = [low, *(math.exp(math.log(low) + k * step) for k in range(1, points - 1)), high]
        if name in _whole():
            found[name] = sorted({float(round(value)) for value in found[name]})
    return found


def _whole() -> Sequence[str]:
    from costmodel.cost.grid import WHOLE

    return WHOLE


def _number(text: str, whole: str) -> float:
    size = bytes_of(text)
    if size is not None:
        return size
    try:
        return float(text)
    except ValueError:
        raise _unread(whole) from None


def _unread(text: str) -> BadInput:
    remedy = "write --over cpus=8,64,256, or --over range_bytes=4KiB:1GiB:25 (evenly in the logarithm)"
    return BadInput(f"{text!r} is neither AXIS=V,V,... nor AXIS=LOW:HIGH:POINTS", field="--over", remedy=remedy)


@click.command(
    name="sweep",
    epilog="""\b
Examples:
  costmodel sweep --guest sev --machine epyc-7763-2s --over range_bytes=4KiB:1GiB:25 --over cpus=8,64,256
  costmodel sweep --guest sev --machine epyc-7763-2s --over cpus=1,8,64 --over dirty_fraction=0.1,0.9 \\
      --reduce cheapest --out map.parquet
  costmodel sweep --guest sev --machine epyc-7763-2s --over range_bytes=64:64GiB:97 --over cpus=8,64 \\
      --reduce breakeven --strategy WBNOINVD_MASK --strategy CLFLUSHOPT_UVA
""",
)
@options.guest
@options.machine
@options.workload
@options.kernel
@click.option(
    "--over",
    "axes",
    multiple=True,
    required=True,
    callback=_axes,
    metavar="AXIS=VALUES",
    help="Axis and values: V,V,... or LOW:HIGH:POINTS, evenly in the logarithm, whole numbers where CPUs are counted; "
    "again for another. Axes: range_bytes, cpus, rate_per_s, "
    "cache_bytes, vcpus, resident_bytes, event_fraction, l2_bytes_per_core, or a parameter (`costmodel calibrate`).",
)
@click.option("--trigger", type=options.TRIGGER, help="Trigger [default: the costliest of the workload].")
@click.option("--strategy", "strategies", multiple=True, type=options.STRATEGY, help="Strategy; again for another.")
@click.option(
    "--reduce",
    type=click.Choice(["cheapest", "breakeven"]),
    help="Reduce while calculating: who is the cheapest at each point, by cost alone and of those that are admissible, or "
    "where two strategies cost the same along the first axis.",
)
@click.option(
    "--engine",
    type=click.Choice(["numpy", "numba"]),
    default=ENGINE,
    show_default=True,
    help="numba is faster from about 1e8 costs on, one for each point, strategy and draw.",
)
@click.option("--draws", type=click.IntRange(2, 2**16), default=SWEEP_DRAWS, show_default=True, help="Joint draws.")
@options.scheduler
@click.option("--out", type=click.Path(path_type=Path), help="File: .parquet, .nc (NetCDF) or .csv.")
@options.scenario_numbers
@options.table_forms
@click.pass_context
def sweep_command(
    context: click.Context,
    guest: str,
    machine: str,
    workload: str,
    kernel: str,
    axes: dict[str, list[float]],
    trigger: str | None,
    strategies: tuple[str, ...],
    reduce: str | None,
    engine: str,
    draws: int,
    scheduler: str | None,
    out: Path | None,
    form: str,
    **numbers: Any,
) -> None:
    """Costs over all combinations of axes: numbers of the case, or parameters that are drawn else.

    A point is one combination of the values of the axes. Each row is one point, strategy and quantity, with the median
    and the central 90 % of the joint draws; the strategy may be inadmissible (column state): it can lose a flush and is
    never recommended, however cheap. chosen is true of what the kernel uses at the trigger, if that is safe; refused
    says why a strategy has no number.

    With --reduce cheapest, quantiles are those of buckets 0.4 % wide. p_best is the share of the draws in which a
    strategy costs least, of those that are compared, and never beyond 0.05 and 0.95 where a prior by rule went in
    (extrapolated). cheapest goes by cost alone, whatever the state; cheapest_admissible is the least among those that
    are admissible. With --reduce breakeven, share is that of the draws that break even inside the axis, and always
    names the strategy that is cheaper all along it in every draw; state is that of the first strategy, against_state
    that of the second.
    """
    from costmodel.cluster import check_address
    from costmodel.cost.scenario import scenario
    from costmodel.decision import swept
    from costmodel.evidence.store import load
    from costmodel.report import swept as shown

    if out is not None:
        swept.check_file(out)
    if scheduler is not None:
        check_address(scheduler)
    evidence = load()
    case = scenario(evidence, guest, machine, workload, kernel, **numbers)
    study = swept.study_at(evidence, case, trigger)
    began = time.monotonic()
    with options.progress(100, "sweep, %") as step:
        frame = swept.sweep(
            study,
            axes,
            list(strategies) or None,
            reduce=reduce,
            engine=engine,
            scheduler=scheduler,
            draws=draws,
            begun=_tell_size,
            told=_percents(step),
        )
    if sys.stderr.isatty():
        click.echo(f"costmodel: {len(frame)} rows in {quantity(time.monotonic() - began, 's')}", err=True)
    if out is not None:
        swept.write(frame, list(axes), out)
    if form == "json":
        options.print_json(_records(swept.with_origin(frame)))
    elif form == "csv":
        options.print_table(form, _records(swept.with_origin(frame)))
    elif form == "markdown":
        options.print_table(form, shown.rows(frame, list(axes), study))
    elif out is None:
        words = ["--trigger", trigger] if trigger else []
        for option, values in (("--over", context.meta[OVER]), ("--strategy", strategies)):
            words += [word for value in values for word in (option, value)]
        words += ["--reduce", reduce] if reduce else []
        words += ["--engine", engine] if engine != ENGINE else []
        words += ["--draws", str(draws)] if draws != SWEEP_DRAWS else []
        click.echo(shown.text(frame, list(axes), study, _command(case, words)), nl=False)


def _command(case: Scenario, words: Sequence[str]) -> str:
    """The command line that gives this sweep again."""
    asked = ["costmodel", "sweep", "--guest", case.guest, "--machine", case.machine.word]
    asked += ["--workload", case.workload.id, "--kernel", case.version]
    return shell_line([*asked, *words, *case.number_words])


def _tell_size(grid: Grid) -> None:
    """How much will be calculated, where someone looks or where it is much."""
    strategies = len({cost.strategy for cost in grid.costs})
    values = grid.points * strategies * grid.draws
    if values >= LARGE or sys.stderr.isatty():
        counts = f"{grid.points} points x {strategies} strategies x {grid.draws} draws"
        click.echo(f"costmodel: {counts} = {significant(values)} costs, by {grid.engine}", err=True)


def _percents(step: Callable[[], None]) -> Callable[[float], None]:
    """Takes the share that is done and makes one step for each percent of it."""
    done = 0

    def told(share: float) -> None:
        nonlocal done
        while done < int(100 * share):
            done += 1
            step()

    return told


def _records(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """Rows for JSON, which has no NaN."""
    rows = frame.to_dict("records")
    return [{name: None if value != value else value for name, value in row.items()} for row in rows]
