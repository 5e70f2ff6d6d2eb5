"""Rows of the scoreboard in words."""

from costmodel.report.scoreboard import PLACES, TITLES, WORDS, worded
from costmodel.validation import scoreboard, upstream
from costmodel.validation.row import Row
from costmodel.validation.thread import CLAIMS


def test_every_claim_and_every_place_has_its_words():
    assert set(CLAIMS) <= set(WORDS)
    assert set(PLACES) == {place.id for place in upstream.PLACES}


def test_every_section_has_its_title():
    assert list(TITLES) == list(scoreboard.SECTIONS)


def test_a_text_that_is_given_stays_and_the_others_come_from_the_kind():
    row = Row(
        id="x",
        kind="bound",
        what="a rule",
        verdict="fail",
        source="s",
        note="n",
        names={"published": "1 s", "model": "none"},
    )
    told = worded(row)
    assert (told.what, told.figure, told.note) == ("a rule", "1 s published, none", "n")
    assert told.target == "the model's interval reaches the published bound"
    assert worded(told.model_copy(update={"kind": ""})).figure == told.figure


def test_what_words_are_made_of_is_not_printed():
    row = worded(Row(id="x", kind="held-out", what="w", figure="f", verdict="pass", source="s", because=("rival",)))
    assert row.note == "shown beside the form that held-out rows chose"
    assert not {"kind", "names", "because"} & set(row.model_dump())
