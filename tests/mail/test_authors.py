"""Whose words are whose: attributions in any language by their place, and nothing under another's name."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.mail.authors import authors, marked
from costmodel.mail.read import Original, Person, read
from costmodel.mail.reply import quoted
from tests.mail.threads import PEOPLE, misattributed, thread
from tests.samples import examples

FORMS = """\
On Fri, Aug 11, 2023 at 11:45:00AM +0200, Ann Example wrote:
On 8/11/2023 11:45 AM, Example, Ann wrote:
On Fri, Aug 11, 2023, ann at example.com wrote:
On Fri, Aug 11, 2023 at 11:45 AM Ann Example via lists.example.org / <ann=example.com@lists.example.org> / wrote:
Am Fr., 11. Aug. 2023 um 11:45 Uhr schrieb Ann Example < / ann@example.com>:
Le 11/08/2023 à 11:45, Ann Example a écrit :
Il giorno ven 11 ago 2023 alle ore 11:45 Ann Example <ann@example.com> ha / scritto:
Op vr 11 aug 2023 om 11:45 schreef Ann Example <ann@example.com>:
Den fre. 11. aug. 2023 kl. 11.45 skrev Ann Example <ann@example.com>:
pt., 11 sie 2023 o 11:45 Ann Example <ann@example.com> napisał(a):
Dne 11. 08. 23 v 11:45 Ann Example napsal(a):
пт, 11 авг. 2023 г. в 11:45, Ann Example <ann@example.com>:
11 серпня 2023 р. 11:45 Ann Example пише:
11 Ağu 2023 Cum, 11:45 tarihinde Ann Example <ann@example.com> şunu yazdı:
Ann Example <ann@example.com> 于2023年8月11日周五 11:45写道：
在 2023/8/11 11:45, Ann Example 写道:
2023年8月11日 11:45、Ann Example <ann@example.com>のメール:
\u202bבתאריך יום ו׳, 11 באוג׳ 2023 ב-11:45 מאת \u202aAnn Example\u202c <ann@example.com>:\u202c
في الجمعة، ١١ أغسطس ٢٠٢٣ في ١١:٤٥ ص تمت كتابة ما يلي بواسطة Ann Example:
Vào Th 6, 11 thg 8, 2023 vào lúc 11:45 Ann Example <ann@example.com> đã viết:
Ann Example <ann@example.com> kirjoitti 11.8.2023 kello 11.45:
Στις Παρ 11 Αυγ 2023 στις 11:45, ο χρήστης Ann Example <ann@example.com> έγραψε:
* Ann Example [2023-08-11 11:45]:
Ann Example writes:
Excerpts from Ann Example's message of August 11, 2023 11:45 am:
+++ Ann Example [11/08/23 11:45 +0200]:
ann@example.com wrote on 08/11/2023 11:45:00 AM:
------- Original Message ------- / On Friday, August 11th, 2023 at 11:45 AM, Ann Example <ann@example.com> wrote:
> On 11 Aug 2023, at 11:45, Ann Example <ann@example.com> wrote: / >
>>>>> "Ann" == Ann Example <ann@example.com> writes:
On Fri, Aug 11, 2023, Ann Example wrote: / [...]
""".strip().split("\n")


def read_lines(text, *names):
    return authors(marked(text), names[0], names)


def named(lines, at):
    return " ".join(lines[i].text for i in lines[at].named_by)


@pytest.mark.parametrize("marks", ["", "> "])
@pytest.mark.parametrize("names", [("Bob Quell", "Ann Example"), ("Bob Quell",)])
@pytest.mark.parametrize("form", FORMS)
def test_the_lines_before_the_first_deeper_one_name_its_author(form, names, marks):
    """In any language, on the outside and inside a quote, whether the headers know the name or not."""
    text = "".join(f"{marks}{line}\n" for line in [*form.split(" / "), "> quoted", "> words", "", "Yes."])
    if marks:
        text = f"On Mon, Aug 14, 2023, Dan Dorn wrote:\n{text}\nNo."
    lines = read_lines(text, *names)
    words = next(i for i, line in enumerate(lines) if line.text == "quoted")
    answer = next(i for i, line in enumerate(lines) if line.text == "Yes.")
    assert not lines[words].doubt and not lines[answer].doubt
    assert "ann" in named(lines, words).lower() and "ann" not in named(lines, answer).lower()


@pytest.mark.parametrize(
    "before",
    [
        "",
        "I agree.\n",
        "The following is wrong:\n",
        "Ann, see below:\n",
        "Adding Ann Example to Cc.\n",
        "Hi Ann,\n\n",
        "Results:\n",
    ],
)
def test_a_sentence_of_the_sender_is_no_attribution(before):
    lines = read_lines(f"{before}> quoted\n\nNo.", "Bob Quell", "Ann Example")
    assert next(line for line in lines if line.text == "quoted").doubt


def test_a_second_quote_is_by_the_same_author_unless_somebody_else_is_named():
    text = "On 8/11/23, Ann Example wrote:\n> one\nI see:\n> two\n{}> three\n"
    for sentence, doubt, name in (
        ("Test Results:\n", "", "Ann Example"),
        ("Cat, you said:\n", "does not say", ""),
        ("And on 8/10/23, Cat Ley wrote:\n", "", "Cat Ley"),
        ("In KVM code:\n", "", "Ann Example"),
        ("Quoting Dan Four (dan@example.net):\n", "does not say", ""),
        ("Am 17.07.23 um 19:05 schrieb Dan Four:\n", "does not say", ""),
        ("Dan Four sagt:\n", "does not say", ""),
        ("ann@example.com adds:\n", "does not say", ""),
    ):
        lines = read_lines(text.format(sentence), "Bob Quell", "Ann Example", "Cat Ley")
        three = next(i for i, line in enumerate(lines) if line.text == "three")
        assert doubt in lines[three].doubt and name in named(lines, three), sentence


def test_a_patch_by_somebody_else_is_his():
    lines = read_lines("From: Ann Example <ann@example.com>\n\nThe commit message.\n---\n a.c | 1 +\n", "Bob Quell")
    assert {line.pasted_from for line in lines if line.text and not line.attribution} == {"Ann Example"}


@settings(max_examples=examples(800), deadline=None)
@given(st.integers(0, 2**64), st.booleans())
def test_nobodys_words_stand_under_another_name(seed, everybody):
    """Nested, wrapped, interleaved, unmarked and pasted mails in any language, whose authors the test knows."""
    message = thread(random.Random(seed))
    names = list(PEOPLE) if everybody else [message.name]
    lines = read_lines("\n".join(message.lines), message.name, *names)
    quote = quoted(Original("x", Person(message.name, ""), "", lines), [r"w\d"])
    wrong = misattributed(quote.lines, message.name)
    assert not wrong, "\n".join([str(wrong), *message.lines])


@settings(max_examples=examples(200), deadline=None)
@given(st.integers(0, 2**64))
def test_what_is_marked_as_mailers_should_is_not_in_doubt(seed):
    """Doubting everything would be no art: threads of plain replies are attributed to the last line."""
    message = thread(random.Random(seed), styles=("plain", "inner"), asides=False)
    lines = read_lines("\n".join(message.lines), message.name, *PEOPLE)
    assert not [line for line in lines if line.doubt and "end of the line above" not in line.doubt]


@settings(max_examples=examples(50), deadline=None)
@given(st.integers(0, 2**64))
def test_a_mail_file_is_read_like_its_text(tmp_path_factory, seed):
    message = thread(random.Random(seed))
    path = tmp_path_factory.mktemp("mail") / "mail.eml"
    path.write_bytes(message.raw())
    [mail] = read(path)
    lines = authors(marked("\n".join([*message.lines, ""])), message.name, [message.name, *PEOPLE])
    assert mail.sender.name == message.name and mail.lines == lines
