"""What lies between two kernels."""

from costmodel.decision.history import introduced, steps


def test_what_came_with_a_guest_type():
    assert introduced("sev-snp-gmem") == "v6.8-v6.10" and introduced("sev") == "v5.11"


def test_a_comparison_in_mainline_names_the_mainline_release():
    """v5.15.70 is a backport: who goes from v5.11 to v6.6 meets the hook in v5.18."""
    assert [step.kernel for step in steps("sev", "ksm_replace_page", "v5.11", "v5.18-v6.7")] == ["v5.18-v6.7"]
    assert [step.kernel for step in steps("sev", "ksm_replace_page", "v5.11", "v5.15.70+")] == ["v5.15.70+"]
    [step] = steps("sev-es", "vmsa_page_free", "v5.11", "v5.15.70+")
    assert [one.number for one in step.decisions] == [3]
