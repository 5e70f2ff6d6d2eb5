"""The overview of a small matrix: every cell, every address, the number of distinct policies."""

import csv
import io
import json

import pytest

from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS
from costmodel.report import overview
from tests.report.conftest import HOSTILE
from tests.report.html import Reader

SMALL = [(guest, machine) for guest in ("sev", "plain") for machine in ("epyc-7763-2s", "xeon-8570-2s")]


@pytest.fixture(scope="module")
def matrix(answer):
    return {key: answer(*key) for key in SMALL}


@pytest.fixture(scope="module")
def filled(answer):
    """All cells, as the page wants them, from the four answers of the small matrix."""
    return {
        (guest, machine): answer(*SMALL[0 if load().machine(machine).vendor == "amd" else 1])
        for guest in GUESTS
        for machine in load().machines
    }


@pytest.fixture(scope="module")
def pages(filled):
    return {(guest, machine): f"{guest}/{machine}.html" for guest, machine in filled}


def test_distinct_policies_are_counted(matrix):
    applicable = [result for result in matrix.values() if result.applicable]
    assert 1 < len(applicable) < len(matrix), "SEV does not run on the Intel machine"
    decisions = {tuple((e.trigger, e.strategy, e.basis) for e in result.policy) for result in applicable}
    assert overview.distinct_policies(matrix) == len(decisions) >= 2


def test_the_same_policy_twice_counts_once(matrix):
    one = matrix["sev", "epyc-7763-2s"]
    assert overview.distinct_policies({("sev", "a"): one, ("sev", "b"): one}) == 1
    first, *others = one.policy
    changed = one.model_copy(update={"policy": [first.model_copy(update={"strategy": "OTHER"}), *others]})
    assert overview.distinct_policies({("sev", "a"): one, ("sev", "b"): changed}) == 2
    reworded = one.model_copy(update={"policy": [first.model_copy(update={"reason": "other words"}), *others]})
    assert overview.distinct_policies({("sev", "a"): one, ("sev", "b"): reworded}) == 1


def test_where_nothing_applies_there_is_no_policy(matrix):
    none = matrix["sev", "xeon-8570-2s"]
    assert not none.applicable
    assert overview.distinct_policies({("sev", "xeon-8570-2s"): none}) == 0


def test_what_the_intervals_leave_out_is_said_where_a_cost_is_a_ceiling(matrix, filled, pages):
    said = "How often it comes is not in it and is told by two ends"
    assert "at most" in overview.text(matrix) and said in " ".join(overview.text(matrix).split())
    assert said in " ".join(overview.html(filled, pages).split())
    alone = {key: result for key, result in matrix.items() if key[0] == "plain"}
    assert said not in " ".join(overview.text(alone).split())


def test_headline_cost_is_that_of_the_recommended_row(matrix):
    result = matrix["sev", "epyc-7763-2s"]
    value, unit = overview.headline_cost(result)
    row = next(
        r for r in result.costs if (r.trigger, r.strategy) == (result.headline_trigger, result.headline_strategy)
    )
    assert value == row.host_cpu_s_per_s
    assert "host CPUs" in unit


def test_a_refused_total_is_no_number(matrix):
    result = matrix["sev", "epyc-7763-2s"]
    rows = [row.model_copy(update={"refused": "no timing is public"}) for row in result.costs]
    value, unit = overview.headline_cost(result.model_copy(update={"costs": rows}))
    assert value is None
    assert unit


def test_json_has_every_cell(matrix):
    fields = json.loads(overview.as_json(matrix))
    assert [(cell["guest"], cell["machine"]) for cell in fields["cells"]] == list(matrix)
    assert fields["distinct_policies"] == overview.distinct_policies(matrix)
    for cell, result in zip(fields["cells"], matrix.values(), strict=True):
        assert cell["applicable"] == result.applicable
        assert cell["headline"] == result.headline
        assert bool(cell["reason"]) == (not result.applicable)
    one = matrix["sev", "epyc-7763-2s"]
    assert fields["data_hash"] == one.data_hash and "code_hash" not in fields


def test_text_fits_into_a_mail(matrix, filled):
    for cells in (matrix, filled):
        text = overview.text(cells)
        assert text.isascii()
        assert text.endswith("\n")
        assert max(map(len, text.splitlines())) <= 72
        assert not [line for line in text.splitlines() if line.startswith(("From ", ">")) or line == "."]


def test_text_names_machines_strategies_and_the_count(matrix):
    text = overview.text(matrix)
    for _, machine in matrix:
        assert machine in text
    assert matrix["sev", "epyc-7763-2s"].headline_strategy in text
    assert f"{overview.distinct_policies(matrix)} distinct" in text


def test_long_ids_and_hostile_titles_stay_within_the_text(matrix):
    long = {("sev", "m" * 90): matrix["sev", "epyc-7763-2s"].model_copy(update={"workload_title": HOSTILE})}
    text = overview.text(long)
    assert text.isascii()
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) <= 72


def test_html_links_every_report_once(filled, pages):
    reader = Reader(overview.html(filled, pages))
    assert reader.faults == []
    links = [link.get("href") for link in reader.all("a") if link.get("href") in pages.values()]
    assert sorted(links) == sorted(pages.values())
    rows = [element for element in reader.all("tr") if "tbody" in element.inside]
    assert len(rows) == len(load().machines)
    assert {len([c for c in row.children if c.tag == "td"]) for row in rows} == {len(overview.alike(filled))}


def test_guest_types_of_which_the_same_is_shown_are_one_column(matrix):
    one, plain = matrix["sev", "epyc-7763-2s"], matrix["plain", "epyc-7763-2s"]
    shown = {("plain", "m"): plain, ("sev", "m"): one, ("sev-es", "m"): one}
    assert overview.alike(shown) == {"plain VM": ["plain"], "AMD SEV, AMD SEV-ES": ["sev", "sev-es"]}
    unlike = {**shown, ("sev", "n"): one, ("sev-es", "n"): matrix["sev", "xeon-8570-2s"]}
    assert list(overview.alike(unlike).values()) == [["plain"], ["sev"], ["sev-es"]]


def test_html_says_once_why_a_guest_type_cannot_run(filled, pages):
    text = overview.html(filled, pages)
    reasons = {result.not_applicable_reason for result in filled.values() if not result.applicable}
    assert reasons and all(text.count(reason) == 1 for reason in reasons)
    reader = Reader(text)
    [place] = [element for element in reader.all("ul") if next(iter(reasons)) in element.text]
    empty = {pages[key] for key, result in filled.items() if not result.applicable}
    assert {link.get("href") for link in reader.all("a") if link.get("href") in empty} == empty
    assert all(machine in place.text for (_, machine), result in filled.items() if not result.applicable)
    cells = [element.text for element in reader.all("td") if element.get("class") == "na"]
    assert cells and set(cells) == {"\N{EN DASH}"}


def test_html_escapes(filled, pages):
    attacked = {
        key: result.model_copy(update={"workload_title": HOSTILE, "not_applicable_reason": HOSTILE})
        for key, result in filled.items()
    }
    text = overview.html(attacked, pages)
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_same_bytes(filled, pages):
    assert overview.html(filled, pages) == overview.html(filled, pages)
    assert overview.as_json(filled) == overview.as_json(filled)


def test_index_opens_with_a_sentence_per_guest_type_and_one_picture(filled, pages):
    reader = Reader(overview.html(filled, pages))
    assert len(reader.all("h1")) == len(reader.all("svg")) == 1
    said = " ".join(overview.sentences(filled))
    assert all(guest.title in said for guest in GUESTS.values())
    assert all(sentence in reader.all("main")[0].text for sentence in overview.sentences(filled))


def test_the_numbers_of_the_picture_are_the_headline_costs(matrix, filled, pages):
    shown = csv.DictReader(io.StringIO(Reader(overview.html(filled, pages)).all("pre")[0].text))
    value, _ = overview.headline_cost(matrix["sev", "epyc-7763-2s"])
    rows = [row for row in shown if row["machine"] == "epyc-7763-2s"]
    assert [float(row["median"]) for row in rows] == pytest.approx([value.median], rel=1e-4)


def test_guest_types_with_the_same_losses_are_one(matrix):
    one = matrix["sev", "epyc-7763-2s"]
    names = [guests for guests, _ in overview.lost({("sev", "m"): one, ("sev-es", "m"): one})]
    assert names == ["AMD SEV = AMD SEV-ES"]
