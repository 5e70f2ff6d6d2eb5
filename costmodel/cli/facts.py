"""Commands that show what the answers rest on: list, formula, admissible, calibrate, audit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import click

from costmodel.cli import options
from costmodel.cli.options import progress
from costmodel.errors import BadInput, CostModelError, UnknownName
from costmodel.numbers import interval, quantity, significant


def _guests() -> dict[str, str]:
    from costmodel.kvm.catalog import GUESTS

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
    from costmodel.kvm.catalog import STRATEGIES

    return {name: f"{s.title} [{s.list_status}]" for name, s in STRATEGIES.items()}


def _triggers() -> dict[str, str]:
    from costmodel.kvm.catalog import GUESTS, TRIGGERS

    return {
        name: f"{t.title} ({', '.join(g.id for g in GUESTS.values() if t.occurs_with(g))})"
        for name, t in TRIGGERS.items()
    }


def _kernels() -> dict[str, str]:
    from costmodel.kvm.kernels import KERNELS, newest

    return {name: "newest catalogued" if name == newest() else "" for name in KERNELS}


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
@options.table_forms
def list_command(kind: str, form: str) -> None:
    """List the ids of guests, machines, workloads, strategies, triggers, kernels or formulas."""
    entries = KINDS[kind]()
    if form != "text":
        records = [{"id": name, "description": text} for name, text in entries.items()]
        options.print_json(records) if form == "json" else options.print_table(form, records)
        return
    width = max(len(name) for name in entries) + 2
    for name, text in entries.items():
        click.echo(f"{name:<{width}}{text}".rstrip())


@click.command(
    name="formula",
    epilog="""\b
Examples:
  costmodel formula domain_flush
  costmodel formula range_flush --latex
  costmodel list formulas
""",
)
@click.argument("name", type=options.FORMULA)
@click.option("--latex", "form", flag_value="latex", help="LaTeX.")
@click.option("--python", "form", flag_value="python", help="A numpy function.")
@click.option("--c", "form", flag_value="c", help="A C99 function.")
@click.option("--javascript", "form", flag_value="javascript", help="A JavaScript function, as in the report pages.")
def formula_command(name: str, form: str | None) -> None:
    """Print the cost formula NAME with its symbols, units, source and validity."""
    from costmodel.formulas import catalog
    from costmodel.formulas.catalog import formula
    from costmodel.formulas.formula import letter

    item = formula(name)
    if form:
        printers: dict[str, Callable[[str], str]] = {
            "latex": catalog.latex,
            "python": catalog.python,
            "c": catalog.c,
            "javascript": catalog.javascript,
        }
        click.echo(printers[form](name).rstrip("\n"))
        return
    click.echo(f"{item.id}: {item.title} [{item.unit}]\n")
    click.echo(catalog.text(name))
    click.echo()
    width = max(len(symbol) for symbol in item.symbols)
    for symbol, described in item.symbols.items():
        click.echo(f"  {letter(symbol):<6} {symbol:<{width}}  [{described.unit}] {described.description}")
    click.echo(f"\nSource: {item.source}\nHolds: {item.validity}")


@click.command(
    name="calibrate",
    epilog="""\b
Examples:
  costmodel calibrate
  costmodel calibrate --machine epyc-7763-2s
  costmodel calibrate --host my-host
  costmodel calibrate --json > calibration.json
""",
)
@click.option(
    "--machine",
    type=options.MACHINE,
    callback=options.machine_named,
    help="Print the parameters of this machine only [default: the fits and all checks].",
)
@click.option(
    "--host",
    type=options.HOST,
    help="Calibrate a measured host (data/hosts or COSTMODEL_HOSTS) and print its diagnostics.",
)
@click.option(
    "--against", type=options.HOST, help="With --host: another profile of the same host, predicted from the first."
)
@options.as_json
def calibrate_command(machine: str | None, host: str | None, against: str | None, as_json: bool) -> None:
    """Fit the cost parameters to data/ and print residuals, held-out errors, bias and coverage.

    Then hold the model against every published number and count what is met, missed and cannot be checked.
    """
    if host is not None:
        _host(host, against, as_json)
        return
    from costmodel.calibration.calibrate import parameter_set, record
    from costmodel.calibration.rules import Calibration
    from costmodel.evidence.store import load

    evidence = load()
    wanted = [evidence.machine(machine)] if machine else list(evidence.machines.values())
    calibration = Calibration(evidence)
    found = []
    with progress(len(wanted), "machines") as step:
        for entry in wanted:
            found.append(parameter_set(calibration, entry))
            step()
    result: dict[str, Any] = record(calibration, found)
    if as_json:
        options.print_json(result)
        return
    if machine:
        _print_machine(machine, result["machines"][machine])
        return
    for entry in result["fits"]:
        _print_fit(entry)
    _print_published(result["published"])


def _host(name: str, against: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from costmodel.calibration.calibrate import host_broadcast, parameters_record
    from costmodel.calibration.holdout import held_out, repeat_run, rivals
    from costmodel.calibration.parameters import parameters_of
    from costmodel.evidence.store import load

    evidence = load()
    profile = evidence.host(name)
    trials = held_out(profile)
    if against is not None and (again := repeat_run(profile, evidence.host(against))):
        trials.append(again)
    forms = rivals(profile)
    answers = host_broadcast(profile)
    entry = parameters_record(parameters_of(evidence, name))
    if as_json:
        options.print_json(
            {
                "host": name,
                "held_out": [asdict(trial) for trial in trials],
                "median_error_of_forms": forms,
                "broadcast": answers,
                "findings": list(profile.findings),
                **entry,
            }
        )
        return
    click.echo(f"Time per flushed line on {name}, median error on ranges left out one at a time:")
    for form, error in sorted(forms.items(), key=lambda item: item[1]):
        click.echo(f"  {form:<24}{error:.1%}")
    for trial in trials:
        click.echo(f"  {trial.sentence()}")
    for text in profile.findings:
        click.echo(f"  {text}")
    click.echo()
    if answers is not None:
        _print_fit(answers)
    _print_machine(name, entry)


def _print_fit(entry: dict) -> None:
    click.echo(f"{entry['fit']}  ({entry['formula']}, {len(entry['rows'])} rows)")
    for name, value in entry["values"].items():
        error = entry["standard_errors_of_logs"].get(name)
        spread = f"  +- {100 * error:.0f} %" if error is not None else ""
        click.echo(f"  {name:<22}{quantity(value, 's') if name.endswith('_s') else significant(value, 3)}{spread}")
    if entry["error_bars_withheld"]:
        click.echo(f"  error bars withheld: {entry['error_bars_withheld']}")
    click.echo(
        f"  residual {entry['rms_log_residual']:.1%} (rms of logs), rank {entry['rank']} of {entry['parameters']}"
    )
    click.echo(f"  {entry['held_out']}\n")


def _print_machine(machine: str, entry: dict) -> None:
    click.echo(f"Parameters of {machine} (median [90 %]):")
    for name, p in entry["parameters"].items():
        mark = "  EXTRAPOLATED" if p["extrapolated"] else ""
        click.echo(f"  {name:<22}{interval(p['low'], p['median'], p['high'], p['unit']):<26}{mark}")
        click.echo(f"    {p['rule']}" + (f" [{', '.join(p['sources'])}]" if p["sources"] else ""))
    for name, gap in entry["missing"].items():
        click.echo(f"  {name:<22}missing: {gap}")


def _print_published(rows: list[dict]) -> None:
    counts = {verdict: sum(row["verdict"] == verdict for row in rows) for verdict in ("met", "missed", "cannot check")}
    click.echo("Published numbers: " + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
    for row in rows:
        if row["verdict"] == "missed":
            model = interval(row["low"], (row["low"] * row["high"]) ** 0.5 or row["high"], row["high"], row["unit"])
            click.echo(
                f"  missed {row['id']:<6}{quantity(row['published'], row['unit']):<10} model {model}: {row['note']}"
                f" ({row['kind']}, {row['quantity']})"
            )


@click.command(
    help=(
        "Check every number in data/: source, unit, checksum, quote, use. Takes about 20 s; exit code 1 if one is "
        "wrong."
    ),
    epilog="""\b
Examples:
  costmodel audit
  costmodel audit --data my-data --json
""",
)
@click.option(
    "--data",
    "data_dir",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Data package to check; default: the one in use.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def audit_command(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """One line per finding; exit code 1 if there is any."""
    from costmodel.errors import BadInput
    from costmodel.evidence import paths, store
    from costmodel.report import audit as shown
    from costmodel.validation import audit
    from costmodel.validation.audit import Finding, Problem

    root = data_dir or paths.data_dir()
    findings = audit.audit(root)
    try:
        evidence = store.load(root)
        numbers = audit.count_numbers(evidence)
    except BadInput:
        numbers = 0
    if not findings:
        from costmodel.validation.audit import OUTPUTS

        findings = [Finding("data", name, "", Problem("unused")) for name in audit.unused_rows(evidence, OUTPUTS)]
    if as_json:
        click.echo(shown.as_json(numbers, findings))
    else:
        for finding in findings:
            click.echo(shown.line(finding))
        click.echo(f"{numbers} numbers checked, {len(findings)} findings")
    context.exit(1 if findings else 0)


VERDICT_COLUMNS = ("guest_type", "trigger", "strategy")
VERDICT_OUTPUT = (*VERDICT_COLUMNS, "admissible", "predicates", "reason")
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
@click.option("--guest", type=options.GUEST, help="Guest type.")
@click.option("--trigger", type=options.TRIGGER, help="Trigger (see `costmodel list triggers`).")
@click.option("--strategy", type=options.STRATEGY, help="One strategy [default: all].")
@click.option(
    "--machine", type=options.MACHINE, callback=options.machine_named, help="Fill the CPU predicates from this machine."
)
@click.option(
    "--kernel",
    type=options.KERNEL,
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
@options.table_forms
def admissible_command(
    guest: str | None,
    trigger: str | None,
    strategy: str | None,
    machine: str | None,
    kernel: str | None,
    assume: tuple[str, ...],
    batch: TextIO | None,
    agreement: bool,
    form: str,
    **setup: str | bool | None,
) -> None:
    """Is a flush strategy safe for a guest type at a trigger, under which predicates, and why.

    yes, conditional and no are the rules' labels. With --machine, --kernel, --assume or a setup of the guest's memory
    the predicates are evaluated as `costmodel recommend` does: admissible, inadmissible or undecided, with those that
    fail and those that nobody told.
    """
    if sum((agreement, batch is not None, guest is not None or trigger is not None)) > 1 or (batch and form != "text"):
        raise BadInput("ask one thing", remedy="--agreement, --batch FILE.csv (prints CSV), or --guest with --trigger")
    if (agreement or batch) and (machine or kernel or assume or _told(setup)):
        problem = "--batch and --agreement give the rules' labels, which hang on no machine, kernel or setup"
        raise BadInput(problem, remedy="leave those out, or ask for one --guest and --trigger")
    if agreement:
        _print_agreement(form)
    elif batch is not None:
        _batch(batch)
    elif guest is None or trigger is None:
        raise BadInput("is missing", field="--guest or --trigger", remedy="give both, or --batch FILE.csv")
    else:
        _one(guest, trigger, strategy, _known(guest, trigger, machine, kernel, assume, setup), form)


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
    memory: dict[str, Any] = {name: value for name, value in setup.items() if name != "noncoherent_dma"}
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
            for one in predicates.PREDICATES.values():
                if one.feature:
                    found.pop(one.id)
    for item in assume:
        name, separator, text = item.partition("=")
        if not separator or text.lower() not in ("true", "false"):
            raise BadInput(f"{item!r} is not PREDICATE=true or PREDICATE=false", field="--assume", remedy="write it so")
        if name not in predicates.PREDICATES:
            raise UnknownName("predicate", name, predicates.PREDICATES)
        found[name] = text.lower() == "true"
    return found if told or assume else None


def _told(setup: Mapping[str, str | bool | None]) -> bool:
    """Whether any of the setup was given; the switch for DMA has no third position."""
    return any(value is not None and (value or name != "noncoherent_dma") for name, value in setup.items())


def _one(guest: str, trigger: str, strategy: str | None, known: dict | None, form: str) -> None:
    from costmodel.kvm.admissibility import judge
    from costmodel.kvm.catalog import STRATEGIES

    verdicts = {name: judge(guest, trigger, name, known) for name in ([strategy] if strategy else STRATEGIES)}
    if form != "text":
        records = [{"guest": guest, "trigger": trigger, "strategy": n, **asdict(v)} for n, v in verdicts.items()]
        options.print_json(records) if form == "json" else options.print_table(form, records)
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
    from costmodel.evidence.tables import csv_text
    from costmodel.kvm.admissibility import judge

    name, _, rows = options.read_cells(file, VERDICT_COLUMNS)
    out = []
    for number, row in rows:
        cells = [(row[column] or "").strip() for column in VERDICT_COLUMNS]
        if any(len(cell) > LONGEST_CELL for cell in cells):
            raise BadInput(
                f"a cell is longer than {LONGEST_CELL} characters", file=name, row=number, remedy="shorten it"
            )
        try:
            guest, trigger, strategy = cells
            verdict = judge(guest, trigger, strategy)
        except CostModelError as error:
            raise BadInput(str(error), file=name, row=number, remedy="see `costmodel list`") from None
        out.append((*cells, verdict.label, verdict.predicates, verdict.reason))
    click.echo(csv_text(VERDICT_OUTPUT, out), nl=False)


def _print_agreement(form: str) -> None:
    from costmodel.kvm.admissibility import disagreements, scores
    from costmodel.kvm.rules import RULES

    if form in ("csv", "markdown"):
        options.print_table(form, [asdict(d) for d in disagreements()])
        return
    if form == "json":
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
