"""What each part of a report page says."""

import re
from html.parser import HTMLParser

import pytest

from costmodel.calibration.parameters import parameters_of
from costmodel.decision.views import worth_drawing
from costmodel.evidence.store import load
from costmodel.kvm.catalog import PLACEMENTS, TRIGGERS
from costmodel.kvm.predicates import PREDICATES
from costmodel.report import recommendation, sections
from costmodel.report.sentences import COUNT_COMMAND
from tests.report.conftest import HOSTILE
from tests.report.html import VOID, Reader
from tests.samples import sampled


def test_remedies_come_by_what_they_leave(answer):
    ranked = recommendation.ranked(answer("sev"))
    saved = [item.saves_fraction for item in ranked if item.saves_fraction is not None]
    assert len(saved) > 2 and saved == sorted(saved, reverse=True)
    assert len({item.id for item in ranked}) == len(ranked)


def test_every_kernel_range_is_in_each_row_of_the_history(answer):
    result = answer("sev")
    kernels = list(dict.fromkeys(row.kernel for row in result.upstream))
    shown = sections.history(result.upstream, kernels)
    did = {(row.trigger, row.kernel): row.strategy for row in result.upstream}
    told = {
        (trigger, kernel): strategy
        for row in shown
        for trigger in row.triggers
        for kernel, strategy in zip(kernels, [c.strategy for c in row.cells for _ in range(c.span)], strict=True)
        if strategy
    }
    assert told == did and len(shown) < len({row.trigger for row in result.upstream})


def test_hostile_text_of_a_table_row(answer):
    result = answer("sev")
    rows = [row.model_copy(update={"refused": HOSTILE}) for row in result.costs]
    assert "<script" not in sections.costs(result.model_copy(update={"costs": rows}))


class Sentences(HTMLParser):
    """The text of a page outside code, figures and the cells of evidence that a table quotes from its source."""

    def __init__(self, shown):
        super().__init__(convert_charrefs=True)
        self._open, self.text = [], []
        self.feed(shown)

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag):
        self._open.pop()

    def handle_data(self, data):
        if not {"code", "pre", "svg", "math", "style"} & set(self._open):
            self.text.append(data)


@pytest.mark.parametrize("guest", sampled(["sev", "sev-snp-gmem"], 2))
def test_no_sentence_names_anything_by_its_id(answer, whole, guest):
    names = {*TRIGGERS, *PREDICATES, *parameters_of(load(), "epyc-7763-2s").parameters}
    names |= set(PLACEMENTS) - {hook for placement in PLACEMENTS.values() for hook in placement.hooks}
    parts = [sections.answer(answer(guest)), sections.change(answer(guest)), sections.contention(answer(guest))]
    parts += [sections.uncertainty(answer(guest)), sections.formulas()]
    said = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", " ".join(Sentences("\n".join(parts)).text)))
    assert not said & {name for name in names if "_" in name}


def test_a_whole_cache_flush_for_every_page_is_in_no_figure(answer):
    result = answer("sev-snp-gmem")
    rows = {row.strategy for row in result.costs if row.trigger == result.costliest_trigger}
    assert "WBINVD_ALL" in rows
    for part in (sections.answer(result), sections.curves(result)):
        reader = Reader(part)
        numbers = " ".join(e.text for e in reader.all("pre"))
        assert "CLFLUSHOPT_DM_GMEM" in numbers and "WBINVD_ALL" not in numbers
        assert "WBINVD_ALL" in reader.all("figcaption")[0].text
    sev = Reader(sections.answer(answer("sev")))
    assert "WBINVD_ALL" in sev.all("pre")[0].text and "Left out" not in sev.all("figcaption")[0].text


def test_a_flush_that_the_kernel_does_for_every_page_stays(answer):
    result = answer("sev-snp-gmem")
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    [own] = [row for row in rows if row.strategy == "WBINVD_ALL"]
    assert own in worth_drawing(rows, "WBINVD_ALL") and own not in worth_drawing(rows, None)
    assert worth_drawing([own], None) == [own], "a figure of nothing helps nobody"


def test_commands_in_a_sentence_are_code(answer):
    shown = Reader(sections.change(answer("sev")))
    [rate] = [e for e in shown.all("code") if e.text.startswith("perf stat")]
    assert rate.text == COUNT_COMMAND
    assert "`" not in " ".join(e.text for e in shown.all("li", "p"))
