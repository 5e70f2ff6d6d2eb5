"""What each kernel does, beside the recommendation; where every number comes from."""

import pytest

from costmodel.evidence.store import load
from costmodel.kvm.kernels import KERNEL_RANGES


def rows(result, trigger):
    return {row.kernel: row for row in result.upstream if row.trigger == trigger}


def test_the_history_of_the_sev_hook(answer):
    history = rows(answer("sev"), "autonuma_prot_none_scan")
    assert tuple(history) == KERNEL_RANGES
    assert [history[k].strategy for k in KERNEL_RANGES] == [
        "NO_FLUSH",
        "WBINVD_ALL",
        "WBINVD_ALL",
        "WBINVD_ALL",
        "WBINVD_ALL",
        "WBNOINVD_MASK",
        "WBNOINVD_MASK",
    ]


def test_agreement_is_said_per_kernel(answer):
    history = rows(answer("sev"), "autonuma_prot_none_scan")
    assert (history["v5.11"].agrees, history["v5.11"].why) == ("no", "can lose a flush")
    assert history["v6.8-v6.10"].agrees == "no" and "WBNOINVD_MASK" in history["v6.8-v6.10"].why
    assert history["v7.3-rc"].agrees == "yes"


def test_snp_skips_the_notifier_since_guest_memfd(answer):
    history = rows(answer("sev-snp-gmem"), "autonuma_prot_none_scan")
    assert list(history) == ["v6.11-v6.16", "v6.17-v7.2", "v7.3-rc"]
    assert {row.strategy for row in history.values()} == {"SKIP_UNREACHABLE"}


def test_every_row_says_where_it_was_read(answer):
    for guest in ("plain", "sev", "sev-es", "sev-snp-gmem"):
        assert all(row.locator for row in answer(guest).upstream)


def test_only_numbers_that_were_used_are_listed(answer):
    numa = {source.id for source in answer("sev").sources}
    ksm = {source.id for source in answer("sev", workload="ksm-default").sources}
    assert {"W01", "W02"} <= numa & ksm
    assert "N11" in ksm - numa
    assert "N09" in numa - ksm


def test_a_measured_host_is_a_source_with_its_date(answer):
    result = answer("sev", machine="epyc-genoa-4cpu-vm")
    own = next(source for source in result.sources if source.id.startswith("hosts/"))
    assert own.date == load().host("epyc-genoa-4cpu-vm").measured_on
    assert own.kind == "measured"


def test_a_source_names_title_author_and_place(answer):
    evidence = load()
    for source in answer("sev").sources:
        if source.id in evidence.measurements:
            row = evidence.one(source.id)
            assert (source.title, source.locator) == (row.source_title, row.source_locator)


def test_a_catalogued_machine_has_nothing_measured(answer):
    assert answer("sev").measured == []


def test_a_measured_host_shows_what_it_measured(answer):
    found = {row.what: row for row in answer("sev", machine="epyc-genoa-4cpu-vm").measured}
    assert any(what.startswith("CLFLUSHOPT, dirty lines") for what in found)
    assert any("neighbour" in what for what in found)
    ksm = next(row for what, row in found.items() if what == "invalidations by ksm")
    assert "4.00 KiB" in ksm.detail
    assert any(row.what == "finding" and "virtual machine" in row.value for row in found.values()) or any(
        "virtual machine" in row.value
        for row in answer("sev", machine="epyc-genoa-4cpu-vm").measured
        if row.what == "finding"
    )


@pytest.mark.parametrize("guest", ["sev", "sev-snp-gmem"])
def test_hashes_name_the_inputs(answer, guest):
    result = answer(guest)
    assert result.data_hash == load().data_hash
    other = answer(guest, machine="epyc-9654-2s")
    assert other.asked_hash != result.asked_hash and other.data_hash == result.data_hash
