"""Long lists of cases: a few run with every push, all of them nightly."""

from collections.abc import Iterable

import pytest


def sampled(cases: Iterable[object], every: int) -> list[object]:
    """The cases as parameters of a test; all but the first and each `every`-th after it are marked nightly."""
    return [
        case
        if number % every == 0
        else pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=pytest.mark.nightly)
        for number, case in enumerate(cases)
    ]
