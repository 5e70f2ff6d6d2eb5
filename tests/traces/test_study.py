"""A replay for a guest on a machine: costs, verdicts, refusals, bounds, marks."""

import numpy
import pytest

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, Draws
from costmodel.cost.event import event_cost
from costmodel.cost.scenario import scenario
from costmodel.decision.choice import candidates
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.store import load
from costmodel.kvm.catalog import STRATEGIES
from costmodel.report.replayed import replayed as study
from costmodel.traces import replay, results, service, store
from tests.traces.conftest import poisson, table

MACHINE = "epyc-7763-2s"
STAND_INS = ("ksm_replace_page",)


@pytest.fixture(scope="module")
def costs():
    evidence = load()
    case = scenario(evidence, "sev", MACHINE, "ksm-default")
    return service.service(
        evidence, case, parameters_of(evidence, MACHINE), [("ksmd", ""), ("oom_reaper", ""), ("kswapd0", "")]
    )


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """10,000 independent events of a compaction thread and of ksmd at 2 events per second."""
    path = tmp_path_factory.mktemp("t") / "two.parquet"
    n = 10_000
    names = ["kcompactd0" if k % 2 else "ksmd" for k in range(n)]
    store.write(
        [table(poisson(n, 2.0), names, [46 + k % 2 for k in range(n)], [4096 << k % 8 for k in range(n)])], path
    )
    return study(path, "sev", MACHINE, "ksm-default")


def way(found, strategy):
    return next(w for w in found.ways if strategy in [s.strategy for s in w.strategies])


def test_costs_at_any_length_are_those_of_the_cost_model(costs):
    lengths = numpy.array([4096.0, 5000.0, 2.0**21, 2.0**28 + 4096, 2.0**33])
    for entry in costs.ways:
        name = STRATEGIES[entry.strategies[0].strategy]
        draws = Draws(parameters_of(load(), MACHINE), service.EVENT_DRAWS)
        for residency, trigger in enumerate(STAND_INS):
            exact = event_cost(Case(trigger, costs.scenario, draws), name, lengths[:, None])
            told = entry.at(entry.time_s, residency, lengths)
            numpy.testing.assert_allclose(told, numpy.broadcast_to(exact.time_s, told.shape), rtol=0.02)
            told = entry.at(entry.cpu_s, residency, lengths)
            numpy.testing.assert_allclose(told, numpy.broadcast_to(exact.stolen_s, told.shape), rtol=0.02)


def test_residency_follows_the_name(costs):
    """Unknown where workloads differ (thp_split and swap of kswapd) or nothing is catalogued (the OOM reaper)."""
    assert costs.residencies == ("unknown",)
    assert costs.residency_of_group.tolist() == [0, 0, 0]
    evidence = load()
    assert service._stand_in(evidence, ("swap_reclaim",)) == ("swap_reclaim", "cold")
    trigger, residency = service._stand_in(evidence, ("numa_or_compaction_migrate",))
    assert residency == "unknown"
    assert not any(workload.load(trigger) for workload in evidence.workloads.values())
    assert service._stand_in(evidence, ("swap_reclaim", "memslot_delete_or_move"))[1] == "unknown"


def test_strategies_of_one_cost_stand_together_and_once(costs):
    names = [s.strategy for w in costs.ways for s in w.strategies]
    assert len(names) == len(set(names))
    assert {"WBINVD_ALL", "WBNOINVD_MASK", "CLFLUSHOPT_UVA"} <= set(names)
    whole = next(w for w in costs.ways if w.serial)
    assert len(whole.strategies) >= 2, "on all CPUs, and on a mask that holds all"


def test_verdicts_are_those_of_the_rules(costs):
    for entry in costs.ways:
        for shown in entry.strategies:
            states = {
                c.verdict.state
                for t in costs.triggers
                for c in candidates(costs.scenario, t)
                if c.strategy == shown.strategy
            }
            assert shown.state == (states.pop() if len(states) == 1 else "undecided")


def test_a_missing_number_refuses_the_strategy(costs):
    assert "VM_PAGE_FLUSH" in costs.refused and "no timing" in costs.refused["VM_PAGE_FLUSH"]
    assert not set(costs.refused) & {s.strategy for w in costs.ways for s in w.strategies}


def test_independent_arrivals_of_the_study_agree_with_the_closed_forms(found):
    """2 per second and 13 ms: a load of about 0.03."""
    whole = way(found, "WBINVD_ALL")
    assert found.gap_variation == pytest.approx(1, abs=0.1)
    assert whole.open.p50_s.median == pytest.approx(whole.predicted.p50_s, rel=0.02)
    assert whole.open.in_progress_fraction.median == pytest.approx(whole.predicted.in_progress_fraction, rel=0.02)
    ranged = way(found, "CLFLUSHOPT_UVA")
    assert ranged.open.in_progress_fraction.median == pytest.approx(ranged.predicted.in_progress_fraction, rel=0.05)


def test_cpu_time_is_the_sum_over_the_events(found):
    whole = way(found, "WBINVD_ALL")
    evidence = load()
    case = scenario(evidence, "sev", MACHINE, "ksm-default")
    draws = Draws(parameters_of(evidence, MACHINE), service.EVENT_DRAWS)
    one = event_cost(Case("ksm_replace_page", case, draws), STRATEGIES["WBINVD_ALL"], 4096.0).stolen_s
    assert whole.cpu_s.median == pytest.approx(10_000 * float(numpy.median(one)), rel=1e-9)
    assert whole.cpu_s.low < whole.cpu_s.median < whole.cpu_s.high


def test_closed_threads_wait_for_themselves(found):
    whole = way(found, "WBINVD_ALL")
    assert whole.closed.events_in_time < found.events
    assert whole.closed.behind_s.median >= 5000 * whole.event_time_s.median * 0.99
    assert whole.closed.slowest_thread.startswith("pid 4")
    ranged = way(found, "CLFLUSHOPT_UVA")
    assert ranged.closed.p99_s == ranged.open.p99_s


def test_what_rests_on_a_prior_is_marked(found):
    whole = way(found, "WBINVD_ALL")
    for interval in (whole.event_time_s, whole.cpu_s, whole.open.p99_s, whole.closed.in_progress_fraction):
        assert interval.extrapolated


def test_what_the_tracepoint_lacks_is_said(found):
    text = " ".join(found.not_decidable)
    assert "event type" in text and "the VM" in text and "the trigger of" in text and "--memslots" in text
    assert found.bound.startswith("upper bound")


def test_nothing_unsafe_is_the_headline(found):
    assert "CLFLUSHOPT" not in found.headline and "WBNOINVD_MASK" in found.headline


@pytest.mark.parametrize(
    ("guest", "machine", "told"),
    [
        ("sev-snp-gmem", MACHINE, "SKIP_UNREACHABLE"),
        ("plain", MACHINE, "NO_FLUSH"),
        ("tdx", "xeon-8570-2s", "SKIP_UNREACHABLE"),
    ],
)
def test_guests_that_need_no_flush(trace, guest, machine, told):
    result = study(trace(table([0, 10**6], pids=[1, 1])), guest, machine, "autonuma-default")
    assert told in result.headline and "costs nothing" in result.headline


def test_an_old_kernel_loses_flushes_and_is_told_so(trace):
    result = study(trace(table([0, 10**6], pids=[1, 1])), "sev", MACHINE, "autonuma-default", "5.11")
    assert "can lose a flush" in result.headline


def test_overlap_of_the_recording_or_of_given_slots_filters(trace, tmp_path):
    rows = {"pids": [1] * 4, "lengths": [8192] * 4, "starts": [0, 8192, 16384, 24576]}
    recorded = study(
        trace(table(range(4), **rows, overlap_bytes=[0, 4096, 8192, 0])), "sev", MACHINE, "autonuma-default"
    )
    assert (recorded.events, recorded.outside) == (2, 2) and recorded.range_mean_bytes == 6144
    slots = tmp_path / "slots.csv"
    slots.write_text("start,end\n0,4096\n")
    given = study(trace(table(range(4), **rows), name="b.parquet"), "sev", MACHINE, "autonuma-default", memslots=slots)
    assert (given.events, given.outside, given.range_mean_bytes) == (1, 3, 4096)
    assert "--memslots" in given.bound and not any("which ranges" in t for t in given.not_decidable)


def test_no_event_inside_is_refused(trace, tmp_path):
    slots = tmp_path / "slots.csv"
    slots.write_text("start,end\n0,4096\n")
    with pytest.raises(BadInput, match="no event meets a memslot"):
        study(trace(table([1], pids=[1])), "sev", MACHINE, "autonuma-default", memslots=slots)


def test_no_range_costs_more_than_the_guest_is_long(trace):
    rows = {"pids": [1, 1], "starts": [0, 0], "lengths": [2**61, 2**62]}
    result = study(trace(table([0, 10**6], **rows)), "sev", MACHINE, "autonuma-default")
    ranged = way(result, "CLFLUSHOPT_UVA")
    whole_vm = study(
        trace(table([0, 10**6], pids=[1, 1], lengths=[2**34, 2**34]), name="b.parquet"),
        "sev", MACHINE, "autonuma-default", resident_bytes=2.0**34,
    )  # fmt: skip
    assert ranged.cpu_s.median < 1000 * way(whole_vm, "CLFLUSHOPT_UVA").cpu_s.median
    assert any("longer than the guest's" in note for note in result.notes)
    assert not any("longer than the guest's" in note for note in whole_vm.notes)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_events_are_enough(trace, n):
    result = study(trace(table([5] * n, pids=[1] * n)), "sev", MACHINE, "autonuma-default")
    assert result.events == n and result.rate_per_s is None
    assert result.model_dump_json()


def test_more_blocks_than_are_sampled_give_the_same_numbers(trace, monkeypatch):
    """Independent arrivals: intervals from 16 pieces of 40 blocks are those of all."""
    times = poisson(40_000, 5.0)
    batch = table(times, ["ksmd"] * len(times), [46] * len(times))
    whole = study(trace(batch), "sev", MACHINE, "ksm-default")
    monkeypatch.setattr(store, "GROUP_ROWS", 1000)
    monkeypatch.setattr(replay, "PIECE_ROWS", 500)
    parts = study(trace(batch, name="parts.parquet"), "sev", MACHINE, "ksm-default")
    assert (whole.sampled_events, parts.sampled_events) == (40_000, 8_000)
    one, other = way(whole, "WBINVD_ALL"), way(parts, "WBINVD_ALL")
    assert one.cpu_s == other.cpu_s
    for kind in ("open", "closed"):
        a, b = getattr(one, kind), getattr(other, kind)
        assert a.p99_s.median == pytest.approx(b.p99_s.median, rel=1e-6)
        assert a.p99_s.high == pytest.approx(b.p99_s.high, rel=0.2)
        assert a.in_progress_fraction.median == pytest.approx(b.in_progress_fraction.median, rel=1e-6)
    ranged, sampled = way(whole, "CLFLUSHOPT_UVA"), way(parts, "CLFLUSHOPT_UVA")
    assert ranged.closed.behind_s.median == pytest.approx(sampled.closed.behind_s.median, rel=0.05)
    assert "evenly spaced pieces" in " ".join(parts.notes)


def test_the_size_of_the_blocks_hardly_matters(trace, monkeypatch):
    """Sixteen threads in a closed loop: clocks aligned every 2000 or every 40,000 events."""
    n = 40_000
    times = poisson(n, 30.0)
    pids = numpy.random.default_rng(2).integers(1, 17, n).tolist()
    batch = table(times, ["bash"] * n, pids)
    whole = way(study(trace(batch), "sev", MACHINE, "ksm-default"), "WBINVD_ALL")
    monkeypatch.setattr(store, "GROUP_ROWS", 4000)
    parts = way(study(trace(batch, name="parts.parquet"), "sev", MACHINE, "ksm-default"), "WBINVD_ALL")
    assert parts.closed.p99_s.median == pytest.approx(whole.closed.p99_s.median, rel=0.03)
    assert parts.closed.in_progress_fraction.median == pytest.approx(whole.closed.in_progress_fraction.median, rel=0.05)


def test_break_evens_name_both_and_lie_where_the_costs_meet(found):
    row = next(b for b in found.break_evens if "CLFLUSHOPT_UVA" in b.ranged)
    assert row.hybrid_cpu_s.median <= min(row.ranged_cpu_s.median, row.whole_cpu_s.median)
    assert row.cap_time_bytes.median < row.cap_cpu_bytes.median, "one CPU against all of them"
    assert row.saturation_rate_per_s.median == pytest.approx(1 / way(found, "WBINVD_ALL").event_time_s.median, rel=1e-3)


def test_unknown_ids_and_machines_that_cannot_host_are_refused(trace):
    path = trace(table([1]))
    with pytest.raises(UnknownName):
        study(path, "sev", "nope", "autonuma-default")
    with pytest.raises(BadInput, match="needs an Intel CPU"):
        study(path, "tdx", MACHINE, "autonuma-default")


def test_a_prediction_without_a_rate_has_no_waits():
    told = results.prediction(None, 0.001)
    assert told.load == 0 and told.p99_s is None and told.in_progress_fraction == 0


def test_work_grows_with_the_blocks_and_sampling_does_not(costs, trace, monkeypatch):
    """Each block goes once through the passes at the median of whole-cache flushes; the rest sees sixteen pieces."""

    batch = table(poisson(20_000, 5.0), ["ksmd"] * 20_000, [46] * 20_000)
    monkeypatch.setattr(store, "GROUP_ROWS", 500)
    path = trace(batch)
    fed = []
    for kind in (replay.Closed, replay.Open):
        real = kind.feed
        monkeypatch.setattr(kind, "feed", lambda self, work, real=real: fed.append(work.number) or real(self, work))
    study(path, "sev", MACHINE, "ksm-default")
    times = {(entry.serial, entry.time_s.tobytes()) for entry in costs.ways}
    whole = sum(serial for serial, _ in times)
    assert len(times) < len(costs.ways), "WBINVD and WBNOINVD last as long: one replay is both"
    assert len(fed) == 2 * whole * 40 + 2 * len(times) * len(service.LEVELS) * replay.PIECES


def test_pieces_are_found_where_most_blocks_meet_no_memslot(trace, monkeypatch, tmp_path):
    monkeypatch.setattr(store, "GROUP_ROWS", 100)
    starts = [0] * 3900 + [2**30] * 100
    path = trace(table(poisson(4000, 5.0), pids=[1] * 4000, starts=starts))
    slots = tmp_path / "slots.csv"
    slots.write_text(f"start,end\n{2**30},{2**31}\n")
    found = study(path, "sev", MACHINE, "ksm-default", memslots=slots)
    assert (found.events, found.outside, found.sampled_events) == (100, 3900, 100)
    assert found.model_dump_json()


def test_the_benchmark_runs(tmp_path, monkeypatch):
    from importlib import import_module
    from pathlib import Path

    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    benchmark = import_module("trace_replay")
    path = tmp_path / "t.parquet"
    assert store.write(benchmark.batches(5000), path).events == 5000
    for work in benchmark.WORK.values():
        assert len(work(path)) == 2


def told(trace, triggers, task="CPU 0/KVM"):
    n = len(triggers)
    path = trace(table(range(0, n * 10**9, 10**9), [task] * n, [7] * n, [2**21] * n, trigger=triggers))
    return study(path, "sev", MACHINE, "autonuma-default")


def test_call_chains_decide_the_trigger(trace):
    found = told(trace, ["autonuma_prot_none_scan"] * 3)
    (row,) = found.tasks
    assert (row.triggers, row.decided) == (["autonuma_prot_none_scan"], True)
    assert not [text for text in found.not_decidable if "the trigger of" in text]
    reasons = [s.reason for w in found.ways for s in w.strategies] + [s.reason for s in found.without_flush]
    assert not [text for text in reasons if "not decidable" in text]
    single = told(trace, [None] * 3)
    assert [text for text in single.not_decidable if text.startswith("the trigger of 100 %")]


def test_a_strategy_that_is_unsafe_at_one_of_the_triggers_that_were_told_is_unsafe(trace):
    found = told(trace, ["autonuma_prot_none_scan", "munmap_or_discard"])
    assert "SKIP_EVENT" not in {row.strategy for row in found.without_flush}
    apart = {trigger: told(trace, [trigger]).without_flush for trigger in ("autonuma_prot_none_scan", None)}
    assert {row.strategy: row.state for row in apart["autonuma_prot_none_scan"]}["SKIP_EVENT"] == "admissible"
    (untold,) = [row for row in apart[None] if row.strategy == "SKIP_EVENT"]
    assert untold.state == "undecided" and untold.reason.startswith("not decidable from this trace")
    assert [task.events for task in found.tasks] == [1, 1]


def test_each_event_costs_what_its_own_trigger_does(trace):
    """Of two triggers whose ranges are cached differently, each event has the cost of its own."""
    case = scenario(load(), "sev", MACHINE, "ksm-default")
    groups = [("vmm", "swap_reclaim"), ("vmm", "ksm_replace_page")]
    costs = service.service(load(), case, parameters_of(load(), MACHINE), groups)
    assert len(costs.residencies) == 2 and costs.residency_of_group.tolist() == [0, 1]
    path = trace(table([0, 10**9], ["vmm"] * 2, [7, 7], [4096, 2**21], trigger=[label for _, label in groups]))
    raw = replay.replay(path, store.footer_of(path), costs)
    assert raw.classes.sum(axis=1).tolist() == [1, 1]
    assert raw.class_bytes.sum(axis=1).tolist() == [4096, 2**21]


def test_what_was_read_as_what_is_said_again(tmp_path):
    path = tmp_path / "t.parquet"
    store.write([table([1, 2])], path, said=lambda: store.Said(0, ["times were added up"]))
    assert "recording: times were added up" in study(path, "sev", MACHINE, "ksm-default").notes
