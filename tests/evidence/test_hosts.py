"""Profiles of measured hosts: read whole or refused with the place."""

import hashlib
import shutil

import pytest

from costmodel.errors import BadInput, UnknownName
from costmodel.evidence import paths, store

NAME = "epyc-genoa-4cpu-vm"


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """A copy of the committed profile under another name, outside of data/."""
    folder = tmp_path / "hosts" / "copy"
    shutil.copytree(paths.data_dir() / "hosts" / NAME, folder)
    text = (folder / "host.toml").read_text().replace(f'id = "{NAME}"', 'id = "copy"')
    (folder / "host.toml").write_text(text)
    monkeypatch.setenv("COSTMODEL_HOSTS", str(folder.parent))
    return folder


def change(folder, file, old, new):
    """Edit a file of the profile and its checksum."""
    path = folder / file
    before = hashlib.sha256(path.read_bytes()).hexdigest()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    host = folder / "host.toml"
    host.write_text(host.read_text().replace(before, hashlib.sha256(path.read_bytes()).hexdigest()))


def read():
    return store.read(paths.data_dir().resolve())


def test_a_profile_is_a_machine_with_the_features_of_its_silicon():
    machine = store.load().machine(NAME)
    assert machine.logical_cpus == 4 and machine.microarchitecture == "zen4"
    assert machine.features["sev_snp"] and "sev_snp" in machine.features_off
    assert machine.llc_bytes_per_domain == 32 * 2**20


def test_every_repetition_is_there():
    rows = store.load().host(NAME).table("flush")
    runs = {row["run"] for row in rows}
    repetitions = {row["repetition"] for row in rows}
    cells = {(row["instruction"], row["state"], row["range_bytes"], row["page"]) for row in rows}
    assert len(rows) == len(runs) * len(repetitions) * len(cells)
    assert len(runs) >= 5 and len(repetitions) >= 6


def test_a_profile_elsewhere_is_found_and_moves_the_hash(profile):
    evidence = read()
    assert "copy" in evidence.hosts
    assert evidence.data_hash != store.load().data_hash


def test_a_probe_that_was_not_run_is_empty(profile):
    assert read().host("copy").table("sev") == []


def test_an_unknown_host_is_refused():
    with pytest.raises(UnknownName):
        store.load().host("none")


def test_a_changed_file_is_refused(profile):
    with (profile / "flush.csv").open("a") as stream:
        stream.write("x")
    with pytest.raises(BadInput, match="checksum"):
        read()


def test_a_missing_file_is_refused(profile):
    (profile / "refill.csv").unlink()
    with pytest.raises(BadInput, match="missing"):
        read()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("measured_line_s", "line_s", "no column"),
        ("CLFLUSH,dirty", "CLFLUSH,dirty\x00", "no CSV|no word"),
    ],
)
def test_a_garbled_table_is_refused(profile, old, new, problem):
    change(profile, "flush.csv", old, new)
    evidence = read()
    with pytest.raises(BadInput, match=problem):
        evidence.host("copy").table("flush")


@pytest.mark.parametrize("cell", ["nan", "-1e-9", "=cmd", "<script>"])
def test_a_number_that_is_none_is_refused_with_its_row(profile, cell):
    lines = (profile / "broadcast.csv").read_text().splitlines()
    first = lines[1].rpartition(",")
    change(profile, "broadcast.csv", lines[1], f"{first[0]},{cell}")
    with pytest.raises(BadInput, match="row 2"):
        read().host("copy").table("broadcast")


def test_a_name_of_the_catalogue_is_refused(profile):
    target = profile.parent / "epyc-9654-2s"
    profile.rename(target)
    text = (target / "host.toml").read_text().replace('id = "copy"', 'id = "epyc-9654-2s"')
    (target / "host.toml").write_text(text)
    with pytest.raises(BadInput, match="catalogued"):
        read()


def test_a_profile_under_another_name_is_refused(profile):
    profile.rename(profile.parent / "other")
    with pytest.raises(BadInput, match="name of its folder"):
        read()


def test_no_path_leads_out_of_the_profile(profile):
    text = (profile / "host.toml").read_text()
    (profile / "host.toml").write_text(text.replace('"flush.csv"', '"../flush.csv"'))
    with pytest.raises(BadInput):
        read()
