"""Kernels that somebody built: reading what uname -r prints, and the table of builds that were read."""

import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.kvm import builds
from costmodel.kvm.kernels import KERNELS


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
    found = builds.parse(text)
    assert (found.version, found.builder, found.number) == (version, builder, number)


@pytest.mark.parametrize("one", builds.builders().values(), ids=lambda one: one.builder)
def test_every_builder_is_known_by_its_mark(one):
    found = builds.parse(one.example)
    assert found.builder.startswith(one.builder) and "{" not in found.title
    assert found.upstream is False


def test_of_every_builder_the_readme_of_data_says_where_its_mark_was_seen_or_that_nobody_wrote_it_down():
    section = (data_dir() / "README.md").read_text().split("## Where the marks of")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    told = [(name.strip("`"), release) for names, _, release in rows for name in names.split(", ")]
    assert {name for name, _ in told} == set(builds.builders())
    for name, release in told:
        assert not release or builds.parse(release.split(",")[0].split(";")[0]).builder.startswith(name)


def test_this_is_the_kernel_that_runs(tmp_path, monkeypatch):
    (tmp_path / "osrelease").write_text("6.8.12-4-pve\n")
    monkeypatch.setattr(builds, "RELEASE_FILE", tmp_path / "osrelease")
    assert builds.parse("this") == builds.parse("6.8.12-4-pve") == builds.parse("THIS")
    monkeypatch.setattr(builds, "RELEASE_FILE", tmp_path / "none")
    with pytest.raises(BadInput, match="give what uname -r prints"):
        builds.parse("this")


def test_rows_of_a_series_do_not_overlap_and_go_forward():
    kinds = {(read.builder, read.series) for read in builds.builds()}
    for kind in kinds:
        rows = sorted((r for r in builds.builds() if (r.builder, r.series) == kind), key=lambda r: r.first)
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
    text = (data_dir() / "kvm" / builds.BUILDS).read_text()
    assert old in text
    (tmp_path / "builds.csv").write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput, match=said) as refused:
        builds.read_builds(tmp_path / "builds.csv")
    assert "builds.csv" in str(refused.value)
