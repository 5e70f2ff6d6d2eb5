"""Who waits and who pays, as tables and sentences."""

import re

import pytest

from costmodel.decision.result import Interval
from costmodel.report import layout, recommendation, sections, waits
from tests.report.conftest import GUESTS, HOSTILE, MACHINES
from tests.report.html import Reader
from tests.report.test_recommendation import check_mail
from tests.samples import sampled

COLUMNS = {
    "By the place of the hook": [
        "Strategy",
        "Hook",
        "mmu_lock held",
        "In progress",
        "Faults that retry",
        "Each goes round for",
        "Fault waits, mean",
        "99th percentile",
        "memslot update waits",
    ],
    "The bill of one event": [
        "Strategy",
        "Guest pays",
        "Everyone else",
        "Neighbour on a flushing CPU loses",
        "VMs that lose 1 % / 10 % of the host",
        "Flushes in line that trip a limit",
    ],
    "What one attacking thread can force": ["Event", "Strategy of this kernel", "Host CPUs taken, at most"],
    "The mask of CPUs": ["Guest", "CPUs", "Cache domains", "Time per event", "CPU time per event", "Note"],
    "Proposals around the flush": ["Proposal", "Quantity", "As the kernel is", "With it", "Note"],
    "Teardown, boot and conversion": [
        "Event",
        "Flushes",
        "Strategy",
        "Duration of the flush",
        "CPU time",
        "Longest time with interrupts off",
    ],
}


def tables(result):
    """Heading, column titles and rows (cells) of each table of the section."""
    reader = Reader(sections.contention(result))
    assert reader.faults == []
    found, heading = {}, None
    for element in reader.elements:
        if element.tag in ("h3", "h4"):
            heading = element.text
        if element.tag == "table":
            rows = [e for e in element.children if e.tag == "tbody"][0].children
            titles = [th.text for e in element.children if e.tag == "thead" for tr in e.children for th in tr.children]
            found[heading] = (titles, [tr.children for tr in rows])
    return found


def table(result, heading):
    return next(found for title, found in tables(result).items() if title.startswith(heading))


def with_rows(result, **changes):
    """The result with fields of all rows of a list replaced: contention={"note": ...}."""
    return result.model_copy(
        update={
            name: [row.model_copy(update=fields) for row in getattr(result, name)] for name, fields in changes.items()
        }
    )


@pytest.fixture(scope="module")
def result(answer):
    return answer("sev")


@pytest.fixture(scope="module")
def old(answer):
    return answer("sev", kernel="6.6")


@pytest.mark.parametrize("heading", COLUMNS)
def test_every_table_has_its_columns_and_every_row_fills_them(result, heading):
    titles, rows = table(result, heading)
    assert titles == COLUMNS[heading]
    assert rows
    for cells in rows:
        assert sum(int(cell.get("colspan") or 1) for cell in cells) == len(titles)
        assert all(cell.text.strip() for cell in cells)


@pytest.mark.parametrize(("guest", "machine"), sampled([(g, m) for g in GUESTS for m in MACHINES], 3))
def test_every_guest_has_a_section_that_is_well_formed(answer, guest, machine):
    reader = Reader(sections.contention(answer(guest, machine)))
    assert reader.faults == []
    assert [e.get("id") for e in reader.all("h2")] == ["contention"]


@pytest.mark.parametrize("guest", ["plain", "tdx"])
def test_where_nothing_flushes_nobody_waits(answer, guest):
    found = sections.contention(answer(guest))
    assert "Nothing flushes here: nobody waits and nobody pays." in found
    assert "<table" not in found
    assert waits.sentences(answer(guest)) == []


def test_where_something_flushes_that_is_not_said(result):
    assert "Nothing flushes here" not in sections.contention(result)


def test_every_strategy_and_admissible_placement_is_told_once(result):
    told = [
        (strategy, hook)
        for b in waits.blocks(result.contention)
        for line in b.lines
        for strategy in b.strategies
        for hook in line.hooks
    ]
    wanted = [(r.strategy, r.placement_title) for r in result.contention if r.placement_admissible]
    assert sorted(told) == sorted(wanted)


def test_the_hook_after_range_end_is_a_sentence_and_no_line(result):
    assert "A hook after range_end is inadmissible" in sections.contention(result)
    assert "after range_end" not in {h for b in waits.blocks(result.contention) for x in b.lines for h in x.hooks}


def test_a_line_tells_what_its_rows_say(result):
    for block in waits.blocks(result.contention):
        for line in block.lines:
            row = next(
                r
                for r in result.contention
                if r.strategy == block.strategies[-1] and r.placement_title == line.hooks[-1]
            )
            assert line.cells == (
                waits.cell(row.lock_busy_fraction),
                waits.cell(row.in_progress_fraction),
                waits.cell(row.faults_that_retry_fraction),
                waits.cell(row.retry_mean_s),
                waits.cell(row.fault_wait_mean_s),
                waits.cell(row.fault_wait_p99_s),
                waits.cell(row.memslot_wait_mean_s),
            )


def test_strategies_with_other_waits_are_not_told_together(result):
    blocks_ = waits.blocks(result.contention)
    assert not any({"WBINVD_ALL", "CLFLUSHOPT_UVA"} <= set(b.strategies) for b in blocks_)
    assert len(blocks_) > 1


@pytest.mark.parametrize(("kernel", "hook"), [("6.6", "after unlock, in SRCU"), ("newest", "after SRCU is dropped")])
def test_only_the_hook_of_this_kernel_is_marked_as_such(answer, kernel, hook):
    """Hooks that wait alike share a line; the mark must not."""
    _, rows = table(answer("sev", kernel=kernel), "By the place of the hook")
    marked = [cells[1].text.split(" (this kernel)")[0] for cells in rows if "(this kernel)" in cells[1].text]
    assert marked
    assert all(re.split(r"; ", recommendation)[-1] == hook for recommendation in marked), marked


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "-"),
        (Interval(low=0, median=0, high=0, unit="s", extrapolated=False), "0"),
        (Interval(low=1e-12, median=1e-11, high=9e-10, unit="s", extrapolated=True), "< 1 ns"),
        (Interval(low=1e-12, median=1e-11, high=2e-9, unit="s", extrapolated=True), "0.01 [0.001, 2] ns"),
        (Interval(low=1, median=1, high=1, unit="1", extrapolated=False), "1"),
        (Interval(low=0.0011, median=0.0034, high=0.0102, unit="s", extrapolated=True), "3 [1, 10] ms"),
        (Interval(low=0, median=0.2, high=0.5, unit="1", extrapolated=True), "0.2 [0, 0.5]"),
    ],
)
def test_cells(value, expected):
    assert waits.cell(value) == expected


def test_bills_of_one_cost_stand_together_and_none_is_lost(result):
    groups = waits.bills(result.bills)
    assert sorted(name for names, _ in groups for name in names) == sorted(row.strategy for row in result.bills)
    assert any(len(names) > 1 for names, _ in groups)
    for names, first in groups:
        for row in result.bills:
            assert (row.strategy in names) == (row.model_copy(update={"strategy": first.strategy}) == first)


def test_caps_that_print_alike_stand_together_and_none_is_lost(result):
    groups = waits.hybrids(result.hybrids)
    told = sorted((h.trigger, name) for names, h in groups for name in names)
    assert told == sorted((row.trigger, row.ranged) for row in result.hybrids)


def test_the_sentences_say_what_the_kernel_does_and_what_the_lock_would_cost(old):
    found = waits.sentences(old)
    own = next(r for r in old.contention if r.strategy == old.costliest_strategy and r.here)
    assert own.placement_title in found[0]
    assert waits.cell(own.memslot_wait_mean_s) in found[0]
    assert found[1].startswith("under mmu_lock instead")


def test_a_limit_is_named_as_the_kernel_names_it(result):
    found = " ".join(waits.sentences(result))
    assert "queued flushes would trip the CSD-lock warning, if CSD_LOCK_WAIT_DEBUG is on (after 5.0 s)" in found
    assert "would trip the hard lock-up warning (after 10 s)" in found
    assert "draws" not in found and "row L" not in found


def test_the_sentences_say_who_pays(result):
    bill = next(b for b in result.bills if b.strategy == result.costliest_strategy)
    found = " ".join(waits.sentences(result))
    for part in (bill.own_s, bill.others_s, *(reach.initiators for reach in bill.limits), result.abuse[0].forced_cpus):
        assert waits.cell(part) in found
    for value, share in ((bill.vms_at_one_percent, "1 %"), (bill.vms_at_ten_percent, "10 %")):
        if value.high < 1:
            assert "one such VM already costs more than" in found
        else:
            assert f"{waits.cell(value)} such VMs cost {share} of the host" in found
    assert "with events at their fastest" in found and "loses more" not in found


def test_what_rests_on_a_ceiling_is_called_at_most(old):
    own = next(r for r in old.contention if r.strategy == old.costliest_strategy and r.here)
    assert own.standstill_fraction.at_most and not own.retry_mean_s.at_most
    assert f"stands still at most {waits.cell(own.standstill_fraction)} of it" in waits.sentences(old)[0]
    assert "the rate is a ceiling" in waits.ceilings(old.contention)
    assert "not how far the true rate lies below the ceiling" in waits.ceilings(old.contention)
    assert "The rate is a ceiling" in sections.contention(old)


def test_one_thread_for_all_vms_says_nothing_about_vms(answer):
    assert "VMs" not in " ".join(waits.sentences(answer("sev", workload="ksm-default")))


@pytest.mark.parametrize("guest", ["sev", "sev-es", "sev-snp", "sev-snp-gmem"])
@pytest.mark.parametrize(
    "workload", sampled(["autonuma-default", "ksm-default", "compaction-thp", "vm-boot", "teardown"], 5)
)
def test_the_sentences_fit_into_a_mail(answer, guest, workload):
    result = answer(guest, workload=workload)
    block = recommendation.render(result)
    check_mail(block)
    for sentence in waits.sentences(result):
        assert " ".join(layout.ascii_text(sentence).split()) in " ".join(block.split())


@pytest.mark.parametrize("machine", sampled(["epyc-9965-2s", "epyc-7601-2s", "epyc-genoa-4cpu-vm"], 2))
def test_the_block_fits_into_a_mail_on_other_machines(answer, machine):
    check_mail(recommendation.render(answer("sev", machine)))


def test_no_bound_is_a_dash(result):
    bare = with_rows(result, contention={"memslot_wait_mean_s": None, "note": "saturated in 60% of the draws: no mean"})
    titles, rows = table(bare, "By the place of the hook")
    assert {cells[titles.index("memslot update waits")].text for cells in rows} == {"-"}
    assert all("saturated in 60% of the draws" in cells[1].text for cells in rows)


def test_a_refused_storm_says_why_in_the_place_of_its_numbers(answer):
    _, rows = table(answer("sev", workload="teardown"), "Teardown, boot")
    refused = [cells for cells in rows if "Refused" in cells[-1].text]
    assert refused
    assert all("DF_FLUSH" in cells[-1].text for cells in refused)


def test_what_is_inadmissible_is_called_so(result):
    _, rows = table(result, "The mask of CPUs")
    cleared = [cells for cells in rows if cells[0].text.startswith("cleared")]
    assert len(cleared) == 2
    assert all("(inadmissible)" in cells[0].text for cells in cleared)
    _, rows = table(result, "Proposals around the flush")
    deferred = next(cells for cells in rows if cells[0].text.startswith("flushes collected"))
    assert "inadmissible" in deferred[0].text


@pytest.fixture(scope="module")
def attacked(result):
    return with_rows(
        result,
        contention={"strategy": HOSTILE, "placement_title": HOSTILE, "note": HOSTILE},
        bills={"strategy": HOSTILE},
        abuse={"strategy": HOSTILE, "trigger": HOSTILE},
        hybrids={"ranged": HOSTILE, "whole": HOSTILE, "trigger": HOSTILE, "note": HOSTILE},
        masks={"strategy": HOSTILE, "label": HOSTILE, "note": HOSTILE},
        variants={"strategy": HOSTILE, "title": HOSTILE, "quantity": HOSTILE, "note": HOSTILE},
        storms={"strategy": HOSTILE, "trigger": HOSTILE, "trigger_title": HOSTILE},
    ).model_copy(update={"costliest_trigger": HOSTILE, "costliest_strategy": HOSTILE})


def test_text_from_data_is_never_markup(attacked):
    found = sections.contention(attacked)
    reader = Reader(found)
    assert reader.faults == []
    assert not reader.all("script")
    assert "<script" not in found.lower()
    assert found.count("&lt;script&gt;") > 30


def test_a_refusal_from_data_is_never_markup(result):
    found = sections.contention(with_rows(result, storms={"refused": HOSTILE}))
    assert "<script" not in found.lower() and "&lt;script&gt;" in found


def test_no_control_character_reaches_the_section(attacked):
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", sections.contention(attacked))


def test_hostile_sentences_stay_in_their_block(attacked):
    check_mail(recommendation.render(attacked))
