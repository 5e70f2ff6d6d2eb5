"""Whose words are whose: attributions in any language by their place, pasted mails, and nothing under another's name."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.mail.authors import authors, marked
from costmodel.mail.read import Original, Person
from costmodel.mail.reply import quoted
from tests.mail.threads import PEOPLE, misattributed, thread


def shown(message, everybody, patterns):
    names = list(PEOPLE) if everybody else [message.name]
    lines = authors(marked("\n".join(message.lines)), message.name, names)
    mail = Original("x", Person(message.name, "a@example.com"), "", lines)
    return quoted(mail, patterns)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, 2**64), st.booleans())
def test_nobodys_words_stand_under_another_name(seed, everybody):
    message = thread(random.Random(seed))
    wrong = misattributed(shown(message, everybody, [r"w\d"]).lines, message.name)
    assert not wrong, "\n".join([str(wrong), *message.lines])
