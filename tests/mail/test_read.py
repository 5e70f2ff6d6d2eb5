"""Reading mails: raw, mbox, public-inbox, archive page; hostile ones too."""

import gzip
from base64 import b64encode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.mail.read import read
from tests.samples import examples

MAIL = b"From: A <a@example.org>\nSubject: x\nDate: Fri, 18 Aug 2023 15:33:54 -0500\nMessage-ID: <1@example.org>\n"


def written(tmp_path, content):
    path = tmp_path / "mail"
    path.write_bytes(content)
    return path


def one(tmp_path, content):
    [mail] = read(written(tmp_path, content))
    return mail


def test_a_raw_mail(raw):
    [mail] = read(raw)
    assert mail.message_id == "<20230818-fixture-reply@example.org>"
    assert [ref[1:9] for ref in mail.references] == ["20230815", "20230815", "20230818"]
    assert mail.date == "Fri, Aug 18, 2023"
    assert mail.sender.address == "ashish@example.org" and not mail.gaps
    assert [p.address for p in mail.recipients][-1] == "linux-kernel@example.org"
    assert max(line.depth for line in mail.lines) == 2


def test_an_mbox_of_many_mails_with_escaped_from_lines(tmp_path):
    mails = [MAIL.replace(b"<1@", b"<%d@" % i) + b"\nbody\n>From here\n\n" for i in range(50)]
    found = read(written(tmp_path, b"".join(b"From x Thu Jan  1 00:00:00 1970\n" + mail for mail in mails)))
    assert [mail.message_id for mail in found] == [f"<{i}@example.org>" for i in range(50)]
    assert all(mail.lines[1].text == "From here" for mail in found)


def test_a_packed_mbox(tmp_path):
    assert one(tmp_path, gzip.compress(b"From x Thu Jan  1 00:00:00 1970\n" + MAIL + b"\nbody\n")).subject == "x"


def test_encoded_words_and_charsets(tmp_path):
    content = (
        b"From: =?utf-8?q?J=C3=A9r=C3=B4me?= <j@example.org>\nSubject: =?utf-8?b?w6k=?=\nMessage-ID: <1@example.org>\n"
    )
    content += b"Content-Type: text/plain; charset=iso-8859-1\n\ncaf\xe9\n"
    mail = one(tmp_path, content)
    assert mail.sender.name == "J\u00e9r\u00f4me" and mail.subject == "\u00e9" and mail.lines[0].text == "caf\u00e9"


def test_the_plain_part_of_a_multipart_mail(tmp_path):
    content = MAIL + b"Content-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/html\n\n<p>\n"
    mail = one(tmp_path, content + b"--b\nContent-Type: text/plain\n\nplain\n--b--\n")
    assert mail.lines[0].text == "plain"


@pytest.mark.parametrize(
    ("header", "gap"),
    [(b"Message-ID: <1@example.org>\n", "Message-ID"), (b"From: A <a@example.org>\n", "address of the sender")],
)
def test_a_missing_header_is_a_gap(tmp_path, header, gap):
    assert any(gap in text for text in one(tmp_path, MAIL.replace(header, b"") + b"\nbody\n").gaps)


def test_a_masked_address_is_a_gap_and_is_never_rebuilt(tmp_path):
    mail = one(tmp_path, MAIL.replace(b"a@example.org", b"a@xxxxxxxxx") + b"\nbody\n")
    assert mail.sender.address == "" and mail.gaps


def test_the_archive_page_has_no_identifier_and_no_address(page):
    [mail] = read(page)
    assert mail.message_id == "" and mail.sender.address == "" and len(mail.gaps) == 2
    assert mail.date == "Fri Aug 18 2023 - 16:33:54 EST" and mail.subject.startswith("Re: [PATCH 4/8]")


def test_pasted_words_are_their_authors(raw):
    pasted = [line for line in read(raw)[0].lines if line.pasted_from]
    assert {line.pasted_from for line in pasted} == {"Sean Christopherson"}
    assert pasted[0].text.startswith("For SNP guests") and pasted[-1].text.startswith("UPM is supposed")


NOTHING = [b"", b"\x00\x01", b"no mail at all", b"\x1f\x8bnot gzip", b"From \n", b"\n\n\n", b"From a@", b"From a"]


@pytest.mark.parametrize("content", NOTHING)
def test_what_is_no_mail_is_refused(tmp_path, content):
    with pytest.raises(BadInput):
        read(written(tmp_path, content))


@pytest.mark.parametrize(
    "charset", ["iso\u202e-1", "none", "\x00", "hex", "punycode", "idna", "unknown-8bit", "utf-7", "a" * 3000]
)
def test_a_charset_that_is_none_is_read_as_it_is(tmp_path, charset):
    head = MAIL.replace(b"Subject: x", f"Subject: =?{charset}?q?caf=E9?=".encode())
    mail = one(tmp_path, head + f'Content-Type: text/plain; charset="{charset}"\n\nbody\n'.encode())
    assert "=?" not in mail.subject and mail.subject.isprintable() and mail.lines[0].text == "body"


def test_an_encoded_word_as_address_of_the_sender_is_a_gap(tmp_path):
    mail = one(tmp_path, MAIL.replace(b"A <a@example.org>", b"=?utf-8?q?J=C3=B6?=@b.org, C <c@d.org>") + b"\nbody\n")
    assert mail.sender.address == "" and any("address of the sender" in gap for gap in mail.gaps)


def test_what_was_decoded_is_not_decoded_again(tmp_path):
    inner = b"=?utf-8?q?=0ABcc:_attacker=40evil.example=0AX-Injected:_yes?="
    mail = one(tmp_path, MAIL.replace(b"Subject: x", b"Subject: =?utf-8?b?" + b64encode(inner) + b"?=") + b"\nbody\n")
    assert mail.subject == "= ?utf-8?q?=0ABcc:_attacker=40evil.example=0AX-Injected:_yes?="


@pytest.mark.parametrize(
    "content",
    [
        b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (i, i) for i in range(2000)),
        b"".join(b'Content-Type: multipart/mixed;\n boundary*0="%d"\n\n--%d\n' % (i, i) for i in range(300)),
    ],
)
def test_parts_nested_without_end_are_refused(tmp_path, content):
    with pytest.raises(BadInput, match="nested parts"):
        read(written(tmp_path, MAIL + content))


@pytest.mark.parametrize(
    "content",
    [
        MAIL + b"\n" + b">" * 2**20 + b"\n",
        MAIL.replace(b"A <", b"=?utf-8?q?" * 30_000 + b" <") + b"\nbody\n",
        MAIL.replace(b"A <", b"(" * 100_000 + b" <") + b"\nbody\n",
        MAIL.replace(b"Subject: x", b"Subject: " + b"=?a?q?" * 100_000) + b"\nbody\n",
        MAIL + b"References: " + b"<" * 100_000 + b"\n\nbody\n",
        MAIL + b"\n" + b"[...]\n" * 20_000,
        MAIL + b"\n" + b"From: A <a@b.c>\nDate: 2023-01-01\nTo: b\n\nx\n" * 5_000,
        MAIL + b"Content-Type: text/html\n\n<html>" + b"<a" * 200_000,
        MAIL + b"Content-Type: text/html\n\n<html>" + b"<!--" * 100_000,
        MAIL + b"Content-Type: text/html\n\n<html>" + b"<blockquote>x" * 30_000,
    ],
    ids=[
        "quote marks",
        "encoded words",
        "comments",
        "subject",
        "references",
        "cuts",
        "pasted",
        "tags",
        "html comments",
        "nested",
    ],
)
def test_long_hostile_text_is_read(tmp_path, content):
    assert one(tmp_path, content).message_id == "<1@example.org>"


def test_too_many_mails_are_refused(tmp_path):
    with pytest.raises(BadInput, match="more than 20000 mails"):
        read(written(tmp_path, b"From x\n\n" * 20_001))


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(BadInput):
            read(path)


@settings(max_examples=examples(150), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=400), st.sampled_from([b"", MAIL, b"From x\n" + MAIL, b"From: \xff\nSubject: "]))
def test_any_bytes_are_read_or_refused(tmp_path, content, start):
    try:
        mails = read(written(tmp_path, start + content))
    except BadInput:
        return
    for mail in mails:
        for text in (mail.subject, mail.sender.name, mail.date, mail.message_id):
            assert text == "" or text.isprintable()
