"""Long lists of cases: a few run with every push, all of them nightly."""

from collections.abc import Iterable

import pytest
from hypothesis import settings

PARAMETERS = type(pytest.param())
FULL = 100
"""Examples of a property test by the profile "full"."""


def sampled(cases: Iterable[object], every: int) -> list[object]:
    """The cases as parameters of a test; all but the first and each `every`-th after it are marked nightly."""
    return [case if number % every == 0 else _nightly(case) for number, case in enumerate(cases)]


def examples(full: int) -> int:
    """How many examples a property test draws that draws `full` ones in the profile "full"."""
    return max(2, full * settings.default.max_examples // FULL)


def _nightly(case: object) -> object:
    if isinstance(case, PARAMETERS):
        return pytest.param(*case.values, marks=(*case.marks, pytest.mark.nightly), id=case.id)
    return pytest.param(*(case if type(case) is tuple else (case,)), marks=pytest.mark.nightly)
