"""What a mail asks for: ten public mails with what a person takes from them, and questions in other words."""

import tomllib
from pathlib import Path

import pytest

from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS
from costmodel.mail import question as module
from costmodel.mail.question import Question, question
from costmodel.mail.read import read

THREADS = Path(__file__).parent / "threads"
EXPECTED = tomllib.loads((THREADS / "expected.toml").read_text())


def asked(name):
    [mail] = read(THREADS / f"{name}.eml")
    return question([line.quoted for line in mail.lines if line.text], mail.subject)


def test_every_mail_has_its_expectation_and_its_source():
    names = {path.stem for path in THREADS.glob("*.eml")}
    assert names == set(EXPECTED) and len(names) >= 10
    for path in THREADS.glob("*.eml"):
        head = path.read_text().partition("\n\n")[0]
        assert "X-Source: https://" in head and "X-Reduced: " in head and "@example.org" in head


@pytest.mark.parametrize("name", EXPECTED)
def test_the_table_is_the_one_that_a_person_would_take(name):
    wanted, found = EXPECTED[name], asked(name)
    assert {
        "guests": list(found.guests),
        "triggers": list(found.triggers),
        "strategies": list(found.strategies),
        "range_bytes": found.range_bytes,
    } == {"guests": [], "triggers": [], "strategies": [], "range_bytes": None} | wanted


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("Is it worth to use CLFLUSHOPT up to 2 MiB?", {"strategies": ("CLFLUSHOPT_UVA",), "range_bytes": 2.0**21}),
        ("Does KSM merge pages of an SEV guest?", {"guests": ("sev",), "triggers": ("ksm_write_protect",)}),
        ("CLFLUSHOPT of pinned pages of a 16GB SEV-ES guest", {"strategies": ("CLFLUSHOPT_DM_PINNED",)}),
        ("SEV-ES guest", {"guests": ("sev-es",), "strategies": ()}),
        ("numa_balancing=0 helps", {"triggers": ("autonuma_prot_none_scan",)}),
        ("I have no question.", {"guests": (), "triggers": (), "strategies": (), "range_bytes": None}),
        ("the cleverest standard", {"guests": (), "triggers": ()}),
    ],
)
def test_other_words(words, wanted):
    found = question([f"> {words}"])
    assert {name: getattr(found, name) for name in wanted} == wanted


@pytest.mark.parametrize(
    ("words", "asks"),
    [
        ("Is it worth to use CLFLUSHOPT up to 2 MiB?", True),
        ("For 1.5 MiB, would CLFLUSHOPT be cheaper?", True),
        ("CLFLUSHOPT up to 2 MiB is slow.", False),
        ("How long does CLFLUSHOPT of 2 MiB take?", False),
        ("Is CLFLUSHOPT of 2 MiB slower than WBINVD?", False),
        ("It is worth it. How long does it take?", False),
    ],
)
def test_yes_or_no_is_for_what_was_asked_so(words, asks):
    assert question([f"> {words}"]).yes_or_no is asks


def test_what_is_named_says_by_which_words():
    found = question(["> the SEV hook, via AutoNUMA"])
    assert ("AutoNUMA", "autonuma_prot_none_scan") in found.words and ("SEV", "sev") in found.words


def test_every_id_that_a_word_stands_for_is_catalogued():
    assert {name for name, _ in module.GUESTS} <= set(GUESTS)
    assert {name for name, _ in module.TRIGGERS} | set(module.ENDS.values()) <= set(TRIGGERS)
    assert {name for name, _ in (*module.STRATEGIES, *module.OTHER_ADDRESS)} <= set(STRATEGIES)
    assert module.END_OF_OTHERS in TRIGGERS and load().workloads
    assert Question().ranged is None
