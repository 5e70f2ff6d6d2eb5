"""What upstream decided between two kernels, for a mail and for a comparison."""

import pytest

from costmodel.decision.history import decided, introduced, steps, told


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


def test_what_came_with_a_guest_type():
    assert introduced("sev-snp-gmem") == "v6.8-v6.10" and introduced("sev") == "v5.11"


def test_a_comparison_in_mainline_names_the_mainline_release():
    """v5.15.70 is a backport: who goes from v5.11 to v6.6 meets the hook in v5.18."""
    assert [step.kernel for step in steps("sev", "ksm_replace_page", "v5.11", "v5.18-v6.7")] == ["v5.18-v6.7"]
    assert [step.kernel for step in steps("sev", "ksm_replace_page", "v5.11", "v5.15.70+")] == ["v5.15.70+"]
    [step] = steps("sev-es", "vmsa_page_free", "v5.11", "v5.15.70+")
    assert [one.number for one in step.decisions] == [3]
