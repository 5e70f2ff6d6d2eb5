"""costmodel list"""

from __future__ import annotations

from collections.abc import Callable

import click

from costmodel.cli import options


def _guests() -> dict[str, str]:
    from costmodel.kvm.guests import GUESTS

    return {name: f"{guest.title}: {guest.note}" for name, guest in GUESTS.items()}


def _machines() -> dict[str, str]:
    from costmodel.evidence.store import load

    return {
        name: f"{m.title}: {m.logical_cpus} CPUs, {m.domains} x {m.llc_bytes_per_domain / 2**20:g} MiB LLC"
        for name, m in load().machines.items()
    }


def _workloads() -> dict[str, str]:
    from costmodel.evidence.store import load

    return {name: f"{w.title}: {', '.join(t.trigger for t in w.triggers)}" for name, w in load().workloads.items()}


def _strategies() -> dict[str, str]:
    from costmodel.kvm.strategies import STRATEGIES

    return {name: f"{s.title} [{s.list_status}]" for name, s in STRATEGIES.items()}


def _triggers() -> dict[str, str]:
    from costmodel.kvm.guests import GUESTS
    from costmodel.kvm.triggers import TRIGGERS

    return {
        name: f"{t.title} ({', '.join(g.id for g in GUESTS.values() if t.occurs_with(g))})"
        for name, t in TRIGGERS.items()
    }


def _kernels() -> dict[str, str]:
    from costmodel.kvm.kernels import KERNEL_RANGES, newest

    return {name: "newest catalogued" if name == newest() else "" for name in KERNEL_RANGES}


def _formulas() -> dict[str, str]:
    from costmodel.formulas.catalog import FORMULAS

    return {name: f"{f.title} [{f.unit}]" for name, f in FORMULAS.items()}


KINDS: dict[str, Callable[[], dict[str, str]]] = {
    "guests": _guests,
    "machines": _machines,
    "workloads": _workloads,
    "strategies": _strategies,
    "triggers": _triggers,
    "kernels": _kernels,
    "formulas": _formulas,
}


@click.command(
    name="list",
    epilog="""\b
Examples:
  costmodel list machines
  costmodel list triggers --json
""",
)
@click.argument("kind", type=click.Choice(list(KINDS)))
@options.as_json
def command(kind: str, as_json: bool) -> None:
    """List the ids of guests, machines, workloads, strategies, triggers, kernels or formulas."""
    entries = KINDS[kind]()
    if as_json:
        options.print_json([{"id": name, "description": text} for name, text in entries.items()])
        return
    width = max(len(name) for name in entries) + 2
    for name, text in entries.items():
        click.echo(f"{name:<{width}}{text}".rstrip())
