"""What the kernel offers at a trigger, and what it does there."""

import pytest

from costmodel.cost.scenario import scenario
from costmodel.decision.candidates import candidates, running_strategies
from costmodel.evidence.store import load
from costmodel.kvm.strategies import STRATEGIES

SCAN = "autonuma_prot_none_scan"


def found(kernel, guest="sev", trigger=SCAN):
    case = scenario(load(), guest, "epyc-7763-2s", "autonuma-default", kernel)
    return {one.strategy: one for one in candidates(case, trigger)}


def test_every_strategy_is_judged():
    assert set(found("newest")) == set(STRATEGIES)


@pytest.mark.parametrize(
    ("kernel", "offered"),
    [
        ("6.6", {"WBINVD_ALL", "VM_PAGE_FLUSH"}),
        ("6.17", {"WBINVD_ALL", "WBNOINVD_ALL", "WBINVD_MASK", "WBNOINVD_MASK", "CLFLUSHOPT_DM_GMEM"}),
    ],
)
def test_a_kernel_offers_what_it_or_an_older_one_brought(kernel, offered):
    """WBNOINVD and the mask came with v6.17, the release of guest_memfd pages with v6.11; nobody merged the rest."""
    by_kernel = found(kernel)
    assert offered <= {name for name, one in by_kernel.items() if one.offered}
    late = {"WBNOINVD_ALL", "WBNOINVD_MASK", "CLFLUSHOPT_DM_GMEM"} if kernel == "6.6" else set()
    never = {"CLFLUSHOPT_UVA", "CLFLUSHOPT_DM_SPTE", "ARM_CMO_RANGE", "SKIP_COHERENT"}
    assert not (late | never) & {name for name, one in by_kernel.items() if one.offered}


def test_to_skip_a_flush_takes_a_kernel_that_skips_it():
    assert not found("newest")["NO_FLUSH"].offered
    aging = found("newest", trigger="access_bit_aging")["NO_FLUSH"]
    assert aging.running and aging.offered and not aging.flushes


@pytest.mark.parametrize(("kernel", "running"), [("6.6", {"WBINVD_ALL"}), ("6.17", {"WBNOINVD_MASK"})])
def test_what_the_kernel_does_is_marked(kernel, running):
    by_kernel = found(kernel)
    assert {name for name, one in by_kernel.items() if one.running} == running
    assert all(by_kernel[name].offered and by_kernel[name].flushes for name in running)


def test_of_a_trigger_that_is_not_catalogued_nothing_is_known():
    case = scenario(load(), "plain", "epyc-7763-2s", "autonuma-default", "6.6")
    assert running_strategies(case, "access_bit_aging") == ()


def test_safe_means_that_every_predicate_is_known_to_hold():
    for one in found("newest").values():
        assert one.safe == (one.verdict.state == "admissible")
    assert found("newest")["WBNOINVD_MASK"].safe
    assert not found("newest")["NO_FLUSH"].safe
    assert not found("6.6")["WBNOINVD_MASK"].safe


def test_pinned_pages_are_flushed_only_where_the_event_knows_them():
    """sev_clflush_pages() takes the pages of a region; a notifier brings user addresses."""
    assert not found("newest")["CLFLUSHOPT_DM_PINNED"].offered
    assert found("newest", trigger="unreg_region")["CLFLUSHOPT_DM_PINNED"].offered
