"""The sentence on top: what to do here and now."""

import re

import numpy
import pytest

from costmodel.cost.scenario import not_applicable, scenario
from costmodel.evidence.store import load
from costmodel.kvm.catalog import GUESTS, STRATEGIES
from costmodel.report.recommendation import render
from costmodel.report.sentences import bound
from tests.samples import sampled

EVIDENCE = load()
MERGEABLE = {"vmm": "other", "pinned": False, "mergeable": True}
"""A guest that KSM reaches."""
ALL = [
    (guest, machine)
    for guest in GUESTS
    for machine in EVIDENCE.machines
    if not not_applicable(scenario(EVIDENCE, guest, machine, "ksm-default"))
]


@pytest.mark.parametrize(("guest", "machine"), sampled(ALL, 20))
def test_the_headline_names_a_trigger_of_the_workload(answer, guest, machine):
    result = answer(guest, machine, workload="ksm-default")
    assert result.headline_trigger in {"ksm_write_protect", "ksm_replace_page"}


@pytest.mark.parametrize("guest", ["sev-snp-gmem"])
def test_no_flush_in_the_workload_means_nothing_to_do(answer, guest):
    result = answer(guest)
    assert result.headline.startswith("Nothing to do under this workload")
    assert STRATEGIES[result.headline_strategy].instruction == "none"


@pytest.mark.parametrize("kernel", sampled(["newest", "6.6", "6.17"], 3))
def test_an_idle_sev_host_has_nothing_to_do_and_is_told_what_comes_between_guests(answer, kernel):
    """What an operator with NUMA balancing off asks: no upgrade that saves nothing is put first."""
    result = answer("sev", workload="idle", kernel=kernel)
    assert result.headline.startswith("Nothing to do: under this workload nothing flushes memory of this guest while")
    assert "ASID recycling" in result.headline and "Upgrade" not in result.headline
    assert result.headline_cost.startswith("0 while the guest runs; at ASID recycling: total refused")


def test_that_a_guest_ends_for_an_hour_is_not_nothing(answer):
    assert "Nothing to do" not in answer("tdx", "xeon-8570-2s", workload="teardown").headline


def test_a_workload_without_an_event_of_the_guest_type_means_nothing_to_do(answer):
    result = answer("tdx", "xeon-8570-2s", workload="idle", kernel="newest")
    assert result.headline == "Nothing to do under this workload: none of its events flushes memory of this guest."
    assert result.headline_cost.startswith("0 (no flush) under this workload; outside it one ")
    assert "of CPU time with CLFLUSHOPT" in result.headline_cost and "RMPUPDATE" not in result.headline_cost


def test_a_rate_that_is_given_makes_an_event_of_the_workload(answer):
    result = answer(
        "tdx",
        "xeon-8570-2s",
        workload="idle",
        kernel="newest",
        rates=(("convert_shared_to_private_or_page_add", 10.0),),
    )
    assert result.headline_trigger == "convert_shared_to_private_or_page_add" and "Nothing to do" not in result.headline


def test_the_costliest_flush_outside_the_workload_is_still_told(answer):
    result = answer("sev-snp-gmem")
    assert result.costliest_trigger == "gmem_free_folio_teardown"
    found = re.search(
        r"outside it one guest_memfd page release takes (\S+) \[.*?\] s of CPU time with CLFLUSHOPT .*, "
        r"(\S+) \[.*?\] s of it in RMPUPDATE",
        result.headline_cost,
    )
    assert found and 0 < float(found[2]) < float(found[1])
    assert result.objectives and result.sensitivities


def test_a_plain_guest_has_no_flush_anywhere(answer):
    result = answer("plain")
    assert result.costliest_trigger is None
    assert result.headline_cost == "0 (no flush)"


def test_a_guest_type_out_of_tree_is_told_to_move(answer):
    result = answer("sev-snp")
    assert result.headline.startswith("Move to AMD SEV-SNP with guest_memfd (--guest sev-snp-gmem): ")
    move = next(a for a in result.do_now if a.kind == "guest")
    lost = next(
        r for r in result.costs if (r.trigger, r.strategy) == (result.headline_trigger, result.headline_strategy)
    )
    assert move.saves_cpu_s_per_s.median == pytest.approx(lost.host_cpu_s_per_s.median)
    assert any("never in mainline" in warning for warning in result.warnings)


def test_all_triggers_of_the_workload_are_summed(answer):
    result = answer("sev", workload="ksm-default", **MERGEABLE)
    cpus = [
        r.host_cpu_s_per_s.median
        for r in result.costs
        if r.strategy == "WBNOINVD_MASK" and r.trigger in ("ksm_write_protect", "ksm_replace_page")
    ]
    saved = next(a for a in result.remedies if "KSM" in a.title).saves_cpu_s_per_s.median
    assert saved == pytest.approx(sum(cpus), rel=0.05)
    assert "at all 2 triggers" in result.headline_cost


def test_an_upgrade_that_saves_nearly_all_needs_no_remedy_beside_it(answer):
    assert " and " not in answer("sev-snp").headline
    assert ", and " in answer("sev", kernel="6.6").headline


def test_interrupts_off_are_held_against_the_limits(answer):
    text = next(t for t in answer("sev").assumptions if "interrupts are off" in t)
    for row in ("L01", "L02", "L03", "L04"):
        assert row in text


def test_a_plain_guest_is_told_what_is_not_modelled(answer):
    """No cache flush is not the same as nothing to do: its invalidations zap and shoot down."""
    result = answer("plain")
    assert result.headline.startswith("No flush: ") and "balancing off" in result.headline
    assert "Nothing to do" not in result.headline
    assert any("--noncoherent-dma" in warning for warning in result.warnings)
    assert not any("--noncoherent-dma" in warning for warning in answer("sev").warnings)


@pytest.mark.parametrize("kernel", sampled(["6.12", "6.17"], 2))
@pytest.mark.parametrize("machine", sampled(["epyc-7763-2s", "epyc-9654-2s"], 2))
@pytest.mark.parametrize("folio", sampled([4096, 2**21], 2))
def test_an_snp_guest_under_qemu_has_no_region_to_unregister(answer, machine, kernel, folio):
    """QEMU registers none for SNP: what costs most is the release of guest_memfd pages, or where its folios are huge
    and the machine's caches large, what the end of the VM flushes.
    """
    result = answer("sev-snp-gmem", machine, kernel=kernel, folio_bytes=folio)
    ends = ["gmem_free_folio_teardown", *(["vm_destroy"] if folio > 4096 and machine == "epyc-9654-2s" else [])]
    assert result.costliest_trigger in ends
    assert "unregistration" not in result.headline_cost
    rows = [row for row in result.costs if row.trigger == "unreg_region"]
    assert rows and not any(row.fires for row in rows)


@pytest.mark.nightly
def test_a_cpu_without_wbnoinvd_is_told_what_it_executes(answer):
    """Naples has WBINVD only; the kernel's masked write-back falls back to it."""
    naples, milan = (answer("sev", machine, kernel="6.17") for machine in ("epyc-7601-2s", "epyc-7763-2s"))
    title = "WBINVD on the CPUs that ran the guest (this CPU has no WBNOINVD)"
    assert title in naples.headline and f"6.17 runs {title}" in [a.title for a in naples.do_now]
    assert all("WBNOINVD on" not in text for text in (naples.headline, naples.headline_cost))
    assert any(text.startswith("this CPU has no WBNOINVD") for text in naples.warnings)
    assert "WBNOINVD on the CPUs" in milan.headline and not any("no WBNOINVD" in text for text in milan.warnings)


@pytest.mark.parametrize("kernel", ["6.6", "6.17", "newest"])
def test_a_loss_stands_beside_its_total_and_no_share_can_disagree(answer, kernel):
    text = answer("sev", kernel=kernel).headline_cost
    assert " of 256 host CPUs" in text and "%" not in text


def test_sentences_are_those_of_an_engineer(answer):
    result = answer("sev", kernel="6.17", cpus_that_ran=8)
    shown = " ".join(render(result).split())
    assert "the thread behind the events waits for its own flush, so there are at most" in shown
    assert "page faults are practically not delayed" in shown and "cheapest in every draw" in shown
    for odd in (
        "slows itself down",
        "regret 0",
        " 1/s",
        "flushes in line",
        "VMs that lose",
        "(dominated)",
        "saturate",
        "outside this workload",
    ):
        assert odd not in shown, odd
    for said in (
        "it is a subset of every other safe flush",
        "(no safe choice is cheaper)",
        "almost nothing of a range",
    ):
        assert said in shown, said
    assert "'-' marks unsafe strategies, '?' those whose condition you must check" in shown
    assert "in progress at most" in shown and "stands still at most" in shown


# Where a total is refused: what is known of it all the same.


def test_the_flush_on_all_cpus_bounds_asid_recycling_from_below(study):
    one = study("asid_recycle", workload="teardown")
    text = bound(one, load())
    assert text.startswith("at least ") and "WBINVD_ALL" in text and "EXTRAPOLATED" in text
    assert one.cost("DF_FLUSH_SEQ").refused and float(numpy.median(one.cost("WBINVD_ALL").event.stolen_s)) > 0


@pytest.mark.parametrize(
    ("resident_bytes", "rows"),
    [(16e9, ("S06a", "S07a")), (50e9, ("S06b", "S07b")), (400e9, ("S06c", "S07c")), (1e12, ("S06c", "S07c"))],
)
@pytest.mark.parametrize("trigger", ["gmem_free_folio_teardown", "hkid_free_vm_teardown"])
def test_measured_shutdowns_contain_the_write_back_of_a_tdx_guest(study, trigger, resident_bytes, rows):
    one = study(trigger, "tdx", "teardown", machine="xeon-8570-2s", resident_bytes=resident_bytes)
    text = bound(one, load())
    assert all(f"row {row}" in text for row in rows)


def test_a_total_that_is_given_and_a_page_on_its_own_have_no_bound(study):
    assert bound(study("autonuma_prot_none_scan"), load()) == ""
    assert bound(study("tdr_page_free", "tdx", "teardown", machine="xeon-8570-2s"), load()) == ""


def test_the_answer_says_so(answer):
    result = answer("tdx", machine="xeon-8570-2s", workload="teardown", resident_bytes=400e9)
    assert "S07c" in result.headline_cost
    assert any("S06c" in gap for gap in result.gaps)


def test_the_limit_of_csd_lock_says_what_it_needs(answer):
    (line,) = [text for text in answer("sev").assumptions if "interrupts are off" in text]
    assert "only with CONFIG_CSD_LOCK_WAIT_DEBUG" in line
