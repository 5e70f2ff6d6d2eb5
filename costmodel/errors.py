"""Errors that a user can act on: each says what is wrong, where, and what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches
from enum import IntEnum
from typing import TypeVar

from costmodel.plain import visible

INSTALL = "pip install '.[{0}]' in a checkout, or pip install 'kvm-costmodel[{0}]'"
"""How an extra is installed. On the package index the name `costmodel` is another project's."""
EXTRAS = {
    "measure": ("llvmlite", "tomli_w"),
    "trace": ("duckdb", "fsspec", "numba", "pyarrow"),
    "lab": ("ipywidgets", "jupyterlab"),
    "cluster": ("distributed",),
    "xarray": ("xarray",),
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
    NOT_APPLICABLE = 4
    """The machine or the kernel cannot host the guest type that was asked for; the answer says why."""
    HUNG_UP = 129
    """SIGHUP: the terminal went away."""
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


class NotApplicable(BadInput):
    """The machine or the kernel cannot host the guest type."""

    exit_code = ExitCode.NOT_APPLICABLE

    def __init__(self, problem: str, remedy: str = "choose a machine and a kernel that can host it") -> None:
        super().__init__(f"not applicable: {problem}", remedy=remedy)


LONGEST_NAME = 80
"""Characters of an unknown name that a message repeats."""
SHORTEST_PART = 3
"""Characters that a part of a name has, to be taken for a part."""
MOST_NEAR = 3
MOST_LISTED = 20
"""Names that a message lists; of more it says where they are."""


class UnknownName(CostModelError):
    """A guest, machine, workload, trigger, strategy, kernel or formula id that the catalogue lacks; `or_else` is what
    helps where no id does.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], or_else: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        near = near_names(name[:LONGEST_NAME], self.known)
        if near:
            hint = f"did you mean {' or '.join(repr(one) for one in near)}?"
        else:
            hint = "" if or_else and len(self.known) > MOST_LISTED else f"known: {', '.join(self.known)}"
        hint = " ".join(filter(None, (hint, or_else)))
        super().__init__(f"unknown {kind} {name[:LONGEST_NAME]!r}; {hint}")


def near_names(name: str, known: Iterable[str]) -> list[str]:
    """The known name that is spelt almost like `name`, in any case; else the first that have it as a part.

    >>> near_names("recomend", ["report", "recommend"]), near_names("ksm", ["ksm_replace_page", "thp_split"])
    (['recommend'], ['ksm_replace_page'])
    """
    by_case = {one.casefold(): one for one in known}
    asked = name.casefold()
    if close := get_close_matches(asked, by_case, n=1):
        return [by_case[close[0]]]
    return [one for low, one in by_case.items() if len(asked) >= SHORTEST_PART and asked in low][:MOST_NEAR]


def known_id(kind: str, name: str, known: Collection[str], or_else: str = "") -> str:
    """The id among `known` that `name` spells, in any case. Raises UnknownName.

    >>> known_id("guest type", "SEV", ["plain", "sev"])
    'sev'
    """
    if name in known:
        return name
    by_case = {one.casefold(): one for one in known}
    if name.casefold() not in by_case:
        raise UnknownName(kind, name, known, or_else)
    return by_case[name.casefold()]


class MissingNumber(CostModelError):
    """A total needs a number that the evidence does not hold; `gap` names it."""

    def __init__(self, gap: str) -> None:
        self.gap = gap
        super().__init__(gap)


Value = TypeVar("Value")


def stated(value: Value | None, gap: str) -> Value:
    """The value. Raises MissingNumber with the gap where there is none."""
    if value is None:
        raise MissingNumber(gap)
    return value


OF_NO_THREAD = ("can't start new thread", "Resource temporarily unavailable")
"""What Python and libraries in C++ say where no thread can be started."""


class NoThread(CostModelError):
    """The limit of threads or processes is reached; `remedy` says how to raise it."""

    def __init__(self, remedy: str = "raise `ulimit -u` or pids.max of the cgroup") -> None:
        super().__init__(f"no further thread or process can be started; {remedy}")


def is_of_no_thread(error: Exception) -> bool:
    """Whether a library failed because it could start no thread; each has its own class of error for that."""
    return any(text in str(error) for text in OF_NO_THREAD)
