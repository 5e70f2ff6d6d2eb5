"""costmodel reply"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from costmodel.cli import options
from costmodel.cli.reports import rows, table_options


@click.command(
    name="reply",
    epilog="""\b
Examples:
  costmodel reply mail.eml --guest sev --machine epyc-7763-2s --quote WBINVD > reply.eml
  costmodel reply thread.mbox --message-id ID --guest sev-snp --guest sev --machine epyc-7763-2s --send-ready
  git send-email --dry-run --to=you@example.org reply.eml
""",
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@table_options
@click.option("--quote", "patterns", multiple=True, help="Regular expression of a line that is answered.")
@click.option("--message-id", help="The mail of FILE to answer, where it holds several.")
@click.option("--send-ready", is_flag=True, help="Fail unless the mail can be sent as it is.")
@options.scenario_numbers
def reply_command(
    file: Path, patterns: tuple[str, ...], message_id: str | None, send_ready: bool, **asked: Any
) -> None:
    """Answer a mail with numbers: an RFC 5322 message on stdout for `git send-email`, 7-bit plain text, or UTF-8 where
    a quote or a name needs it.

    FILE is a raw mail, an mbox (also .gz), a public-inbox file or the page of a mail archive (HTML or its text; of one
    mail or of a thread), or - for stdin. What the file does not tell, such as who wrote a line that is quoted, gives a
    draft that names what is missing. Nothing is ever made up.
    """
    from costmodel.mail.read import read
    from costmodel.mail.reply import choose, reply

    mail = choose(read(file), patterns, message_id)
    result = reply(mail, rows(**asked), patterns, send_ready=send_ready)
    click.echo(result.content, nl=False)
    for text in (*result.gaps, *result.notes):
        click.echo(f"costmodel: note: {text}", err=True)
