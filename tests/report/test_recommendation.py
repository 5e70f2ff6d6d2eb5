"""The text block fits into a mail as it is: 72 columns of ASCII that no mail program changes."""

import json
import re

import pytest
from pydantic import ValidationError

from costmodel.decision.result import Recommendation, Regret
from costmodel.report import layout, recommendation, sections
from tests.report.conftest import GUESTS, HOSTILE, MACHINES
from tests.samples import sampled

CASES = [(guest, machine) for guest in GUESTS for machine in MACHINES]


def check_mail(block):
    """Assert what a plain-text mail needs of `block`."""
    assert block.endswith("\n")
    assert not block.endswith("\n\n")
    assert block.isascii()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", block)
    for line in block.split("\n"):
        assert len(line) <= layout.WIDTH == 72, line
        assert line == line.rstrip(), line
        assert not line.startswith(("From ", ">")), line
        assert line != "."


def flat(block):
    return " ".join(block.split())


@pytest.mark.parametrize(("guest", "machine"), sampled(CASES, 3))
def test_fit_for_mail(answer, guest, machine):
    result = answer(guest, machine)
    block = recommendation.render(result)
    check_mail(block)
    assert flat(layout.ascii_text(result.headline)) in flat(block)
    assert flat(layout.ascii_text(result.command)) in flat(block)
    for value in (result.data_hash, result.asked_hash, result.costmodel_version):
        assert value in block


@pytest.mark.parametrize("workload", sampled(["teardown", "ksm-aggressive", "idle", "swap-pressure"], 4))
def test_fit_for_mail_under_other_workloads(answer, workload):
    check_mail(recommendation.render(answer("sev-snp-gmem", workload=workload)))


def test_every_policy_is_told(answer):
    result = answer("sev-snp-gmem")
    block = flat(recommendation.render(result))
    assert result.policy
    for entry in result.policy:
        assert entry.trigger in block
        assert (entry.strategy or entry.strategy_title) in block


def test_every_gap_and_warning_is_told(answer):
    result = answer("sev")
    block = flat(recommendation.render(result))
    assert result.gaps
    for sentence in [*result.gaps, *result.warnings, *result.assumptions]:
        assert flat(layout.ascii_text(sentence)) in block


def test_where_it_does_not_apply_it_says_why_and_gives_no_number(answer):
    result = answer("tdx", "epyc-7763-2s")
    assert not result.applicable
    block = recommendation.render(result)
    assert "AMD" in block or "Intel" in block
    assert "host CPUs lost" not in block


def test_the_same_answer_gives_the_same_text(answer):
    assert recommendation.render(answer("sev")) == recommendation.render(answer("sev"))


def test_hostile_text_stays_text(answer, hostile):
    block = recommendation.render(hostile)
    check_mail(block)
    assert "\x1b" not in block
    assert not re.match(r"[\w-]+:", block), "the first line looks like a mail header"
    assert "<script>alert(1)</script>" in flat(block), "the text is shown as it is, on one line"


@pytest.mark.parametrize("field", ["machine_title", "workload_title"])
@pytest.mark.parametrize("word", ["From ", "> ", ">"])
def test_no_line_of_a_title_is_changed_by_mail(answer, field, word):
    """Titles come from data and are wrapped: none of their words may open a line that mail programs change."""
    for padding in range(12):
        title = "x" * padding + " " + word * 60
        check_mail(recommendation.render(answer("sev").model_copy(update={field: title})))


@pytest.mark.parametrize("word", [".", "--", "=1+1", "@here", "\ufeffFrom"])
def test_odd_words_stay_inside_the_block(answer, word):
    block = recommendation.render(
        answer("sev").model_copy(update={"machine_title": word, "warnings": [word], "gaps": [word]})
    )
    check_mail(block)
    assert "-- " not in block.split("\n")


@pytest.mark.parametrize(
    "word",
    [
        "x" * 500,
        "\N{GREEK SMALL LETTER MU}s \N{MULTIPLICATION SIGN} 3",
        "a\u2028b\u0085c\rd",
        "\u202eevil",
        "\N{FULLWIDTH GREATER-THAN SIGN}",
    ],
)
def test_odd_characters_fit(answer, word):
    result = answer("sev").model_copy(update={"headline": word, "warnings": [word], "machine_title": word})
    check_mail(recommendation.render(result))


def test_ascii_text_keeps_to_one_line():
    assert "\n" not in layout.ascii_text(HOSTILE)
    assert layout.ascii_text("caf\N{LATIN SMALL LETTER E WITH ACUTE}") == "cafe"
    assert layout.ascii_text("\N{SNOWMAN}") == "?"


def test_what_a_newer_kernel_can_do_is_marked_apart_from_what_loses_a_flush(answer):
    """6.6 keeps no mask, and no kernel may flush through user addresses."""
    result = answer("sev", kernel="6.6")
    rows = {row.strategy: row for row in result.costs if row.trigger == result.costliest_trigger}
    assert rows["WBNOINVD_MASK"].state == rows["CLFLUSHOPT_UVA"].state == "inadmissible"
    assert (rows["WBNOINVD_MASK"].from_kernel, rows["CLFLUSHOPT_UVA"].from_kernel) == ("v6.17-v7.2", None)
    block = recommendation.render(result)
    assert re.search(r"^  \+  WBNOINVD_MASK ", block, re.M) and re.search(r"^  -! CLFLUSHOPT_UVA ", block, re.M)
    assert "'+' what only a newer kernel does here" in flat(block)


@pytest.mark.parametrize("kernel", sampled(["newest", "6.6", "6.12.61", "6.17"], 2))
def test_a_strategy_that_the_kernel_does_not_do_here_is_marked(answer, kernel):
    """SKIP_COHERENT, CLFLUSHOPT of pinned pages and WBNOINVD on all CPUs are in no kernel's hook for user addresses."""
    result = answer("sev", kernel=kernel)
    block = recommendation.render(result)
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    assert [row.strategy for row in rows if row.needs == "nothing"] == [result.costliest_strategy]
    for row in rows:
        if row.needs == "patch":
            assert re.search(rf"^  .! {row.strategy}\b", block, re.M), row.strategy
    assert {"SKIP_COHERENT", "CLFLUSHOPT_DM_PINNED", "WBNOINVD_ALL"} <= {r.strategy for r in rows if r.needs == "patch"}
    assert re.search(rf"^     {result.costliest_strategy} ", block, re.M)
    assert "'!' what needs a patch" in flat(block)


@pytest.mark.parametrize(
    ("kernel", "shown"),
    sampled(
        [
            ("6.6", "kernel 6.6, which flushes as v5.18-v6.7"),
            ("6.7", "kernel 6.7, which flushes as v5.18-v6.7"),
            ("6.12.61", "kernel 6.12.61, which flushes as v6.11-v6.16"),
            ("v6.11-v6.16", "kernel v6.11-v6.16"),
            ("newest", "kernel v7.3-rc"),
        ],
        4,
    ),
)
def test_the_head_names_the_kernel_that_was_asked_for(answer, kernel, shown):
    head = flat(recommendation.render(answer("sev", kernel=kernel))[:400])
    assert f"{shown} " in head
    assert answer("sev", kernel=kernel).command.split("--kernel ")[1].split()[0] == shown.split(",")[0].split()[1]


def test_a_choice_that_reruns_turn_is_told_as_undecided(answer):
    result = answer("sev")
    note = "undecided: another strategy is cheapest with doubtful rows: CLFLUSHOPT_DM_PINNED"
    regret = Regret(expected_cpu_s_per_event=1e-3, worst_cpu_s_per_event=None, worst_corner="")
    entry = result.policy[0].model_copy(update={"p_best": None, "p_best_note": note, "regret": regret})
    assert entry.undecided and note in flat(recommendation.render(result.model_copy(update={"policy": [entry]})))
    assert "undecided" not in recommendation.render(result.model_copy(update={"policy": result.policy[:1]}))


def nothing_lost(result):
    """The answer with every loss that rests on a ceiling at zero, as where a count of events says none."""

    def zero(value):
        return value and value.model_copy(update={"low": 0.0, "median": 0.0, "high": 0.0})

    costs = [
        row.model_copy(
            update={
                name: zero(getattr(row, name)) for name in ("host_cpu_s_per_s", "least_host_cpu_s_per_s", "rate_per_s")
            }
        )
        for row in result.costs
    ]
    return result.model_copy(update={"costs": costs})


def test_what_is_nothing_is_called_no_ceiling(answer):
    result = answer("sev")
    assert not re.search(r"at most 0(?![.\d])", flat(recommendation.render(result)))
    assert any(row.host_cpu_s_per_s and row.host_cpu_s_per_s.at_most for row in result.costs)
    none = nothing_lost(result)
    for shown in (sections.costs(none), *(recommendation.loss_cell(row) for row in none.costs)):
        assert not re.search(r"at most 0(?![.\d])", shown) and "at least" not in shown
    assert recommendation.ends(none.costs) == ""


def test_a_remedy_after_which_nothing_is_left_says_so(answer):
    result = answer("sev")
    item = next(item for item in result.do_now if item.left_cpu_s_per_s is not None)
    left = item.left_cpu_s_per_s.model_copy(update={"low": 0.0, "median": 0.0, "high": 0.0})
    none = result.model_copy(update={"do_now": [item.model_copy(update={"left_cpu_s_per_s": left})]})
    for shown in (flat(recommendation.render(none)), sections.answer(none)):
        assert "host CPUs, nothing is left" in shown and "are left" not in shown
    some = left.model_copy(update={"low": 1.0, "median": 2.0, "high": 3.0})
    some = result.model_copy(update={"do_now": [item.model_copy(update={"left_cpu_s_per_s": some})]})
    assert "host CPUs, at most 2.0 [1.0, 3.0] are left" in flat(recommendation.render(some))


def test_where_a_ceiling_is_printed_what_its_interval_holds_is_said_once(answer):
    result = answer("sev")
    assert flat(recommendation.render(result)).count(recommendation.CEILING) == 1
    assert sections.answer(result).count(recommendation.CEILING) == 1
    counted = answer("sev", workload="idle")
    assert recommendation.ends(nothing_lost(result).costs) == "" and recommendation.CEILING not in flat(
        recommendation.render(counted)
    )


# The JSON follows its published schema, comes back as the same answer, and names neither a time nor a path.


def validator():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(recommendation.schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def strict_loads(text):
    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    def unique(pairs):
        assert len({name for name, _ in pairs}) == len(pairs)
        return dict(pairs)

    return json.loads(text, parse_constant=refuse, object_pairs_hook=unique)


@pytest.mark.parametrize(("guest", "machine"), sampled(CASES, 6))
def test_follows_the_schema_and_round_trips(answer, guest, machine):
    result = answer(guest, machine)
    text = recommendation.as_json(result)
    fields = strict_loads(text)
    assert [error.message for error in validator().iter_errors(fields)] == []
    again = Recommendation.model_validate_json(text)
    assert recommendation.as_json(again) == text
    for name in ("guest", "machine", "headline", "headline_strategy", "command", "applicable"):
        assert getattr(again, name) == getattr(result, name)
    assert [e.strategy for e in again.policy] == [e.strategy for e in result.policy]


def test_numbers_keep_what_the_intervals_carry(answer):
    result = answer("sev")
    again = Recommendation.model_validate_json(recommendation.as_json(result))
    pairs = [
        (one.stolen_cpu_s_per_event, two.stolen_cpu_s_per_event)
        for one, two in zip(result.costs, again.costs, strict=True)
        if one.stolen_cpu_s_per_event
    ]
    assert pairs
    for one, two in pairs:
        for name in ("low", "median", "high"):
            assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-5)


@pytest.mark.parametrize("guest", ["sev", "tdx"])
def test_names_what_it_came_from(answer, guest):
    fields = json.loads(recommendation.as_json(answer(guest)))
    for name in ("data_hash", "asked_hash"):
        assert re.fullmatch(r"[0-9a-f]{16,}", fields[name])
    assert re.fullmatch(r"\d+\.\d+.*", fields["costmodel_version"])
    assert fields["schema_version"] == "2"


@pytest.mark.parametrize("guest", sampled(GUESTS, 3))
def test_no_clock_and_no_path(answer, guest):
    text = recommendation.as_json(answer(guest))
    assert not re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d|\d\d:\d\d:\d\d", text)
    for place in ("/home/", "/tmp/", "/work/", "/root/", "/usr/", "file://"):
        assert place not in text
    assert text.endswith("}\n")
    assert text.isascii()


def test_schema_refuses_what_is_not_an_answer(answer):
    good = json.loads(recommendation.as_json(answer("sev")))
    check = validator()
    assert check.is_valid(good)
    for broken in (
        {**good, "schema_version": "0"},
        {**good, "surprise": 1},
        {**good, "costs": [{**good["costs"][0], "state": "perhaps"}]},
        {name: value for name, value in good.items() if name != "data_hash"},
    ):
        assert not check.is_valid(broken)
        with pytest.raises(ValidationError):
            Recommendation.model_validate(broken)


def test_hostile_text_is_escaped_and_comes_back(hostile):
    text = recommendation.as_json(hostile)
    assert "\x1b" not in text
    assert Recommendation.model_validate_json(text).headline == HOSTILE


def test_nan_is_refused(answer):
    result = answer("sev")
    row = next(r for r in result.costs if r.event_time_s)
    bad = row.model_copy(update={"event_time_s": row.event_time_s.model_copy(update={"median": float("nan")})})
    with pytest.raises(ValueError, match="(?i)nan|JSON compliant"):
        recommendation.as_json(result.model_copy(update={"costs": [bad]}))


def test_schema_is_the_same_each_time():
    assert recommendation.schema() == recommendation.schema()
    assert recommendation.schema().endswith("}\n")
