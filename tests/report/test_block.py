"""The sentences about upstream, and what is said where the first row does not flush."""

import pytest

from costmodel.report.alternatives import alternatives
from costmodel.report.block import history, releases, statement

EPYC = "epyc-7763-2s"


def text(lines):
    return " ".join(" ".join(lines).split())


def test_every_decision_between_the_rows_is_told_in_order():
    said = text(history(alternatives(["sev"], EPYC, kernel_names=["5.11", "6.17"])))
    assert said == (
        "Upstream v5.18 began to flush here for AMD SEV with WBINVD on all online CPUs (commit 683412ccf612). "
        "Upstream v6.17 replaced WBINVD by WBNOINVD for AMD SEV (commit a77896eea33d) and flushes only the CPUs that "
        "ran the guest (commit 6f38f8c57464)."
    )


def test_guest_types_that_a_release_treats_alike_share_a_sentence():
    found = alternatives(["sev", "sev-es"], EPYC)
    assert [guests for guests, _ in releases(found.upstream)] == [["AMD SEV", "AMD SEV-ES"]]
    assert text(history(found)).count("a77896eea33d") == 1


@pytest.mark.parametrize(
    ("guest", "kernel_names", "trigger", "said"),
    [
        (
            "sev",
            ["5.11", "6.17"],
            None,
            "at a NUMA balancing scan (sev, v5.11): flushes can be lost there. One flush",
        ),
        (
            "sev-snp-gmem",
            ["6.12"],
            "ksm_replace_page",
            ": none is needed because the event cannot reach private memory.",
        ),
        ("sev", ["6.17", "newest"], "intra_host_migration_move_ctx", "at an intra-host migration (source VM)"),
        ("sev", ["6.17"], "vm_destroy", "at a VM destruction (sev, v6.17-v7.2): none is needed."),
    ],
)
def test_a_first_row_without_a_flush_says_so_and_whether_flushes_are_lost(guest, kernel_names, trigger, said):
    found = text(statement(alternatives([guest], EPYC, kernel_names=kernel_names, trigger=trigger)))
    assert found.startswith("There is no flush at a") and said in found
    assert "costs the host 0 " not in found
