"""Quotes: only the lines that are answered, never wrapped, nesting and cuts kept."""

import pytest

from costmodel.errors import BadInput
from costmodel.mail.message import read
from costmodel.mail.original import Line, Original, Person
from costmodel.mail.quote import CUT, quoted
from tests.mail.conftest import SAID


def mail(*lines):
    return Original("x", Person("A", "a@example.org"), "", tuple(lines))


def test_quoted_lines_stand_as_they_were(page):
    [original] = read(page)
    shown, changed = quoted(original, SAID)
    texts = {line.text for line in original.lines}
    assert not changed
    for line in shown:
        assert line in (CUT, ">") or line.startswith("> [pasted") or line.removeprefix("> ") in texts
    assert shown[0] == CUT and shown[-1] == CUT
    assert max(map(len, shown)) > 200


def test_the_pasted_words_name_their_author(page):
    shown, _ = quoted(read(page)[0], SAID)
    assert "> [pasted from Sean Christopherson:]" in shown
    assert shown.index("> [pasted from Sean Christopherson:]") + 1 == shown.index(
        "> For SNP guests, KVM should use CLFLUSHOPT and not WBINVD."
    )


def test_a_nested_quote_keeps_its_marks_and_its_attribution(raw):
    shown, _ = quoted(read(raw)[0], ["This fixes is wrong"])
    assert shown == [
        "> On 8/18/2023 12:55 PM, Sean Christopherson wrote:",
        CUT,
        "> > This fixes is wrong. It won't matter in the long run, but it makes my life that",
        "> > much harder.",
        CUT,
    ]


def test_of_a_long_paragraph_only_the_lines_that_match():
    shown, _ = quoted(mail(*(Line(0, f"line {i}") for i in range(20))), ["line 7$"])
    assert shown == [CUT, "> line 7", CUT]


def test_neighbouring_paragraphs_keep_the_blank_line_and_no_cut():
    shown, _ = quoted(mail(Line(0, "one"), Line(0, ""), Line(0, "two")), ["one", "two"])
    assert shown == ["> one", ">", "> two"]


def test_letters_beyond_ascii_are_changed_and_that_is_told():
    assert quoted(mail(Line(0, "\u2264 3 \u00b5s caf\u00e9")), ["caf"])[1]


@pytest.mark.parametrize("pattern", ["nowhere", "(", "[", "x" * 300, "*"])
def test_a_pattern_that_matches_nothing_or_is_none_is_refused(pattern):
    with pytest.raises(BadInput):
        quoted(mail(Line(0, "text")), [pattern])


def test_no_pattern_quotes_nothing():
    assert quoted(mail(Line(0, "text")), []) == ([], False)
