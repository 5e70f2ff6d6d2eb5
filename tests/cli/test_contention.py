"""contention: what waits by the place of the hook, who pays, and what is refused."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.decision.recommend import recommend
from costmodel.errors import CostModelError
from costmodel.kvm.placements import HOOK_PLACEMENTS

CASE = ("--guest", "sev", "--machine", "epyc-7763-2s")
SCAN, MIGRATE = "autonuma_prot_none_scan", "numa_or_compaction_migrate"
PARTS = {"contention", "bills", "hybrids", "masks", "variants"}


def contention(*words):
    return CliRunner().invoke(cli, ["contention", *words])


def text_of(*words):
    result = contention(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


def parts_of(*words):
    return json.loads(text_of(*words, "--json"))


@pytest.fixture(scope="module")
def parts():
    return parts_of(*CASE)


@pytest.fixture(scope="module")
def old():
    return text_of(*CASE, "--kernel", "6.6", "--trigger", SCAN)


def test_the_json_has_every_part(parts):
    assert set(parts) == PARTS
    assert all(parts.values())


def test_the_costliest_trigger_is_the_default(parts):
    assert parts_of(*CASE, "--trigger", recommend("sev", "epyc-7763-2s").costliest_trigger) == parts


def test_the_json_is_what_the_recommendation_says(parts):
    answer = recommend("sev", "epyc-7763-2s")
    for name in ("contention", "bills", "masks", "variants"):
        assert parts[name] == [row.model_dump(mode="json") for row in getattr(answer, name)]


def test_every_placement_is_in_the_json(parts):
    assert {row["placement"] for row in parts["contention"]} == set(HOOK_PLACEMENTS)


def test_the_text_names_every_strategy_and_the_case(parts):
    text = text_of(*CASE)
    assert text.startswith(f"{SCAN}  (sev on epyc-7763-2s, autonuma-default, v7.3-rc)\n")
    assert {row["strategy"] for row in parts["contention"]} <= set(text.replace(",", " ").replace("]", " ").split())


@pytest.mark.parametrize(
    ("kernel", "hook"),
    [("6.6", "after unlock, in SRCU"), ("6.8", "after SRCU is dropped"), ("newest", "after SRCU is dropped")],
)
def test_the_mark_stands_at_the_hook_of_the_kernel_only(kernel, hook):
    lines = text_of(*CASE, "--kernel", kernel, "--trigger", SCAN).splitlines()
    marked = {line[2:] for line in lines if line.startswith("* ")}
    assert marked
    assert all(text.startswith(hook) for text in marked), marked


def test_the_text_says_that_a_late_hook_is_inadmissible(old):
    assert "A hook after range_end is inadmissible" in old


@pytest.mark.parametrize(
    "words",
    [
        (*CASE,),
        (*CASE, "--kernel", "6.6", "--trigger", SCAN),
        (*CASE, "--trigger", MIGRATE, "--rate-per-s", "100"),
        ("--guest", "sev-snp-gmem", "--machine", "epyc-7763-2s", "--trigger", "gmem_punch_hole"),
        ("--guest", "tdx", "--machine", "xeon-8570-2s"),
        (*CASE, "--workload", "ksm-default"),
    ],
    ids=" ".join,
)
def test_the_text_is_ascii_without_control_characters(words):
    text = text_of(*words)
    assert text.isascii()
    assert all(c == "\n" or " " <= c <= "~" for c in text)
    assert all(line == line.rstrip() for line in text.splitlines())


def test_the_json_is_ascii():
    assert text_of(*CASE, "--json").isascii()


def test_a_rate_makes_an_open_trigger(parts):
    found = parts_of(*CASE, "--trigger", MIGRATE, "--rate-per-s", "10")
    rates = [row["saturation_rate_per_s"] for row in found["contention"] if row["strategy"] == "WBINVD_ALL"]
    assert all(rate is not None for rate in rates)
    assert all(row["saturation_rate_per_s"] is None for row in parts["contention"])


def test_a_higher_rate_keeps_an_invalidation_in_progress_longer():
    slow, fast = (
        next(
            row["in_progress_fraction"]["median"]
            for row in parts_of(*CASE, "--trigger", MIGRATE, "--rate-per-s", rate)["contention"]
            if (row["strategy"], row["placement"]) == ("CLFLUSHOPT_UVA", "after_srcu")
        )
        for rate in ("10", "1000")
    )
    assert fast == pytest.approx(100 * slow, rel=0.02)


def test_without_a_rate_the_text_asks_for_one():
    text = text_of(*CASE, "--trigger", MIGRATE)
    assert "give one with --rate-per-s" in text
    assert "Who pays for one event" in text
    assert parts_of(*CASE, "--trigger", MIGRATE)["contention"] == []


def test_what_saturates_says_so():
    assert "of the draws: no mean" in text_of(*CASE, "--trigger", MIGRATE, "--rate-per-s", "1000")


def test_a_guest_that_needs_no_flush_is_told_so():
    assert text_of("--guest", "plain", "--machine", "epyc-7763-2s") == "No trigger of this guest type needs a flush.\n"


def test_a_guest_that_needs_no_flush_gives_json_of_the_same_shape():
    assert set(parts_of("--guest", "plain", "--machine", "epyc-7763-2s")) == PARTS


def test_a_pinned_guest_pays_for_its_mask_itself():
    text = text_of(*CASE, "--cpus-that-ran", "8")
    assert "everyone else 0: 0% of it from CPUs that do not run the guest" in text


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((*CASE, "--trigger", "nothing"), "'nothing'"),
        ((*CASE, "--trigger", "gmem_punch_hole"), "'gmem_punch_hole'"),
        ((*CASE, "--trigger", "a\nb"), r"'a\nb'"),
        (("--guest", "tdx", "--machine", "epyc-7763-2s"), "needs an Intel CPU"),
        (("--guest", "sev", "--machine", "xeon-8570-2s"), "needs an AMD CPU"),
        ((*CASE, "--workload", "nothing"), "'nothing'"),
        ((*CASE, "--cpus-that-ran", "100000"), "100000"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_one_line(words, named):
    result = contention(*words)
    assert isinstance(result.exception, CostModelError)
    assert "\n" not in str(result.exception)
    assert named in str(result.exception)
    assert result.stdout == ""


@pytest.mark.parametrize("rate", ["0", "-1", "nan", "inf", "fast"])
def test_a_rate_that_is_none_is_refused(rate):
    result = contention(*CASE, "--trigger", MIGRATE, "--rate-per-s", rate)
    assert result.exit_code == 2 or isinstance(result.exception, CostModelError)
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("words", "code"),
    [((*CASE, "--trigger", "nothing"), 2), (("--guest", "tdx", "--machine", "epyc-7763-2s"), 4)],
)
def test_a_shell_gets_one_line_and_the_exit_code(words, code):
    done = subprocess.run(
        [sys.executable, "-m", "costmodel", "contention", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (code, "")
    assert len(done.stderr.splitlines()) == 1


def test_an_extreme_rate_warns_nobody_about_arithmetic():
    """256 MB range flushes at 1e5 events/s: no bound, told by a dash, not by numpy on stderr."""
    words = ["contention", *CASE, "--trigger", SCAN, "--rate-per-s", "100000"]
    done = subprocess.run([sys.executable, "-m", "costmodel", *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_rests_on_a_ceiling_says_so_and_a_rate_that_was_given_does_not(old):
    measured = text_of(*CASE, "--kernel", "6.6", "--trigger", SCAN, "--rate-per-s", "5")
    assert "the rate is a ceiling" in old and "a neighbour on one of these CPUs loses at most" in old
    assert "ceiling" not in measured and "loses at most" not in measured


def test_no_column_runs_into_the_next(old):
    tables = [block for block in old.split("\n\n") if "lock held" in block]
    assert tables
    for block in tables:
        head, *lines = [line for line in block.splitlines() if line.startswith(("  hook", "* ", "  under"))]
        starts = [
            head.index(name) for name in ("lock held", "in progress", "fault waits, mean", "p99", "memslot update")
        ]
        for line in lines:
            assert all(line[start - 2 : start] == "  " for start in starts if len(line) > start), line
