"""costmodel cost"""

from __future__ import annotations

import click

from costmodel.cli import options, types
from costmodel.errors import NotApplicable, UnknownName


@click.command(
    name="cost",
    epilog="""\b
Examples:
  costmodel cost --guest sev --machine epyc-7763-2s --trigger ksm_write_protect --workload ksm-default
  costmodel cost --guest sev-snp-gmem --machine epyc-7763-2s --trigger gmem_punch_hole --json
""",
)
@options.guest
@options.machine
@options.workload
@options.kernel
@click.option("--trigger", type=types.TRIGGER, help="One trigger only (see `costmodel list triggers`).")
@options.scenario_numbers
@options.as_json
def command(
    guest: str,
    machine: str,
    workload: str,
    kernel: str,
    trigger: str | None,
    as_json: bool,
    **numbers: float | None,
) -> None:
    """What each strategy costs at each trigger: time per event, CPU time taken, host CPUs lost (median [90 %]).

    All numbers are for one guest: several wait for each other's flushes, so that theirs do not just add up; `costmodel
    recommend --vms N` tells what they take together.
    """
    from costmodel.decision.recommend import recommend

    result = recommend(guest, machine, workload, kernel, **numbers)
    names = list(dict.fromkeys(row.trigger for row in result.costs))
    if result.applicable and trigger is not None and trigger not in names:
        raise UnknownName(f"trigger of {guest}", trigger, names)
    rows = [row for row in result.costs if trigger in (None, row.trigger)]
    if not result.applicable:
        raise NotApplicable(result.not_applicable_reason)
    if as_json:
        options.print_json([row.model_dump(mode="json") for row in rows])
        return
    if not rows:
        click.echo(result.headline)
        return
    from costmodel.report.layout import aligned, widths_of
    from costmodel.report.recommendation import NEEDS, cell, ends, loss_cell

    for name in (trigger,) if trigger else names:
        click.echo(f"\n{name}  ({guest} on {machine}, {workload}, {result.kernel_version})")
        own = [row for row in rows if row.trigger == name]
        if why := next((row.why for row in own if not row.fires), ""):
            click.echo(f"  cannot happen here, costs 0: {why}")
        lines = [HEAD]
        for row in own:
            cells = [row.strategy, cell(row.event_time_s), cell(row.stolen_cpu_s_per_event), loss_cell(row)]
            limits = [
                row.refused or ("EXTRAPOLATED" if row.extrapolated else ""),
                "" if row.state == "admissible" else row.state,
                NEEDS.get(row.needs, ""),
            ]
            lines.append((*cells, ", ".join(filter(None, limits))))
        widths = widths_of(lines)
        for line in lines:
            click.echo("\n".join(aligned(line, widths, indent="  ", room=None)))
    if held := ends(rows):
        click.echo(f"\nthe interval {held}")


HEAD = ("strategy", "per event", "CPU time per event", "host CPUs lost", "note")
