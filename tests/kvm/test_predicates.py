"""Three-valued logic: what is unknown counts only where it matters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.kvm.predicates import atoms, evaluate, helps

NAMES = ("a", "b", "c", "d")
TEXTS = st.recursive(
    st.sampled_from((*NAMES, "true", "false")),
    lambda inner: st.one_of(
        inner.map(lambda x: f"!({x})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}) && ({p[1]})"),
        st.tuples(inner, inner).map(lambda p: f"({p[0]}) || ({p[1]})"),
    ),
    max_leaves=8,
)
KNOWN = st.dictionaries(st.sampled_from(NAMES), st.booleans())


@given(TEXTS, KNOWN, st.booleans())
def test_telling_more_never_turns_an_answer_round(text, known, value):
    before = evaluate(text, known)
    for name in NAMES:
        if name not in known and before is not None:
            assert evaluate(text, {**known, name: value}) is before


@given(TEXTS, st.fixed_dictionaries({name: st.booleans() for name in NAMES}))
def test_with_everything_known_it_is_ordinary_logic(text, known):
    python = text.replace("&&", " and ").replace("||", " or ").replace("!", " not ")
    names = {**known, "true": True, "false": False}
    assert evaluate(text, known) is eval(python, {"__builtins__": {}}, names)


@given(TEXTS, TEXTS, KNOWN)
def test_de_morgan(one, other, known):
    assert evaluate(f"!(({one}) && ({other}))", known) is evaluate(f"!({one}) || !({other})", known)


@given(TEXTS)
def test_atoms_are_the_names(text):
    assert set(atoms(text)) == {name for name in NAMES if name in text.replace("false", "").replace("true", "")}


def test_and_binds_closer_than_or():
    assert evaluate("a || b && c", {"a": True, "b": False, "c": False}) is True
    assert evaluate("a && b || c", {"a": False, "b": False, "c": True}) is True


def test_unknown_matters_only_where_it_decides():
    assert evaluate("a || b", {"a": True}) is True
    assert evaluate("a && b", {"a": False}) is False
    assert evaluate("a && b", {"a": True}) is None


def test_the_name_that_fails_is_told_from_the_others():
    known = {"a": True, "b": False}
    assert helps("a && b", "b", known) is False
    assert helps("a && b", "a", known) is True
    assert helps("a && c", "c", known) is None


@pytest.mark.parametrize("text", ["", "a &&", "(a", "a b", "a & b", "&& a", "a)", "__import__('os')"])
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(BadInput):
        evaluate(text, {})
