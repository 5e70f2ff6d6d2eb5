"""costmodel breakeven"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from costmodel.cli import options, types
from costmodel.errors import BadInput
from costmodel.numbers import interval, quantity

if TYPE_CHECKING:
    from costmodel.cost.sweep import BreakEven, Row


@click.command(
    name="breakeven",
    epilog="""\b
Examples:
  costmodel breakeven --machine epyc-7763-2s --guest sev --trigger unreg_region \\
    --between WBNOINVD_MASK CLFLUSHOPT_DM_PINNED --over range_bytes
  costmodel breakeven --machine epyc-9654-2s --guest sev --trigger ksm_replace_page \\
    --between WBNOINVD_MASK CLFLUSHOPT_UVA --over cpus --json
""",
)
@options.machine
@click.option("--between", nargs=2, type=types.STRATEGY, required=True, metavar="S1 S2", help="Two strategies.")
@click.option(
    "--over",
    required=True,
    type=click.Choice(["range_bytes", "cpus", "rate_per_s", "cache_bytes"]),
    help="Axis along which the cheaper one changes.",
)
@click.option("--guest", type=types.GUEST, default="sev-snp-gmem", show_default=True, help="Guest type.")
@click.option(
    "--trigger",
    type=types.TRIGGER,
    default="gmem_punch_hole",
    show_default=True,
    help="Trigger (sets which lines are cached).",
)
@options.workload
@options.kernel
@options.scenario_numbers
@options.as_json
def command(
    machine: str,
    between: tuple[str, str],
    over: str,
    guest: str,
    trigger: str,
    workload: str,
    kernel: str,
    as_json: bool,
    **numbers: float | None,
) -> None:
    """Where one strategy becomes cheaper than the other, with the 90 % interval of the break-even.

    Compared is the CPU time that one event takes from the host. Over rate_per_s both costs grow alike, so it gives the
    rates at which each strategy loses 1 % and 10 % of the host. The kernel decides which of the two may be used there,
    and how often the events come; it does not change what one flush takes.
    """
    from costmodel.cost.scenario import scenario
    from costmodel.cost.sweep import break_even
    from costmodel.evidence.store import load
    from costmodel.kvm.admissibility import judge
    from costmodel.kvm.guests import guest as guest_of
    from costmodel.kvm.triggers import trigger as trigger_of

    evidence = load()
    case = scenario(evidence, guest, machine, workload, kernel, **numbers)
    if not trigger_of(trigger).occurs_with(guest_of(guest)):
        raise BadInput(f"{guest} has no trigger {trigger}", field="--trigger", remedy="see `costmodel list triggers`")
    result = break_even(evidence, case, trigger, between, over)
    known = case.known(trigger)
    states = {name: judge(guest, trigger, name, known) for name in between}
    if as_json:
        options.print_json(result.as_dict())
        return
    click.echo(f"{between[0]} against {between[1]} at {trigger} on {machine}, kernel {case.version}, over {over}:")
    for name in between:
        state = states[name]
        if state.state == "inadmissible":
            click.echo(f"  {name} is inadmissible there ({state.reason}): this is only what it would cost")
    for row in result.rows:
        click.echo(f"  {row.label}: {_spread(row, result)}")
        if row.share < 1:
            click.echo(
                f"    in {row.share:.0%} of the draws inside the swept range; the others count as beyond its ends"
            )
    if not result.rows:
        click.echo(
            f"  no break-even between {quantity(result.low, result.unit)} and {quantity(result.high, result.unit)}: "
            f"{result.always} is cheaper throughout"
        )
    if result.extrapolated:
        click.echo("  EXTRAPOLATED: rests on a prior by rule")


def _spread(row: Row, found: BreakEven) -> str:
    """Median and interval; an end outside the swept range as `> 64 GiB`."""
    points = (row.low, row.median, row.high, row.at_medians)
    sign = {"below": "<", "above": ">"}
    texts = [
        quantity(point, row.unit) if point is not None else f"{sign[side]} {quantity(found.ends[side], row.unit)}"
        for point, side in zip(points, row.beyond, strict=True)
    ]
    whole = None not in points[:3]
    spread = interval(*points[:3], row.unit) if whole else f"{texts[1]} [{texts[0]}, {texts[2]}]"
    return f"{spread}  (at the medians {texts[3]})"
