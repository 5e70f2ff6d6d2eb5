"""The explorer's answer without a browser: cost curves and recommendation follow the sliders."""

import inspect

import pytest

from costmodel.errors import CostModelError
from costmodel.report import explore


@pytest.fixture(scope="module")
def widget():
    return explore.explorer("sev", "epyc-7763-2s", "ksm-default")


def walk(node):
    yield node
    for child in getattr(node, "children", ()):
        yield from walk(child)


def described(widget, words):
    return next(w for w in walk(widget) if words in getattr(w, "description", "").lower())


def shown(widget):
    return " ".join(
        str(getattr(w, "value", "")) for w in walk(widget) if type(w).__name__.startswith("HTML")
    ) + " ".join(str(output) for w in walk(widget) for output in getattr(w, "outputs", ()))


def test_there_is_a_control_for_each_quantity(widget):
    for words in ("guest", "machine", "range", "cpus", "cache"):
        assert described(widget, words)


def test_the_answer_is_there_from_the_start(widget):
    text = shown(widget)
    assert "WBNOINVD_MASK" in text and "<svg" in text


def test_another_guest_type_gives_another_answer(widget):
    before = shown(widget)
    control = described(widget, "guest")
    control.value = "sev-snp-gmem"
    try:
        assert shown(widget) != before
    finally:
        control.value = "sev"


def test_a_guest_that_the_machine_cannot_run_is_said_not_raised(widget):
    control = described(widget, "guest")
    control.value = "tdx"
    try:
        text = shown(widget).lower()
        assert "traceback" not in text
        assert "intel" in text or "not" in text
    finally:
        control.value = "sev"


def test_an_unknown_machine_is_refused():
    with pytest.raises(CostModelError):
        explore.explorer("sev", "none", "ksm-default")


def test_the_explorer_holds_no_formula():
    """All maths lives in the model: nothing here multiplies times or sizes."""
    assert "sympy" not in inspect.getsource(explore)
