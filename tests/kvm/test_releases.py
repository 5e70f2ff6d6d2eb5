"""Versions of kernels: which releases have which fixes, what a kernel does because of them, and what `uname -r` tells."""

import re

import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.kvm import kernels, predicates, releases
from costmodel.kvm.admissibility import judge
from costmodel.kvm.kernels import KERNELS, decisions
from costmodel.kvm.releases import backport, backports, dotted, read_backports
from costmodel.report.names import kernel_notes

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


def newer_than_seen(seen):
    """Released fixes that no release which was seen has, `seen` by series."""
    return [
        fix.first
        for fix in releases.backports()
        if fix.first is not None
        and (
            fix.first > seen[fix.series]
            or backport(next(iter(fix.guests)), next(iter(fix.triggers)), seen[fix.series]) is None
        )
    ]


SEEN = {release.version[:2]: release.version for release in releases.releases()}


def test_a_released_fix_is_no_newer_than_the_release_that_was_seen():
    assert newer_than_seen(SEEN) == []


@pytest.mark.usefixtures("mended")
def test_a_fix_that_is_newer_than_what_was_seen_is_found():
    """No fix of the data is released, so two are planted: in the releases that were seen, and in none of them."""
    assert newer_than_seen(SEEN) == []
    assert newer_than_seen({**SEEN, (6, 18): (6, 18, 54)}) == [(6, 18, 55)]
    assert newer_than_seen({**SEEN, (6, 18): (6, 18, 54), (7, 2): (7, 2, 8)}) == [(6, 18, 55), (7, 2, 9)]


def test_releases_are_of_catalogued_kernels_and_no_candidates():
    for release in releases.releases():
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


@pytest.mark.parametrize(
    ("text", "version", "builder", "number"),
    [
        ("6.12.61", (6, 12, 61), "kernel.org", (61,)),
        ("v6.17", (6, 17, 0), "kernel.org", (0,)),
        ("7.3-rc5", (7, 3, 0), "kernel.org", (0,)),
        ("6.16.0-rc5", (6, 16, 0), "kernel.org", (0,)),
        ("4.18.0-553.66.1.el8_10.x86_64", (4, 18, 0), "el8", (553, 66, 1)),
        ("6.12.0-55.9.1.el10_0.x86_64", (6, 12, 0), "el10", (55, 9, 1)),
        ("5.15.0-316.196.4.1.el9uek.x86_64", (5, 15, 0), "uek", ()),
        ("6.1.141-155.222.amzn2023.x86_64", (6, 1, 141), "amazon", ()),
        ("6.8.12-4-pve", (6, 8, 12), "proxmox", (4,)),
        ("6.14.5-1-bpo12-pve", (6, 14, 5), "proxmox", (1,)),
        ("6.8.12-pve", (6, 8, 12), "proxmox", ()),
        ("6.15.4-200.fc42.x86_64", (6, 15, 4), "fedora", ()),
        ("6.16.0-rc3-next-20250623", (6, 16, 0), "linux-next", ()),
        ("6.18.44-fc-v782", (6, 18, 44), "other", ()),
    ],
)
def test_a_release_is_read(text, version, builder, number):
    found = releases.parse(text)
    assert (found.version, found.builder, found.number) == (version, builder, number)


@pytest.mark.parametrize("one", releases.builders().values(), ids=lambda one: one.builder)
def test_every_builder_is_known_by_its_mark(one):
    found = releases.parse(one.example)
    assert found.builder.startswith(one.builder) and "{" not in found.title
    assert found.upstream is False


def test_of_every_builder_the_readme_of_data_says_where_its_mark_was_seen_or_that_nobody_wrote_it_down():
    section = (data_dir() / "README.md").read_text().split("## Where the marks of")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    told = [(name.strip("`"), release) for names, _, release in rows for name in names.split(", ")]
    assert {name for name, _ in told} == set(releases.builders())
    for name, release in told:
        assert not release or releases.parse(release.split(",")[0].split(";")[0]).builder.startswith(name)


def test_this_is_the_kernel_that_runs(tmp_path, monkeypatch):
    (tmp_path / "osrelease").write_text("6.8.12-4-pve\n")
    monkeypatch.setattr(releases, "RELEASE_FILE", tmp_path / "osrelease")
    assert releases.parse("this") == releases.parse("6.8.12-4-pve") == releases.parse("THIS")
    monkeypatch.setattr(releases, "RELEASE_FILE", tmp_path / "none")
    with pytest.raises(BadInput, match="give what uname -r prints"):
        releases.parse("this")


def test_rows_of_a_series_do_not_overlap_and_go_forward():
    kinds = {(read.builder, read.series) for read in releases.builds()}
    for kind in kinds:
        rows = sorted((r for r in releases.builds() if (r.builder, r.series) == kind), key=lambda r: r.first)
        for older, newer in zip(rows, rows[1:], strict=False):
            assert older.last < newer.first
            assert list(KERNELS).index(older.kernel_range) <= list(KERNELS).index(newer.kernel_range)
            assert older.guests <= newer.guests, "no build loses a guest type"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("v5.18-v6.7,", "v5.12,", "kernel_range"),
        ("425.3.1,553.66.1", "553.66.1,425.3.1", "before"),
        ("425.3.1,", "el425,", "no build number"),
        ("plain|sev,", "plain|cow,", "guest_types"),
        (",dated,", ",guessed,", "basis"),
    ],
)
def test_a_row_that_cannot_be_is_refused_with_its_place(tmp_path, old, new, said):
    text = (data_dir() / "kvm" / releases.BUILDS).read_text()
    assert old in text
    (tmp_path / "builds.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput, match=said) as refused:
        releases.read_builds(tmp_path / "builds.csv")
    assert "builds.csv" in str(refused.value)
