"""costmodel reply, and the replies in examples/."""

import email
import email.policy
import os
import re
from base64 import b64encode
from pathlib import Path

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError
from costmodel.report.record import recommend
from tests.mail.conftest import FIXTURES, SAID, UPDATE, masked

EXAMPLES = Path(__file__).parents[2] / "examples"
QUOTES = [word for pattern in SAID for word in ("--quote", pattern)]
CASE = ["--guest", "sev-snp", "--guest", "sev", "--machine", "epyc-7763-2s"]
ROWS = ["--strategy", "CLFLUSHOPT_UVA", "--measured", "epyc-genoa-4cpu-vm"]


def invoked(*words):
    return CliRunner().invoke(cli, ["reply", *words])


@pytest.mark.parametrize(
    ("source", "name", "options"),
    [
        ("reply-2023-08-18.eml", "reply-2023-08-18.eml", ["--send-ready"]),
        ("thread-2023-08-18.txt", "reply-2023-08-18.txt", []),
    ],
)
def test_the_examples_are_what_the_command_prints(source, name, options):
    result = invoked(str(FIXTURES / source), *CASE, *ROWS, *QUOTES, *options)
    assert result.exit_code == 0, result.output
    if os.environ.get(UPDATE):
        (EXAMPLES / name).write_text(result.stdout)
    assert masked(result.stdout) == masked((EXAMPLES / name).read_text()), f"{UPDATE}=1 renews it"


def test_gaps_go_to_stderr():
    result = invoked(str(FIXTURES / "thread-2023-08-18.txt"), *CASE, "--quote", "On a separate note")
    assert result.stdout.startswith("DRAFT") and "note: the file has no usable Message-ID" in result.stderr


def test_a_mail_is_read_from_standard_input():
    words = ["-", *CASE, "--quote", "On a separate note", "--send-ready"]
    piped = CliRunner().invoke(cli, ["reply", *words], input=(FIXTURES / "reply-2023-08-18.eml").read_bytes())
    assert piped.exit_code == 0, piped.output
    assert piped.stdout_bytes == invoked(str(FIXTURES / "reply-2023-08-18.eml"), *words[1:]).stdout_bytes


@pytest.mark.parametrize(
    "words",
    [
        [str(FIXTURES / "thread-2023-08-18.txt"), *CASE, "--send-ready"],
        [str(FIXTURES / "none.eml"), *CASE],
        [str(FIXTURES), *CASE],
        [str(FIXTURES / "reply-2023-08-18.eml"), *CASE, "--quote", "words that nobody wrote"],
        [str(FIXTURES / "reply-2023-08-18.eml"), *CASE, "--quote", "("],
        [str(FIXTURES / "reply-2023-08-18.eml"), *CASE, "--message-id", "other@example.org"],
        [str(FIXTURES / "reply-2023-08-18.eml"), "--guest", "tdx", "--machine", "epyc-7763-2s"],
    ],
)
def test_errors_are_one_line_and_nothing_is_printed(words):
    result = invoked(*words)
    assert isinstance(result.exception, CostModelError)
    assert "\n" not in str(result.exception) and result.stdout == ""


def test_no_header_of_an_attacker_in_a_mail_that_is_ready_to_send(tmp_path):
    """The whole way: an encoded word in an encoded word, Subject and names, and what `git send-email` would be
    given.
    """
    inner = "=?utf-8?q?=0ABcc:_attacker=40evil.example=0AX-Injected:_yes=0A=0Awords?="
    outer = f"=?utf-8?b?{b64encode(inner.encode()).decode()}?="
    path = tmp_path / "hostile.eml"
    path.write_text(
        f"From: {outer} <jo@example.org>\nTo: {outer} <kvm@example.org>\nSubject: {outer}\nReply-To: {outer} <r@example.org>\n"
        "Message-ID: <1@example.org>\nDate: Fri, 18 Aug 2023 10:00:00 +0000\n\nWBINVD is slow, isn't it\n"
    )
    result = invoked(str(path), *CASE, "--quote", "WBINVD", "--send-ready")
    assert result.exit_code == 0, result.output
    for policy in (email.policy.default, email.policy.compat32):
        mail = email.message_from_bytes(result.stdout_bytes, policy=policy)
        assert {name.lower() for name in mail} == {
            "subject", "to", "cc", "content-type", "content-transfer-encoding", "mime-version", "in-reply-to", "references",
        }  # fmt: skip
    assert "evil.example" not in {a.domain for name in ("To", "Cc") for a in email.message_from_bytes(
        result.stdout_bytes, policy=email.policy.default)[name].addresses}  # fmt: skip


# The short answer: what was asked, in at most 30 lines of the tool's own.

THREADS = FIXTURES.parent / "threads"
ASKS = "Message-ID: <1@example.org>\nFrom: A <a@example.org>\nTo: k@example.org\nSubject: {subject}\n\n{text}\n"
NIGHTLY = pytest.mark.nightly


def asked(tmp_path, text, *words, subject="SEV flush"):
    path = tmp_path / "mail.eml"
    path.write_text(ASKS.format(subject=subject, text=text))
    return invoked(str(path), "--machine", "epyc-7763-2s", "--quote", ".", *words)


def own_lines(body):
    """The lines below the last quoted one."""
    lines = body.splitlines()
    return lines[max(i for i, line in enumerate(lines) if line.startswith(">")) + 2 :]


@pytest.mark.parametrize(
    "name",
    [
        "snp-autonuma-clflushopt",
        "tdx-shutdown-time",
        *(pytest.param(path.stem, marks=NIGHTLY) for path in sorted(THREADS.glob("s*.eml"))),
    ],
)
def test_a_public_mail_gets_a_short_answer(name):
    machine = "xeon-8570-2s" if name.startswith("tdx") else "epyc-7763-2s"
    result = invoked(str(THREADS / f"{name}.eml"), "--machine", machine, "--quote", ".")
    assert result.exit_code == 0, result.output
    lines = own_lines(result.stdout)
    assert 5 < len(lines) <= 30 and max(map(len, lines)) <= 72
    assert all(line.isascii() for line in lines)


def test_a_range_flush_up_to_a_size_gets_its_break_even(tmp_path):
    text = " ".join(asked(tmp_path, "Is it worth to use CLFLUSHOPT up to 2 MiB?").stdout.split())
    assert "Yes: CLFLUSHOPT over the range takes less CPU time than WBINVD for ranges of up to" in text
    assert "at 2.0 MiB it takes" in text and "But it can lose a flush" in text


def test_what_was_not_asked_is_not_answered_with_yes(tmp_path):
    text = " ".join(asked(tmp_path, "CLFLUSHOPT up to 2 MiB hurts.").stdout.split())
    assert "CLFLUSHOPT over the range takes less CPU time than WBINVD for ranges of up to" in text
    assert "Yes:" not in text and "No:" not in text


def test_the_shutdown_of_a_tdx_guest_gets_the_times_that_recommend_prints():
    mail = THREADS / "tdx-shutdown-time.eml"
    said = " ".join(invoked(str(mail), "--machine", "xeon-8570-2s", "--quote", ".").stdout.split())
    told = recommend("tdx", "xeon-8570-2s", "teardown", "newest")
    gap = next(text.partition(": ")[2] for text in told.gaps if text.startswith("KeyID release: "))
    assert "Measured: " + re.sub(r" \(row [^)]*\)", "", gap) in said
    assert "S06" not in said and "unknown" not in said


def test_a_long_note_is_one_sentence():
    mail = THREADS / "snp-autonuma-clflushopt.eml"
    said = " ".join(invoked(str(mail), "--machine", "epyc-7763-2s", "--quote", "CLFLUSHOPT").stdout.split())
    assert "It can lose a flush, though: CLFLUSH reaches tagged lines only with SME_COHERENT" in said
    assert "planned on the list" not in said


def test_a_mail_about_ksm_gets_the_figures_of_ksm(tmp_path):
    result = asked(tmp_path, "Does KSM hurt an SEV guest?")
    text = " ".join(result.stdout.split())
    assert "KSM write protection cannot happen to this guest: QEMU switches mem-merge off" in text
    assert "--trigger ksm_write_protect" in text and "--workload ksm-default" in text.replace(" \\", "")
    assert "NUMA" not in text


def test_an_event_that_the_quote_names_and_that_cannot_happen_is_told(tmp_path):
    text = " ".join(asked(tmp_path, "The SEV hook is slow under AutoNUMA and KSM").stdout.split())
    assert (
        "KSM write protection cannot happen to this guest as its memory is set up" in text and "NUMA balancing" in text
    )


def test_what_the_quote_does_not_tell_is_asked_for(tmp_path):
    error = asked(tmp_path, "NUMA balancing is slow", subject="no guest").exception
    assert isinstance(error, CostModelError) and "name no guest type" in str(error) and "--guest" in str(error)
    told = asked(tmp_path, "The SEV hook is slow")
    assert "the quoted lines name no event" in told.stderr and "--trigger" in told.stderr


def test_explain_prints_what_was_read_and_no_mail(tmp_path):
    result = asked(tmp_path, "Is CLFLUSHOPT better for SEV under AutoNUMA?", "--explain")
    assert "'AutoNUMA' -> autonuma_prot_none_scan" in result.stdout and "guests: sev\n" in result.stdout
    assert "In-Reply-To" not in result.stdout


def test_an_option_goes_before_what_the_quote_names(tmp_path):
    given = asked(tmp_path, "AutoNUMA and SEV", "--guest", "sev-es", "--trigger", "unreg_region", "--explain").stdout
    assert "guests: sev-es\n" in given and "trigger: unreg_region\n" in given


def test_full_has_the_provenance(tmp_path):
    short, full = (asked(tmp_path, "AutoNUMA and SEV", *words).stdout for words in ((), ("--full",)))
    assert "joint draws" in full and "joint draws" not in short and len(full) > len(short)
