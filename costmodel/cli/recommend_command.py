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
    vcpus: int | None,
    resident_bytes: float | None,
    cpus_that_ran: int | None,
    event_fraction: float | None,
    as_json: bool,
) -> None:
    """Recommend a flush strategy for each trigger of a guest type on a machine.

    Says what to do now (kernel, remedies, upgrade), what it gains and how sure it is, and what would be worth patching.
    """
    from costmodel.decision.recommend import recommend

    result = recommend(
        guest,
        machine,
        workload,
        kernel,
        vcpus=vcpus,
        resident_bytes=resident_bytes,
        cpus_that_ran=cpus_that_ran,
        event_fraction=event_fraction,
    )
    if as_json:
        options.print_json(result.model_dump(mode="json"))
        return
    from costmodel.report.text import render

    click.echo(render(result), nl=False)
