"""costmodel calibrate"""

from __future__ import annotations

import click

from costmodel.cli import options, types
from costmodel.numbers import interval, quantity, significant


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
    type=types.MACHINE,
    callback=options.machine_named,
    help="Print the parameters of this machine only [default: the fits and all checks].",
)
@click.option(
    "--host",
    type=types.HOST,
    help="Calibrate a measured host (data/hosts or COSTMODEL_HOSTS) and print its diagnostics.",
)
@click.option(
    "--against", type=types.HOST, help="With --host: another profile of the same host, predicted from the first."
)
@options.as_json
def command(machine: str | None, host: str | None, against: str | None, as_json: bool) -> None:
    """Fit the cost parameters to data/ and print residuals, held-out errors, bias and coverage.

    Then hold the model against every published number and count what is met, missed and cannot be checked.
    """
    if host is not None:
        _host(host, against, as_json)
        return
    from costmodel.calibration.calibrate import parameter_set, record
    from costmodel.calibration.parameters import Calibration
    from costmodel.evidence.store import load

    evidence = load()
    wanted = [evidence.machine(machine)] if machine else list(evidence.machines.values())
    calibration = Calibration(evidence)
    result = record(calibration, [parameter_set(calibration, entry) for entry in wanted])
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

    from costmodel.calibration.calibrate import host_broadcast, parameters_of, parameters_record
    from costmodel.calibration.holdout import held_out, repeat_run, rivals
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
