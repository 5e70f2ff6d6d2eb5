"""One mail or page of each kind that people have: the right reply, or a refusal that names the way out."""

import pytest

from costmodel.errors import BadInput
from costmodel.mail.read import read
from costmodel.mail.reply import attribution, quoted, reply
from tests.mail.conftest import FIXTURES

CASES = FIXTURES / "cases"
FORMS = sorted(
    path.name for path in CASES.glob("attribution-*") if "in-the-quote" not in path.name and "flowed" not in path.name
)
QUENTIN = "On Tue, May 02, 2023, Quentin Quell wrote:"
NOBODY = "the mail does not say who wrote this:"
NO_MARKS = "no marks from here on: the sender's words, or quoted ones:"
AUTHOR, IDENTIFIER, ADDRESS, CHARSET = (
    "does not tell who wrote",
    "no usable Message-ID",
    "address of the sender",
    "charset",
)
PAGE = (
    "> On Mon, May 1, 2023 at 8:05 AM Petra Probe <petra@xxxxxxxxxxx> wrote:",
    "> > The flush stops 96 CPUs.",
    "> > > > [...]",
    "> How long does the flush take?",
)
LORE = (
    QUENTIN,
    "> On Mon, May 1, 2023, Petra Probe wrote:",
    "> > The flush stops 96 CPUs.",
    f"> > > [{NOBODY}]",
    "> > > an old flush",
    "> How long does the flush take?",
)
THREAD = (
    "On 2023-05-02 9:15, Quentin Quell wrote:",
    "> Petra Probe wrote:",
    "> > The flush stops 96 CPUs.",
    "> How long does the flush take?",
)
ROWS = {
    "attribution-in-the-quote-zh.eml": (
        (
            QUENTIN,
            "> [...]",
            "> > 2023年5月2日 09:40，Petra Probe <petra@example.net> 写道：",
            "> > On Tue, May 2, 2023, Quentin Quell wrote:",
            "> > > The flush of one guest is felt by all of them.",
            "> > I cannot see the flush here.",
            "> > > > 2023年5月1日 13:21，Rita Rohr <rita@example.net> 写道：",
            "> > > > Every event runs one flush on every CPU.",
        ),
        (),
    ),
    "attribution-wrapped-flowed.eml": (
        (
            QUENTIN,
            "> On 5/2/2023 8:05 AM, Petra Probe via virt",
            "> wrote:",
            "> > The flush takes so long that a mailer had to flow the line that said",
            "> > so.",
            "> Then the flush is what the neighbours notice, for as long as it lasts",
            "> on their CPUs.",
        ),
        (),
    ),
    "forwarded-message.eml": (
        (QUENTIN, "> [...]", "> From: Rita Rohr <rita@example.net>", "> > The flush stalls this host."),
        (),
    ),
    "forwarded-with-an-end.eml": (
        (
            QUENTIN,
            "> The flush again:",
            "> From: Rita Rohr <rita@example.net>",
            "> > The flush stalls this host.",
            "> That flush is WBINVD.",
        ),
        (),
    ),
    "original-message.eml": (
        (
            QUENTIN,
            "> [...]",
            "> The flush is still slow.",
            "> [...]",
            "> From: Petra Probe <petra@example.net>",
            "> > A flush by line would be better.",
            "> > From: Rita Rohr <rita@example.net>",
            "> > > No flush at all would be best.",
        ),
        (),
    ),
    "original-message-de.eml": (
        (
            QUENTIN,
            "> Der flush ist langsam.",
            "> Von: Petra Probe <petra@example.net>",
            "> > A flush by line would be better.",
        ),
        (),
    ),
    "quoted-headers.eml": (
        (
            QUENTIN,
            "> > From: Petra Probe [mailto:petra@example.net]",
            "> > On Mon, May 1, 2023, Quentin Quell wrote:",
            "> > > One flush for each event.",
            "> > The flush stops 96 CPUs.",
            "> How long does the flush take?",
        ),
        (),
    ),
    "unmarked-below-an-attribution.eml": (
        (QUENTIN, "> The flush is slow.", f"> [{NO_MARKS}]", ">  A flush by line would be better."),
        (AUTHOR,),
    ),
    "html-only.eml": (
        (
            QUENTIN,
            "> How long does one flush take, on a host of this size, if most of its",
            "> cache is clean and only one guest runs?",
            "> > On Tue, May 2, 2023, Petra Probe wrote:",
            "> > never flush",
        ),
        (),
    ),
    "html-outlook.eml": (
        (
            QUENTIN,
            "> Which flush is it?",
            "> From: Petra Probe <petra@example.net>",
            "> > A flush by line would be better.",
        ),
        (),
    ),
    "raw-utf8-header.eml": (
        ("On Tue, May 02, 2023, Jördis Çağlar Łoś wrote:", "> The flush – “all of it” – takes 3 µs"),
        (),
    ),
    "raw-latin2-header.eml": (
        ("On Tue, May 02, 2023, Jiří Kříž wrote:", "> The flush is příliš slow"),
        (),
    ),
    "unreadable-charset.eml": (
        ("\ufffd\ufffd\ufffd\ufffd wrote:", "> The flush \ufffd\ufffd\ufffd \ufffd\ufffd\ufffd\ufffd\ufffd"),
        ("name or the subject is in a charset", "quoted line is in a charset"),
    ),
    "hypermail-with-marks.txt": (
        ("On Tue May 02 2023 - 05:15:00 EST, Quentin Quell wrote:", *PAGE),
        (IDENTIFIER, ADDRESS),
    ),
    "hypermail-without-marks.txt": (
        (
            "On Tue May 02 2023 - 05:15:00 EST, Quentin Quell wrote:",
            "> A first flush word.",
            f"> [{NO_MARKS}]",
            "> The flush stops 96 CPUs.",
            "> How long does the flush take?",
        ),
        (IDENTIFIER, ADDRESS, AUTHOR),
    ),
    "hypermail.html": (
        (
            "On Tue May 02 2023 - 05:15:00 EST, Quentin Quell wrote:",
            f"> > [{NOBODY}]",
            "> > The flush stops 96 CPUs",
            "> How long does the flush take?",
        ),
        (ADDRESS, AUTHOR),
    ),
    "pipermail.html": (
        (
            QUENTIN,
            "> On Mon, May 1, 2023, Petra Probe <petra at example.net> wrote:",
            "> > The flush stops 96 CPUs.",
            "> How long does the flush take?",
        ),
        (IDENTIFIER, ADDRESS),
    ),
    "marc.txt": (("On 2023-05-02 9:15:00, Quentin Quell wrote:", *PAGE), (IDENTIFIER, ADDRESS)),
    "mhonarc.txt": ((QUENTIN, *PAGE), (IDENTIFIER, ADDRESS)),
    "lore-headers.txt": (LORE, (AUTHOR,)),
    "lore-page.txt": (LORE, (AUTHOR,)),
    "lore-thread.txt": (THREAD, (IDENTIFIER, ADDRESS)),
    "lore-thread.html": (THREAD, (IDENTIFIER, ADDRESS)),
}


def shown(mail):
    """Attribution and quote, without the blank lines."""
    return tuple(line for line in (*attribution(mail), *quoted(mail, ["flush"]).lines) if line.strip("> "))


def test_every_case_has_its_row():
    assert {path.name for path in CASES.iterdir()} == {*ROWS, *FORMS, "README.md"}


@pytest.mark.parametrize("name", ROWS)
def test_words_stand_under_the_name_of_their_author_or_under_none(name):
    expected, _ = ROWS[name]
    assert shown(read(CASES / name)[-1]) == expected


@pytest.mark.parametrize("name", FORMS)
def test_an_attribution_in_any_language_and_form(name):
    text = (CASES / name).read_text().partition("\n\n")[2]
    named = tuple(f"> {line}" for line in text.partition("\n>")[0].split("\n") if line)
    words = ("> > The flush stops 96 CPUs for two milliseconds.", "> Which flush is that?")
    assert shown(read(CASES / name)[0]) == (QUENTIN, *named, *words)


@pytest.mark.parametrize("name", [*ROWS, *FORMS])
def test_it_is_ready_to_send_or_says_why_not_and_names_the_way_out(name, numbers):
    mail = read(CASES / name)[-1]
    _, gaps = ROWS.get(name, ((), ()))
    if not gaps:
        assert reply(mail, numbers, ["flush"], send_ready=True).gaps == ()
        return
    with pytest.raises(BadInput, match="not ready to send.*save the raw mail") as error:
        reply(mail, numbers, ["flush"], send_ready=True)
    draft = reply(mail, numbers, ["flush"])
    assert draft.content.startswith(b"DRAFT") and len(draft.gaps) == len(gaps)
    for gap in gaps:
        assert gap in str(error.value) and any(gap in one for one in draft.gaps)


@pytest.mark.parametrize("name", ["lore-page.txt", "lore-headers.txt"])
def test_a_page_of_lore_has_all_headers_and_its_own_words_are_ready_to_send(name, numbers):
    [mail] = read(CASES / name)
    assert (mail.message_id, mail.references) == ("<quell-2@example.net>", ("<probe-1@example.net>",))
    assert [person.address for person in mail.recipients][2:] == ["rita@example.net", "sven@example.net"]
    assert not any("thread overview" in line.text.lower() or "other threads" in line.text for line in mail.lines)
    assert reply(mail, numbers, ["How long"], send_ready=True).gaps == ()


def test_a_thread_page_holds_every_mail():
    for name in ("lore-thread.txt", "lore-thread.html"):
        first, second = read(CASES / name)
        assert [first.sender.name, second.sender.name] == ["Petra Probe", "Quentin Quell"]
        assert [line.text for line in first.lines if line.text] == ["The flush stops 96 CPUs."]
        assert (first.subject, second.subject) == ("[RFC] flush of guest pages", "Re: [RFC] flush of guest pages")
