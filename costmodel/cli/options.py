"""What several commands share: what options take, the options themselves, forms of output, signs of work."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, TextIO, cast

import click
from click.shell_completion import CompletionItem

from costmodel.errors import BadInput, known_id
from costmodel.kvm.setup import BACKINGS, MEMPOLICIES, VMMS
from costmodel.numbers import bytes_of, ceiling, interval

# What options take: ids in any case with completion, sizes such as 16G, machines and kernels by many names.


class Named(click.ParamType):
    """Text of which some values have names: they are offered for completion, and anything is taken."""

    def __init__(self, name: str, names: Callable[[], Iterable[str]], *, or_file: bool = False) -> None:
        self.name, self.names, self.or_file = name, names, or_file

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin with what was typed, in any case; files too where one may be given."""
        typed = incomplete.casefold()
        files = [CompletionItem(incomplete, type="file")] if self.or_file else []
        return files + [
            CompletionItem(one) for one in self.names() if one.casefold().startswith(typed) and " " not in one
        ]


class Id(Named):
    """An id of the catalogue, in any case."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id as the catalogue spells it. Raises UnknownName."""
        return known_id(self.name, value, list(self.names()))


class Bytes(click.ParamType):
    """A size above zero: a number of bytes, or one with a unit."""

    name = "bytes"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The size in bytes."""
        size = bytes_of(value) if isinstance(value, str) else float(cast(float, value))
        if size is None or not size > 0:
            raise _refused(param, f"{value!r} is no size above zero")
        return size


class Shard(click.ParamType):
    """I/N: which part of how many."""

    name = "shard"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Both numbers."""
        part, _, parts = str(value).partition("/")
        if part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
            return int(part), int(parts)
        raise BadInput(f"{value!r} is not I/N with I from 1 to N", field="--shard", remedy="write --shard 1/8")


def _refused(param: click.Parameter | None, problem: str) -> BadInput:
    field = param.opts[0] if param else None
    return BadInput(problem, field=field, remedy="write bytes, or 16G or 16GiB (2^34 bytes), or 16GB")


class WholeBytes(Bytes):
    """A size in whole bytes."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The size in bytes."""
        size = super().convert(value, param, ctx)
        if size != int(size):
            raise _refused(param, f"{value!r} is no whole number of bytes")
        return int(size)


def _guests() -> Iterable[str]:
    from costmodel.kvm.catalog import GUESTS

    return GUESTS


def _triggers() -> Iterable[str]:
    from costmodel.kvm.catalog import TRIGGERS

    return TRIGGERS


def _strategies() -> Iterable[str]:
    from costmodel.kvm.catalog import STRATEGIES

    return STRATEGIES


def _formulas() -> Iterable[str]:
    from costmodel.formulas.catalog import FORMULAS

    return FORMULAS


def _workloads() -> Iterable[str]:
    from costmodel.evidence.store import load

    return load().workloads


def _hosts() -> Iterable[str]:
    from costmodel.evidence.store import load

    return load().hosts


def _machines() -> Iterable[str]:
    from costmodel.evidence import machine_input, store

    return (*machine_input.named(store.load()), machine_input.THIS)


def _kernels() -> Iterable[str]:
    from costmodel.kvm.kernels import KERNELS
    from costmodel.kvm.releases import THIS, releases

    return ("newest", THIS, *KERNELS, *(release.name for release in releases()))


GUEST = Id("guest type", _guests)
TRIGGER = Id("trigger", _triggers)
STRATEGY = Id("strategy", _strategies)
FORMULA = Id("formula", _formulas)
WORKLOAD = Id("workload", _workloads)
NAMED_WORKLOAD = Named("workload", _workloads)
"""Checked by whoever takes it: where nothing is to be done, no data are read."""
HOST = Named("measured host", _hosts)
MACHINE = Named("machine", _machines, or_file=True)
KERNEL = Named("kernel", _kernels)
BYTES = Bytes()
WHOLE_BYTES = WholeBytes()
SHARD = Shard()


# Options that several commands share, and how they print.

guest = click.option(
    "--guest", required=True, type=GUEST, help="Guest type: plain, sev, sev-es, sev-snp, sev-snp-gmem, tdx."
)


def machine_named(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """The id of the machine that a user means by `--machine`; one that is only described is told to this process."""
    from costmodel.evidence import machine_input

    return value if value is None or context.resilient_parsing else machine_input.told(value).id


MACHINE_HELP = "Machine: an id (`costmodel list machines`), a name such as 'EPYC 9754', a file of lscpu, - or `this`."
machine = click.option("--machine", required=True, type=MACHINE, callback=machine_named, help=MACHINE_HELP)
workload = click.option(
    "--workload",
    default="autonuma-default",
    show_default=True,
    type=WORKLOAD,
    help="Workload id (see `costmodel list workloads`).",
)
kernel = click.option(
    "--kernel",
    default="newest",
    show_default=True,
    type=KERNEL,
    help="Host kernel: a version such as 6.17, what `uname -r` prints, or `this`.",
)
scheduler = click.option(
    "--scheduler", metavar="ADDRESS", help="Dask scheduler that does the work: tcp://127.0.0.1:8786 or tls://..."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
FORMS = ("text", "json", "csv", "markdown")


def _json_form(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    context.meta[f"{__name__}.json"] = value


def _form(context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
    """What is printed: the one that `--format` names, or JSON. Raises BadInput where both are asked and differ."""
    asked = context.meta.get(f"{__name__}.json", False)
    if asked and value not in (None, "json"):
        raise BadInput(f"is {value}, and --json was given too", field="--format", remedy="give one of them")
    return "json" if asked else value or FORMS[0]


def table_forms(command: Callable) -> Callable:
    """`--format` and `--json` of a command that answers with a table; the command gets `form`."""
    for option in (
        click.option(
            "--format", "form", type=click.Choice(FORMS), callback=_form, help="How to print [default: text]."
        ),
        click.option(
            "--json",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_json_form,
            help="Print JSON, as --format json does.",
        ),
    ):
        command = option(command)
    return command


def print_table(form: str, records: Sequence[Mapping[str, Any]], columns: Sequence[str] = ()) -> None:
    """Records as CSV or as a Markdown table: an interval of CSV takes three columns in SI units, one of Markdown reads
    as in the text. `columns` are those of Markdown, all that say something if none are named.
    """
    from costmodel.evidence.tables import csv_text

    if form == "csv":
        flat = [_flat(record) for record in records]
        names = list(dict.fromkeys(name for record in flat for name in record))
        click.echo(csv_text(names, [[record.get(name, "") for name in names] for record in flat]), nl=False)
        return
    shown = [{name: _shown(value) for name, value in record.items()} for record in records]
    names = list(columns or dict.fromkeys(name for record in shown for name in record))
    names = [name for name in names if any(record.get(name) for record in shown)]
    rows = [names, ["---"] * len(names), *([record.get(name, "") for name in names] for record in shown)]
    for row in rows if names else ():
        click.echo(f"| {' | '.join(row)} |")


INTERVAL = frozenset({"low", "median", "high", "unit"})
"""Keys by which a record tells that it is an interval."""
MARKDOWN = re.compile(r"[\\|<>`*]|\b_|_\b")
"""What Markdown takes for more than a letter."""


def _flat(record: Mapping[str, Any]) -> dict[str, object]:
    """A record with one value in each cell."""
    found: dict[str, object] = {}
    for name, value in record.items():
        if isinstance(value, Mapping) and set(value) >= INTERVAL:
            found |= {name: value["median"], f"{name}_low": value["low"], f"{name}_high": value["high"]}
        elif isinstance(value, Mapping):
            found |= {f"{name}_{part}": cell for part, cell in _flat(value).items()}
        else:
            found[name] = _text(value)
    return found


def _text(value: object) -> object:
    """A value in a cell: several joined by semicolons, of none nothing."""
    if isinstance(value, (list, tuple)):
        return "; ".join(str(part) for part in value if part is not None and part != "")
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else value


def _shown(value: object) -> str:
    """A value of a Markdown table, in which nothing acts as Markdown or HTML."""
    if isinstance(value, Mapping) and set(value) >= INTERVAL:
        most = value.get("most")
        text = ceiling(
            interval(value["low"], value["median"], value["high"], value["unit"], most), bool(value.get("at_most"))
        )
    else:
        text = f"{value:.3g}" if isinstance(value, float) else str(_text(value))
    return MARKDOWN.sub(r"\\\g<0>", " ".join(text.split()))


def coloured() -> bool:
    """Whether standard output is a terminal whose user did not ask for text without colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


ROLES = {"label": {"bold": True}, "safe": {"fg": "green"}, "unsafe": {"fg": "yellow"}}


def paint(text: str, role: str) -> str:
    """Text as a terminal shows its role, and as it is where there are no colours."""
    return click.style(text, **ROLES[role]) if coloured() else text  # type: ignore[arg-type]


def _rates(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str, float | tuple[float, float]]:
    """TRIGGER=PER_S and TRIGGER=COUNT/SECONDS of `--rate` as numbers by trigger. Raises BadInput."""
    found: dict[str, float | tuple[float, float]] = {}
    for item in values:
        trigger, separator, text = item.partition("=")
        count, counted, seconds = text.partition("/")
        try:
            found[trigger] = (float(count), float(seconds)) if counted else float(text)
        except ValueError:
            separator = ""
        if not separator:
            raise BadInput(
                f"{item!r} is neither TRIGGER=PER_S nor TRIGGER=COUNT/SECONDS",
                field="--rate",
                remedy="write --rate ksm_replace_page=20 or --rate all=3000/300",
            )
    return found


def guest_setup(command: Callable) -> Callable:
    """How the guest's memory is set up: what decides which events reach it and which flushes are safe."""
    for option in (
        click.option(
            "--noncoherent-dma",
            is_flag=True,
            help=(
                "A device of the plain guest does DMA that bypasses the caches, such as a GPU: its WBINVD is executed."
            ),
        ),
        click.option(
            "--mergeable/--not-mergeable",
            default=None,
            help="The memory is MADV_MERGEABLE [default: what the VMM does].",
        ),
        click.option("--mempolicy", type=click.Choice(MEMPOLICIES), help="NUMA policy of the guest's memory."),
        click.option(
            "--backing", type=click.Choice(BACKINGS), help="What lies behind the memory [default: what the VMM does]."
        ),
        click.option(
            "--pinned/--not-pinned",
            default=None,
            help="All memory is pinned (registered) [default: what the VMM does].",
        ),
        click.option("--vmm", type=click.Choice(VMMS), help="Program that runs the guest [default: qemu]."),
    ):
        command = option(command)
    return command


def scenario_numbers(command: Callable) -> Callable:
    """Numbers of the guest that a user may set, and how its memory is set up."""
    for option in (
        click.option(
            "--rate",
            "rates",
            multiple=True,
            metavar="TRIGGER=PER_S",
            callback=_rates,
            help=(
                "Events per second that you measured at a trigger, or COUNT/SECONDS as counted; again for another. "
                "The trigger `all` is every event at the guest's hook."
            ),
        ),
        click.option(
            "--event-fraction", type=click.FloatRange(0, 1), help="Share of scanned pages that cause an event."
        ),
        click.option(
            "--cpus-that-ran", type=click.IntRange(1), help="CPUs that ran the guest [default: all, unpinned]."
        ),
        click.option(
            "--folio-bytes",
            type=click.Choice(["4096", "2097152"]),
            callback=lambda _context, _parameter, value: None if value is None else int(value),
            help="Folio size of guest_memfd [default: 4096, as in every kernel that was read].",
        ),
        click.option("--resident-bytes", type=BYTES, help="Resident memory of the guest, in bytes or as 16G."),
        click.option("--vcpus", type=click.IntRange(1), help="vCPUs of the guest."),
        guest_setup,
    ):
        command = option(command)
    return command


def read_cells(file: TextIO, columns: Sequence[str]) -> tuple[str, list[str], list[tuple[int, dict[str, str]]]]:
    """Name, header and (line number, row) of a CSV file that must have `columns`. Raises BadInput."""
    name = getattr(file, "name", "-")
    try:
        reader = csv.DictReader(io.StringIO(file.read(), newline=""))
    except UnicodeDecodeError as error:
        line = bytes(error.object)[: error.start].count(b"\n") + 1
        raise BadInput(f"is not UTF-8: {error.reason}", file=name, row=line, remedy="save it as UTF-8") from None
    try:
        header = list(reader.fieldnames or ())
        missing = [column for column in columns if column not in header]
        if missing or len(set(header)) < len(header):
            problem = f"has no column {', '.join(missing)}" if missing else "names a column twice"
            raise BadInput(problem, file=name, row=1, remedy=f"the first line must name {','.join(columns)} once each")
        rows = []
        for row in reader:
            first_line = reader.line_num - sum(str(cell).rstrip("\n").count("\n") for cell in row.values() if cell)
            if None in row or None in row.values():
                remedy = "quote cells that hold commas"
                raise BadInput("has too many or too few cells", file=name, row=first_line, remedy=remedy)
            rows.append((first_line, row))
    except csv.Error as error:
        line = reader.line_num + 1
        raise BadInput(f"is not CSV text: {error}", file=name, row=line, remedy="correct the line") from None
    return name, header, rows


def print_json(value: object) -> None:
    """One JSON document on stdout, keys sorted, so that scripts and diffs can follow."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, allow_nan=False))


# Signs of work on standard error for what takes longer than two seconds: a bar on a terminal, a line a minute on a pipe.
# What is done sooner shows nothing.

QUIET_S = 2.0
"""What takes no longer than this needs no sign of work."""
LINE_EVERY_S = 60.0


@contextmanager
def progress(
    length: int | None, what: str, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[], None]]:
    """Gives a function to be called after each of `length` steps; None: nobody knows how many there are, and a terminal
    gets the lines of a pipe.
    """
    began = said = clock()
    done = 0
    bar = None
    with ExitStack() as shown:

        def step() -> None:
            nonlocal done, said, bar
            done += 1
            now = clock()
            if length is not None and sys.stderr.isatty():
                if bar is None and now - began > QUIET_S:
                    bar = shown.enter_context(click.progressbar(length=length, label=f"{what:<9}", file=sys.stderr))
                    bar.update(done - 1)
                if bar is not None:
                    bar.update(1)
            elif now - said >= LINE_EVERY_S:
                said = now
                of = "" if length is None else f" of {length}"
                click.echo(f"{what}: {done}{of} after {round((now - began) / 60)} min", err=True)

        yield step
