"""What a user reads: the questions of the 2023 thread, asked of the tool."""

import pytest

import costmodel as cm
from costmodel.cost.scenario import not_applicable, scenario
from costmodel.decision.advice import patches
from costmodel.decision.choice import dominates
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.records import RENDEZVOUS as LOGS
from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS
from costmodel.kvm.kernels import SeveralKernels
from costmodel.numbers import P_BOUNDS, probability
from costmodel.report import recommendation
from costmodel.report.names import kernel_ground
from costmodel.report.record import recommend, recommend_by_kernel
from tests.samples import sampled

EVIDENCE = load()


def entry(result, trigger):
    return next(e for e in result.policy if e.trigger == trigger)


def row(result, trigger, strategy):
    return next(r for r in result.costs if (r.trigger, r.strategy) == (trigger, strategy))


def test_newest_kernel_flushes_only_the_cpus_that_ran_the_guest(answer):
    result = answer("sev")
    chosen = entry(result, "autonuma_prot_none_scan")
    assert (chosen.strategy, chosen.basis, chosen.p_best) == ("WBNOINVD_MASK", "dominated", None)
    assert result.headline_trigger == "autonuma_prot_none_scan"


@pytest.mark.nightly
def test_wbinvd_of_the_thread_slows_ksm_down_but_does_not_saturate(answer):
    result = answer("sev", workload="ksm-default", vmm="other", pinned=False, mergeable=True)
    recommendation = next(
        t for t in result.saturation if "WBINVD on all online CPUs" in t and "KSM write protection" in t
    )
    assert "the thread behind the events waits for its own flush, so there are at most" in recommendation
    assert "of events that do not wait, one flush would follow the other without a pause" in recommendation
    wbinvd = row(result, "ksm_write_protect", "WBINVD_ALL")
    # The closed loop spends 200 T / (20 ms + 200 T) of its time flushing; half of it at each of the two triggers.
    flush_s = wbinvd.event_time_s.median
    assert wbinvd.in_progress_fraction.median == pytest.approx(0.5 * 200 * flush_s / (0.02 + 200 * flush_s), rel=0.05)


def test_unmerged_strategies_are_never_the_headline(answer):
    for guest in ("sev", "sev-es", "sev-snp", "sev-snp-gmem"):
        result = answer(guest)
        if result.headline_strategy:
            assert STRATEGIES[result.headline_strategy].first_version is not None


def test_no_recommended_strategy_can_lose_a_flush(answer):
    for guest in ("plain", "sev", "sev-es", "sev-snp", "sev-snp-gmem"):
        for e in answer(guest).policy:
            if e.strategy:
                assert row(answer(guest), e.trigger, e.strategy).state == "admissible"


def test_old_kernels_are_told_to_upgrade(answer):
    result = answer("sev", kernel="6.6")
    assert entry(result, "autonuma_prot_none_scan").strategy == "WBINVD_ALL"
    upgrade = next(a for a in result.do_now if a.kind == "upgrade")
    assert "6.18.55" in upgrade.title
    assert result.headline.startswith(upgrade.title)


def test_the_first_kernel_can_lose_a_flush_and_says_so(answer):
    result = answer("sev", kernel="5.11")
    assert entry(result, "numa_or_compaction_migrate").strategy is None
    assert any("can lose a flush" in w for w in result.warnings)


def test_numa_balancing_off_saves_all_of_it(answer):
    result = answer("sev")
    off = next(a for a in result.remedies if "balancing" in a.title.lower())
    lost = row(result, "autonuma_prot_none_scan", "WBNOINVD_MASK").host_cpu_s_per_s
    assert off.saves_cpu_s_per_s.median == pytest.approx(lost.median)
    assert off.title[1:] in result.headline


def test_pinning_saves_most_of_the_masked_flush(answer):
    result = answer("sev")
    pinned = next(a for a in result.remedies if a.id and "pin" in a.id and "vcpu" in a.id)
    assert 0.5 < pinned.saves_fraction < 1


def test_guest_memfd_takes_the_notifier_out_of_the_picture(answer):
    result = answer("sev-snp-gmem")
    chosen = entry(result, "autonuma_prot_none_scan")
    assert chosen.strategy == "SKIP_UNREACHABLE"
    assert chosen.reason and chosen.source


def test_no_hole_of_guest_memfd_is_so_large_that_whole_caches_take_less(answer):
    """The hook knows one folio, so both flushes grow with the hole: cost and upstream agree at each size."""
    result = answer("sev-snp-gmem", workload="idle")
    hole = entry(result, "gmem_punch_hole")
    assert (hole.strategy, hole.basis, hole.cheapest) == ("CLFLUSHOPT_DM_GMEM", "cost", "CLFLUSHOPT_DM_GMEM")
    assert not any(f.parameter == "range_bytes" for f in hole.flips)
    assert not any(h.trigger == "gmem_punch_hole" for h in result.hybrids)


def test_snp_on_genoa_warns_that_the_bit_is_off_in_the_dump(answer):
    assert any("sev_snp" in w for w in answer("sev-snp-gmem", machine="epyc-9654-2s").warnings)


def test_a_guest_that_the_cpu_cannot_run_is_refused_with_the_reason(answer):
    result = answer("tdx")
    assert not result.applicable
    assert "Intel" in result.not_applicable_reason
    assert result.policy == []
    assert not answer("sev-snp-gmem", machine="epyc-7742-2s").applicable


def test_tdx_totals_are_refused_while_the_choice_stands(answer):
    result = answer("tdx", machine="xeon-8570-2s", workload="teardown")
    chosen = entry(result, "hkid_free_vm_teardown")
    assert (chosen.strategy, chosen.basis) == ("TDX_CACHE_WB", "forced")
    assert "TDH.PHYMEM" in chosen.gap
    assert any("TDH.PHYMEM" in gap for gap in result.gaps)


def test_removing_a_needed_number_is_refused_by_name():
    poorer = load().without("W01")
    result = recommend("sev", "epyc-7763-2s", evidence=poorer)
    lost = row(result, "autonuma_prot_none_scan", "WBNOINVD_MASK")
    assert "row W01 of data/measurements.csv is missing" in lost.refused
    assert "W01" in result.headline_cost
    # The unknown term is common to all whole-cache flushes, so the ranking stays.
    assert entry(result, "autonuma_prot_none_scan").basis == "dominated"


def test_a_missing_bandwidth_refuses_the_total(answer):
    result = answer("plain", machine="xeon-5520-2s")
    refused = [r for r in result.costs if r.refused and "Gold 5520" in r.refused]
    assert refused


@pytest.mark.parametrize("guest", ["sev", "sev-es", "sev-snp", "sev-snp-gmem"])
@pytest.mark.parametrize("workload", sampled(["autonuma-default", "idle", "teardown"], 3))
def test_extrapolated_probabilities_stay_inside_the_bounds(answer, guest, workload):
    for e in answer(guest, workload=workload).policy:
        if e.p_best is not None and e.extrapolated:
            assert 0.05 <= e.p_best <= 0.95


def test_every_source_is_a_row_of_the_data(answer):
    evidence = load()
    for source in answer("sev").sources:
        host = source.id.removeprefix("hosts/")
        known = source.id in evidence.measurements or source.id in evidence.dumps or source.id == LOGS
        assert known or host in evidence.hosts


@pytest.mark.parametrize(
    ("numbers", "error"),
    [
        ({"vcpus": 0}, BadInput),
        ({"cpus_that_ran": 10_000}, BadInput),
        ({"event_fraction": 2.0}, BadInput),
        ({"resident_bytes": -1.0}, BadInput),
    ],
)
def test_impossible_numbers_are_refused(numbers, error):
    with pytest.raises(error):
        recommend("sev", "epyc-7763-2s", **numbers)


@pytest.mark.parametrize("question", [("sevv", "epyc-7763-2s"), ("sev", "epyc-7763"), ("sev", "epyc-7763-2s", "ksm")])
def test_unknown_names_are_refused(question):
    with pytest.raises(UnknownName):
        recommend(*question)


def test_same_question_same_answer():
    one, two = (recommend("sev-snp-gmem", "epyc-7763-2s", "teardown") for _ in range(2))
    assert one == two


def test_the_command_gives_the_same_answer_again(answer):
    import json
    import shlex

    from click.testing import CliRunner

    from costmodel.cli import cli

    result = answer("sev", kernel="6.6", vcpus=4, cpus_that_ran=12, resident_bytes=2e9, event_fraction=0.3)
    words = shlex.split(result.command)
    again = json.loads(CliRunner().invoke(cli, [*words[1:], "--json"]).output)
    assert again["asked_hash"] == result.asked_hash
    assert (again["headline_cost"], again["scenario"]) == (result.headline_cost, result.scenario)


def test_a_kernel_without_the_guest_type_is_not_applicable(answer):
    result = answer("sev-snp-gmem", kernel="6.6")
    assert not result.applicable
    assert "v6.11" in result.not_applicable_reason


def test_what_is_not_catalogued_is_a_gap(answer):
    result = answer("sev-snp-gmem")
    entry_of = entry(result, "access_bit_aging")
    assert entry_of.strategy is None and "not catalogued" in entry_of.gap
    assert entry_of.gap in result.gaps


def runs(guest, machine):
    return not not_applicable(scenario(EVIDENCE, guest, machine, "teardown"))


def body(result):
    """The text without the names of the case and the hashes."""
    lines = recommendation.render(result).splitlines()
    return "\n".join(lines[2 : next(i for i, line in enumerate(lines) if line.startswith(("Sources", "Again")))])


@pytest.mark.parametrize("guest", ["sev", "sev-snp-gmem"])
@pytest.mark.nightly
def test_two_machines_with_the_same_text_have_the_same_caches(answer, guest):
    seen = {}
    for machine in EVIDENCE.machines.values():
        if runs(guest, machine.id):
            text_of = body(answer(guest, machine.id, workload="teardown"))
            other = seen.setdefault(text_of, machine)
            assert (machine.llc_bytes_per_domain, machine.logical_cpus) == (
                other.llc_bytes_per_domain,
                other.logical_cpus,
            )
    assert len(seen) > 2


@pytest.mark.nightly
def test_two_guests_with_the_same_policy_meet_the_same_rules(answer):
    """SEV and SEV-ES differ in the VMSA; nothing else may hide behind the same text."""
    seen = {}
    for guest in GUESTS.values():
        if runs(guest.id, "epyc-7763-2s"):
            other = seen.setdefault(body(answer(guest.id, workload="teardown")), guest)
            assert other.properties == guest.properties


def test_every_trigger_of_the_guest_type_has_an_entry(answer):
    for guest in ("sev", "sev-es", "sev-snp-gmem"):
        expected = {t.id for t in TRIGGERS.values() if t.occurs_with(GUESTS[guest])}
        assert {e.trigger for e in answer(guest).policy} == expected


def test_a_basis_needs_what_it_says(answer):
    for guest in ("sev", "sev-es", "sev-snp", "sev-snp-gmem"):
        for entry in answer(guest, workload="teardown").policy:
            if entry.basis != "cost":
                assert entry.p_best is None and entry.cheapest is None and not entry.flips
            elif entry.p_best is not None:
                assert entry.p_best_of_cheapest >= entry.p_best
                assert entry.regret.expected_cpu_s_per_event >= 0
                assert entry.regret.worst_cpu_s_per_event >= 0


def test_the_cheapest_is_named_where_the_kernel_runs_another(answer):
    """A CPU that is not coherent flushes each page of a region that is registered; one WBINVD would take less."""
    result = answer("sev", machine="epyc-7742-2s", workload="teardown")
    chosen = entry(result, "reg_region_or_launch_update")
    assert (chosen.strategy, chosen.cheapest) == ("CLFLUSHOPT_DM_PINNED", "WBINVD_ALL")
    assert chosen.p_best + chosen.p_best_of_cheapest == pytest.approx(1.0)


def test_bounds_are_printed_as_bounds_where_a_prior_decides():
    low, high = P_BOUNDS
    assert probability(low, extrapolated=True).startswith("<=")
    assert probability(high, extrapolated=True).startswith(">=")
    assert probability(0.5, extrapolated=True) == probability(0.5, extrapolated=False) == "0.50"


@pytest.mark.parametrize("guest", ["sev", "sev-snp-gmem"])
@pytest.mark.parametrize("workload", sampled(["ksm-default", "teardown"], 2))
def test_nothing_dominated_is_worth_patching(answer, guest, workload):
    result = answer(guest, workload=workload, kernel="6.6" if guest == "sev" else "newest")
    patched = [a.id for a in result.worth_patching]
    for trigger in {t for a in result.worth_patching for t in a.triggers}:
        at = [a.id for a in result.worth_patching if trigger in a.triggers and a.id in STRATEGIES]
        assert not any(dominates(a, b) for a in at for b in at if not b.startswith("SKIP") and a[:4] == b[:4])
    assert len(patched) == len(set(patched))


def test_patches_without_studies_are_none():
    assert patches([]) == []


def test_no_whole_cache_flush_beats_the_lines_of_a_folio_when_a_guest_is_torn_down(answer):
    """A hook that knows one folio would flush whole caches 3.9 million times for 16 GB."""
    result = answer("sev-snp-gmem", workload="teardown")
    chosen = entry(result, "gmem_free_folio_teardown")
    assert chosen.strategy == chosen.cheapest == "CLFLUSHOPT_DM_GMEM"
    whole = row(result, "gmem_free_folio_teardown", "WBNOINVD_ALL")
    assert whole.event_time_s.low > 50 * row(result, "gmem_free_folio_teardown", chosen.strategy).event_time_s.high
    assert not any("gmem_free_folio_teardown" in advice.triggers for advice in result.worth_patching)


def test_what_splitting_entries_takes_is_a_gap_of_small_folios_only():
    told = {"evidence": EVIDENCE, "guest": "sev-snp-gmem", "machine": "epyc-7763-2s", "workload": "teardown"}
    small, huge = (recommend(**told, folio_bytes=size) for size in (4096, 2**21))
    assert any("PSMASH" in gap for gap in small.gaps) and not any("PSMASH" in gap for gap in huge.gaps)
    assert "--folio-bytes 2097152" in huge.command
    released = [row(r, "gmem_free_folio_teardown", "CLFLUSHOPT_DM_GMEM").event_time_s for r in (small, huge)]
    assert released[1].high < released[0].low


def test_a_folio_has_the_size_of_a_page_or_of_a_huge_page():
    with pytest.raises(BadInput, match="folio_bytes"):
        recommend("sev-snp-gmem", "epyc-7763-2s", evidence=EVIDENCE, folio_bytes=8192)


@pytest.mark.parametrize("kernel", ["6.12", "newest"])
def test_the_guest_s_wbinvd_is_executed_where_dma_bypasses_the_caches(answer, kernel):
    numbers = {"kernel": kernel, "cpus_that_ran": 4, "rates": {"guest_executes_wbinvd": 10.0}}
    told = {"guest": "plain", "machine": "xeon-8570-2s", "workload": "idle", **numbers}
    with_it = recommend(**told, noncoherent_dma=True, evidence=EVIDENCE)
    assert (with_it.headline_trigger, with_it.headline_strategy) == ("guest_executes_wbinvd", "WBINVD_MASK")
    flush = row(with_it, "guest_executes_wbinvd", "WBINVD_MASK")
    lost = flush.host_cpu_s_per_s
    assert lost.median == pytest.approx(10 * flush.stolen_cpu_s_per_event.median, rel=1e-6)
    assert row(with_it, "guest_executes_wbinvd", "NO_FLUSH").from_kernel is None
    assert entry(with_it, "vcpu_migration_between_pcpus").strategy == "NO_FLUSH"
    assert "--noncoherent-dma" in with_it.command and with_it.scenario["noncoherent_dma"] is True
    assert not any("--noncoherent-dma" in line for line in with_it.warnings)
    without = recommend(**told, evidence=EVIDENCE)
    assert entry(without, "guest_executes_wbinvd").strategy == "NO_FLUSH"
    assert without.headline_cost.startswith("0 (no flush)")
    assert [line for line in without.warnings if "--noncoherent-dma" in line]


def test_the_guest_s_wbinvd_has_no_published_rate(answer):
    result = answer("plain", noncoherent_dma=True)
    flush = row(result, "guest_executes_wbinvd", "WBINVD_MASK")
    assert flush.host_cpu_s_per_s is None and flush.stolen_cpu_s_per_event.median > 0
    assert "WBINVD that the guest executes is executed" in result.headline


@pytest.mark.nightly
def test_a_backport_that_was_dropped_is_named_on_its_series_only(answer):
    told = [line for line in answer("sev", kernel="6.12.61").warnings if "left out of the release" in line]
    assert len(told) == 2 and any("02cc77ed3ef1" in line for line in told)
    for guest, kernel in (("sev", "6.11"), ("sev", "newest"), ("plain", "6.12.61")):
        assert not any("left out of the release" in line for line in answer(guest, kernel=kernel).warnings)


# A kernel of which no source tells what was backported: an answer for each that it may behave as, never one as if known.

CASE = ("sev", "epyc-7763-2s", "autonuma-default")


def test_a_version_has_one_answer_and_its_json_is_the_recommendation():
    found = recommend_by_kernel(*CASE, "6.17")
    assert not found.several and len(found.answers) == 1
    assert found.as_json() == found.answers[0][1].model_dump(mode="json")


@pytest.mark.nightly
def test_each_behaviour_has_its_answer_and_the_numbers_that_were_asked_for():
    found = recommend_by_kernel(*CASE, "6.8.0-45-generic", vcpus=4)
    assert found.several and "Ubuntu" in found.why
    assert [one.kernel for one, _ in found.answers] == ["6.8.0", "6.17"]
    assert all(answer.scenario["vcpus"] == 4 for _, answer in found.answers)
    json = found.as_json()
    assert "/proc/kallsyms" in json["tell_apart"] and json["why_several"] == found.why
    assert [one["if"] for one in json["answers"]] == [kernel_ground(one) for one, _ in found.answers]


def test_the_api_refuses_with_all_that_it_may_be():
    with pytest.raises(SeveralKernels, match=r"it behaves as 6\.8\.0 or 6\.17") as refused:
        cm.case("sev", "epyc-7763-2s", kernel="6.8.0-45-generic")
    for one in refused.value.candidates:
        assert cm.case("sev", "epyc-7763-2s", kernel=one.kernel).guest == "sev"


def test_the_api_knows_ids_in_any_case_and_builds_that_were_read():
    case = cm.case("SEV", "Milan", kernel="5.14.0-503.11.1.el9_5.x86_64")
    assert case.scenario.guest == "sev" and case.machine == "epyc-7763-2s"
    assert case.scenario.kernel == "v6.11-v6.16" and case.scenario.version == "5.14.0-503.11.1.el9_5.x86_64"
