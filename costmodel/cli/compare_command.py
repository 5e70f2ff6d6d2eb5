"""costmodel compare"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from costmodel.cli import options, types

if TYPE_CHECKING:
    from costmodel.decision.result import Versus

EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    name="compare",
    epilog="""\b
Examples:
  costmodel compare --kernel 6.6 --kernel 6.17 --guest sev --machine epyc-7763-2s --cpus-that-ran 8
  costmodel compare --strategy WBNOINVD_MASK --strategy CLFLUSHOPT_UVA --guest sev --machine epyc-7763-2s
  costmodel compare --kernel 6.8 --kernel newest --guest sev-es --machine epyc-9654-2s --json
  costmodel compare --kernel 6.6 --kernel 6.17 --guest sev --machine epyc-7763-2s --trace host1.parquet
""",
)
@click.option(
    "--kernel",
    "kernel_names",
    multiple=True,
    type=types.KERNEL,
    help="Host kernel version; twice to compare two kernels.",
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    type=types.STRATEGY,
    help="Strategy id, twice (see `costmodel list strategies`).",
)
@options.guest
@options.machine
@options.workload
@click.option("--trace", type=EXISTING, help="Trace of `costmodel trace import`: compare on its events.")
@click.option("--memslots", type=EXISTING, help="With --trace: CSV with the columns start,end of the memory slots.")
@options.scenario_numbers
@options.as_json
def command(trace: Path | None, memslots: Path | None, as_json: bool, **asked: object) -> None:
    """Two kernels or two strategies side by side: base, new, change with its 90 % interval, ~ where it cannot be told.

    Both sides are computed over the same draws of the parameters, so what they share cancels. For kernels it also says
    what each does at each trigger, and which commits changed it. With two strategies, one --kernel may be given.

    All numbers are for one guest: several wait for each other's flushes, so that theirs do not just add up; `costmodel
    recommend --vms N` tells what they take together.
    """
    result = compared(trace, memslots, **asked)
    if as_json:
        options.print_json(result.model_dump(mode="json"))
        return
    from costmodel.report.versus import render_comparison

    click.echo(render_comparison(result), nl=False)


def compared(trace: Path | None, memslots: Path | None, **asked: object) -> Versus:
    """The comparison that the options ask for: at every trigger, or on the events of a trace."""
    from costmodel.decision.versus import compare_sides, sides
    from costmodel.evidence.store import load

    evidence = load()
    pair = sides(evidence, **asked)
    if trace is None:
        return compare_sides(evidence, *pair)
    from costmodel.traces.versus import compare_on_trace

    return compare_on_trace(evidence, *pair, trace, memslots)
