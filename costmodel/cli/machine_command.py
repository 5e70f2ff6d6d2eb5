"""costmodel machine"""

from __future__ import annotations

from dataclasses import asdict

import click

from costmodel.cli import options, types


@click.group(
    name="machine",
    epilog="""\b
Examples:
  costmodel machine show this
  costmodel machine list
""",
)
def command() -> None:
    """What the tool takes a machine to be: its CPUs, caches and features, and where each of them comes from.

    Every command takes the same names: an id, a marketing name, a CPUID dump of data/, a file of lscpu, lscpu -J,
    /proc/cpuinfo, cpuid -r or lstopo, `-` for standard input and `this` for the host that it runs on. `2x NAME` means
    two sockets.
    """


@command.command(
    epilog="""\b
Examples:
  costmodel machine show 'EPYC 9754'
  costmodel machine show '2x 9124' --json
  lscpu | costmodel machine show -
"""
)
@click.argument("name", type=types.MACHINE)
@options.as_json
def show(name: str, as_json: bool) -> None:
    """Show one machine, with what had to be taken from elsewhere."""
    from costmodel.evidence import machine_input, store

    found = machine_input.find(store.load(), name)
    if as_json:
        options.print_json(asdict(found))
        return
    click.echo("\n  ".join((f"{found.id}: {(lines := machine_input.facts(found))[0]}", *lines[1:])))


@command.command(
    name="list",
    epilog="""\b
Examples:
  costmodel machine list
  costmodel machine list --json
""",
)
@options.as_json
def list_all(as_json: bool) -> None:
    """List the machines that can be named without a file: the catalogue, measured hosts, CPUID dumps."""
    from costmodel.evidence import machine_input, store

    found = machine_input.named(store.load())
    if as_json:
        options.print_json(found)
        return
    click.echo("\n".join(f"{name:<24}{title}" for name, title in found.items()))
