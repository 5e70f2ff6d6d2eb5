"""Profiles of measured hosts: read whole or refused with the place."""

import hashlib
import math
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from costmodel import cache
from costmodel.calibration.between_machines import of_host
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence import hosts, package, paths, store
from costmodel.report.audit import said
from costmodel.validation import audit
from tests.samples import sampled

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


def test_what_is_kept_of_a_profile_follows_its_files_also_where_no_checksum_is_told(profile, monkeypatch):
    """What a changed table gives is not taken from the cache of the one before."""
    host = profile / "host.toml"
    host.write_text(re.sub(r"\[sha256\]\n(.+\n)+", "", host.read_text()))
    first = read().host("copy")
    table = profile / "flush.csv"
    heads, *rows = table.read_text().splitlines()
    place = heads.split(",").index("measured_line_s")
    cells = [row.split(",") for row in rows]
    dearer = [",".join([*row[:place], repr(10 * float(row[place])), *row[place + 1 :]]) for row in cells]
    table.write_text("\n".join([heads, *dearer]) + "\n")
    second = read().host("copy")
    assert first.digest != second.digest
    one, other = (of_host(profile)["dirty"].level for profile in (first, second))
    assert other - one == pytest.approx(math.log(10))


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


def refused(problem):
    """The profile `copy` (or whatever it is called now) is left out for `problem`; every other machine is there."""
    evidence = read()
    [(name, why)] = evidence.left_out.items()
    assert re.search(problem, str(why)), str(why)
    assert name not in evidence.hosts and NAME in evidence.hosts and "epyc-9654-2s" in evidence.machines
    return name, why, evidence


def test_a_changed_file_is_refused(profile):
    with (profile / "flush.csv").open("a") as stream:
        stream.write("x")
    refused("checksum")


def test_a_missing_file_is_refused(profile):
    (profile / "refill.csv").unlink()
    refused("missing")


def test_asking_for_a_profile_that_was_left_out_says_why(profile):
    (profile / "refill.csv").unlink()
    evidence = read()
    for ask in (evidence.machine, evidence.host):
        with pytest.raises(BadInput, match=r"refill.csv: this profile was left out: is missing; restore the file"):
            ask("copy")
    assert evidence.machine(NAME).logical_cpus == 4


def test_a_bad_profile_is_one_line_on_stderr_and_the_others_go_on(profile):
    (profile / "refill.csv").unlink()
    words = [sys.executable, "-m", "costmodel", "list", "machines"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and NAME in done.stdout and "copy" not in done.stdout
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("costmodel: warning: host profile copy is left out")
    done = subprocess.run(
        [*words[:3], "recommend", "--guest", "sev", "--machine", "copy"], capture_output=True, text=True
    )
    assert done.returncode == 2 and "left out: is missing" in done.stderr.splitlines()[-1]


def test_the_audit_reports_a_profile_that_was_left_out(data):
    (data / "hosts" / NAME / "refill.csv").unlink()
    package.main([str(data)])
    assert any(found.file.endswith("refill.csv") and said(found.problem) == "is missing" for found in audit.audit(data))


HOST = {
    "logical_cpus = 4": ["logical_cpus = 0", "logical_cpus = -1", "logical_cpus = 1000000000000000000",
                         "logical_cpus = nan", 'logical_cpus = "4"', "logical_cpus = 4.0", "logical_cpus = true", ""],
    "sockets = 1": ["sockets = 0", "sockets = [1]"],
    "threads_per_core = 1": ["threads_per_core = 0", "threads_per_core = inf"],
    "family = 25": ["family = -25", "family = 1000000", "family = 1e400"],
    "model = 17": ["model = 256"],
    "bytes = 33554432": ["bytes = nan", "bytes = -33554432", "bytes = 1000000000000000000", 'bytes = "32M"'],
    "line_bytes = 64, shared_cpus = 4": ["line_bytes = 0, shared_cpus = 4", "line_bytes = 64, shared_cpus = 0"],
    'vendor = "amd"': ["vendor = 1", 'vendor = "<script>"', ""],
    'cpu_model = "AMD EPYC"': ['cpu_model = "\\u202e"', "cpu_model = []"],
    'level = 3, kind = "Unified"': ['level = 9, kind = "Unified"', 'level = 3, kind = "Unifed"', 'level = 2, kind = "Data"'],
    'features = [': ["features = 3\nother = [", 'features = [ 1,'],
    'measured_on = "2026-11-24"': ["measured_on = 2026-11-24"],
    'findings = [': ["findings = 3\nother = ["],
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), sampled([(old, new) for old, several in HOST.items() for new in several], 3))
def test_every_field_of_a_host_is_typed_and_bounded(profile, old, new):
    path = profile / "host.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    _, why, _ = refused("")
    assert str(path) in str(why) or "host.toml" in str(why)
    assert str(why).isprintable() and len(str(why)) < 500


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("measured_line_s", "line_s", "no column"),
        ("CLFLUSH,dirty", "CLFLUSH,dirty\x00", "no CSV|no word"),
    ],
)
def test_a_garbled_table_is_refused(profile, old, new, problem):
    change(profile, "flush.csv", old, new)
    refused(problem)


@pytest.mark.parametrize("cell", ["nan", "inf", "1e300", "-1e-9", "", "9" * 5000, "=cmd", "<script>"])
def test_a_number_that_is_none_is_refused_with_its_row(profile, cell):
    lines = (profile / "broadcast.csv").read_text().splitlines()
    first = lines[1].rpartition(",")
    change(profile, "broadcast.csv", lines[1], f"{first[0]},{cell}")
    refused("row 2, field measured_call_s")


@pytest.mark.parametrize("cell", ["1.5", "-1", "1e30", "0x4"])
def test_a_count_that_is_none_is_refused_with_its_row(profile, cell):
    line = (profile / "broadcast.csv").read_text().splitlines()[1]
    change(profile, "broadcast.csv", line, f"{cell},{line.partition(',')[2]}")
    refused("row 2, field targets")


def test_a_row_that_is_too_long_is_refused(profile):
    line = (profile / "broadcast.csv").read_text().splitlines()[1]
    change(profile, "broadcast.csv", line, f"{line},1")
    refused("row 2: has 5 cells")


def refused_id(name):
    evidence = read()
    return name, evidence.left_out[name], evidence


def test_two_profiles_of_one_name_are_one(profile):
    folder = profile.parent / NAME
    shutil.copytree(paths.data_dir() / "hosts" / NAME, folder)
    _, why, evidence = refused_id(NAME)
    assert "another profile" in str(why) and NAME in evidence.hosts


@pytest.mark.parametrize("name", sampled(["a;touch x", "$(id)", "A", "a b", "\u202e", "-a", "a" * 64, "<b>"], 3))
def test_a_name_that_would_act_in_a_command_line_is_refused(profile, name):
    folder = profile.rename(profile.parent / name)
    host = folder / "host.toml"
    host.write_text(host.read_text().replace('id = "copy"', f'id = "{name}"'))
    _, why, _ = refused("")
    assert str(why).isprintable() and not read().hosts.keys() & {name}


def test_a_name_of_the_catalogue_is_refused(profile):
    target = profile.parent / "epyc-9654-2s"
    profile.rename(target)
    text = (target / "host.toml").read_text().replace('id = "copy"', 'id = "epyc-9654-2s"')
    (target / "host.toml").write_text(text)
    name, why, evidence = refused_id("epyc-9654-2s")
    assert "catalogued" in str(why) and evidence.machine("epyc-9654-2s").sockets == 2


def test_a_profile_under_another_name_is_refused(profile):
    profile.rename(profile.parent / "other")
    refused("name of its folder")


def test_no_path_leads_out_of_the_profile(profile):
    text = (profile / "host.toml").read_text()
    (profile / "host.toml").write_text(text.replace('"flush.csv"', '"../flush.csv"'))
    refused("is missing")


def test_each_table_is_read_and_hashed_once(profile, monkeypatch):
    evidence = read()
    read_of = []
    original = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read_of.append(path.name) or original(path))
    catalogued = {name: machine for name, machine in evidence.machines.items() if name != "copy"}
    hosts.read(profile, evidence.dumps, catalogued)
    tables = [name for name in read_of if name.endswith(".csv")]
    assert tables and len(tables) == len(set(tables))


def test_a_table_that_was_parsed_before_is_read_when_it_is_asked_for(profile, monkeypatch):
    first = read().host("copy").table("flush")
    taken = []
    original = cache.recall
    monkeypatch.setattr(
        cache, "recall", lambda name, *rest, **kept: taken.append(name) or original(name, *rest, **kept)
    )
    again = read().host("copy")
    assert "table" not in taken and again.has("flush") and not again.has("sev")
    assert again.table("flush") == first and taken.count("table") == 1


def test_a_damaged_entry_of_a_table_is_parsed_again(profile, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    cache._checked.cache_clear()
    first = read().host("copy").table("flush")
    for entry in (tmp_path / "cache" / "costmodel").glob("table-*"):
        entry.write_bytes(entry.read_bytes()[:-1])
    assert read().host("copy").table("flush") == first
    cache._checked.cache_clear()


@pytest.mark.nightly
def test_without_a_cache_a_table_is_parsed_once(profile, monkeypatch):
    monkeypatch.setattr(cache, "directory", lambda: None)
    parsed = []
    original = hosts._parsed
    monkeypatch.setattr(hosts, "_parsed", lambda path, needed: parsed.append(path) or original(path, needed))
    found = read().host("copy")
    assert found.table("flush") == found.table("flush")
    assert len(parsed) == len(set(parsed)) > 0


def test_what_a_guest_cannot_tell_of_its_hardware_limits_its_times(evidence):
    for profile in evidence.hosts.values():
        assert {one.text for one in profile.limits} <= set(profile.findings), "as it was written when it was measured"
        assert profile.virtual == any(one in hosts.HIDDEN for one in profile.limits)
