"""costmodel reply, and the replies in examples/."""

import email
import email.policy
import os
from base64 import b64encode
from pathlib import Path

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import CostModelError
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
