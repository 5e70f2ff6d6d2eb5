"""costmodel breakeven"""

from __future__ import annotations

import click

from costmodel.cli import options
from costmodel.errors import BadInput
from costmodel.numbers import interval, quantity


@click.command(
    name="breakeven",
    epilog="""\b
Examples:
  costmodel breakeven --machine epyc-7763-2s --between WBNOINVD_ALL CLFLUSHOPT_DM_GMEM --over range_bytes
  costmodel breakeven --machine xeon-6330-2s --between WBINVD_ALL CLFLUSHOPT_UVA --over cpus --json
""",
)
@options.machine
@click.option("--between", nargs=2, required=True, metavar="S1 S2", help="Two strategies.")
@click.option(
    "--over",
    required=True,
    type=click.Choice(["range_bytes", "cpus", "rate_per_s", "cache_bytes"]),
    help="Axis along which the cheaper one changes.",
)
@click.option("--guest", default="sev-snp-gmem", show_default=True, help="Guest type.")
@click.option("--trigger", default="gmem_punch_hole", show_default=True, help="Trigger (sets which lines are cached).")
@options.workload
@options.scenario_numbers
@options.as_json
def command(
    machine: str,
    between: tuple[str, str],
    over: str,
    guest: str,
    trigger: str,
    workload: str,
    as_json: bool,
    **numbers: float | None,
) -> None:
    """Where one strategy becomes cheaper than the other, with the 90 % interval of the break-even.

    Compared is the CPU time that one event takes from the host. Over rate_per_s both costs grow alike, so it gives the
    rates at which each strategy loses 1 % and 10 % of the host.
    """
    from costmodel.cost.breakeven import break_even
    from costmodel.cost.scenario import scenario
    from costmodel.evidence.store import load
    from costmodel.kvm.guests import guest as guest_of
    from costmodel.kvm.triggers import trigger as trigger_of

    evidence = load()
    case = scenario(evidence, guest, machine, workload, **numbers)
    if not trigger_of(trigger).occurs_with(guest_of(guest)):
        raise BadInput(f"{guest} has no trigger {trigger}", field="--trigger", remedy="see `costmodel list triggers`")
    result = break_even(evidence, case, trigger, between, over)
    if as_json:
        options.print_json(result.as_dict())
        return
    click.echo(f"{between[0]} against {between[1]} at {trigger} on {machine}, over {over}:")
    for row in result.rows:
        spread = interval(row.low, row.median, row.high, row.unit)
        click.echo(f"  {row.label}: {spread}  (at the medians {quantity(row.at_medians, row.unit)})")
        if row.share < 1:
            click.echo(f"    in {row.share:.0%} of the draws; elsewhere no break-even inside the swept range")
    if not result.rows:
        click.echo(
            f"  no break-even between {quantity(result.low, result.unit)} and {quantity(result.high, result.unit)}: "
            f"{result.always} is cheaper throughout"
        )
    if result.extrapolated:
        click.echo("  EXTRAPOLATED: rests on a prior by rule")
