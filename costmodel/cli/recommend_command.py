"""costmodel recommend"""

from __future__ import annotations

import click

from costmodel.cli import options
from costmodel.errors import BadInput, ExitCode


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
@click.option(
    "--vms",
    multiple=True,
    metavar="N | GUEST=N",
    help="Guests that share the host: of this type, or again for each type; tells what they take together.",
)
@options.as_json
def command(
    guest: str,
    machine: str,
    workload: str,
    kernel: str,
    vms: tuple[str, ...],
    as_json: bool,
    **numbers: float | None,
) -> None:
    """Recommend a flush strategy for each trigger of a guest type on a machine.

    Says what to do now (kernel, remedies, upgrade), what it gains and how sure it is, and what would be worth patching.
    Of a kernel that may behave as one of several, each gets a short answer.
    """
    from costmodel.decision.by_kernel import recommend_by_kernel

    found = recommend_by_kernel(guest, machine, workload, kernel, vms=_counts(guest, vms), **numbers)
    if as_json:
        options.print_json(found.as_json())
    else:
        from costmodel.report.recommendation import render_by_kernel

        click.echo(render_by_kernel(found), nl=False)
    if not any(answer.applicable for _, answer in found.answers):
        click.get_current_context().exit(ExitCode.NOT_APPLICABLE)


def _counts(guest: str, vms: tuple[str, ...]) -> dict[str, int]:
    """N and GUEST=N of `--vms` as numbers by guest type. Raises BadInput."""
    found: dict[str, int] = {}
    for item in vms:
        name, separator, text = item.rpartition("=")
        try:
            found[name if separator else guest] = int(text)
        except ValueError:
            raise BadInput(f"{item!r} is neither N nor GUEST=N", field="--vms", remedy="write --vms sev=4") from None
    return found
