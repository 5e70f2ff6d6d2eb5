"""costmodel formula"""

from __future__ import annotations

import click

from costmodel.cli import types


@click.command(
    name="formula",
    epilog="""\b
Examples:
  costmodel formula domain_flush
  costmodel formula range_flush --latex
  costmodel list formulas
""",
)
@click.argument("name", type=types.FORMULA)
@click.option("--latex", "form", flag_value="latex", help="LaTeX.")
@click.option("--python", "form", flag_value="python", help="A numpy function.")
@click.option("--c", "form", flag_value="c", help="A C99 function.")
def command(name: str, form: str | None) -> None:
    """Print the cost formula NAME with its symbols, units, source and validity."""
    from costmodel.formulas import catalog
    from costmodel.formulas.catalog import formula
    from costmodel.formulas.formula import NOTATION

    item = formula(name)
    if form:
        click.echo(getattr(catalog, form)(name).rstrip("\n"))
        return
    click.echo(f"{item.id}: {item.title} [{item.unit}]\n")
    click.echo(catalog.text(name))
    click.echo()
    width = max(len(symbol) for symbol in item.symbols)
    for symbol, quantity in item.symbols.items():
        click.echo(f"  {NOTATION[symbol]:<6} {symbol:<{width}}  [{quantity.unit}] {quantity.description}")
    click.echo(f"\nSource: {item.source}\nHolds: {item.validity}")
