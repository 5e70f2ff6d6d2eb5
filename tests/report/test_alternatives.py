"""The rows of a mail's table: kernel by kernel, the mask twice, successors, measured values."""

import pytest

from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.store import load
from costmodel.kvm.catalog import STRATEGIES
from costmodel.report.alternatives import alternatives, decided, told, with_successors
from costmodel.report.measured import observed
from costmodel.report.reply_text import short_answer

EPYC = "epyc-7763-2s"


def rows(*guests, **options):
    found = alternatives(guests, EPYC, **options)
    return [(r.guest, r.where, r.strategy, r.cpus) for r in found.rows]


def test_what_each_kernel_does_to_a_sev_guest():
    assert rows("sev") == [
        ("sev", "v5.18-v6.16", "WBINVD_ALL", 256),
        ("sev", "v6.17-v6.18", "WBNOINVD_MASK", 256),
        ("sev", "v6.17-v6.18", "WBNOINVD_MASK", 8),
        ("sev", "v6.19 on", "WBNOINVD_MASK", 256),
        ("sev", "v6.19 on", "WBNOINVD_MASK", 8),
    ]


def test_the_number_of_cpus_may_be_given():
    assert rows("sev", cpus_that_ran=16)[1:] == [
        ("sev", "v6.17-v6.18", "WBNOINVD_MASK", 16),
        ("sev", "v6.19 on", "WBNOINVD_MASK", 16),
    ]


def test_a_guest_that_was_never_upstream_is_followed_by_its_successor():
    assert with_successors(["sev-snp", "sev"]) == ["sev-snp", "sev-snp-gmem", "sev"]
    assert rows("sev-snp") == [
        ("sev-snp", "out of tree", "WBINVD_ALL", 256),
        ("sev-snp-gmem", "v6.11 on", "SKIP_UNREACHABLE", 0),
    ]


def test_tdx_begins_with_v6_16():
    found = alternatives(["tdx"], "xeon-8570-2s")
    assert [(r.where, r.strategy) for r in found.rows] == [("v6.16 on", "SKIP_UNREACHABLE")]


def test_tdx_has_no_kernel_before_v6_16():
    found = alternatives(["tdx"], "xeon-8570-2s", kernel_names=["6.16", "6.17"])
    assert [r.where for r in found.rows] == ["v6.16", "v6.17-v6.18"]


def test_hosts_out_of_tree_are_one_row_whatever_kernels_are_asked_for():
    found = alternatives(["sev-snp"], EPYC, kernel_names=["6.6", "6.17"])
    assert [(r.guest, r.where) for r in found.rows] == [("sev-snp", "out of tree"), ("sev-snp-gmem", "v6.17-v6.18")]


def test_kernels_asked_for_are_shown_safe_or_not():
    found = alternatives(["sev"], EPYC, kernel_names=["5.11", "6.6"], trigger="ksm_replace_page")
    assert [(r.where, r.state) for r in found.rows] == [("v5.11", "inadmissible"), ("v5.18-v6.7", "admissible")]


def test_a_strategy_asked_for_stands_last_with_its_list_status():
    last = alternatives(["sev"], EPYC, strategies=["CLFLUSHOPT_UVA"]).rows[-1]
    assert last.asked and last.state == "inadmissible" and "not merged" in last.note


def test_the_decisions_between_the_rows():
    found = alternatives(["sev-snp", "sev"], EPYC).upstream
    assert [(u.version, u.commit) for u in found] == [
        ("v6.11", "commit ea262f8a7c36"),
        ("v6.17", "commit a77896eea33d"),
        ("v6.17", "commit 6f38f8c57464"),
    ]


@pytest.mark.parametrize("kernel_names", [["5.11", "6.17"], ["6.17", "5.11"]])
def test_what_a_decision_replaced_is_not_what_the_row_before_does(kernel_names):
    """v5.11 does not flush, but v6.17 replaced the flush that v5.18 had brought."""
    found = alternatives(["sev"], EPYC, kernel_names=kernel_names).upstream
    assert [(u.version, u.number, u.before) for u in found] == [
        ("v5.18", 4, "no flush"),
        ("v6.17", 14, "WBINVD on all online CPUs"),
        ("v6.17", 15, "WBNOINVD on all online CPUs"),
    ]


def test_the_successor_comes_with_its_own_decisions_only():
    assert [u.number for u in alternatives(["sev-snp"], EPYC, kernel_names=["6.17"]).upstream] == [9]
    assert not alternatives(["sev-snp-gmem"], EPYC, kernel_names=["6.17"]).upstream


def test_limits_are_named():
    found = alternatives(["sev"], EPYC)
    assert any("no rate is published" in text for text in found.not_covered)
    assert any("no EPYC timing is public" in text for text in found.priors)
    assert found.rate_is.startswith("ceiling")


def test_measured_values_have_n_and_spread():
    host = observed(load(), "epyc-genoa-4cpu-vm")
    assert host.kernel == "6.18.44" and host.values
    for value in host.values:
        assert value.n >= 10 and value.runs >= 2
        assert value.interval.low <= value.interval.median <= value.interval.high and not value.interval.extrapolated


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"guests": []}, BadInput),
        ({"guests": ["tdx"]}, BadInput),
        ({"guests": ["sev"], "trigger": "gmem_punch_hole"}, BadInput),
        ({"guests": ["sev"], "trigger": "nothing"}, UnknownName),
        ({"guests": ["sev"], "strategies": ["NOTHING"]}, UnknownName),
        ({"guests": ["sev"], "measured": ["nowhere"]}, UnknownName),
        ({"guests": ["sev-snp-gmem"], "kernel_names": ["6.6"], "trigger": "gmem_punch_hole"}, BadInput),
    ],
)
def test_what_cannot_be_shown_is_refused(options, error):
    with pytest.raises(error):
        alternatives(options.pop("guests"), EPYC, **options)


# What upstream decided, in words.


@pytest.mark.parametrize(
    ("before", "after", "change", "more"),
    [
        ("WBINVD_ALL", "WBNOINVD_ALL", "replaced WBINVD by WBNOINVD", ""),
        ("WBNOINVD_ALL", "WBNOINVD_MASK", "flushes only the CPUs that ran the guest", ""),
        ("NO_FLUSH", "WBINVD_ALL", "began to flush here", "with WBINVD on all online CPUs"),
        ("WBINVD_ALL", "NO_FLUSH", "no longer flushes here", ""),
        ("", "SKIP_UNREACHABLE", "does not flush here", "because the event cannot reach private memory"),
        ("", "TDX_PAGE_WBINVD", "flushes here", "with TDH.PHYMEM.PAGE.WBINVD of each page"),
        (
            "WBINVD_ALL",
            "WBNOINVD_MASK",
            "replaced WBINVD on all online CPUs by WBNOINVD on the CPUs that ran the guest",
            "",
        ),
    ],
)
def test_a_step_in_words(before, after, change, more):
    assert told([before] if before else [], [after]) == (change, more)


def test_where_the_cpu_decided_the_reason_is_told():
    [one] = decided("sev-es", "vmsa_page_free", "v5.11", "v7.3-rc")
    assert one.number == 3 and one.change == "began to flush here"
    assert one.more.endswith("where it did not because the CPU keeps encrypted lines coherent")


def test_the_fix_of_the_intra_host_migration():
    [one] = decided("sev", "intra_host_migration_move_ctx", "v6.17-v7.2", "v7.3-rc")
    assert (one.number, one.version, one.before) == (20, "v7.3-rc5", "no flush")


def test_nothing_is_decided_within_one_range():
    assert decided("sev", "ksm_replace_page", "v5.18-v6.7", "v5.18-v6.7") == []


def test_an_answer_says_why_an_unsafe_flush_is_unsafe_and_not_where_it_stands_on_the_list():
    found = alternatives(["sev"], EPYC, trigger="asid_recycle", strategies=["WBINVD_MASK"])
    text = " ".join(short_answer(found))
    assert "can lose a flush, though: the firmware refuses a recycled ASID without WBINVD on all CPUs" in " ".join(
        text.split()
    )
    assert STRATEGIES["WBINVD_MASK"].list_status not in text
