"""Numeric forms of the formulas, generated from the symbolic ones, so that calls need no sympy.

`value("range_flush", range_start_s=..., lines=...)` evaluates with numpy broadcasting; `slope(name, symbol, ...)`
evaluates the partial derivative. Arguments are converted to float64 first, because integer input would overflow
silently.

The generated modules lie beside this one and name the sources that they were printed from; `make formulas` prints them
anew. Where a formula was changed since, what the changed sources give is generated and kept in the cache.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import numpy

from costmodel import cache
from costmodel.formulas import generated
from costmodel.formulas.recorded import Recorded
from costmodel.hashing import files_hash, value_hash, write_beside

CHUNK_POINTS = 16_384
FLOAT64 = numpy.dtype(float)
GENERATED = Path(__file__).with_name("generated.py")
SLOPES = Path(__file__).with_name("generated_slopes.py")
NUMERIC = ("__init__", "compiled", "fused", "generated", "generated_slopes", "javascript", "recorded")
"""Modules of this package that nothing in the generated ones follows from."""
HEAD = """\"\"\"One numpy function per {}: printed by `make formulas`, not written by hand.\"\"\"

# mypy: ignore-errors

SOURCES = "{}"

"""


def sources_hash() -> str:
    """Hash of what the generated modules follow from: the modules beside them that hold or print expressions."""
    here = GENERATED.parent
    return files_hash((path for path in here.glob("*.py") if path.stem not in NUMERIC), here)


def generated_source() -> str:
    """Text of the generated module as the symbolic formulas give it now."""
    from costmodel.formulas.catalog import numpy_source

    return HEAD.format("formula", sources_hash()) + numpy_source()


def generated_slopes_source() -> str:
    """Text of the generated module of the derivatives, which most answers need none of."""
    from costmodel.formulas.catalog import slopes_source

    return HEAD.format("partial derivative", sources_hash()) + slopes_source()


@lru_cache(maxsize=1)
def _module() -> ModuleType:
    return generated if sources_hash() == generated.SOURCES else _printed_anew("formulas", generated_source)


@lru_cache(maxsize=1)
def _slopes() -> ModuleType:
    from costmodel.formulas import generated_slopes as slopes

    return slopes if sources_hash() == slopes.SOURCES else _printed_anew("slopes", generated_slopes_source)


def _printed_anew(name: str, source: Callable[[], str]) -> ModuleType:
    """The module that `source` is the text of, its byte code from the user's cache."""

    def code() -> bytes:
        return marshal.dumps(compile(source(), f"<generated {name}>", "exec"))

    module = ModuleType(f"costmodel_compiled_{name}")
    exec(marshal.loads(cache.recall(name, cache.key_of([], ["formulas"]), code)), module.__dict__)
    return module


def _function(name: str) -> Callable[..., Any]:
    """The function of a formula, or NAME__by__SYMBOL of its derivative."""
    found: Callable[..., Any] = getattr(_slopes() if "__by__" in name else _module(), name)
    return found


def _call(function: str, arguments: dict[str, object]) -> numpy.ndarray:
    recorded = next((value for value in arguments.values() if isinstance(value, Recorded)), None)
    if recorded is not None:
        return cast(numpy.ndarray, recorded.tape.call(function, _function(function), arguments))
    floats = {name: _float64(value) for name, value in arguments.items()}
    result = _function(function)(**floats)
    shape = numpy.broadcast(*floats.values()).shape
    return cast(numpy.ndarray, result if numpy.shape(result) == shape else numpy.broadcast_to(result, shape))


def _float64(value: object) -> numpy.ndarray:
    is_one = type(value) is numpy.ndarray and value.dtype == FLOAT64
    return value if is_one else numpy.asarray(value, dtype=FLOAT64)  # type: ignore[return-value]  # asked for above


def value(formula: str, /, **arguments: object) -> numpy.ndarray:
    """Value of `formula`; scalars and arrays broadcast. Raises TypeError for a missing or unknown argument."""
    return _call(formula, arguments)


def slope(formula: str, symbol: str, /, **arguments: object) -> numpy.ndarray:
    """Partial derivative of `formula` by `symbol`, from the symbolic expression."""
    return _call(f"{formula}__by__{symbol}", arguments)


def fingerprint(formula: str) -> str:
    """Hash of what `formula` gives for three sets of arguments, to six digits: it changes with the formula, not with
    how that is written, so that what was compared with a formula can say with which.
    """
    code = _function(formula).__code__
    names = code.co_varnames[: code.co_argcount]
    spread = numpy.modf(0.618 * numpy.arange(1, 3 * len(names) + 1))[0].reshape(3, len(names))
    with numpy.errstate(all="ignore"):
        values = _call(formula, dict(zip(names, 0.2 + 0.6 * spread.T, strict=True)))
    return value_hash([f"{one:.6g}" for one in values])


if __name__ == "__main__":
    write_beside(GENERATED, generated_source())
    write_beside(SLOPES, generated_slopes_source())
