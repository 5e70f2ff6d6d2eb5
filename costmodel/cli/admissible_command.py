"""costmodel admissible"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TextIO

import click

from costmodel.cli import options, types
from costmodel.errors import BadInput, CostModelError, UnknownName

COLUMNS = ("guest_type", "trigger", "strategy")
OUTPUT = (*COLUMNS, "admissible", "predicates", "reason")
LONGEST_CELL = 200


@click.command(
    name="admissible",
    epilog="""\b
Examples:
  costmodel admissible --guest sev-snp-gmem --trigger gmem_punch_hole
  costmodel admissible --guest sev --trigger autonuma_prot_none_scan --strategy CLFLUSHOPT_UVA \\
      --assume invalidations_serialised=true --assume has_sme_coherent=true
  costmodel admissible --guest sev --trigger autonuma_prot_none_scan --machine epyc-7763-2s --kernel 6.12 --not-pinned
  costmodel admissible --batch cells.csv > verdicts.csv
  costmodel admissible --agreement
""",
)
@click.option("--guest", type=types.GUEST, help="Guest type.")
@click.option("--trigger", type=types.TRIGGER, help="Trigger (see `costmodel list triggers`).")
@click.option("--strategy", type=types.STRATEGY, help="One strategy [default: all].")
@click.option(
    "--machine", type=types.MACHINE, callback=options.machine_named, help="Fill the CPU predicates from this machine."
)
@click.option(
    "--kernel",
    type=types.KERNEL,
    help="Fill the kernel predicates from this version [default with a machine or setup: newest].",
)
@click.option(
    "--assume", multiple=True, metavar="PREDICATE=BOOL", help="Take a predicate as true or false; repeatable."
)
@click.option(
    "--batch",
    type=click.File(encoding="utf-8-sig"),
    metavar="FILE.csv",
    help="Judge each row of a CSV file (guest_type,trigger,strategy); - reads standard input.",
)
@click.option("--agreement", is_flag=True, help="Print how the rules agree with the facts they were written from.")
@options.guest_setup
@options.as_json
def command(
    guest: str | None,
    trigger: str | None,
    strategy: str | None,
    machine: str | None,
    kernel: str | None,
    assume: tuple[str, ...],
    batch: TextIO | None,
    agreement: bool,
    as_json: bool,
    **setup: str | bool | None,
) -> None:
    """Is a flush strategy safe for a guest type at a trigger, under which predicates, and why.

    yes, conditional and no are the rules' labels. With --machine, --kernel, --assume or a setup of the guest's memory
    the predicates are evaluated as `costmodel recommend` does: admissible, inadmissible or undecided, with those that
    fail and those that nobody told.
    """
    if sum((agreement, batch is not None, guest is not None or trigger is not None)) > 1 or (batch and as_json):
        raise BadInput("ask one thing", remedy="--agreement, --batch FILE.csv (prints CSV), or --guest with --trigger")
    if (agreement or batch) and (machine or kernel or assume or _told(setup)):
        problem = "--batch and --agreement give the rules' labels, which hang on no machine, kernel or setup"
        raise BadInput(problem, remedy="leave those out, or ask for one --guest and --trigger")
    if agreement:
        _print_agreement(as_json)
    elif batch is not None:
        _batch(batch)
    elif guest is None or trigger is None:
        raise BadInput("is missing", field="--guest or --trigger", remedy="give both, or --batch FILE.csv")
    else:
        _one(guest, trigger, strategy, _known(guest, trigger, machine, kernel, assume, setup), as_json)


def _known(
    guest: str,
    trigger: str,
    machine: str | None,
    kernel: str | None,
    assume: tuple[str, ...],
    setup: Mapping[str, str | bool | None],
) -> dict | None:
    """Truth values from machine, kernel, setup and assumptions; None if nothing was given."""
    from costmodel.cost.scenario import check_dma, release_of
    from costmodel.kvm import kernels, predicates
    from costmodel.kvm.setup import setup as setup_of

    found: dict[str, bool] = {}
    memory = {name: value for name, value in setup.items() if name != "noncoherent_dma"}
    dma = bool(setup["noncoherent_dma"])
    told = bool(machine or kernel) or _told(setup)
    if told:
        check_dma(guest, dma)
        features = {}
        if machine:
            from costmodel.evidence.store import load

            features = load().machine(machine).features
        version = kernels.settled(kernel or "newest", guest)
        release, pinned = release_of(guest, version), setup_of(guest, **memory).pinned_for_sure
        found = predicates.known(guest, trigger, features, kernels.resolve(version), release, pinned, dma)
        if not machine:
            for name in predicates.FEATURES:
                found.pop(name)
    for item in assume:
        name, separator, text = item.partition("=")
        if not separator or text.lower() not in ("true", "false"):
            raise BadInput(f"{item!r} is not PREDICATE=true or PREDICATE=false", field="--assume", remedy="write it so")
        if name not in predicates.MEANING:
            raise UnknownName("predicate", name, predicates.MEANING)
        found[name] = text.lower() == "true"
    return found if told or assume else None


def _told(setup: Mapping[str, str | bool | None]) -> bool:
    """Whether any of the setup was given; the switch for DMA has no third position."""
    return any(value is not None and (value or name != "noncoherent_dma") for name, value in setup.items())


def _one(guest: str, trigger: str, strategy: str | None, known: dict | None, as_json: bool) -> None:
    from costmodel.kvm.admissibility import judge
    from costmodel.kvm.strategies import STRATEGIES

    verdicts = {name: judge(guest, trigger, name, known) for name in ([strategy] if strategy else STRATEGIES)}
    if as_json:
        options.print_json(
            [{"guest": guest, "trigger": trigger, "strategy": n, **asdict(v)} for n, v in verdicts.items()]
        )
        return
    for name, verdict in verdicts.items():
        state = f" -> {verdict.state}" if known is not None else ""
        click.echo(f"{name:<22}{verdict.label}{state}: {verdict.reason} [{verdict.source}]")
        if verdict.label != "no" and verdict.predicates != "true":
            click.echo(f"{'':<22}if {verdict.predicates}")
        for title, names in (("fails", verdict.unmet), ("unknown", verdict.unknown)):
            if known is not None and names:
                click.echo(f"{'':<22}{title}: {', '.join(names)}")


def _batch(file: TextIO) -> None:
    """Same rows in the same order, with admissible, predicates and reason; nothing is printed if a row is bad."""
    from costmodel.evidence.table import csv_text
    from costmodel.kvm.admissibility import judge

    name, _, rows = options.read_cells(file, COLUMNS)
    out = []
    for number, row in rows:
        cells = [(row[column] or "").strip() for column in COLUMNS]
        if any(len(cell) > LONGEST_CELL for cell in cells):
            raise BadInput(
                f"a cell is longer than {LONGEST_CELL} characters", file=name, row=number, remedy="shorten it"
            )
        try:
            verdict = judge(*cells)
        except CostModelError as error:
            raise BadInput(str(error), file=name, row=number, remedy="see `costmodel list`") from None
        out.append((*cells, verdict.label, verdict.predicates, verdict.reason))
    click.echo(csv_text(OUTPUT, out), nl=False)


def _print_agreement(as_json: bool) -> None:
    from costmodel.kvm.agreement import disagreements, scores
    from costmodel.kvm.rules import RULES

    if as_json:
        options.print_json(
            {
                "rules": len(RULES),
                "scores": {name: {"agree": s.agree, "cells": s.cells} for name, s in scores().items()},
                "disagreements": [asdict(d) for d in disagreements()],
            }
        )
        return
    click.echo(f"{len(RULES)} rules")
    for name, score in scores().items():
        click.echo(f"  {name:<28}{score.agree:>5} of {score.cells:<5} {score.share:.1%}")
    for d in disagreements():
        click.echo(
            f"  {d.guest} / {d.trigger} / {d.strategy}: facts {d.facts_label}, rule {d.rule} says {d.rule_label}: "
            f"{d.why or 'no reason documented'}"
        )
