"""Errors that a user can act on: each says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import IntEnum

from costmodel.plain import visible

INSTALL = "pip install '.[{0}]' in a checkout, or pip install 'kvm-costmodel[{0}]'"
"""How an extra is installed. On the package index the name `costmodel` is another project's."""
EXTRAS = {
    "measure": ("llvmlite", "tomli_w"),
    "trace": ("duckdb", "numba", "pyarrow"),
    "sim": ("simpy",),
    "lab": ("ipywidgets", "jupyterlab"),
}
"""Libraries of each extra that a command may miss; what no entry names comes with the extra `report`."""


class ExitCode(IntEnum):
    """Every exit code of the command line, and what a script may conclude from it."""

    OK = 0
    """Done."""
    CHECK_FAILED = 1
    """A check that was asked for found a difference: `report --check`, `audit`, `validate`."""
    BAD_INPUT = 2
    """An option, a file or a place cannot be used; the one line on standard error says what to do."""
    REPORT_FAILED = 3
    """At least one report could not be built; the others were."""
    HUNG_UP = 129
    """SIGHUP, while `measure` had something to put back."""
    INTERRUPTED = 130
    """Ctrl-C."""
    PIPE_CLOSED = 141
    """The reader of the output went away."""
    TERMINATED = 143
    """SIGTERM."""


class CostModelError(Exception):
    """Base of every error that the command line shows as one line; `exit_code` is what it then exits with."""

    exit_code = ExitCode.BAD_INPUT

    def __reduce__(self) -> tuple:
        """Errors travel between processes whole, whatever their constructors take."""
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[CostModelError], args: tuple, state: dict[str, object]) -> CostModelError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class BadInput(CostModelError):
    """A file, row or field cannot be used.

    Attributes name the place (`file`, `row`, `field`), the `problem` and the `remedy`.
    """

    def __init__(
        self,
        problem: str,
        *,
        file: object = None,
        row: object = None,
        field: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.file, self.row, self.field = file, row, field
        self.problem, self.remedy = problem, remedy
        place = ", ".join(
            text
            for text in (
                str(file) if file is not None else "",
                f"row {row}" if row is not None else "",
                f"field {field}" if field is not None else "",
            )
            if text
        )
        text = f"{place}: {problem}" if place else problem
        super().__init__(visible(f"{text}; {remedy}" if remedy else text))


LONGEST_NAME = 80
"""Characters of an unknown name that a message repeats."""


class UnknownName(CostModelError):
    """A guest, machine, workload, trigger, strategy, kernel or formula id that the catalogue lacks; `or_else` is what
    helps where no id does.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], or_else: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        near = get_close_matches(name[:LONGEST_NAME], self.known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(self.known)}"
        hint += f" {or_else}" if or_else else ""
        super().__init__(f"unknown {kind} {name[:LONGEST_NAME]!r}; {hint}")


class MissingNumber(CostModelError):
    """A total needs a number that the evidence does not hold; `gap` names it."""

    def __init__(self, gap: str) -> None:
        self.gap = gap
        super().__init__(gap)


OF_NO_THREAD = ("can't start new thread", "Resource temporarily unavailable")
"""What Python and libraries in C++ say where no thread can be started."""


class NoThread(CostModelError):
    """The limit of threads or processes is reached; `remedy` says how to raise it."""

    def __init__(self, remedy: str = "raise `ulimit -u` or pids.max of the cgroup") -> None:
        super().__init__(f"no further thread or process can be started; {remedy}")


def is_of_no_thread(error: Exception) -> bool:
    """Whether a library failed because it could start no thread; each has its own class of error for that."""
    return any(text in str(error) for text in OF_NO_THREAD)
