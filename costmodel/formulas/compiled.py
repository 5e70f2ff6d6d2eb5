"""Numeric forms of the formulas, generated once from the symbolic ones and cached, so that calls need no sympy.

`value("range_flush", fence_s=..., lines=...)` evaluates with numpy broadcasting; `slope(name, symbol, ...)` evaluates
the partial derivative. Arguments are converted to float64 first, because integer input would overflow silently.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterator
from functools import lru_cache
from types import ModuleType

import numpy

from costmodel.hashing import cache_dir, code_hash, write_beside

CHUNK_POINTS = 16_384


@lru_cache(maxsize=1)
def _module() -> ModuleType:
    key = f"{code_hash('formulas')}-{importlib.metadata.version('sympy')}"
    path = cache_dir() / f"formulas-{key}.py"
    if not path.is_file():
        from costmodel.formulas.generate import source

        write_beside(path, source())
    spec = importlib.util.spec_from_file_location("costmodel_compiled_formulas", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _call(function: str, arguments: dict[str, object]) -> numpy.ndarray:
    floats = {name: numpy.asarray(value, dtype=float) for name, value in arguments.items()}
    result = getattr(_module(), function)(**floats)
    return numpy.broadcast_to(result, numpy.broadcast_shapes(*(array.shape for array in floats.values())))


def value(formula: str, /, **arguments: object) -> numpy.ndarray:
    """Value of `formula`; scalars and arrays broadcast. Raises TypeError for a missing or unknown argument."""
    return _call(formula, arguments)


def slope(formula: str, symbol: str, /, **arguments: object) -> numpy.ndarray:
    """Partial derivative of `formula` by `symbol`, from the symbolic expression."""
    return _call(f"{formula}__by__{symbol}", arguments)


def chunks(formula: str, points: int, /, **arguments: object) -> Iterator[tuple[slice, numpy.ndarray]]:
    """Values of `formula` over long one-dimensional arrays, in pieces that stay in the L2 cache.

    Yields (slice, values). Nothing of the full length is allocated, so a caller can reduce 1e9 points.
    """
    for start in range(0, points, CHUNK_POINTS):
        part = slice(start, min(start + CHUNK_POINTS, points))
        pieces = {
            name: array[part] if numpy.ndim(array) == 1 and len(array) == points else array
            for name, array in arguments.items()
        }
        yield part, value(formula, **pieces)
