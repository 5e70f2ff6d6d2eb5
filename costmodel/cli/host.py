"""costmodel host"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from costmodel.cli import options, types
from costmodel.errors import BadInput, CostModelError

if TYPE_CHECKING:
    from costmodel.decision.by_kernel import ByKernel
    from costmodel.evidence.records import Machine
    from costmodel.measure.running import Running, RunningGuest

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
    type=types.MACHINE,
    default="this",
    show_default=True,
    callback=options.machine_named,
    help=options.MACHINE_HELP,
)
@click.option(
    "--kernel", type=types.KERNEL, help="Host kernel: a version or what `uname -r` prints [default: the one that runs]."
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

    if kernel is not None:
        kernels.candidates(kernel)
    host = running.look(names=names)
    if domains and click.get_current_context().get_parameter_source("machine") is not ParameterSource.DEFAULT:
        if kernel is None:
            raise BadInput(
                "is missing", field="--kernel", remedy="name the kernel of the other host beside its --machine"
            )
        host = running.Running(kernel, unseen=("settings of that host: its kernel's defaults are taken",))
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
                "unseen": list(host.unseen),
                "guests": [
                    {
                        **asdict(guest),
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


def _workload(guest: RunningGuest, host: Running) -> str:
    """The workload that the host's settings bring about for this guest."""
    if host.settings.get("numa_balancing", "1") != "0":
        return "autonuma-default"
    return "ksm-default" if guest.mergeable and host.settings.get("ksm_run") == "1" else "idle"


def _answer(guest: RunningGuest, machine: Machine, kernel: str, host: Running) -> ByKernel | str:
    """The recommendation for a guest, one for each kernel that this one may behave as, or why there is none."""
    from costmodel.decision.by_kernel import recommend_by_kernel

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
        return recommend_by_kernel(guest.guest, machine.id, _workload(guest, host), kernel, **told)
    except CostModelError as error:
        return str(error)


def _page(machine: Machine, kernel: str, host: Running, answers: list[tuple[RunningGuest, ByKernel | str]]) -> str:
    from costmodel.evidence import machine_input
    from costmodel.plain import visible
    from costmodel.report.layout import wrap
    from costmodel.report.recommendation import first_screens

    lines = ["THIS HOST", *(line for text in machine_input.facts(machine) for line in wrap(text, "  ", "    "))]
    lines += wrap(f"kernel {visible(kernel)}", "  ", "    ")
    settings = ", ".join(f"{name} = {visible(value)}" for name, value in host.settings.items())
    lines += wrap(settings or "no setting could be read", "  ", "    ")
    if host.unseen:
        lines += wrap(f"not seen: {', '.join(host.unseen)}", "  ", "    ")
    if not answers:
        lines += ["", "No guest runs here that this process can see."]
    for number, (guest, answer) in enumerate(answers, start=1):
        lines += ["", *wrap(f"GUEST {visible(guest.name) or number}: {_described(guest)}", "", "  ")]
        if guest.unseen:
            lines += wrap(f"not seen: {', '.join(guest.unseen)}", "  ", "    ")
        lines += wrap(f"no answer: {answer}", "  ", "    ") if isinstance(answer, str) else first_screens(answer)
    return "\n".join(lines)


def _described(guest: RunningGuest) -> str:
    from costmodel.numbers import quantity

    words = [guest.guest, f"run by {guest.vmm}"]
    words.append(f"{guest.vcpus} vCPUs" if guest.vcpus else "vCPUs unknown")
    words.append(quantity(guest.memory_bytes, "B") if guest.memory_bytes else "memory unknown")
    words += [text for text in (guest.backing, guest.mempolicy and f"memory policy {guest.mempolicy}") if text]
    if guest.mergeable:
        words.append("mergeable")
    if guest.allowed_cpus:
        words.append(f"vCPUs on {guest.allowed_cpus} CPUs")
    if guest.allowed_nodes:
        words.append(f"memory on {guest.allowed_nodes} {'node' if guest.allowed_nodes == 1 else 'nodes'}")
    if guest.limit_bytes:
        less = guest.memory_bytes is not None and guest.limit_bytes < guest.memory_bytes
        words.append(f"cgroup limit {quantity(guest.limit_bytes, 'B')}{' (less than its memory)' if less else ''}")
    return ", ".join(words)
