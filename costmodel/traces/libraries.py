"""The libraries of the extra `trace`, imported when they are first needed."""

from __future__ import annotations

import importlib
from types import ModuleType

from costmodel.errors import INSTALL, CostModelError


class TraceLibraryMissing(CostModelError):
    """A library of the extra `trace` is not installed; `library` names it."""

    def __init__(self, library: str) -> None:
        self.library = library
        super().__init__(f"{library} is not installed: {INSTALL.format('trace')}")

    def __reduce__(self) -> tuple:
        return type(self), (self.library,)


def library(name: str) -> ModuleType:
    """The module `name`, such as pyarrow.parquet. Raises TraceLibraryMissing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise TraceLibraryMissing(name.partition(".")[0]) from error


def kernels() -> ModuleType:
    """The compiled loops. Raises TraceLibraryMissing where numba is not installed."""
    library("numba")
    return importlib.import_module("costmodel.traces.kernel")
