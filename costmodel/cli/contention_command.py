"""costmodel contention"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import click

from costmodel.cli import options, types
from costmodel.errors import BadInput, NotApplicable, UnknownName

MOST_PER_S = 1e9
"""More events than nanoseconds: a slip of the pen."""
PARTS = ("contention", "bills", "hybrids", "masks", "variants")
"""Keys of the JSON."""


@click.command(
    name="contention",
    epilog="""\b
Examples:
  costmodel contention --guest sev --machine epyc-7763-2s --trigger autonuma_prot_none_scan
  costmodel contention --guest sev --machine epyc-9654-2s --trigger numa_or_compaction_migrate --rate-per-s 100
  costmodel contention --guest sev-snp-gmem --machine epyc-7763-2s --trigger gmem_punch_hole --json
""",
)
@options.guest
@options.machine
@options.workload
@options.kernel
@click.option("--trigger", type=types.TRIGGER, help="Trigger [default: the costliest of the workload].")
@click.option(
    "--rate-per-s",
    type=click.FloatRange(0, MOST_PER_S, min_open=True),
    help="Events per second, where nobody published a rate.",
)
@options.scenario_numbers
@options.as_json
def command(
    guest: str,
    machine: str,
    workload: str,
    kernel: str,
    trigger: str | None,
    rate_per_s: float | None,
    as_json: bool,
    **numbers: float | None,
) -> None:
    """What waits for each flush by the place of the hook, who pays for it, and what one tenant can force.

    A fault's wait is counted while its vCPU could run; a vCPU whose CPU flushes a whole cache stands still. An open
    trigger (--rate-per-s) fires independently of its flushes; without it the workload's own loop counts.

    All numbers are for one guest: several wait for each other's flushes, so that theirs do not just add up; `costmodel
    recommend --vms N` tells what they take together.
    """
    from costmodel.calibration.calibrate import parameters_of
    from costmodel.cost.scenario import scenario
    from costmodel.decision import waits
    from costmodel.decision.headline import costliest_study
    from costmodel.decision.proposals import variant_rows
    from costmodel.decision.recommend import not_applicable, study_all
    from costmodel.decision.tables import mask_rows
    from costmodel.evidence.store import load
    from costmodel.kvm.guests import guest as guest_of

    if rate_per_s is not None and not math.isfinite(rate_per_s):
        raise BadInput("must be a finite number", field="--rate-per-s", remedy="give events per second")
    evidence = load()
    case = scenario(evidence, guest, machine, workload, kernel, **numbers)
    if reason := not_applicable(case, guest_of(guest)):
        raise NotApplicable(reason)
    studies = study_all(evidence, replace(case, rate_per_s=rate_per_s), parameters_of(evidence, machine))
    by_id = {study.trigger.id: study for study in studies}
    if trigger is not None and trigger not in by_id:
        raise UnknownName(f"trigger of {guest}", trigger, by_id)
    study = by_id[trigger] if trigger else costliest_study(studies)
    if study is None and not as_json:
        click.echo("No trigger of this guest type needs a flush.")
        return
    if study is None:
        options.print_json({name: [] for name in PARTS})
        return
    rows = waits.contention_rows(study)
    bills = waits.bill_rows(study, evidence)
    hybrids = waits.hybrid_rows([study])
    masks, variants = mask_rows(study), variant_rows(study, evidence)
    if as_json:
        parts = dict(zip(PARTS, (rows, bills, hybrids, masks, variants), strict=True))
        options.print_json({name: [row.model_dump(mode="json") for row in part] for name, part in parts.items()})
        return
    _print(
        study.trigger.id,
        f"{guest} on {machine}, {workload}, {case.version}",
        waits.silence(study, rows),
        rows,
        bills,
        hybrids,
        masks,
        variants,
    )


def _print(
    trigger: str, about: str, why: str, rows: list, bills: list, hybrids: list, masks: list, variants: list
) -> None:
    from costmodel.kvm.strategies import STRATEGIES
    from costmodel.report import waits

    click.echo(f"{trigger}  ({about})")
    click.echo(
        "Median [90 %]; this trigger alone, only what its flush adds. * marks what this kernel does, - has no bound."
    )
    for text in filter(None, (why, waits.ceilings(rows))):
        click.echo(click.wrap_text(text, 110))
    blocks = waits.blocks(rows)
    table = [WAITS, *(line.cells for block in blocks for line in block.lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for block in blocks:
        click.echo(f"\n{', '.join(block.strategies)}{_state(block.state)}")
        click.echo(f"  each vCPU stands still {block.standstill} of the time")
        click.echo("  " + _columns("hook", WAITS, widths))
        for line in block.lines:
            for hook in line.hooks:
                last = hook == line.hooks[-1]
                mark = "*" if hook == line.own else " "
                click.echo(f"{mark} {_columns(hook, line.cells, widths) if last else hook + ','}")
            if line.note:
                click.echo(f"    {line.note}")
    if rows:
        click.echo("\nA hook after range_end is inadmissible: the page can be in use again before its flush.")
        click.echo("In the thread's words:")
        for text in waits.thread_names():
            click.echo(f"  {text}")
    if bills:
        click.echo("\nWho pays for one event, and what one thread of a tenant or its VMM can take:")
    for names, bill in waits.bills(bills):
        click.echo(f"\n{', '.join(names)}{_state(bill.state)}")
        share = f"{bill.others_fraction:.0%} of it from CPUs that do not run the guest"
        click.echo(f"  guest {waits.cell(bill.own_s)}, everyone else {waits.cell(bill.others_s)}: {share}")
        if bill.neighbour_fraction is not None and STRATEGIES[names[0]].whole_cache:
            click.echo(f"  a neighbour on one of these CPUs loses {waits.told(bill.neighbour_fraction)} of its time")
        if bill.forced_cpus is not None:
            click.echo(f"  one attacking thread takes {waits.cell(bill.forced_cpus)} host CPUs at most")
        for text in waits.shares(bill):
            click.echo(f"  {text}")
        if bill.late_answer_s is not None:
            late = waits.cell(bill.late_answer_s)
            click.echo(f"  CPUs that answer {late} late on average make the slowest wait as long as the flush takes")
        for text in waits.limits(bill):
            click.echo(f"  {text}")
    for names, hybrid in waits.hybrids(hybrids):
        click.echo(f"\nHYBRID{_state(hybrid.state)}: {', '.join(names)}, beyond the cap {hybrid.whole}")
        latency = waits.cell(hybrid.latency_cap_bytes)
        click.echo(f"  cap by CPU time {waits.cell(hybrid.cap_bytes)}, by latency of the event {latency}")
    if masks:
        click.echo(f"\nThe mask of {masks[0].strategy}:")
    for mask in masks:
        click.echo(
            f"{' ' if mask.admissible else '-'} {mask.label:<44}{mask.cpus:>5.0f} CPUs, {mask.domains:>4.1f} domains: "
            f"{waits.cell(mask.stolen_cpu_s_per_event)} CPU time"
        )
        click.echo(f"    {mask.note}")
    if variants:
        click.echo("\nProposed around the flush (- loses a flush or was rejected):")
    for variant in variants:
        click.echo(f"{' ' if variant.admissible else '-'} {variant.title} [{variant.strategy}]")
        before = f"{waits.cell(variant.kernel)} as the kernel is, " if variant.kernel else ""
        click.echo(f"    {variant.quantity}: {before}{waits.cell(variant.variant)}{' so' if before else ''}")
        click.echo(f"    {variant.note}")


WAITS = (
    "lock held",
    "in progress",
    "faults that retry",
    "each goes round",
    "fault waits, mean",
    "p99",
    "memslot update",
)


def _columns(first: str, rest: tuple[str, ...], widths: Sequence[int]) -> str:
    from costmodel.report.layout import aligned

    return aligned((first, *rest), (25, *widths), room=None)[0]


def _state(state: str) -> str:
    return "" if state == "admissible" else f"  ({state})"
