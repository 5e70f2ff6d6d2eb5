"""The reply as its receiver reads it: what it quotes, its headers, golden texts, what it refuses, and git
send-email.
"""

import email
import email.policy
import re
import subprocess
from base64 import b64encode
from email.header import decode_header, make_header
from email.utils import getaddresses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.mail.authors import Line
from costmodel.mail.clean import ADDRESS, address, harmless, message_ids, one_line
from costmodel.mail.read import Original, Person, read
from costmodel.mail.reply import answer, choose, compose, correspondents, quoted, reply, subject_of
from costmodel.report.block import render_block
from tests.mail.conftest import FIXTURES, SAID, agrees
from tests.samples import examples


def mail(*lines):
    return Original("x", Person("A", "a@example.org"), "", tuple(lines))


def test_quoted_lines_stand_as_they_were(page):
    [original] = read(page)
    quote = quoted(original, SAID)
    texts = {line.text for line in original.lines}
    for line in quote.lines:
        assert line in ("> [...]", ">") or line.startswith("> [no marks") or line.removeprefix("> ") in texts
    assert quote.lines[0] == quote.lines[-1] == "> [...]" and not quote.notes
    assert max(map(len, quote.lines)) > 200


def test_the_pasted_words_name_their_author(raw):
    shown = quoted(read(raw)[0], SAID).lines
    assert shown.index("> [pasted from Sean Christopherson:]") + 1 == shown.index(
        "> For SNP guests, KVM should use CLFLUSHOPT and not WBINVD."
    )


def test_a_page_without_marks_puts_nothing_under_a_name(page):
    """Sean's words, pasted by Ashish, on a page that lost all marks: whose they are, the page does not tell."""
    [original] = read(page)
    first = next(i for i, line in enumerate(original.lines) if line.text.startswith("On Tue"))
    assert all(line.doubt or line.attribution for line in original.lines[first:] if line.text)
    quote = quoted(original, SAID)
    assert quote.lines[1].startswith("> [no marks from here on") and "3 of the quoted lines" in quote.gaps[0]


def test_a_nested_quote_keeps_its_marks_and_its_attribution(raw):
    assert quoted(read(raw)[0], ["This fixes is wrong"]).lines == (
        "> On 8/18/2023 12:55 PM, Sean Christopherson wrote:",
        "> > [...]",
        "> > This fixes is wrong. It won't matter in the long run, but it makes my life that",
        "> > much harder.",
        "> [...]",
    )


def test_of_a_long_paragraph_only_the_lines_that_match():
    shown = quoted(mail(*(Line(0, f"line {i}") for i in range(20))), ["line 7$"]).lines
    assert shown == ("> [...]", "> line 7", "> [...]")


def test_neighbouring_paragraphs_keep_the_blank_line_and_no_cut():
    shown = quoted(mail(Line(0, "one"), Line(0, ""), Line(0, "two")), ["one", "two"]).lines
    assert shown == ("> one", ">", "> two")


def test_letters_of_any_script_stay_what_they_are_and_nothing_acts_on_a_terminal():
    quote = quoted(mail(Line(0, "\u2264 3 \u00b5s caf\u00e9 \u5c71\u7530\x1b[0m")), ["caf"])
    assert quote.lines == ("> \u2264 3 \u00b5s caf\u00e9 \u5c71\u7530?[0m",) and "control characters" in quote.notes[0]


def test_a_line_that_no_mail_can_carry_is_wrapped_and_no_other():
    long = "\u5c71" * 400
    shown = quoted(mail(Line(0, "word " * 150), Line(0, ""), Line(0, f"{long} {long}")), ["."]).lines
    assert shown[0] == ("> " + "word " * 150).rstrip() and max(len(line.encode()) for line in shown) < 998
    assert "".join(shown[2:]).replace("> ", "").replace(" ", "") == long * 2


@pytest.mark.parametrize("pattern", ["nowhere", "(", "[", "x" * 300, "*"])
def test_a_pattern_that_matches_nothing_or_is_none_is_refused(pattern):
    with pytest.raises(BadInput):
        quoted(mail(Line(0, "text")), [pattern])


def test_no_pattern_quotes_nothing():
    assert quoted(mail(Line(0, "text")), []).lines == ()


ALLOWED = {
    "subject",
    "to",
    "cc",
    "content-type",
    "content-transfer-encoding",
    "mime-version",
    "in-reply-to",
    "references",
}
HOSTILE = st.text(
    st.one_of(
        st.characters(codec="utf-8"), st.sampled_from('\r\n\x00\x0b\x0c\x1c\x85\u2028\u2029:;<>@"\\,()=? \t\ud800')
    ),
    max_size=120,
)


def original(subject="x", name="A", where="a@example.org", message_id="<1@example.org>", references=(), others=()):
    return Original(subject, Person(name, where), "", (), message_id, tuple(references), (), tuple(others))


def parsed(content):
    return email.message_from_bytes(content, policy=email.policy.default)


def test_the_threading_headers():
    mail = parsed(compose(original(references=["<0@example.org>"]), ["body"]))
    assert mail["In-Reply-To"] == "<1@example.org>"
    assert mail["References"].split() == ["<0@example.org>", "<1@example.org>"]


def test_nothing_is_made_up():
    names = {name.lower() for name in parsed(compose(original(), ["body"]))}
    assert names <= ALLOWED and not names & {"message-id", "from", "date", "bcc"}


def test_a_body_in_utf8_when_it_must_be():
    content = compose(original(name="Radim Kr\u010dm\u00e1\u0159"), ["> \u2264 3 \u00b5s", "\u5c71\u7530 wrote:"])
    got = parsed(content)
    assert got["Content-Transfer-Encoding"] == "8bit" and got.get_content_charset() == "utf-8"
    assert got.get_content() == "> \u2264 3 \u00b5s\n\u5c71\u7530 wrote:\n"
    assert content.partition(b"\n\n")[0].isascii()


def test_one_part_seven_bits_no_flowed_text():
    content = compose(original(name="J\u00e9r\u00f4me \u03a9"), ["body"])
    mail = parsed(content)
    assert content.isascii() and not mail.is_multipart()
    assert mail["Content-Transfer-Encoding"] == "7bit" and "flowed" not in mail["Content-Type"]
    assert mail["To"].addresses[0].display_name == "J\u00e9r\u00f4me \u03a9"


def test_a_long_identifier_is_not_encoded():
    long = f"<{'a' * 120}@{'b' * 60}.example.org>"
    content = compose(original(message_id=long, references=[long.replace("a", "c")]), ["body"])
    assert b"=?" not in content and long.encode() in content


def test_a_long_thread_keeps_its_first_and_its_newest_references():
    ids = [f"<{i}@example.org>" for i in range(500)]
    found = parsed(compose(original(references=ids, message_id="<x@example.org>"), ["body"]))["References"].split()
    assert found[0] == ids[0] and found[-2:] == [ids[-1], "<x@example.org>"] and len(found) < 50


@pytest.mark.parametrize("subject", ["x", "Re: x", "RE: re: x", "Re:Re: x", "AW: Re: x"])
def test_one_re(subject):
    assert subject_of(original(subject)) == "Re: x"


def test_everyone_is_answered_once():
    people = (Person("B", "b@example.org"), Person("A again", "A@example.org"), Person("", ""))
    to, copies = correspondents(original(others=people))
    assert [p.address for p in to] == ["a@example.org"] and [p.address for p in copies] == ["b@example.org"]


@settings(max_examples=examples(300), deadline=None)
@given(HOSTILE, HOSTILE, HOSTILE)
def test_no_text_of_a_mail_becomes_a_header(subject, name, other):
    """Whatever stands in subject and names: the same headers, the same body, the same addresses."""
    mail = original(subject, name, others=(Person(other, "b@example.org"),))
    content = compose(mail, ["body"])
    assert content.isascii()
    head, _, body = content.partition(b"\n\n")
    assert body == b"body\n"
    for line in head.split(b"\n"):
        assert line.startswith(b" ") or line.split(b":")[0].decode().lower() in ALLOWED
        assert len(line) <= 998
    got = parsed(content)
    assert [a.addr_spec for a in got["To"].addresses] == ["a@example.org"]
    assert [a.addr_spec for a in got["Cc"].addresses] == ["b@example.org"]


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HOSTILE, HOSTILE, st.binary(max_size=80))
def test_no_encoded_word_of_a_raw_mail_becomes_a_header(tmp_path, subject, name, raw):
    """A line end hidden in base64, or bare bytes in a header, reach neither the headers nor the addresses."""
    word, person = (b64encode(text.encode("utf-8", "surrogatepass")).decode() for text in (subject, name))
    path = tmp_path / "hostile.eml"
    path.write_bytes(
        f"Subject: =?utf-8?b?{word}?=\nFrom: =?utf-8?b?{person}?= <a@example.org>\n".encode()
        + b"Message-ID: <1@example.org>\nReferences: "
        + raw.replace(b"\n", b" ").replace(b"\r", b" ")
        + b"\n\nbody\n"
    )
    [mail] = read(path)
    content = compose(mail, ["body"])
    head = content.partition(b"\n\n")[0]
    assert content.isascii() and content.endswith(b"\n\nbody\n")
    for line in head.split(b"\n"):
        assert line.startswith(b" ") or line.split(b":")[0].decode().lower() in ALLOWED
    assert [a.addr_spec for a in parsed(content)["To"].addresses] == ["a@example.org"]


BCC = "\nBcc: attacker@evil.example\nX-Injected: yes\n\nbody of the attacker\n"
CHARSETS = st.sampled_from(
    ["utf-8", "us-ascii", "iso-8859-1", "utf-16", "utf-7", "x-none", "iso\u202e-1", "unknown-8bit", "\x00"]
)


def encoded(text, charset, kind):
    """`text` as an encoded word by base64 or quoted-printable, whatever the charset says."""
    try:
        raw = text.encode(charset)
    except (LookupError, ValueError):
        raw = text.encode("utf-8", "surrogatepass")
    if kind == "b":
        return f"=?{charset}?b?{b64encode(raw).decode()}?="
    return f"=?{charset}?q?{''.join(f'={byte:02X}' if byte in HIDDEN or byte > 126 else chr(byte) for byte in raw)}?="


HIDDEN = frozenset(range(33)) | set(b'=?_:@<>"')
PAYLOADS = st.one_of(
    HOSTILE, HOSTILE.map(lambda text: text + BCC), st.just(BCC), st.just("\r\nBcc: attacker@evil.example")
)
NESTED = st.recursive(
    PAYLOADS,
    lambda inner: st.builds(
        encoded, st.lists(inner, min_size=1, max_size=3).map(" ".join), CHARSETS, st.sampled_from("bq")
    ),
    max_leaves=6,
)
WRAPPED = st.lists(st.builds(encoded, NESTED, CHARSETS, st.sampled_from("bBqQ")), min_size=1, max_size=2).map(" ".join)


@settings(
    max_examples=examples(200),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(WRAPPED, WRAPPED, WRAPPED, WRAPPED, WRAPPED)
def test_nested_encoded_words_never_become_headers(tmp_path, subject, name, other, answer_to, identifier):
    """Encoded words in encoded words, several levels, q and b and any charset, in every header that is taken over."""
    raw = (
        f"Subject: {subject}\nFrom: {name} <a@example.org>\nTo: {other} <b@example.org>, {name}@c.example\n"
        f'Cc: "{other}" <d@example.org>\nReply-To: {answer_to} <e@example.org>\n'
        f"Message-ID: <1@example.org>\nReferences: <0@example.org> <{identifier}@x>\n\nbody\n"
    )
    path = tmp_path / "hostile.eml"
    path.write_bytes(raw.encode("utf-8", "surrogateescape" if raw.isascii() else "replace"))
    try:
        [mail] = read(path)
        content = compose(mail, ["body"])
    except BadInput:
        return
    check_only_ours(content)


def check_only_ours(content):
    """Both parsers see the headers of a reply and no other, and nothing of the attacker in a header that acts."""
    head, _, body = content.partition(b"\n\n")
    assert body == b"body\n" and b"\r" not in content and b"\0" not in content
    for policy in (email.policy.default, email.policy.compat32):
        found = email.message_from_bytes(content, policy=policy)
        assert {name.lower() for name in found} <= ALLOWED and len(found) == len(set(found))
        assert not found.defects and found.get_payload() == "body\n"
    to = {a.addr_spec for name in ("To", "Cc") if (h := parsed(content)[name]) for a in h.addresses}
    assert "attacker@evil.example" not in to
    for name, value in parsed(content).items():
        assert "\n" not in value and "=?" not in value, name


@pytest.mark.parametrize("where", ["subject", "name", "other", "message_id", "references"])
@pytest.mark.parametrize("text", ["=?utf-8?q?=0ABcc:_a=40evil.example?=", "=?utf-8?b?DQpCY2M6IGFAZXZpbC5leGFtcGxl?="])
def test_a_mail_made_in_python_cannot_inject_either(where, text):
    """The same through `compose` alone: what stands in an Original is text, whoever made it."""
    fields = {
        "other": {"others": [Person(text, "b@example.org")]},
        "message_id": {"message_id": f"<{text}@x>"},
        "references": {"references": [f"<{text}@x>"]},
    }
    mail = original(**fields.get(where, {where: text}))
    try:
        check_only_ours(compose(mail, ["body"]))
    except BadInput as error:
        assert where in ("message_id", "references"), error


def test_the_check_refuses_what_the_composer_would_let_through(monkeypatch):
    """The second line of defence on its own: names are no longer neutralised, and still nothing gets out."""
    monkeypatch.setattr("costmodel.mail.reply.one_line", lambda text, most: text[:most])
    with pytest.raises(BadInput, match="would change the headers"):
        compose(original(subject="=?utf-8?q?=0ABcc:_attacker=40evil.example?="), ["body"])


NAMES = st.text(st.one_of(st.characters(codec="utf-8"), st.sampled_from(',;:@<>()"\\\\. ')), max_size=130).map(
    lambda text: one_line(text, 120)
)


@given(st.lists(NAMES, min_size=1, max_size=5))
def test_every_name_reaches_the_reader_as_it_was(names):
    """Commas, colons, quotes and long names in any script: nobody is lost, nobody is made up, nothing is refused."""
    people = [Person(name, f"p{i}@example.org") for i, name in enumerate(names)]
    content = compose(original(name=names[0], others=people), ["body"])
    got = email.message_from_bytes(content, policy=email.policy.compat32)
    listed = getaddresses([str(got["Cc"])])
    assert [(str(make_header(decode_header(n))), where) for n, where in listed] == [(p.name, p.address) for p in people]
    assert [a.addr_spec for a in parsed(content)["Cc"].addresses] == [p.address for p in people]
    assert max(map(len, content.split(b"\n"))) < 400


def test_a_long_name_with_a_comma_and_a_colon_keeps_its_quotes():
    """The email package folds it without them: `x: attacker@evil.example` then is an address of its own."""
    name = f"{'long ' * 12}Bcc: attacker@evil.example, and more;"
    got = parsed(compose(original(name=name), ["body"]))
    assert [(a.display_name, a.addr_spec) for a in got["To"].addresses] == [(name, "a@example.org")]


def test_a_mail_to_thousands_is_refused():
    with pytest.raises(BadInput, match="more than 200 people"):
        compose(original(others=[Person("", f"p{i}@example.org") for i in range(5000)]), ["body"])


@given(HOSTILE)
def test_identifiers_and_addresses_never_carry_a_line_end(text):
    for one in message_ids(text):
        assert one.isprintable() and one.isascii() and " " not in one
    assert address(text) == "" or ADDRESS.fullmatch(text)
    assert one_line(text, 50).isprintable() and "=?" not in one_line(text, 50)
    assert harmless(harmless(text)) == harmless(text) and not set(harmless(text)) & set("\n\r\0\x1b\x85\u2028\u202e")


@pytest.mark.parametrize(
    "where",
    [
        "a@b\nBcc: c@example.org",
        "a b@example.org",
        "a@xxxxxxxxx",
        "@example.org",
        "=?utf-8?q?J=C3=B6?=@b.org",
        ".a@b.org",
    ],
)
def test_a_bad_address_is_refused_or_left_out(where):
    assert address(where) == ""
    mail = Original("x", Person("A", "a@example.org"), "", (), "<1@example.org>", reply_to=(Person("B", where),))
    with pytest.raises(BadInput):
        compose(mail, ["body"])


@pytest.mark.parametrize("message_id", ["<a@b>\nBcc: c@example.org", "no-brackets", "<a b@c>", "<a@b> <c@d>"])
def test_a_bad_identifier_is_refused(message_id):
    with pytest.raises(BadInput):
        compose(original(message_id=message_id), ["body"])


@pytest.mark.parametrize("line", ["caf\u202e", "a\x00b", "a\x1b[0m", "\ud800", "x" * 999, "\u00e9" * 500])
def test_a_body_that_cannot_be_mailed_is_refused(line):
    with pytest.raises(BadInput):
        compose(original(), [line])


@pytest.fixture(scope="module")
def ready(raw, numbers):
    return reply(read(raw)[0], numbers, SAID, send_ready=True)


@pytest.fixture(scope="module")
def draft(page, numbers):
    return reply(read(page)[0], numbers, SAID)


def test_the_golden_texts(ready, draft, numbers):
    agrees("reply.eml", ready.content.decode("ascii"))
    agrees("draft.txt", draft.content.decode("ascii"))
    agrees("block.txt", render_block(numbers))


def test_prose_has_72_columns_and_tables_75(ready):
    body = ready.content.decode("ascii").split("\n\n", 1)[1]
    for line in body.split("\n"):
        if line.startswith(">"):
            continue
        tabular = re.search(r"MODEL\*?$|MEASURED$", line) or "  " in line.strip()
        assert len(line) <= (75 if tabular else 72), line


def test_every_row_of_numbers_says_what_kind_it_is(numbers):
    lines = answer(numbers)
    assert sum(bool(re.search(r" MODEL\*?$", line)) for line in lines) == len(numbers.rows)
    assert sum(line.endswith(" MEASURED") for line in lines) == sum(len(host.values) for host in numbers.measured)


def test_the_measured_rows_name_hardware_kernel_n_and_spread(numbers):
    text = " ".join(answer(numbers))
    for word in ("AMD EPYC (00A10F11)", "virtual machine", "microcode 0x1000065", "kernel 6.18.44", "n = 45 in 5 runs"):
        assert word in text
    assert "membarrier" in text


def test_the_answer_is_honest(numbers):
    text = " ".join(" ".join(answer(numbers)).split())
    assert (
        "Upstream v6.17 replaced WBINVD by WBNOINVD for AMD SEV (commit a77896eea33d) and flushes only the CPUs that "
        "ran the guest (commit 6f38f8c57464)." in text
    )
    assert "commit ea262f8a7c36" in text
    assert "Not covered:" in text and "no EPYC timing is public" in text and "extrapolated" in text
    assert "can lose a flush" in text and "The rate is a ceiling" in text
    assert "No interval holds how far the true rate lies below it." in " ".join(text.split())
    assert re.search(r"costmodel [\d.]+, data [0-9a-f]{16}", text)


def test_no_percentage_spans_zero(numbers):
    for low, high in re.findall(r"\[([+-]?[\d.]+), ([+-]?[\d.]+)\] %", "\n".join(answer(numbers))):
        assert float(low) * float(high) > 0


def test_the_archive_page_gives_a_draft_that_names_its_gaps(draft):
    text = draft.content.decode("ascii")
    assert text.startswith("DRAFT") and "Message-ID" in text and "@" not in text.split("\n\n")[1]
    assert len(draft.gaps) == 3 and not re.search(r"^(In-Reply-To|References|Message-ID|From):", text, re.MULTILINE)


def test_the_archive_page_is_never_ready_to_send(page, numbers):
    with pytest.raises(BadInput, match="not ready to send"):
        reply(read(page)[0], numbers, SAID, send_ready=True)


def test_one_mail_of_several_is_chosen_by_its_words_or_its_identifier(tmp_path, raw):
    content = b"".join(
        b"From x Thu Jan  1 00:00:00 1970\nFrom: A <a@example.org>\nSubject: s\nMessage-ID: <%d@example.org>\n\nword%d\n\n"
        % (i, i)
        for i in range(3)
    )
    (tmp_path / "box").write_bytes(content)
    mails = read(tmp_path / "box")
    assert choose(mails, ["word1"]).message_id == "<1@example.org>"
    assert choose(mails, [], "2@example.org").message_id == choose(mails, [], "<2@example.org>").message_id
    for patterns, message_id in ((["word"], None), ([], None), ([], "9@example.org"), ([], "a b\nc")):
        with pytest.raises(BadInput):
            choose(mails, patterns, message_id)


def has_send_email():
    where = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=False).stdout.strip()
    return (Path(where) / "git-send-email").is_file()


def dry_run(content, tmp_path):
    """What git send-email says that it would send."""
    path = tmp_path / "reply.eml"
    path.write_bytes(content)
    words = ["git", "send-email", "--dry-run", "--from=T <t@example.org>", "--smtp-server=/bin/true", "--confirm=never"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "T", f"GIT_{role}_EMAIL": "t@example.org"}
    done = subprocess.run(
        [*words, str(path)], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Result: OK" in done.stdout or "Result: 250" in done.stdout
    return re.sub(r"\n\s+", " ", done.stdout)


@pytest.mark.skipif(not has_send_email(), reason="git send-email is not installed (Debian: git-email)")
def test_git_send_email_takes_it(ready, tmp_path):
    sent = dry_run(ready.content, tmp_path)
    assert "In-Reply-To: <20230818-fixture-reply@example.org>" in sent
    assert sent.count("fixture-") >= 5 and "Content-Transfer-Encoding: base64" not in sent
    assert "To: Ashish Kalra <ashish@example.org>" in sent


@pytest.mark.skipif(not has_send_email(), reason="git send-email is not installed (Debian: git-email)")
def test_git_send_email_takes_names_and_quotes_in_utf8(numbers, tmp_path):
    [mail] = read(FIXTURES / "cases" / "raw-utf8-header.eml")
    sent = dry_run(reply(mail, numbers, ["flush"], send_ready=True).content, tmp_path)
    assert "<jordis@example.net>" in sent and "<zoe@example.net>" in sent
    assert 'charset="utf-8"' in sent and "Content-Transfer-Encoding: 8bit" in sent
    assert "J\u00f6rdis \u00c7a\u011flar \u0141o\u015b" in str(
        make_header(decode_header(re.search(r"^To: (.*)$", sent, re.MULTILINE)[1]))
    )
