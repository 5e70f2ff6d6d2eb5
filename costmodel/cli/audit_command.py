"""`costmodel audit`: is every number in data/ sourced, converted, unchanged, explained and used?"""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(
    help="Check every number in data/: source, unit, checksum, quote, use. Takes about 20 s; exit code 1 if one is wrong.",
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
def command(context: click.Context, data_dir: Path | None, as_json: bool) -> None:
    """One line per finding; exit code 1 if there is any."""
    from costmodel.errors import BadInput
    from costmodel.evidence import paths, store
    from costmodel.evidence.finding import Finding
    from costmodel.validation import audit

    root = data_dir or paths.data_dir()
    findings = audit.audit(root)
    try:
        evidence = store.load(root)
        numbers = audit.count_numbers(evidence)
    except BadInput:
        numbers = 0
    if not findings:
        from costmodel.validation.audit import OUTPUTS

        findings = [
            Finding("data", name, "", "nothing uses this number") for name in audit.unused_rows(evidence, OUTPUTS)
        ]
    if as_json:
        click.echo(json.dumps({"numbers": numbers, "findings": [finding._asdict() for finding in findings]}, indent=1))
    else:
        for finding in findings:
            click.echo(str(finding))
        click.echo(f"{numbers} numbers checked, {len(findings)} findings")
    context.exit(1 if findings else 0)
