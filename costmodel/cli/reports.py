"""Commands that write for others to read: report, validate, block, reply."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from costmodel.cli import options
from costmodel.cli.options import progress
from costmodel.cluster import check_address
from costmodel.errors import BadInput, ExitCode
from costmodel.numbers import several
from costmodel.report import unchanged

if TYPE_CHECKING:
    from costmodel.decision.result import Alternatives
    from costmodel.decision.tables import RangeLimit
    from costmodel.mail.question import Question
    from costmodel.report import build
    from costmodel.report.runner import Engine

DEFAULT_ENGINE: Engine = "warm" if sys.platform == "linux" else "kernel"


@click.command(
    name="report",
    epilog="""\b
Examples:
  costmodel report --out reports --jobs 2
  costmodel report --guest sev --machine epyc-7763-2s --workload ksm-default --out /tmp/reports
  costmodel report --guest sev --machine epyc-7763-2s -p cpus_that_ran=8 --out /tmp/pinned
  costmodel report --trace host1.parquet --guest sev --machine epyc-7763-2s --out /tmp/reports
  costmodel report --shard 1/8 --out /srv/reports
  costmodel report --scheduler tcp://127.0.0.1:8786 --out /srv/reports
  costmodel report --check --out reports
""",
)
@click.option("--guest", type=options.GUEST, help="One guest type only [default: all].")
@click.option("--machine", type=options.MACHINE, help="One machine only [default: all].")
@click.option(
    "--workload", type=options.NAMED_WORKLOAD, default="autonuma-default", show_default=True, help="Workload id."
)
@options.kernel
@click.option(
    "-p",
    "--parameter",
    "extra",
    multiple=True,
    metavar="NAME=VALUE",
    help="Another parameter of the notebook: vcpus, cpus_that_ran, event_fraction, vmm, pinned (true or false), backing, "
    "mempolicy, mergeable, noncoherent_dma.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("reports"),
    show_default=True,
    help="Directory to write to.",
)
@click.option("--jobs", type=click.IntRange(1), default=2, show_default=True, help="Reports at a time.")
@click.option(
    "--engine",
    type=click.Choice(["warm", "kernel"]),
    help="Kernel of the notebooks: forked from this process, or started anew by papermill; both write the same bytes "
    "[default: warm on Linux].",
)
@click.option(
    "--shard",
    type=options.SHARD,
    metavar="I/N",
    help="Only every N-th report, from the I-th; the shards may run at the same time, and none writes the index.",
)
@options.scheduler
@click.option(
    "--trace",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Only the replay of this trace (of `costmodel trace import`); needs --guest and --machine.",
)
@click.option(
    "--check",
    "check_only",
    is_flag=True,
    help="Write nothing; exit 1 if text, JSON, SVG or index differ from what the inputs give (runs no notebook).",
)
def report_command(
    guest: str | None,
    machine: str | None,
    workload: str,
    kernel: str,
    extra: tuple[str, ...],
    out: Path,
    jobs: int,
    engine: Engine | None,
    shard: tuple[int, int] | None,
    scheduler: str | None,
    trace: Path | None,
    check_only: bool,
) -> None:
    """Build the reports: an HTML page, a text block and JSON for each guest type and machine, and the index.

    With --scheduler each worker writes its reports under --out, a directory that all of them must share.

    A report that stands as it was built, from the same inputs, is left alone: remove a file to have it built again.
    """
    values = {"workload": workload, "kernel": kernel, **_parse(extra)}
    asked: dict[str, Any] = {**values, "guest": guest, "machine": machine}
    command = {**asked, "shard": shard}
    if shard and check_only:
        raise BadInput("goes without --check", field="--shard", remedy="check all reports in one run")
    if scheduler is not None:
        check_address(scheduler)
        if engine == "warm" or check_only or trace is not None:
            remedy = "leave out --engine warm, --check and --trace"
            raise BadInput("starts a kernel for each report on a worker", field="--scheduler", remedy=remedy)
        engine = "kernel"
    if trace is None and not check_only:
        built = unchanged.Built.read(out)
        key = unchanged.key_of(unchanged.inputs_hash(), command)
        if built.stands(key):
            made = [name for name in built.made[key or ""] if name.endswith(".ipynb")]
            click.echo(f"{several(len(made), 'report')} in {out}, unchanged")
            _end(out, made if guest and machine else ())
    from costmodel.report import build

    checked = build.check_parameters({**values, "guest": guest or "sev", "machine": machine or "epyc-7763-2s"})
    if trace is not None:
        if not guest or not machine or check_only or shard:
            raise BadInput(
                "goes with --guest and --machine, without --check and --shard", field="--trace", remedy="name both"
            )
        _trace(trace, build.arguments(checked), out)
        return
    todo = build.matrix([guest] if guest else [], [machine] if machine else [], values)
    if shard:
        todo = todo[shard[0] - 1 :: shard[1]]
    if check_only:
        with progress(len(todo), "costs") as step:
            files = build.artefacts(todo, step, jobs)
        files = build.committed(files)
        stale = build.differences(files, out, build.COMMITTED)
        for line in stale:
            click.echo(line)
        renew = "; `costmodel report` with the same options, without --check, renews them" if stale else ""
        click.echo(f"{len(files)} files checked, {len(stale)} stale{renew}")
        sys.exit(ExitCode.CHECK_FAILED if stale else ExitCode.OK)
    build.make_writable(out)
    inputs = unchanged.inputs_hash()
    keys = {job: unchanged.key_of(inputs, {**asked, "guest": job.guest, "machine": job.machine}) for job in todo}
    standing = {job for job in todo if built.stands(keys[job])}

    def note(job: build.ReportParameters, names: Sequence[str]) -> None:
        built.note(keys[job], names)
        built.write()  # whoever is killed has lost one report, not all

    with progress(len(todo) - len(standing), "pages") as step:
        try:
            shared = build.build_all(todo, out, jobs, step, engine or DEFAULT_ENGINE, note, standing, scheduler)
        finally:
            still = unchanged.inputs_hash() == inputs
            if not still:
                built.disown()
            built.write()
    names = [name for job in todo for name in built.made.get(keys[job] or "", ())]
    if still:
        built.note(unchanged.key_of(inputs, command), [*names, *shared])
        built.write()
    index = "" if guest or machine or shard else f", overview {out / 'index.html'}"
    without = f"; no index: a shard writes none, `costmodel report --out {out}` afterwards does" if shard else ""
    kept = f", {len(standing)} unchanged" if standing else ""
    click.echo(f"{several(len(todo), 'report')} in {out}{kept}{index}{without}")
    _end(out, [f"{build.stem(job)}.ipynb" for job in todo] if guest and machine else ())


def _end(out: Path, asked: Sequence[str]) -> NoReturn:
    """Exit: where one of the notebooks that were `asked` for says that the machine cannot host its guest type, with the
    code for that.
    """
    answers = (json.loads((out / name).with_suffix(".json").read_bytes()) for name in asked)
    sys.exit(ExitCode.OK if all(answer["applicable"] for answer in answers) else ExitCode.NOT_APPLICABLE)


def _trace(trace: Path, asked: dict[str, Any], out: Path) -> None:
    """Page, text and JSON of a replayed trace."""
    from costmodel.report import build
    from costmodel.report.replayed import replayed
    from costmodel.report.trace import files as files_of

    if asked.pop("event_fraction", None) is not None:
        raise BadInput("a trace has its own rate", field="event_fraction", remedy="leave it out")
    files = files_of(replayed(trace, **asked))
    build.write(files, out)
    click.echo("\n".join(str(out / name) for name in files))


SWITCHES = {"true": True, "false": False}
OPTIONS = ("guest", "machine", "workload", "kernel")


def _parse(extra: tuple[str, ...]) -> dict[str, Any]:
    """NAME=VALUE pairs as numbers where they are numbers; the contract checks names and types."""
    values: dict[str, Any] = {}
    for item in extra:
        name, separator, text = item.partition("=")
        if not separator:
            raise BadInput(f"{item!r} is not NAME=VALUE", field="--parameter", remedy="write -p cpus_that_ran=8")
        if name in OPTIONS:
            raise BadInput(f"{name} has an option of its own", field="--parameter", remedy=f"use --{name}")
        if text in SWITCHES:
            values[name] = SWITCHES[text]
            continue
        for convert in (int, float, str):
            try:
                values[name] = convert(text)
                break
            except ValueError:
                continue
    return values


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
def validate_command(sections: tuple[str, ...], everything: bool, page: Path | None, as_json: bool) -> None:
    """The scoreboard: held-out errors, simulation, upstream decisions, lore, certified regressions.

    Exit code 1 if a row fails without an explanation. Simulation and certified regressions are shown as they were last
    run.
    """
    from costmodel.errors import BadInput
    from costmodel.evidence.store import load
    from costmodel.hashing import write_beside
    from costmodel.report import scoreboard as shown
    from costmodel.validation import scoreboard

    names = scoreboard.chosen(sections)
    if page is not None and not page.resolve().parent.is_dir():
        raise BadInput("its directory does not exist", file=page, field="--html", remedy="create it first")
    with progress(len(names), "sections") as step:
        board = shown.build(load(), names, step)
    if page is not None:
        write_beside(page, shown.html(board))
    words = [word for name in sections for word in ("--section", name)] + ["--all"] * everything
    click.echo(shown.as_json(board) if as_json else shown.text(board, words, everything=everything), nl=False)
    sys.exit(1 if board.failed else 0)


def table_options(command: Callable) -> Callable:
    """Options that say which rows the table of a mail or a commit message has."""
    for option in (
        click.option(
            "--measured",
            multiple=True,
            type=options.HOST,
            metavar="HOST",
            help="Host profile whose measured values to add.",
        ),
        click.option(
            "--strategy",
            "strategies",
            multiple=True,
            type=options.STRATEGY,
            help="Strategy to show beside what kernels do.",
        ),
        click.option(
            "--kernel",
            "kernel_names",
            multiple=True,
            type=options.KERNEL,
            help="Kernel version to show [default: all that differ].",
        ),
        click.option("--trigger", type=options.TRIGGER, help="Trigger [default: the costliest of the workload]."),
        options.workload,
        options.machine,
    ):
        command = option(command)
    return command


GUESTS: dict[str, Any] = {"multiple": True, "type": options.GUEST}
"""Of the option for guest types, which only some commands require."""


@click.command(
    name="block",
    epilog="""\b
Examples:
  costmodel block --guest sev --machine epyc-7763-2s
  costmodel block --guest sev-es --machine epyc-9654-2s --kernel 6.16 --kernel 6.17 --cpus-that-ran 8
  costmodel block --guest sev --machine epyc-7763-2s --strategy CLFLUSHOPT_UVA --measured epyc-genoa-4cpu-vm
""",
)
@table_options
@click.option("--guest", "guests", required=True, help="Guest type, once or several times.", **GUESTS)
@options.scenario_numbers
@options.as_json
def block_command(as_json: bool, **asked: Any) -> None:
    """The table of one trigger for a commit message: what each kernel does and what that costs, with its limits.

    Prose has at most 72 columns, the table 75; each row says MODEL or MEASURED.

    All numbers are for one guest: several wait for each other's flushes, so that theirs do not just add up; `costmodel
    recommend --vms N` tells what they take together.
    """
    result = rows(**asked)
    if as_json:
        options.print_json(result.model_dump(mode="json"))
        return
    from costmodel.report.block import render_block

    click.echo(render_block(result), nl=False)


def rows(*, guests: tuple[str, ...], machine: str, workload: str, **asked: Any):
    """The alternatives that the options ask for."""
    from costmodel.report.alternatives import alternatives

    return alternatives(guests, machine, workload, **asked)


# What answers a mail.


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
