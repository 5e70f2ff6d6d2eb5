"""Errors cross a process boundary whole: a worker's reason reaches the user."""

import importlib
import pickle
import pkgutil

import pytest

import costmodel.measure
from costmodel.measure.journal import Interrupted

MODULES = [
    importlib.import_module(f"costmodel.measure.{m.name}") for m in pkgutil.iter_modules(costmodel.measure.__path__)
]
ERRORS = sorted(
    {
        error
        for module in MODULES
        for error in vars(module).values()
        if isinstance(error, type) and issubclass(error, BaseException) and error.__module__ == module.__name__
    },
    key=lambda error: error.__name__,
)


def test_there_are_errors():
    assert {"Interrupted", "NativeUnavailable", "Skipped"} <= {error.__name__ for error in ERRORS}


@pytest.mark.parametrize("kind", ERRORS)
def test_an_error_is_the_same_after_pickling(kind):
    error = kind(15) if kind is Interrupted else kind("what is missing")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error) and vars(again) == vars(error)
