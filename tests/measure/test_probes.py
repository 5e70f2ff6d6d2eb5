"""Each probe on this machine, short; what a machine lacks; what a run leaves behind."""

import csv
import tomllib

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import BadInput
from costmodel.measure import bandwidth, broadcast, flush, neighbour, refill, session
from costmodel.measure.host import describe, usable_cpus
from costmodel.measure.probe import Settings, Skipped, Table
from costmodel.measure.profile import Outcome, as_csv, checked_name, write

QUICK = Settings(quick=True)


def test_instructions_that_the_cpu_lacks_are_left_out_and_said(host):
    from dataclasses import replace

    old = replace(host, features=(), transparent_hugepage="never")
    assert {cell["instruction"] for cell in flush.cells(old, QUICK)} == {"CLFLUSH"}
    assert {cell["page"] for cell in flush.cells(old, QUICK)} == {"4KiB"}
    said = " ".join(flush.skipped(old))
    assert "clflushopt" in said and "clwb" in said and "huge pages" in said
    assert flush.skipped(host) == []


def test_ranges_go_from_a_line_to_twice_the_second_level_and_64_mib(host):
    sizes = flush.ranges(quick=False)
    assert sizes[0] == 64 and sizes[-1] == 64 * 2**20 >= 2 * host.cache(2).bytes
    assert all(later == 2 * earlier for earlier, later in zip(sizes, sizes[1:], strict=False))


def test_absent_lines_are_cheaper_than_dirty_ones():
    table = Table("flush", "measured_line_s")
    with flush.Buffer(2**22) as memory:
        for state in ("dirty", "absent"):
            cell = {"instruction": "CLFLUSH", "state": state, "range_bytes": 2**20, "page": "4KiB"}
            values = sorted(flush._measure({"4KiB": memory}, cell)["line_s"] for _ in range(9))
            table.rows.append({"state": state, "measured_line_s": values[4]})
    assert table.rows[0]["measured_line_s"] > table.rows[1]["measured_line_s"] > 0


def test_bandwidth_has_every_thread_count():
    cpus = usable_cpus()[:2]
    table = bandwidth.probe(describe(), QUICK, lambda: None, cpus)
    assert {(row["kind"], row["threads"]) for row in table.rows} == {
        (kind, n) for kind in bandwidth.KINDS for n in range(1, len(cpus) + 1)
    }
    assert all(1e8 < row["measured_bytes_per_s"] < 1e13 for row in table.rows)


def test_the_targets_of_a_broadcast_are_hit():
    if len(usable_cpus()) < 2:
        pytest.skip("one CPU")
    try:
        table = broadcast.probe(describe(), QUICK, lambda: None)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert all(row["measured_call_s"] > 0 for row in table.rows)
    assert any("proxy" in note for note in table.notes)


def test_targets_that_take_no_interrupt_refuse_the_point(tmp_path):
    if len(usable_cpus()) < 2:
        pytest.skip("one CPU")
    cpus = " ".join(f"CPU{n}" for n in range(max(usable_cpus()) + 1))
    zeros = " ".join("0" for _ in range(max(usable_cpus()) + 1))
    (tmp_path / "interrupts").write_text(f"   {cpus}\nCAL: {zeros} Function call interrupts\n")
    with pytest.raises(Skipped, match="did not take"):
        broadcast.probe(describe(), QUICK, lambda: None, proc=tmp_path)


def test_interrupts_that_cannot_be_checked_are_refused(tmp_path):
    (tmp_path / "interrupts").write_text("   CPU0\nLOC: 1 timer\n")
    with pytest.raises(Skipped, match="CAL"):
        broadcast.interrupts(tmp_path, [0])


@pytest.mark.parametrize("module", [broadcast, neighbour])
def test_one_cpu_is_said_to_be_too_few(host, module, monkeypatch):
    monkeypatch.setattr(module, "usable_cpus", lambda: [0])
    with pytest.raises(Skipped, match="one CPU"):
        module.probe(host, QUICK, lambda: None)


def test_two_cpus_give_one_point_and_no_slope(monkeypatch):
    if len(usable_cpus()) < 2:
        pytest.skip("one CPU")
    monkeypatch.setattr(broadcast, "usable_cpus", lambda: usable_cpus()[:2])
    try:
        table = broadcast.probe(describe(), QUICK, lambda: None)
    except Skipped as reason:
        pytest.skip(str(reason))
    assert {row["targets"] for row in table.rows} == {1}
    assert any("no slope" in note for note in table.notes)


def test_working_sets_lie_in_their_level(host):
    sets = dict(refill.working_sets(host, Settings()))
    assert sets["L1"] == 16384 and sets["L3"] == 2**24 and sets["memory"] == 2**26


def outcome(host):
    table = Table("refill", "measured_cold_line_s")
    table.rows = [{"pattern": "sequential", "level": "L1", "run": 0, "measured_cold_line_s": 1.23456789e-9}]
    return Outcome(host, "costmodel measure refill", {"refill": table}, {"sev": "sev: no such CPU"})


def test_a_profile_holds_every_repetition_and_its_checksum(tmp_path, host):
    folder = write(outcome(host), tmp_path / "small")
    rows = list(csv.DictReader((folder / "refill.csv").open()))
    assert rows[0]["measured_cold_line_s"] == "1.23457e-09"
    document = tomllib.loads((folder / "host.toml").read_text())
    assert set(document["sha256"]) == {"refill.csv"}
    assert document["id"] == "small" and document["versions"]["costmodel"]
    assert any("no such CPU" in text for text in document["findings"])
    assert not list(tmp_path.glob(".measure-*"))


def test_a_failed_write_leaves_nothing(tmp_path, host, monkeypatch):
    monkeypatch.setattr("costmodel.measure.profile.files", lambda *_: {"host.toml": 1})
    with pytest.raises(TypeError):
        write(outcome(host), tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_nothing_measured_is_no_profile(tmp_path, host):
    with pytest.raises(BadInput, match="nothing was measured"):
        write(Outcome(host, "costmodel measure sev", {}, {"sev": "no such CPU"}), tmp_path / "none")


@pytest.mark.parametrize("name", ["", "../up", "A B", "-x", "x" * 64, "a/b"])
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(BadInput):
        checked_name(name)


def test_a_table_is_csv():
    assert as_csv([{"a": 1, "b": "x,y"}]) == 'a,b\n1,"x,y"\n'


def run(*words):
    return CliRunner().invoke(cli, ["measure", *words])


def test_an_interrupt_leaves_nothing_behind(tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setitem(session.PROBES, "refill", interrupted)
    result = run("refill", "--out", str(tmp_path), "--quick")
    assert result.exit_code == 130
    assert list(tmp_path.iterdir()) == []
    assert "nothing was written" in result.output


@pytest.mark.parametrize("library", ["llvmlite", "tomli_w"])
def test_a_missing_library_is_named_before_anything_is_measured(tmp_path, monkeypatch, library):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == library else find(name, *rest))
    result = run("refill", "--out", str(tmp_path), "--quick")
    assert f"{library} is not installed" in str(result.exception)
    assert list(tmp_path.iterdir()) == []


def test_a_profile_is_not_overwritten(tmp_path):
    (tmp_path / "mine").mkdir()
    result = run("refill", "--out", str(tmp_path), "--name", "mine", "--quick")
    assert isinstance(result.exception, BadInput)


def test_refill_from_the_command_line(tmp_path):
    result = run("refill", "--out", str(tmp_path), "--name", "mine", "--quick")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "mine" / "refill.csv").open()))
    cold = {
        (row["pattern"], row["level"]): float(row["measured_cold_line_s"]) for row in rows if row["repetition"] == "3"
    }
    assert cold["dependent", "memory"] > 3 * cold["sequential", "memory"]
    assert "stable" in result.output.lower()


def test_share_shows_every_byte_that_it_packs(tmp_path, host, monkeypatch):
    import tarfile

    folder = write(outcome(host), tmp_path / "small")
    monkeypatch.chdir(tmp_path)
    result = run("--share", str(folder))
    assert result.exit_code == 0, result.output
    with tarfile.open(tmp_path / "small.tar.gz") as archive:
        members = archive.getmembers()
        assert [m.name for m in members] == ["small/host.toml", "small/refill.csv"]
        assert all((m.uid, m.uname, m.mtime) == (0, "", 0) for m in members)
        for member in members:
            assert archive.extractfile(member).read().decode() in result.output


def test_import_prints_csv_and_counts_bad_lines(tmp_path):
    (tmp_path / "trace.txt").write_text("@n[ksmd]: 17\nwhat\n")
    result = run("import", str(tmp_path / "trace.txt"))
    assert result.exit_code == 0
    assert "count,n,ksmd" in result.stdout
    assert "trace.txt:2: not understood" in result.stderr


def test_importing_nothing_is_refused(tmp_path):
    (tmp_path / "trace.txt").write_text("nothing\n")
    assert isinstance(run("import", str(tmp_path / "trace.txt")).exception, BadInput)
