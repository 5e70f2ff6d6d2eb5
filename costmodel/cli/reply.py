"""costmodel reply"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from costmodel.cli import options
from costmodel.cli.reports import GUESTS, rows, table_options
from costmodel.errors import BadInput

if TYPE_CHECKING:
    from costmodel.decision.result import Alternatives
    from costmodel.decision.tables import RangeLimit
    from costmodel.mail.question import Question


@click.command(
    name="reply",
    epilog="""\b
Examples:
  costmodel reply mail.eml --machine epyc-7763-2s --quote WBINVD > reply.eml
  costmodel reply mail.eml --machine epyc-7763-2s --quote WBINVD --explain
  costmodel reply thread.mbox --message-id ID --guest sev-snp --guest sev --machine epyc-7763-2s --send-ready
  git send-email --dry-run --to=you@example.org reply.eml
""",
)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@table_options
@click.option("--guest", "guests", help="Guest type, once or several times [default: what the quote names].", **GUESTS)
@click.option("--quote", "patterns", multiple=True, help="Regular expression of a line that is answered.")
@click.option("--message-id", help="The mail of FILE to answer, where it holds several.")
@click.option("--send-ready", is_flag=True, help="Fail unless the mail can be sent as it is.")
@click.option("--full", is_flag=True, help="Say all of it: every row, intervals, upstream's decisions, priors.")
@click.option("--explain", is_flag=True, help="Print what the quoted lines were taken to ask, and no mail.")
@options.scenario_numbers
def reply_command(
    file: Path,
    patterns: tuple[str, ...],
    message_id: str | None,
    send_ready: bool,
    full: bool,
    explain: bool,
    **asked: Any,
) -> None:
    """Answer a mail with numbers: an RFC 5322 message on stdout for `git send-email`, 7-bit plain text, or UTF-8 where
    a quote or a name needs it.

    The quoted lines choose the table: the guest types, events and flushes that they name, and the length of a range.
    What an option names goes before. FILE is a raw mail, an mbox (also .gz), a public-inbox file or the page of a mail
    archive (HTML or its text; of one mail or of a thread), or - for stdin. What the file does not tell, such as who
    wrote a line that is quoted, gives a draft that names what is missing. Nothing is ever made up.
    """
    from costmodel.mail.question import question
    from costmodel.mail.read import read
    from costmodel.mail.reply import answer, choose, quoted, reply

    mail = choose(read(file), patterns, message_id)
    found = question(quoted(mail, patterns).lines, mail.subject)
    given, untold = _chosen(found, asked)
    if explain:
        _explain(found, given, untold)
        return
    if not given["guests"]:
        raise BadInput(
            "the quoted lines name no guest type, and neither does the subject",
            field="--guest",
            remedy="name it (and the event with --trigger), or quote a line that does",
        )
    numbers = rows(**given)

    def below(result: Alternatives) -> list[str]:
        from costmodel.report.reply_text import short_answer

        if full:
            return answer(result)
        never, nothing = _never(found, given, result)
        limit, bound = _limit(found, given, result), _bound(given, result)
        return short_answer(result, limit, never, nothing, bound=bound, yes_or_no=found.yes_or_no)

    result = reply(mail, numbers, patterns, send_ready=send_ready, below=below)
    click.echo(result.content, nl=False)
    for text in (*untold, *result.gaps, *result.notes):
        click.echo(f"costmodel: note: {text}", err=True)


def _chosen(found: Question, asked: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The options as given, completed by what the quoted lines name; and what neither tells."""
    from costmodel.evidence.store import load
    from costmodel.kvm.catalog import GUESTS as GUEST_TYPES
    from costmodel.kvm.catalog import STRATEGIES, TRIGGERS

    given, untold = dict(asked), []
    given["guests"] = asked["guests"] or found.guests
    guest = next((GUEST_TYPES[name] for name in given["guests"]), None)
    if asked["trigger"] is None and guest is not None:
        here = [name for name in found.triggers if TRIGGERS[name].occurs_with(guest)]
        given["trigger"] = here[0] if here else None
        if not here:
            untold.append("the quoted lines name no event: the table is for the costliest, --trigger names another")
    if not asked["strategies"]:
        given["strategies"] = tuple(name for name in found.strategies if not STRATEGIES[name].whole_cache)
    context = click.get_current_context()
    trigger = given["trigger"]
    if trigger and context.get_parameter_source("workload") == click.core.ParameterSource.DEFAULT:
        loads = [one for one in load().workloads.values() if one.load(trigger) is not None]
        if loads and given["workload"] not in {one.id for one in loads}:
            given["workload"] = min(loads, key=lambda one: (not one.defaults, one.id)).id
    return given, untold


def _explain(found: Question, given: dict[str, Any], untold: Sequence[str]) -> None:
    """What was read, what it was taken for, and what the table would be."""
    for said, meant in found.words:
        click.echo(f"{said!r} -> {meant}")
    for name in ("guests", "trigger", "strategies", "workload", "machine"):
        value = given[name]
        click.echo(f"{name}: {', '.join(value) if isinstance(value, tuple) else value or 'not told'}")
    for text in untold:
        click.echo(text)


OF_THE_TABLE = ("guests", "machine", "workload", "trigger", "kernel_names", "strategies", "measured")
"""Options that say which rows the table has; the others are numbers of the guest."""


def _limit(found: Question, given: dict[str, Any], result: Alternatives) -> RangeLimit | None:
    """The range flush that was asked about, beside the whole-cache flush that was, else the first of the table, where a
    length was named.
    """
    from costmodel.decision.tables import range_limit
    from costmodel.evidence.store import load
    from costmodel.kvm.catalog import STRATEGIES

    named = [*found.strategies, *(row.strategy for row in result.rows)]
    whole = next((name for name in named if STRATEGIES[name].whole_cache), None)
    if found.ranged is None or found.range_bytes is None or whole is None:
        return None
    numbers = {name: value for name, value in given.items() if name not in OF_THE_TABLE}
    asked = (given["guests"][0], given["machine"], given["workload"], result.trigger)
    return range_limit(load(), *asked, found.ranged, whole, found.range_bytes, **numbers)


def _bound(given: dict[str, Any], result: Alternatives) -> str:
    """What was measured of the whole of which the flush of the first row is a part, where the model has no number."""
    from costmodel.cost.scenario import scenario
    from costmodel.evidence.store import load
    from costmodel.report.sentences import shutdowns

    if result.rows[0].refused is None:
        return ""
    numbers = {name: value for name, value in given.items() if name not in OF_THE_TABLE}
    asked = scenario(load(), given["guests"][0], given["machine"], given["workload"], **numbers)
    return shutdowns(result.rows[0].strategy, result.trigger, asked, load())


def _never(found: Question, given: dict[str, Any], result: Alternatives) -> tuple[str, list[str]]:
    """Why the event of the table cannot happen to the guest, if so, and the titles of the others that cannot."""
    from costmodel.cost.scenario import scenario
    from costmodel.evidence.store import load
    from costmodel.kvm.catalog import GUESTS as GUEST_TYPES
    from costmodel.kvm.catalog import TRIGGERS

    numbers = {name: value for name, value in given.items() if name not in OF_THE_TABLE}
    guest = given["guests"][0]
    asked = scenario(load(), guest, given["machine"], given["workload"], **numbers)
    others = [name for name in found.triggers if TRIGGERS[name].occurs_with(GUEST_TYPES[guest])]
    idle = [TRIGGERS[name].title for name in others if name != result.trigger and not asked.firing(name).fires]
    firing = asked.firing(result.trigger)
    return ("" if firing.fires else firing.why), idle
