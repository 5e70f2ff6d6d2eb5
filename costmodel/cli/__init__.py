"""The command line: parse, call, print.

In come arguments, files and standard input; out go the text or JSON of what the other packages answer, or one line on
standard error and a code of ExitCode. A command is added to COMMANDS and written as `NAME_command` in the module of
its name, or in that of its group, where MODULES lists it; the module is imported only when the command is called. Options
that several commands share, and what they may be, are in `options`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import sys
import warnings
from typing import cast

import click

from costmodel import __version__
from costmodel.cli import answers
from costmodel.errors import EXTRAS, INSTALL, CostModelError, ExitCode, NoThread, is_of_no_thread, near_names
from costmodel.plain import visible

COMMANDS = {
    "admissible": "Is a flush strategy safe for a guest type at a trigger, and why.",
    "audit": "Check every number in data/: source, unit, checksum, quote, use.",
    "block": "The table of one recommendation or comparison, for a commit message.",
    "breakeven": "Where one strategy becomes cheaper than another.",
    "calibrate": "Fit the cost parameters to data/ and print the diagnostics.",
    "compare": "Two kernels or two strategies side by side, with what can be told apart.",
    "contention": "What waits for a flush by the place of the hook, who pays, what a tenant can force.",
    "cost": "What each strategy costs at each trigger.",
    "formula": "Print a cost formula as text, LaTeX, Python or C.",
    "host": "Look at this host and its guests, and recommend for each as it is.",
    "list": "List guests, machines, workloads, strategies, triggers, kernels or formulas.",
    "machine": "What the tool takes a machine to be: a name, a file of lscpu, or this host.",
    "measure": "Measure this machine, or read a trace that was taken elsewhere.",
    "predict": "Time of range flushes on a measured machine, with 90 % intervals.",
    "recommend": "Recommend a flush strategy for a guest type on a machine.",
    "reply": "Answer a mail of a kernel list with numbers: an RFC 5322 message on stdout.",
    "report": "Build the reports (HTML, text, JSON) or check that they are current.",
    "sweep": "Costs over all combinations of axes, who is the cheapest, where two break even.",
    "trace": "Import, sum up and replay traces of invalidations from your own hosts.",
    "validate": "The scoreboard: what the model gets right, what it misses, what nobody can test.",
}

MODULES = {
    "ask": ("breakeven", "compare", "contention", "cost", "predict", "recommend"),
    "facts": ("admissible", "audit", "calibrate", "formula", "list"),
    "host": ("host", "machine"),
    "reports": ("block", "reply", "report", "validate"),
}
"""Modules of several commands; every other command has a module of its own name."""


class LazyGroup(click.Group):
    """Imports the module of a command only when it is called, so that --help answers fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = next((name for name, commands in MODULES.items() if cmd_name in commands), cmd_name)
        return getattr(importlib.import_module(f"costmodel.cli.{module}"), f"{cmd_name}_command")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is called; of one that there is not, the name that comes nearest."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            near = near_names(name, COMMANDS)
            ctx.fail(f"No such command {name!r}." + (f" Did you mean {near[0]!r}?" if near else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


GARBAGE = 1_000_000
"""Objects that may come to be before Python looks for garbage: most of what a command makes, imports before all, lives as
long as it does. Processes that are forked from it do as it does.
"""


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="costmodel")
def cli() -> None:
    """What a CPU cache flush costs a KVM host, and which flush strategy each guest type should use.

    \b
    Examples:
      costmodel recommend --guest sev --machine epyc-7763-2s --workload ksm-default
      costmodel admissible --guest sev-snp-gmem --trigger gmem_punch_hole
      costmodel report --guest sev --machine epyc-7763-2s --out /tmp/reports
    """


def _help_of(error: click.ClickException) -> str:
    """The command whose --help tells more."""
    context = getattr(error, "ctx", None)
    return f"{context.command_path} --help" if context else "costmodel --help"


def main() -> None:
    """Run the command line; what goes wrong is one line on stderr and a code of ExitCode."""
    warnings.showwarning = _note  # type: ignore[assignment]  # the places in the source that it is given as well are not shown
    gc.set_threshold(GARBAGE)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # matrices are small here, and it dies where it gets no threads
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores one of them
            signal.signal(number, _terminate)
    _open_streams()
    try:
        code = answers.kept(sys.argv[1:], _called)
        sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        code = _fail(f"{message}{'' if message.endswith('?') else ';'} see `{_help_of(error)}`")
    except click.Abort as abort:
        code = abort.__cause__.code if isinstance(abort.__cause__, Terminated) else ExitCode.INTERRUPTED
    except CostModelError as error:
        code = _fail(str(error), error.exit_code)
    except BrokenPipeError:
        code = ExitCode.PIPE_CLOSED
    except ModuleNotFoundError as error:
        code = _fail(_missing(error))
    except OSError as error:
        where = f"{visible(str(error.filename or 'output'))}: {error.strerror or error}"
        code = _fail(str(NoThread()) if is_of_no_thread(error) else where)
    except MemoryError:
        code = _fail("out of memory")
    except RuntimeError as error:
        if not is_of_no_thread(error):
            raise
        code = _fail(str(NoThread()))
    _drop_output()
    sys.exit(code)


def _called() -> int:
    """Exit code of the command. For a reader that went away click puts another stream in the place of standard output
    and says 1, which has another meaning here.
    """
    output = sys.stdout
    try:
        return cli(standalone_mode=False) or ExitCode.OK
    except SystemExit as left:
        return cast(int, left.code) if sys.stdout is output else ExitCode.PIPE_CLOSED


def _fail(message: str, code: ExitCode = ExitCode.BAD_INPUT) -> ExitCode:
    with contextlib.suppress(OSError):
        click.echo(f"costmodel: {message}", err=True)
    return code


def _missing(error: ModuleNotFoundError) -> str:
    """Which extra brings the library that is not there."""
    name = (error.name or "").partition(".")[0]
    extra = next((extra for extra, libraries in EXTRAS.items() if name in libraries), "report")
    return f"{name} is not installed: {INSTALL.format(extra)}"


def _note(message: Warning | str, category: type[Warning], *_: object) -> None:
    """A warning as one line; those of libraries are for developers."""
    if category.__module__.startswith("costmodel"):
        click.echo(f"costmodel: note: {message}", err=True)


class Terminated(KeyboardInterrupt):
    """SIGTERM, or SIGHUP of a terminal that went: what is open is closed and removed as after Ctrl-C."""

    def __init__(self, number: int) -> None:
        self.code = ExitCode(128 + number)


def _terminate(number: int, _: object) -> None:
    raise Terminated(number)


def _open_streams() -> None:
    """Give output and errors that were closed before the start (`>&-`) a place where they vanish."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 (it is open until the end)


def _drop_output() -> None:
    """Forget what could not be written: the interpreter would try again at its end and fail with a traceback."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
