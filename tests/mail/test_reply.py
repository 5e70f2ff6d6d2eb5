"""The reply as its receiver reads it: golden texts, widths, what it refuses, and what git send-email says."""

import re
import subprocess
from pathlib import Path

import pytest

from costmodel.errors import BadInput
from costmodel.mail.message import read
from costmodel.mail.reply import answer, choose, reply
from costmodel.report.mail_table import render_block
from tests.mail.conftest import SAID, agrees


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
    assert len(draft.gaps) == 2 and not re.search(r"^(In-Reply-To|References|Message-ID|From):", text, re.MULTILINE)


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


@pytest.mark.skipif(not has_send_email(), reason="git send-email is not installed (Debian: git-email)")
def test_git_send_email_takes_it(ready, tmp_path):
    path = tmp_path / "reply.eml"
    path.write_bytes(ready.content)
    words = ["git", "send-email", "--dry-run", "--from=T <t@example.org>", "--smtp-server=/bin/true", "--confirm=never"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    for role in ("AUTHOR", "COMMITTER"):
        environment |= {f"GIT_{role}_NAME": "T", f"GIT_{role}_EMAIL": "t@example.org"}
    done = subprocess.run(
        [*words, str(path)], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Result: OK" in done.stdout or "Result: 250" in done.stdout
    sent = re.sub(r"\n\s+", " ", done.stdout)
    assert "In-Reply-To: <20230818-fixture-reply@example.org>" in sent
    assert sent.count("fixture-") >= 5 and "Content-Transfer-Encoding: base64" not in sent
    assert "To: Ashish Kalra <ashish@example.org>" in sent
