"""The answer on one screen: how large it is, what stands in it, and that it says what the whole answer says."""

import functools
import re

import pytest

from costmodel.kvm.catalog import STRATEGIES, TRIGGERS
from costmodel.report import record
from costmodel.report.answer import SCREEN_COLUMNS, SCREEN_LINES, screen, screens
from costmodel.report.record import Answer, recommend_by_kernel
from tests.samples import sampled

EPYC = "epyc-7763-2s"


@pytest.fixture(scope="module")
def answer():
    """What is found, each question asked once."""

    @functools.cache
    def ask(guest, machine=EPYC, workload="autonuma-default", kernel="newest"):
        return Answer.of(guest, machine, workload, kernel)

    return ask


CASES = [
    ("sev", {}),
    ("sev", {"kernel": "6.12.40"}),
    ("sev", {"kernel": "6.6", "workload": "ksm-default"}),
    ("sev-snp", {}),
    ("sev-snp-gmem", {"workload": "teardown"}),
    ("tdx", {"machine": "xeon-8570-2s", "workload": "teardown"}),
    ("tdx", {}),
    ("plain", {}),
]


@pytest.mark.parametrize(("guest", "asked"), sampled(CASES, 3), ids=str)
def test_it_fits_a_screen_in_plain_text(answer, guest, asked):
    text = screen(answer(guest, **asked))
    lines = text.splitlines()
    assert text.isascii() and text.endswith("\n")
    assert len(lines) <= SCREEN_LINES
    assert max(map(len, lines)) <= SCREEN_COLUMNS


@pytest.mark.parametrize(("guest", "asked"), CASES, ids=str)
def test_every_answer_says_what_to_do(answer, guest, asked):
    result = answer(guest, **asked)
    labels = [line.split()[0] for line in screen(result).splitlines() if line[:1].isupper()]
    assert "Do" in labels
    assert not result.applicable or {"Sure", "More"} < set(labels)


def test_what_is_gained_stands_between_its_two_ends(answer):
    text = " ".join(screen(answer("sev", kernel="6.12.40")).split())
    assert "Gain at most" in text and "(events at their fastest), at least" in text
    assert "--rate all=COUNT/300" in text, "the rate that decides can be given back"


def test_a_measured_rate_is_no_ceiling():
    text = " ".join(screen(Answer.of("sev", EPYC, kernel="6.6", rates={"all": (3000, 300)})).split())
    assert "at most" not in text and "at the rate that you gave" in text
    assert "--rate TRIGGER=COUNT/300" in text


def test_the_table_starts_with_what_runs_today_and_says_what_is_safe(answer):
    result = answer("sev", kernel="6.12.40")
    rows = [line for line in screen(result).splitlines() if line.startswith(("WB", "CLFLUSH"))]
    assert rows[0].startswith("WBINVD on all CPUs (today)") and rows[0].endswith("yes")
    assert any(row.startswith("WBNOINVD on CPUs that ran it") and row.endswith("in v6.17") for row in rows)


def test_a_flush_that_the_kernel_can_lose_is_told_first(answer):
    text = " ".join(screen(answer("sev", kernel="6.12.40")).split())
    assert "Beware 6.12.40 can lose a flush at intra-host migration" in text


def test_what_is_safe_and_what_is_not_are_coloured_apart_and_nothing_else_changes(answer):
    seen = []

    def paint(text, role):
        seen.append((text.strip(), role))
        return f"<{text}>"

    result = answer("sev", kernel="6.12.40")
    assert screen(result, paint).replace("<", "").replace(">", "") == screen(result)
    assert ("yes", "safe") in seen and ("in v6.17", "unsafe") in seen and ("Do", "label") in seen


@pytest.mark.parametrize("kernel", ["6.6", "6.12.40"])
def test_what_leaves_no_cost_comes_first_and_an_upgrade_says_what_it_alone_saves(answer, kernel):
    text = " ".join(screen(answer("sev", kernel=kernel)).split())
    first, _, rest = text.partition("then no cost is left")
    assert "Do Turn NUMA balancing off" in first and "Upgrade" not in first
    assert re.search(r"Upgrade the host kernel to \S+ .*?: that alone saves 0\.\d+ \[", rest)


def test_a_whole_cache_flush_for_each_page_is_no_alternative(answer):
    rows = [
        line for line in screen(answer("sev-snp-gmem", "epyc-9654-2s")).splitlines() if line.startswith(("WB", "CL"))
    ]
    assert len(rows) == 1 and rows[0].startswith("CLFLUSHOPT")


@pytest.mark.parametrize("kernel", sampled(["6.8.0-45-generic", "6.8.0-strange", "5.4.0-odd"], 3))
def test_a_kernel_that_may_be_several_fits_the_screen_and_says_how_to_tell(kernel):
    found = recommend_by_kernel("sev", "epyc-7763-2s", "autonuma-default", kernel)
    text = screens(found)
    lines = text.splitlines()
    assert found.several and text.isascii()
    assert len(lines) <= SCREEN_LINES and max(map(len, lines)) <= SCREEN_COLUMNS
    flat = " ".join(text.split())
    assert kernel in flat and "/proc/kallsyms" in flat and "--full" in flat
    for one, answer in found.answers:
        said = [line for line in lines if line.startswith(f"{one.kernel} ") or f" or {one.kernel} " in line[:40]]
        assert said and answer.headline.split()[0] in said[0]


@pytest.mark.nightly
def test_a_kernel_of_another_name_is_said_to_be_taken_as_one(answer):
    built = Answer.of("sev", EPYC, kernel="5.14.0-503.11.1.el9_5.x86_64")
    assert "5.14.0-503.11.1.el9_5.x86_64 (flushes as v6.11-v6.16)" in " ".join(screen(built).split())
    assert "flushes as" not in screen(answer("sev", kernel="6.12.40"))


@pytest.mark.parametrize(("guest", "asked"), CASES, ids=str)
def test_no_id_stands_in_a_sentence(answer, guest, asked):
    text = screen(answer(guest, **asked))
    assert not [name for name in (*STRATEGIES, *TRIGGERS) if f" {name} " in f" {text} "]


@pytest.mark.nightly
def test_one_vcpu_is_no_plural():
    text = screen(Answer.of("sev", EPYC, kernel="6.17", vcpus=1))
    assert ", 1 vCPU, " in " ".join(text.split())


def test_what_is_not_catalogued_is_no_lost_flush(answer):
    text = " ".join(screen(answer("sev-snp-gmem", workload="teardown")).split())
    assert "not catalogued at access bit aging" in text and "can lose a flush" not in text


@pytest.mark.parametrize(("guest", "asked"), sampled(CASES, 8), ids=str)
def test_one_screen_says_the_same_before_and_after_the_whole_is_worked_out(guest, asked, monkeypatch):
    asked = {"machine": "epyc-7763-2s", "workload": "autonuma-default", "kernel": "newest", **asked}
    found = recommend_by_kernel(guest, **asked)
    with monkeypatch.context() as patched:
        patched.setattr(record, "_assemble", None)
        text = screens(found)
    ((_, whole),) = found.answers
    assert text == screen(found.found[0][1])
    assert all(row in whole.costs for row in found.found[0][1].costs_at(whole.costliest_trigger))


def test_a_trigger_that_is_none_has_no_costs():
    found = recommend_by_kernel("tdx", "epyc-7763-2s", "autonuma-default", "newest").found[0][1]
    assert not found.applicable and found.costliest_trigger is None
    assert found.costs_at(None) == found.costs_at("ksm_replace_page") == found.whole.costs == []
