"""Traces of many hosts: rates, who is worst, what strategies would save; the same bytes wherever they were read."""

import json
import os
import signal
import zipfile

import distributed
import numpy
import pytest
from click.testing import CliRunner

from costmodel.calibration.parameters import parameters_of
from costmodel.cli import cli
from costmodel.cost.scenario import scenario
from costmodel.errors import BadInput
from costmodel.evidence.store import load
from costmodel.kvm import kernels
from costmodel.report import fleet as shown
from costmodel.traces import fleet, service, store, summary
from tests.test_cluster import cluster  # noqa: F401
from tests.traces.conftest import poisson, table

MACHINE = "epyc-7763-2s"
ASKED = {"workload": "autonuma-default", "guest": "sev"}


def host(path, rate_per_s, events=200, seed=1, tasks=("ksmd",), lengths=4096):
    """A host with independent arrivals, tasks in turn."""
    path.parent.mkdir(parents=True, exist_ok=True)
    names = [tasks[n % len(tasks)] for n in range(events)]
    store.write([table(poisson(events, rate_per_s, seed), names, lengths=[lengths] * events)], path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three sound hosts, one broken, one with a single event."""
    root = tmp_path_factory.mktemp("fleet")
    host(root / "rack1" / "a.parquet", 10.0)
    host(root / "rack1" / "b.parquet", 1000.0, 400, 2, ("kcompactd0", "CPU 0/KVM"), 2**21)
    found = summary.summarise(host(root / "other" / "c.parquet", 50.0, seed=3))
    (root / "c.json").write_text(json.dumps(found.as_json()))
    (root / "other" / "c.parquet").unlink()
    (root / "broken.parquet").write_bytes(b"PAR1 and no more")
    store.write([table([5])], root / "single.parquet")
    (root / "notes.txt").write_text("no trace")
    return root


def asked(where, **more):
    return fleet.fleet(str(where), **{**ASKED, **more})


def test_rates_are_means_over_hosts_and_every_host_counts_the_same(folder):
    found = asked(folder)
    rates = [row.rate_per_s.median for row in found.busiest]
    assert found.hosts == 3 and [row.host for row in found.busiest] == ["rack1/b", "c", "rack1/a"]
    assert found.rate_per_s.median == pytest.approx(sum(rates) / 3)
    assert sum(row.rate_per_s.median for row in found.triggers) == pytest.approx(found.rate_per_s.median)
    merge = next(row for row in found.triggers if "ksm_replace_page" in row.triggers and len(row.triggers) == 2)
    assert (merge.events, merge.hosts, merge.highest_host) == (400, 2, "c")


def test_a_broken_file_is_named_and_spoils_nothing(folder):
    found = asked(folder)
    assert set(found.broken) == {"broken", "single"} and "no rate" in found.broken["single"]
    text = shown.text(found)
    assert "FILES THAT CANNOT BE USED" in text and "- single: " in text and text.isascii()


def test_no_usable_file_is_bad_input(tmp_path):
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(BadInput, match="no file can be used; x: "):
        asked(tmp_path)
    with pytest.raises(BadInput, match="holds no trace"):
        asked(tmp_path / "nothing*")


def test_hosts_without_a_machine_are_named_and_never_guessed(folder, tmp_path):
    racks = tmp_path / "racks.csv"
    racks.write_text(f"host,machine\nrack1/a,{MACHINE}\n")
    found = asked(folder, machines=racks)
    assert found.machines == {MACHINE: 1} and sorted(found.without_machine) == ["c", "rack1/b"]
    assert {row.hosts for row in found.strategies if row.busy_cpus} == {1}
    assert "2 hosts whose machine is not named: c, rack1/b" in " ".join(shown.text(found).split())
    assert not asked(folder).strategies and len(asked(folder).without_machine) == 3


def test_the_table_of_machines_beside_the_files_is_taken(tmp_path):
    host(tmp_path / "a.parquet", 10.0)
    (tmp_path / "machines.csv").write_text(f"host,machine\na,{MACHINE}\n")
    assert asked(tmp_path).machines == {MACHINE: 1}


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("a,no-such-machine", "row a, field machine: 'no-such-machine' is no machine"),
        ("a,", "row a, field machine: is empty"),
        ("a,/etc/passwd", "is no machine"),
    ],
)
def test_a_wrong_table_of_machines_is_told_with_its_row(tmp_path, rows, told):
    host(tmp_path / "a.parquet", 10.0)
    (tmp_path / "machines.csv").write_text(f"host,machine\n{rows}\n")
    with pytest.raises(BadInput) as refused:
        asked(tmp_path)
    assert told in str(refused.value)


def test_a_wrong_machine_of_one_host_leaves_out_that_host(folder, tmp_path):
    """As a file that cannot be used does: the others are costed, and the row is told."""
    racks = tmp_path / "racks.csv"
    racks.write_text(f"host,machine\nrack1/a,{MACHINE}\nrack1/b,epyc-7763-2ss\nc,zzzz\nelsewhere,zzzz\n")
    found = asked(folder, machines=racks)
    assert found.machines == {MACHINE: 1} and found.without_machine == [] and found.without_file == ["elsewhere"]
    assert {row.hosts for row in found.strategies if row.busy_cpus} == {1}
    assert found.not_costed == {
        "rack1/b": f"row in racks.csv, field machine: 'epyc-7763-2ss' is no machine; did you mean {MACHINE!r}?",
        "c": "row in racks.csv, field machine: 'zzzz' is no machine; write an id of `costmodel list machines`",
    }
    text = " ".join(shown.text(found).split())
    assert "NOT COSTED" in text and "- rack1/b: row in racks.csv, field machine: 'epyc-7763-2ss' is no machine;" in text
    assert "epyc-7763-2ss" in shown.html(found) and found.hosts == 3


def test_a_table_without_a_machine_of_any_host_is_refused_with_all_of_its_rows(folder, tmp_path):
    racks = tmp_path / "racks.csv"
    racks.write_text("host,machine\nrack1/a,epyc-7763-2ss\nc,zzzz\n")
    with pytest.raises(BadInput) as refused:
        asked(folder, machines=racks)
    assert str(refused.value) == (
        "racks.csv: names no machine of any host: row rack1/a, field machine: 'epyc-7763-2ss' is no machine; did you mean "
        f"{MACHINE!r}?; row c, field machine: 'zzzz' is no machine; write an id of `costmodel list machines`"
    )


def test_a_host_of_the_table_without_a_file_is_named(tmp_path):
    """Files of one rack may be asked about with the table of all."""
    host(tmp_path / "a.parquet", 10.0)
    (tmp_path / "machines.csv").write_text(f"host,machine\na,{MACHINE}\nzz,{MACHINE}\n")
    found = asked(tmp_path)
    assert found.without_file == ["zz"] and found.machines == {MACHINE: 1}
    assert "in the table of machines and without a file: zz" in " ".join(shown.text(found).split())


def test_a_moment_counts_and_is_called_one(tmp_path):
    host(tmp_path / "a.parquet", 1e6)
    host(tmp_path / "b.parquet", 10.0)
    found = asked(tmp_path)
    assert found.brief == ["a"]
    assert "less than a second: a; what" in " ".join(shown.text(found).split())


def test_a_machine_that_cannot_host_the_guest_is_told(folder):
    found = asked(folder, machine="xeon-8570-2s")
    assert len(found.not_costed) == 3 and not found.strategies and "needs" in next(iter(found.not_costed.values()))


def test_cpus_kept_busy_are_the_rate_times_the_cost_of_an_event(tmp_path):
    """One host, one length: against the cost model at that length."""
    path = host(tmp_path / "a.parquet", 10.0)
    found = asked(tmp_path, machine=MACHINE)
    case = scenario(load(), "sev", MACHINE, "autonuma-default")
    costs = service.service(load(), case, parameters_of(load(), MACHINE), [("ksmd", "")])
    rate_per_s = summary.summarise(path).rate_per_s
    rows = {row.strategy: row for row in found.strategies}
    for way in costs.ways:
        wanted = rate_per_s * numpy.median(way.at(way.cpu_s, 0, numpy.array([4096.0])))
        assert rows[way.strategies[0].strategy].busy_cpus.median == pytest.approx(wanted, rel=0.02)
    running = next(row for row in found.strategies if row.running)
    for row in found.strategies:
        if row.verdict == "lower":
            assert row.saved_cpus.low > 0 and row.busy_cpus.median < running.busy_cpus.median
    assert found.costliest[0].busy_cpus.median == pytest.approx(running.busy_cpus.median)


def test_no_more_cpus_are_busy_than_there_are(tmp_path):
    host(tmp_path / "a.parquet", 1e6)
    found = asked(tmp_path, machine=MACHINE)
    cpus = load().machine(MACHINE).logical_cpus
    assert max(row.busy_cpus.high for row in found.strategies if row.busy_cpus) == cpus
    assert found.costliest[0].busy_cpus.high == cpus


def test_a_host_that_is_hit_too_often_takes_nothing_from_the_others(tmp_path):
    """The fleet is the sum of its hosts, each of which can lose no more than its own CPUs."""
    host(tmp_path / "a.parquet", 1e6)
    alone = asked(tmp_path, machine=MACHINE)
    for idle in "bcdef":
        host(tmp_path / f"{idle}.parquet", 0.01)
    found = asked(tmp_path, machine=MACHINE)
    cpus = load().machine(MACHINE).logical_cpus
    hosts = sum(row.busy_cpus.median for row in found.costliest)
    for before, row in ((next(r for r in f.strategies if r.running) for f in (alone, found)),):
        assert before.busy_cpus.median == pytest.approx(cpus)
        assert row.busy_cpus.median == pytest.approx(hosts, rel=0.02)
        assert row.busy_cpus.high < cpus * 1.05
    saved = [row.saved_cpus.high for row in found.strategies if row.saved_cpus]
    assert max(saved) < cpus * 1.05


def test_the_hosts_of_a_machine_are_added_up_in_pieces_of_a_fixed_number(tmp_path, monkeypatch):
    for name, rate in zip("abcde", (1e6, 300.0, 20.0, 1.0, 0.5), strict=True):
        host(tmp_path / f"{name}.parquet", rate)
    whole = asked(tmp_path, machine=MACHINE)
    monkeypatch.setattr(fleet, "HOSTS_AT_ONCE", 2)
    pieces = asked(tmp_path, machine=MACHINE)
    for one, other in zip(whole.strategies, pieces.strategies, strict=True):
        if one.busy_cpus:
            assert one.busy_cpus.median == pytest.approx(other.busy_cpus.median, rel=1e-12)


def test_what_the_recording_is_cut_into_changes_no_rate():
    """A host's weight is its rate: half a recording is the same host."""
    whole = fleet.mean_rate([10.0, 1000.0], 1000)
    assert fleet.mean_rate([10.0, 1000.0], 500).median == whole.median == 505.0
    one = fleet.mean_rate([10.0], 100)
    assert 8.3 < one.low < 10 < one.high < 11.9
    assert fleet.mean_rate([10.0] * 9, 9).low < 10.0 < fleet.mean_rate([10.0] * 9, 9).high


def test_a_pattern_an_archive_and_a_file_system_in_memory_give_the_same(folder, tmp_path):
    import fsspec

    wanted = asked(folder).model_dump(exclude={"place", "command"})
    archive = tmp_path / "fleet.zip"
    memory = fsspec.filesystem("memory")
    with zipfile.ZipFile(archive, "w") as packed:
        for path in sorted(folder.rglob("*.*")):
            name = path.relative_to(folder).as_posix()
            packed.write(path, name)
            memory.pipe(f"/fleet/{name}", path.read_bytes())
    assert asked(archive).model_dump(exclude={"place", "command"}) == wanted
    assert asked("memory://fleet").model_dump(exclude={"place", "command"}) == wanted
    one = asked(f"{folder}/rack1/*.parquet")
    assert [row.host for row in one.busiest] == ["b", "a"]


def test_two_files_of_one_host_are_refused(tmp_path):
    path = host(tmp_path / "a.parquet", 10.0)
    (tmp_path / "a.json").write_text(json.dumps(summary.summarise(path).as_json()))
    with pytest.raises(BadInput, match="two files of host a"):
        asked(tmp_path)


def test_text_from_files_is_no_markup(tmp_path):
    host(tmp_path / "<script>alert(1)<b>\u202e.parquet", 10.0)
    (tmp_path / "<img src=x>.json").write_text("{}")
    found = asked(tmp_path, machine=MACHINE)
    page = shown.html(found)
    assert "<script" not in page and "<img" not in page and "\u202e" not in page
    assert shown.text(found).isascii()


@pytest.mark.nightly
def test_a_scheduler_with_a_worker_that_dies_gives_the_same_bytes(folder, cluster, tmp_path):  # noqa: F811
    root = tmp_path / "many"
    for number in range(24):
        host(root / f"h{number:02}.parquet", 10.0 + number, seed=number)
    (root / "broken.json").write_text("nothing")
    wanted = shown.as_json(asked(root, machine=MACHINE))
    with distributed.Client(cluster, set_as_default=False) as client:
        pids = list(client.run(os.getpid).values())
    seen = []

    def tick():
        seen.append(1)
        if len(seen) == 3:
            os.kill(pids[0], signal.SIGKILL)

    assert shown.as_json(asked(root, machine=MACHINE, scheduler=cluster, tick=tick)) == wanted
    assert len(seen) == 25


def test_memory_is_not_where_workers_read():
    import fsspec

    fsspec.filesystem("memory").pipe("/alone/a.parquet", b"x")
    with pytest.raises(BadInput, match="in the memory of this process"):
        asked("memory://alone", scheduler="tcp://127.0.0.1:1")


@pytest.mark.nightly
def test_summaries_and_replays_of_many_hosts_by_a_scheduler(folder, cluster):  # noqa: F811
    files = [str(folder / "rack1" / name) for name in ("a.parquet", "b.parquet")]
    for words in (["summary", *files], ["replay", *files, "--guest", "sev", "--machine", MACHINE, "--json"]):
        here = CliRunner().invoke(cli, ["trace", *words], catch_exceptions=False)
        there = CliRunner().invoke(cli, ["trace", *words, "--scheduler", cluster], catch_exceptions=False)
        assert here.exit_code == 0 and there.stdout == here.stdout
    assert [one["file"] for one in json.loads(here.stdout)] == ["a.parquet", "b.parquet"]


def test_the_command_writes_text_json_and_a_page(folder, tmp_path):
    page = tmp_path / "fleet.html"
    words = ["trace", "fleet", str(folder), "--guest", "sev", "--machine", MACHINE]
    done = CliRunner().invoke(cli, [*words, "--html", str(page)], catch_exceptions=False)
    assert done.exit_code == 0 and "WBNOINVD_MASK (this kernel)" in done.stdout and done.stderr == ""
    assert "WBNOINVD_MASK" in page.read_text() and "<script" not in page.read_text()
    value = json.loads(CliRunner().invoke(cli, [*words, "--json"], catch_exceptions=False).stdout)
    assert value["hosts"] == 3 and set(value["broken"]) == {"broken", "single"}
    printed = done.stdout.split("Again with:")[1].split("\ncostmodel 0")[0].replace("\\\n", " ").split()
    again = CliRunner().invoke(cli, printed[1:], catch_exceptions=False)
    assert again.stdout == done.stdout


def test_the_kernel_is_named_by_its_version(folder):
    assert f"kernel {kernels.newest()};" in " ".join(shown.text(asked(folder, machine=MACHINE)).split())


def test_a_pattern_that_the_shell_expanded_is_told_how_to_be_quoted(folder):
    refused = CliRunner().invoke(cli, ["trace", "fleet", *map(str, sorted(folder.glob("*.parquet")))])
    assert isinstance(refused.exception, BadInput) and "quote a pattern" in str(refused.exception)
