"""costmodel block"""

from __future__ import annotations

from collections.abc import Callable

import click

from costmodel.cli import options, types


def table_options(command: Callable) -> Callable:
    """Options that say which rows the table of a mail or a commit message has."""
    for option in (
        click.option(
            "--measured",
            multiple=True,
            type=types.HOST,
            metavar="HOST",
            help="Host profile whose measured values to add.",
        ),
        click.option(
            "--strategy",
            "strategies",
            multiple=True,
            type=types.STRATEGY,
            help="Strategy to show beside what kernels do.",
        ),
        click.option(
            "--kernel",
            "kernel_names",
            multiple=True,
            type=types.KERNEL,
            help="Kernel version to show [default: all that differ].",
        ),
        click.option("--trigger", type=types.TRIGGER, help="Trigger [default: the costliest of the workload]."),
        options.workload,
        options.machine,
        click.option(
            "--guest",
            "guests",
            multiple=True,
            required=True,
            type=types.GUEST,
            help="Guest type, once or several times.",
        ),
    ):
        command = option(command)
    return command


@click.command(
    name="block",
    epilog="""\b
Examples:
  costmodel block --guest sev --machine epyc-7763-2s
  costmodel block --guest sev-es --machine epyc-9654-2s --kernel 6.16 --kernel 6.17 --cpus-that-ran 8
  costmodel block --guest sev --machine epyc-7763-2s --strategy CLFLUSHOPT_UVA --measured epyc-genoa-4cpu-vm
""",
)
@table_options
@options.scenario_numbers
@options.as_json
def command(as_json: bool, **asked: object) -> None:
    """The table of one trigger for a commit message: what each kernel does and what that costs, with its limits.

    Prose has at most 72 columns, the table 75; each row says MODEL or MEASURED.

    All numbers are for one guest: several wait for each other's flushes, so that theirs do not just add up; `costmodel
    recommend --vms N` tells what they take together.
    """
    result = rows(**asked)
    if as_json:
        options.print_json(result.model_dump(mode="json"))
        return
    from costmodel.report.mail_table import render_block

    click.echo(render_block(result), nl=False)


def rows(*, guests: tuple[str, ...], machine: str, workload: str, **asked: object):
    """The alternatives that the options ask for."""
    from costmodel.decision.alternatives import alternatives

    return alternatives(guests, machine, workload, **asked)
