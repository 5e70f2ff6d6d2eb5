"""costmodel machine"""

from __future__ import annotations

from dataclasses import asdict

import click

from costmodel.cli import options, types
from costmodel.plain import visible


@click.group(
    name="machine",
    epilog="""\b
Examples:
  costmodel machine show this
  costmodel machine list
""",
)
def machine_command() -> None:
    """What the tool takes a machine to be: its CPUs, caches and features, and where each of them comes from.

    Every command takes the same names: an id, a marketing name, a CPUID dump of data/, a file of lscpu, lscpu -J,
    /proc/cpuinfo, cpuid -r or lstopo, a machine that you added, `-` for standard input and `this` for the host that it
    runs on. A catalogued machine has the sockets of its entry, one of a dump as many as the dump counts CPUs for;
    `2x NAME` means two sockets.
    """


@machine_command.command(
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


@machine_command.command(
    epilog="""\b
Examples:
  costmodel machine add lscpu.txt --name rack-7
  costmodel machine add '2x 9124'
"""
)
@click.argument("name", type=types.MACHINE)
@click.option("--name", "id", help="Its id from now on [default: made of part and sockets].")
def add(name: str, id: str | None) -> None:
    """Keep a machine under an id of your own, with where each number comes from.

    Writes one TOML file into COSTMODEL_MACHINES, or costmodel/machines under XDG_DATA_HOME or ~/.local/share; correct
    in it what you know better. Nothing in the catalogue changes.
    """
    from costmodel.errors import BadInput
    from costmodel.evidence import machine_input, machines, store

    evidence = store.load()
    found, origins = machine_input.origins(evidence, name)
    id = id or found.id
    if id in evidence.machines:
        raise BadInput(f"{id!r} is an id of the catalogue", field="--name", remedy="give another --name")
    path = machines.write_own(found, origins, id)
    lines = [f"{id}: {found.title}, kept in {visible(str(path))}"]
    lines += [f"  {field}: {origins[field]}" for field in machines.NUMBERS if field in origins]
    click.echo("\n".join(lines))


@machine_command.command(
    name="list",
    epilog="""\b
Examples:
  costmodel machine list
  costmodel machine list --json
""",
)
@options.as_json
def list_all(as_json: bool) -> None:
    """List the machines that can be named without a file: the catalogue, measured hosts, CPUID dumps, your own."""
    from costmodel.evidence import machine_input, store

    found = machine_input.named(store.load())
    if as_json:
        options.print_json(found)
        return
    click.echo("\n".join(f"{name:<24}{title}" for name, title in found.items()))
