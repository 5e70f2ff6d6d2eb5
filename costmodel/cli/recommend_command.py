"""costmodel recommend"""

from __future__ import annotations

import click

from costmodel.cli import options


@click.command(
    name="recommend",
    epilog="""\b
Examples:
  costmodel recommend --guest sev --machine epyc-7763-2s --workload ksm-default
  costmodel recommend --guest sev-snp-gmem --machine epyc-9654-2s --kernel 6.12 --json
""",
)
@options.guest
@options.machine
@options.workload
@options.kernel
@options.scenario_numbers
@options.as_json
def command(
    guest: str,
    machine: str,
    workload: str,
    kernel: str,
    as_json: bool,
    **numbers: float | None,
) -> None:
    """Recommend a flush strategy for each trigger of a guest type on a machine.

    Says what to do now (kernel, remedies, upgrade), what it gains and how sure it is, and what would be worth patching.
    """
    from costmodel.decision.recommend import recommend

    result = recommend(guest, machine, workload, kernel, **numbers)
    if as_json:
        options.print_json(result.model_dump(mode="json"))
        return
    from costmodel.report.text import render

    click.echo(render(result), nl=False)
