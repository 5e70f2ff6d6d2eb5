"""costmodel host, and costmodel machine: this host with its guests, and what a machine is taken to be."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from costmodel.cli import options
from costmodel.errors import BadInput, CostModelError
from costmodel.plain import visible

if TYPE_CHECKING:
    from costmodel.evidence.records import Machine
    from costmodel.measure.running import Running, RunningGuest
    from costmodel.report.record import ByKernel

LONGEST = 2**20


@click.command(
    name="host",
    epilog="""\b
Examples:
  costmodel host
  costmodel host --kernel 6.12.61 --json
  virsh dumpxml tenant | costmodel host --machine 'EPYC 9654' --kernel 6.6 --domain -
""",
)
@click.option(
    "--machine",
    type=options.MACHINE,
    default="this",
    show_default=True,
    callback=options.machine_named,
    help=options.MACHINE_HELP,
)
@click.option(
    "--kernel",
    type=options.KERNEL,
    help="Host kernel: a version or what `uname -r` prints [default: the one that runs].",
)
@click.option(
    "--domain",
    "domains",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path),
    help="libvirt domain XML of a guest, instead of the guests that run here; again for another.",
)
@click.option("--names", is_flag=True, help="Print the names of guests; without it they are numbered.")
@options.as_json
def host_command(machine: str, kernel: str | None, domains: tuple[Path, ...], names: bool, as_json: bool) -> None:
    """Look at this host and recommend for each guest as it is: what is wrong, what to do first, what is left.

    Reads /proc and /sys and changes nothing. Of a command line only types, counts, sizes and switches are kept; what
    cannot be seen without root is said.
    """
    from costmodel.evidence.store import load
    from costmodel.kvm import kernels
    from costmodel.measure import running
    from costmodel.report import measurement

    if kernel is not None:
        kernels.candidates(kernel)
    host = running.look(names=names)
    if domains and click.get_current_context().get_parameter_source("machine") is not ParameterSource.DEFAULT:
        if kernel is None:
            raise BadInput(
                "is missing", field="--kernel", remedy="name the kernel of the other host beside its --machine"
            )
        host = running.Running(kernel, unseen=(running.Unseen("other host"),))
    guests = [running.domain(_text(path), path.name, names=names) for path in domains] or list(host.guests)
    found = load().machine(machine)
    answers = [(guest, _answer(guest, found, kernel or host.kernel, host)) for guest in guests]
    if as_json:
        options.print_json(
            {
                "machine": found.id,
                "machine_notes": list(found.notes),
                "kernel": kernel or host.kernel,
                "settings": dict(host.settings),
                "unseen": list(map(measurement.unseen, host.unseen)),
                "guests": [
                    {
                        **asdict(guest),
                        "unseen": list(map(measurement.unseen, guest.unseen)),
                        "workload_why": _workload(guest, host)[1],
                        "problem": answer if isinstance(answer, str) else "",
                        "recommendation": None if isinstance(answer, str) else answer.as_json(),
                    }
                    for guest, answer in answers
                ],
            }
        )
        return
    click.echo(_page(found, kernel or host.kernel, host, answers))


def _text(path: Path) -> str:
    text = sys.stdin.read(LONGEST) if str(path) == "-" else path.read_text(errors="replace")
    if len(text) >= LONGEST:
        raise BadInput("is too long for a domain", file=path.name, remedy="give what `virsh dumpxml DOMAIN` prints")
    return text


def _workload(guest: RunningGuest, host: Running) -> tuple[str, str]:
    """The workload that the host's settings bring about for this guest, and why."""
    from costmodel.evidence.workloads import DEFAULT

    scans = host.settings.get("numa_balancing")
    if scans is None:
        return DEFAULT, "whether NUMA balancing is on was not seen: taken as on"
    if scans != "0":
        return DEFAULT, "NUMA balancing is on"
    if guest.mergeable and host.settings.get("ksm_run") == "1":
        return "ksm-default", "NUMA balancing is off, KSM is on and may merge this guest's memory"
    ksm = {None: "whether KSM runs was not seen", "1": "KSM may not merge this guest's memory"}
    return "idle", f"NUMA balancing is off, and {ksm.get(host.settings.get('ksm_run'), 'KSM is too')}"


def _answer(guest: RunningGuest, machine: Machine, kernel: str, host: Running) -> ByKernel | str:
    """The recommendation for a guest, one for each kernel that this one may behave as, or why there is none."""
    from costmodel.report.record import recommend_by_kernel

    told = {
        "vcpus": guest.vcpus,
        "resident_bytes": guest.memory_bytes,
        "cpus_that_ran": min(guest.allowed_cpus, machine.logical_cpus) if guest.allowed_cpus else None,
        "vmm": guest.vmm,
        "backing": guest.backing,
        "mempolicy": guest.mempolicy,
        "mergeable": guest.mergeable,
    }
    try:
        return recommend_by_kernel(guest.guest, machine.id, _workload(guest, host)[0], kernel, **told)
    except CostModelError as error:
        return str(error)


def _page(machine: Machine, kernel: str, host: Running, answers: list[tuple[RunningGuest, ByKernel | str]]) -> str:
    from costmodel.evidence import machine_input
    from costmodel.plain import visible
    from costmodel.report import measurement
    from costmodel.report.layout import wrap
    from costmodel.report.recommendation import first_screens

    lines = ["THIS HOST", *(line for text in machine_input.facts(machine) for line in wrap(text, "  ", "    "))]
    lines += wrap(f"kernel {visible(kernel)}", "  ", "    ")
    settings = ", ".join(map(visible, measurement.settings(host.settings)))
    lines += wrap(settings or "no setting could be read", "  ", "    ")
    if host.unseen:
        lines += wrap(f"not seen: {', '.join(map(measurement.unseen, host.unseen))}", "  ", "    ")
    if not answers:
        lines += ["", "No guest runs here that this process can see."]
    for number, (guest, answer) in enumerate(answers, start=1):
        lines += ["", *wrap(f"GUEST {visible(guest.name) or number}: {_described(guest, machine)}", "", "  ")]
        if guest.unseen:
            lines += wrap(f"not seen: {', '.join(map(measurement.unseen, guest.unseen))}", "  ", "    ")
        workload, why = _workload(guest, host)
        lines += wrap(f"taken as workload {workload}: {why}", "  ", "    ")
        lines += (
            wrap(f"no answer: {answer}", "  ", "    ")
            if isinstance(answer, str)
            else first_screens(answer, machine.notes)
        )
    return "\n".join(lines)


BACKINGS = {
    "anon": "memory in 4 KiB pages",
    "thp": "memory in transparent huge pages",
    "hugetlb": "memory in hugetlb pages",
    "memfd": "memory in a memfd or file",
    "guest_memfd": "private memory in guest_memfd",
}
POLICIES = {
    "default": "no memory policy",
    "bind": "bound to nodes",
    "interleave": "interleaved over nodes",
    "preferred-many": "preferring nodes",
}


def _size(size_bytes: float) -> str:
    """A size as an administrator writes it: whole where it is."""
    from costmodel.numbers import quantity

    for unit, name in ((2.0**30, "GiB"), (2.0**20, "MiB")):
        if size_bytes % unit == 0:
            return f"{size_bytes / unit:g} {name}"
    return quantity(size_bytes, "B", 3)


def _described(guest: RunningGuest, machine: Machine) -> str:
    words = [guest.guest, f"run by {guest.vmm}"]
    words.append(f"{guest.vcpus} vCPUs" if guest.vcpus else "number of vCPUs unknown")
    words.append(_size(guest.memory_bytes) if guest.memory_bytes else "size of its memory unknown")
    words += [text for text in (BACKINGS.get(guest.backing or ""), POLICIES.get(guest.mempolicy or "")) if text]
    if guest.mergeable:
        words.append("KSM may merge its memory")
    if guest.allowed_cpus:
        cpus = machine.logical_cpus
        free = guest.allowed_cpus >= cpus
        words.append(f"its vCPUs may run on {f'all {cpus}' if free else f'{guest.allowed_cpus} of {cpus}'} CPUs")
    if guest.allowed_nodes:
        words.append(f"its memory may lie on {guest.allowed_nodes} {'node' if guest.allowed_nodes == 1 else 'nodes'}")
    if guest.limit_bytes:
        less = guest.memory_bytes is not None and guest.limit_bytes < guest.memory_bytes
        words.append(f"cgroup limit {_size(guest.limit_bytes)}{' (less than its memory)' if less else ''}")
    return ", ".join(words)


# What a machine is taken to be.


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
@click.argument("name", type=options.MACHINE)
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
@click.argument("name", type=options.MACHINE)
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
