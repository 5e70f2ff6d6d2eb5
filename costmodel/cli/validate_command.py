"""costmodel validate"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from costmodel.cli import options


@click.command(
    name="validate",
    epilog="""\b
Examples:
  costmodel validate
  costmodel validate --section upstream --section claims --all
  costmodel validate --json > scoreboard.json
  costmodel validate --html scoreboard.html
""",
)
@click.option(
    "--section",
    "sections",
    multiple=True,
    help="One section only, may be repeated: claims, terms, simulation, retrodiction, upstream, cost-alone, "
    "measurements, lore, strd, formulas [default: all].",
)
@click.option("--all", "everything", is_flag=True, help="Print every row, also of long sections that pass.")
@click.option(
    "--html", "page", type=click.Path(dir_okay=False, path_type=Path), help="Write the page to this file, too."
)
@options.as_json
def command(sections: tuple[str, ...], everything: bool, page: Path | None, as_json: bool) -> None:
    """The scoreboard: held-out errors, simulation, upstream decisions, lore, certified regressions.

    Exit code 1 if a row fails without an explanation. Simulation and certified regressions are shown as they were last run.
    """
    from costmodel.errors import BadInput
    from costmodel.evidence.store import load
    from costmodel.hashing import write_beside
    from costmodel.report import scoreboard as shown
    from costmodel.validation import scoreboard

    names = scoreboard.chosen(sections)
    if page is not None and not page.resolve().parent.is_dir():
        raise BadInput("its directory does not exist", file=page, field="--html", remedy="create it first")
    with click.progressbar(length=len(names), label="sections ", file=sys.stderr) as bar:
        board = scoreboard.build(load(), names, lambda: bar.update(1))
    if page is not None:
        write_beside(page, shown.html(board))
    words = [word for name in sections for word in ("--section", name)] + ["--all"] * everything
    click.echo(shown.as_json(board) if as_json else shown.text(board, words, everything=everything), nl=False)
    sys.exit(1 if board.failed else 0)
