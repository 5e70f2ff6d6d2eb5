"""Summaries are sums: they merge exactly, in any order, and do not depend on how the events were cut."""

import doctest
import json

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.report import trace
from costmodel.traces import reader, store, summary, triggers
from costmodel.traces.store import Block
from costmodel.traces.summary import (
    BINS,
    DETAILED,
    FORM,
    OTHERS,
    Counter,
    Histogram,
    Summary,
    bin_of,
    from_json,
    merge,
    summarise,
)
from tests.traces.conftest import table

NAMES = ("ksmd", "qemu-kvm", "CPU 0/KVM")


@st.composite
def recordings(draw):
    """(times, task, pid, length) of one recording."""
    n = draw(st.integers(1, 40))
    gaps = draw(st.lists(st.integers(0, 10**10), min_size=n, max_size=n))
    task = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    pid = draw(st.lists(st.integers(-1, 3), min_size=n, max_size=n))
    length = draw(st.lists(st.integers(1, 2**40), min_size=n, max_size=n))
    return numpy.cumsum(gaps), numpy.array(task, numpy.int32), numpy.array(pid, numpy.int32), numpy.array(length)


def histogram(values):
    """What a histogram of integers holds, counted without numba."""
    found = Histogram()
    for value in values:
        at = int(bin_of(value))
        found.counts[at] = found.counts.get(at, 0) + 1
        found.least[at] = min(found.least.get(at, value), value)
        found.most[at] = max(found.most.get(at, value), value)
    return found


def block(recording, part=slice(None), number=0):
    times, task, pid, length = (column[part] for column in recording)
    return Block(number, times, numpy.zeros_like(length), length, task, pid, None, None)


def counted(recording, *cuts):
    tasks = dict(zip(NAMES, numpy.bincount(recording[1], minlength=3).tolist(), strict=True))
    found = Counter(tasks)
    edges = sorted({0, len(recording[0]), *(min(cut, len(recording[0])) for cut in cuts)})
    for number, (start, stop) in enumerate(zip(edges, edges[1:], strict=False)):
        found.feed(block(recording, slice(start, stop), number))
    return found.summary()


@given(recordings(), recordings(), recordings())
def test_merging_is_a_sum(a, b, c):
    one, two, three = counted(a), counted(b), counted(c)
    assert one.merged(two) == two.merged(one)
    assert one.merged(two).merged(three) == one.merged(two.merged(three))
    assert one.merged(Summary()) == one == Summary().merged(one)


@given(recordings(), st.lists(st.integers(0, 40), max_size=4))
def test_the_cut_into_blocks_does_not_matter(recording, cuts):
    assert counted(recording, *cuts) == counted(recording)


@given(recordings(), recordings())
def test_a_merged_summary_is_what_both_files_hold(a, b):
    both = counted(a).merged(counted(b))
    gaps = [int(g) for times, *_ in (a, b) for g in numpy.diff(times)]
    assert both.events == len(a[0]) + len(b[0])
    assert both.gaps == len(gaps) and both.gaps_sum_ns == sum(gaps)
    assert both.gaps_squares_ns2 == sum(g * g for g in gaps)
    assert both.gaps_ns.total == len(gaps)
    for at, name in enumerate(NAMES):
        lengths = [int(x) for _, task, _, length in (a, b) for x in length[task == at]]
        assert (both.tasks[name].range_bytes if lengths else 0) == sum(lengths)
        if lengths:
            assert both.tasks[name].ranges == histogram(lengths)
    assert both.gaps_ns == histogram(gaps)
    assert both.ranges == histogram([int(x) for *_, length in (a, b) for x in length])


@given(recordings())
def test_windows_count_every_whole_window(recording):
    times = recording[0] - recording[0][0]
    for length, found in counted(recording).windows.items():
        counts = numpy.bincount(times // length, minlength=1)[: times[-1] // length] if times[-1] < 10**12 else None
        if counts is not None and length >= 10**9:
            assert found.windows == len(counts)
            assert (found.events, found.squares) == (counts.sum(), (counts**2).sum())
            assert found.most == (counts.max() if len(counts) else 0)


@given(recordings())
def test_json_and_back(recording):
    found = counted(recording)
    assert from_json(json.loads(json.dumps(found.as_json())), "x") == found


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"form": "other"}, {"form": FORM}, "text"],
)
def test_what_is_no_summary_is_refused(value):
    with pytest.raises(BadInput, match="is no summary of a trace"):
        from_json(value, "x.json")


def bad(counts, least, most):
    return ("gaps_ns", {"counts": counts, "least": least, "most": most})


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("events", -1),
        ("tasks", []),
        ("gaps_ns", {"counts": {"1": 1}}),
        bad({"99999999": 1}, {"99999999": 1}, {"99999999": 1}),
        bad({"1": 1}, {"1": 1}, {}),
        bad({"1": 1}, {"1": 1}, {"1": 2}),
        bad({"1": 0}, {"1": 1}, {"1": 1}),
        bad({"1": 2**63}, {"1": 1}, {"1": 1}),
        bad({str(BINS - 1): 1}, {str(BINS - 1): 2**70}, {str(BINS - 1): 2**70}),
    ],
)
def test_a_summary_that_was_tampered_with_is_refused(key, wrong):
    value = json.loads(json.dumps(Summary().as_json()))
    with pytest.raises(BadInput):
        from_json({**value, key: wrong}, "x.json")


@given(recordings(), recordings())
def test_the_ends_are_exact(a, b):
    both = counted(a).merged(counted(b))
    lengths = numpy.concatenate([a[3], b[3]])
    assert both.ranges.quantile(1.0) == lengths.max()
    assert lengths.min() <= both.ranges.quantile(0.01) <= both.ranges.quantile(0.5) <= lengths.max()


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.99, 1.0])
def test_few_lengths_are_printed_as_they_are(share):
    """90 % of the ranges are one page, the others 256 MiB: no quantile lies in between."""
    found = histogram([4096] * 90 + [2**28] * 10)
    assert found.quantile(share) == (4096 if share <= 0.9 else 2**28)


def test_bursts_of_a_kernel_thread():
    """200 events 10 us apart, then 20 ms of sleep: KSM's batch."""
    times = numpy.concatenate([k * 22_000_000 + numpy.arange(200) * 10_000 for k in range(50)])
    n = len(times)
    found = Counter({"ksmd": n})
    zeros = numpy.zeros(n, numpy.int64)
    found.feed(Block(0, times, zeros, zeros + 4096, zeros.astype("i4"), zeros.astype("i4") + 46, None, None))
    task = found.summary().tasks["ksmd"]
    assert task.bursts.total == 50 and task.threads == 1
    assert task.bursts == histogram([200] * 50)
    assert (task.bursts.quantile(0.5), task.gaps_ns.quantile(0.5)) == (200, 10_000)
    assert found.summary().windows[10**8].dispersion < 50


def test_more_names_than_have_details_are_put_together():
    tasks = {f"task{k}": 1 for k in range(DETAILED + 100)}
    n = len(tasks)
    found = Counter(tasks)
    zeros = numpy.zeros(n, numpy.int64)
    ids = numpy.arange(n, dtype=numpy.int32)
    found.feed(Block(0, numpy.arange(n), zeros, zeros + 1, ids, ids, None, None))
    summary = found.summary()
    assert len(summary.tasks) == DETAILED
    assert summary.tasks[OTHERS].events == 101
    assert summary.events == n


def test_files_of_several_hosts(trace):
    one = trace(table([0, 1000, 2000]), name="a.parquet")
    two = trace(table([5, 10], ["kcompactd0", "ksmd"]), name="b.parquet")
    both = merge([summarise(one), summarise(two)])
    assert (both.recordings, both.events, both.tasks["ksmd"].events) == (2, 5, 4)
    assert both.span_ns == 2005


def test_triggers_and_remarks_add_up_and_survive_json(trace):
    told = "autonuma_prot_none_scan"
    paths = [
        trace(table([1, 2, 3], ["a", "a", "b"], trigger=[told, None, None]), name="1"),
        trace(table([1], ["a"]), name="2"),
    ]
    both = merge(summarise(path) for path in paths)
    assert both.triggers == {"a": {"": 2, told: 1}} and both.groups("b") == {"": 1}
    assert from_json(json.loads(json.dumps(both.as_json())), "x") == both


@pytest.mark.parametrize("wrong", [{"a": {"scan": 1}}, {"a": {"": 7}}, {"z": {"": 1}}, []])
def test_triggers_that_do_not_add_up_are_refused(trace, wrong):
    value = summarise(trace(table([1], ["a"]))).as_json()
    with pytest.raises(BadInput):
        from_json({**value, "triggers": wrong}, "x")


@pytest.mark.parametrize("module", [summary, reader, triggers, trace], ids=lambda m: m.__name__)
def test_examples_in_the_docstrings(module):
    found = doctest.testmod(module)
    assert found.attempted and not found.failed


@given(st.floats(1, 2**62))
def test_a_value_lies_in_its_bin(value):
    at = int(summary.bin_of(value))
    edges = summary.bin_edges()
    assert edges[at] <= value < edges[at + 1]
    assert edges[at + 1] / edges[at] <= 1 + 1 / 64


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=300), st.floats(0.01, 1))
def test_quantiles_are_within_a_bin(values, share):
    counts = numpy.bincount(summary.bin_of(values), minlength=summary.BINS)
    exact = sorted(values)[max(0, int(numpy.ceil(share * len(values) - 1e-9)) - 1)]
    assert summary.bin_quantile(counts, share) == pytest.approx(exact, rel=1 / 64 + 1e-9)


def test_nothing_has_no_quantile():
    assert numpy.isnan(summary.bin_quantile(numpy.zeros(summary.BINS, int), 0.5))


@given(st.lists(st.integers(0, 2**53), min_size=1, max_size=2))
def test_squares_of_the_longest_gaps_are_exact(gaps):
    times = numpy.cumsum([0, *(gap // len(gaps) for gap in gaps)])
    ones = numpy.ones(len(times), numpy.int64)
    found = counted((times, numpy.zeros(len(times), numpy.int32), numpy.zeros(len(times), numpy.int32), ones))
    assert found.gaps_squares_ns2 == sum(int(gap) ** 2 for gap in numpy.diff(times))


@pytest.mark.parametrize("gap", [2**22 - 1, 2**22, 2**33 - 1])
def test_squares_of_a_full_block_are_exact(gap):
    """2^20 equal gaps: their lower halves are as large as they get, and they last as long as a trace may."""
    n = store.GROUP_ROWS
    zeros, ones = numpy.zeros(n, numpy.int32), numpy.ones(n, numpy.int64)
    found = counted((numpy.arange(n, dtype=numpy.int64) * gap, zeros, zeros, ones))
    assert found.gaps_squares_ns2 == (n - 1) * gap**2
