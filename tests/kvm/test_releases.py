"""Stable series: which releases have which fixes, and what a kernel does because of them."""

import re

import pytest

from costmodel.errors import BadInput
from costmodel.kvm import kernels, predicates
from costmodel.kvm.admissibility import judge
from costmodel.kvm.decisions import decisions
from costmodel.kvm.releases import backport, backports, dotted, read_backports, releases
from costmodel.report.kernels import kernel_notes

MOVE = "intra_host_migration_move_ctx"


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize("guest", ["sev", "sev-es"])
@pytest.mark.parametrize(
    ("version", "flushes"),
    [
        ("6.12.61", False),
        ("6.12.112", False),
        ("6.17", False),
        ("6.18", False),
        ("6.18.54", False),
        ("6.18.55", True),
        ("6.18.56", True),
        ("6.19.55", False),
        ("7.2", False),
        ("7.2.8", False),
        ("7.2.9", True),
        ("7.3-rc5", True),
    ],
)
def test_a_patch_level_tells_whether_the_source_of_a_move_is_flushed(guest, version, flushes):
    kernel, release = kernels.resolve(version), kernels.release(version)
    done = kernels.upstream(guest, MOVE, kernel, release)
    assert (done.strategies == ("WBNOINVD_MASK",)) is flushes
    known = predicates.known(guest, MOVE, {"wbnoinvd": True}, kernel, release)
    states = {name: judge(guest, MOVE, name, known).state for name in done.strategies}
    assert set(states.values()) == {"admissible" if flushes else "inadmissible"}


def test_what_was_left_out_of_a_release_is_in_none():
    """The mask was queued for 6.12.112 and is not in it: 6.12 flushes all CPUs."""
    for version in ("6.12", "6.12.111", "6.12.112", "6.12.200"):
        done = kernels.upstream("sev", "ksm_replace_page", kernels.resolve(version), kernels.release(version))
        assert done.strategies == ("WBINVD_ALL",)
        notes = kernel_notes("sev", kernels.resolve(version), kernels.release(version), version)
        assert sum("left out of the release" in note for note in notes) == 2
    assert kernel_notes("plain", kernels.resolve("6.12"), (6, 12, 0), "6.12") == []


@pytest.mark.usefixtures("mended")
@pytest.mark.parametrize(("version", "word"), [("6.18.54", "lacks this, 6.18.55 has it"), ("6.18.55", "has this")])
def test_a_release_is_told_what_its_series_mends(version, word):
    (note,) = kernel_notes("sev", kernels.resolve(version), kernels.release(version), version)
    assert note.startswith(version) and word in note


@pytest.mark.parametrize("version", ["6.18.55", "7.2.9"])
def test_half_of_a_fix_is_no_fix(version):
    """That the flush runs before the SEV state is cleared (973ea70393e8) is queued only."""
    done = kernels.upstream("sev", MOVE, kernels.resolve(version), kernels.release(version))
    assert done.strategies != ("WBNOINVD_MASK",)
    assert any(
        "only queued" in note
        for note in kernel_notes("sev", kernels.resolve(version), kernels.release(version), version)
    )


def test_the_newest_range_is_told_as_what_was_read_of_it():
    (note,) = kernel_notes("sev", "v7.3-rc", (7, 3, 0), "v7.3-rc")
    assert "v7.3-rc5" in note and "2026-09" in note and "no release of it was read" in note
    assert kernel_notes("sev", "v6.8-v6.10", (6, 8, 0), "6.8") == []


def test_a_fix_is_a_decision_of_the_list_at_its_triggers():
    for fix in backports():
        decision = next(d for d in decisions() if d.number == fix.decision)
        assert fix.guests <= decision.guests and fix.triggers <= decision.triggers
        assert set(fix.strategies) <= set(decision.strategies)


def test_a_released_fix_is_no_newer_than_the_release_that_was_seen():
    seen = {release.version[:2]: release.version for release in releases()}
    for fix in backports():
        if fix.first is not None:
            assert backport(next(iter(fix.guests)), next(iter(fix.triggers)), seen[fix.series]) is not None
            assert fix.first <= seen[fix.series]


def test_releases_are_of_catalogued_kernels_and_no_candidates():
    for release in releases():
        assert kernels.resolve(release.name) != kernels.newest()
        assert re.fullmatch(r"\d+\.\d+\.\d+", release.name) and release.name == dotted(release.version)


HEADER = "decision,series,first_release,status,date,commit,guest_types,triggers,strategy,source,note\n"


@pytest.mark.parametrize(
    ("row", "field"),
    [
        ("20,6.18,,released,2026,a,sev,any,WBNOINVD_MASK,b,", "first_release"),
        ("20,6.18,6.18.5,queued,2026,a,sev,any,WBNOINVD_MASK,b,", "first_release"),
        ("20,6.18,6.17.5,released,2026,a,sev,any,WBNOINVD_MASK,b,", "first_release"),
        ("20,six,6.18.5,released,2026,a,sev,any,WBNOINVD_MASK,b,", "series"),
        ("20,6.18,6.18.5,merged,2026,a,sev,any,WBNOINVD_MASK,b,", "status"),
        ("20,6.18,6.18.5,released,2026,a,seven,any,WBNOINVD_MASK,b,", "guest_types"),
    ],
)
def test_a_row_that_does_not_fit_is_refused(row, field, tmp_path):
    path = tmp_path / "backports.csv"
    path.write_text(HEADER + row + "\n", encoding="utf-8")
    with pytest.raises(BadInput, match=field):
        read_backports(path)
