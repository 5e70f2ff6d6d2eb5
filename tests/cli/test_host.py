"""`costmodel host` on synthetic trees, on libvirt's XML and on the machine that runs the tests."""

import functools
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.errors import BadInput, CostModelError, ExitCode
from costmodel.measure import running
from tests.evidence.test_machine_input import HOSTS, lscpu
from tests.measure.test_running import DOMAIN, KINDS, SECRET, tree

MACHINE = ("--machine", "epyc-7763-2s")


@pytest.fixture
def host(tmp_path, monkeypatch):
    """Makes a host with the guests of such kinds the one that is looked at."""

    def made(*kinds, **files):
        root = tree(tmp_path, [KINDS[kind][0] for kind in kinds], **files)
        monkeypatch.setattr(running, "look", functools.partial(running.look, root))

    return made


def run(*words, **more):
    result = CliRunner().invoke(cli, ["host", *words], **more)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_each_guest_gets_what_to_do_first(host):
    host("sev", "plain")
    text = run(*MACHINE, "--kernel", "6.6")
    assert "GUEST 1: sev, run by qemu, 8 vCPUs" in text and "GUEST 2: plain" in text
    plain = " ".join(text.partition("GUEST 2: plain")[2].split())
    assert "Cost: 0 (no flush)" in plain and "Turn NUMA" not in plain, "a plain guest needs nothing"
    assert "--mempolicy bind" in " ".join(text.split())
    for hidden in (SECRET, "qcow2", "tenant", "52:54"):
        assert hidden not in text
    assert max(map(len, text.splitlines())) <= 72


def test_json_says_the_same_and_names_what_was_not_seen(host):
    host("sev-es", "firecracker")
    found = json.loads(run(*MACHINE, "--kernel", "6.6", "--json"))
    first, second = found["guests"]
    assert first["recommendation"]["guest"] == "sev-es"
    assert first["recommendation"]["scenario"]["cpus_that_ran"] == 2
    assert second["unseen"]
    assert found["settings"]["numa_balancing"] == "1"


def test_without_numa_balancing_the_workload_is_another(host):
    host("sev", **{"proc/sys/kernel/numa_balancing": "0\n"})
    found = json.loads(run(*MACHINE, "--kernel", "6.6", "--json"))
    assert found["guests"][0]["recommendation"]["workload"] == "idle"
    assert found["guests"][0]["workload_why"] == "NUMA balancing is off, and KSM is too"


@pytest.mark.nightly
def test_an_idle_host_has_nothing_to_do_and_is_offered_nothing(host):
    """NUMA balancing off: no upgrade and no pinning that would save nothing here."""
    host("sev", **{"proc/sys/kernel/numa_balancing": "0\n"})
    for kernel in ("6.6", "6.17"):
        text = run(*MACHINE, "--kernel", kernel)
        plain = " ".join(text.split())
        assert "Nothing to do: under this workload nothing flushes memory of this guest while it runs." in plain
        assert "What helps" not in text and "Upgrade the host" not in text and "Pin the vCPUs" not in text
        assert f"{kernel} can lose a flush at intra-host migration" in plain, "a warning stays one"


def test_settings_and_guests_are_told_in_words(host):
    files = {
        "sys/kernel/mm/ksm/run": "1\n",
        "sys/kernel/mm/ksm/pages_to_scan": "100\n",
        "proc/sys/kernel/numa_balancing": "0\n",
    }
    host("sev on huge pages, as libvirt writes it", "plain", **files)
    text = " ".join(run(*MACHINE, "--kernel", "6.6").split())
    for word in ("numa_balancing", "ksm_run", "pages_to_scan", "kvm_amd", "intra_host_migration"):
        assert f"{word} =" not in text and f"{word}_" not in text
    assert "NUMA balancing off, KSM on, pages that KSM scans at a time 100" in text
    assert "GUEST 1: sev, run by qemu, 16 vCPUs, 32 GiB, memory in hugetlb pages" in text
    assert (
        "GUEST 2: plain, run by qemu, 8 vCPUs, 16 GiB, memory in transparent huge pages, no memory policy, KSM may"
        in text
    )
    assert "taken as workload ksm-default: NUMA balancing is off, KSM is on and may merge this guest's memory" in text
    assert "its vCPUs may run on 2 of 256 CPUs" in text


@pytest.mark.nightly
def test_what_is_said_of_the_machine_is_not_said_again_for_each_guest(host):
    host("sev", "sev-es")
    text = " ".join(run("--machine", "8434P", "--kernel", "6.6").split())
    assert text.count("six channels of DDR5-4800") == 1


def test_a_guest_that_cannot_be_here_says_so_and_the_others_are_answered(host):
    host("tdx", "sev")
    text = run(*MACHINE, "--kernel", "6.17")
    assert "needs an Intel CPU" in text and "GUEST 2: sev" in text


def test_a_domain_is_read_instead_of_the_processes():
    sev = "<launchSecurity type='sev'><policy>0x1</policy></launchSecurity>"
    xml = DOMAIN.format(backing="<memoryBacking><hugepages/></memoryBacking>", more=sev)
    text = run(*MACHINE, "--kernel", "6.6", "--domain", "-", input=xml)
    assert "GUEST 1: sev, run by qemu, 8 vCPUs" in text and "hugetlb" in text


def test_the_machine_of_the_tests_is_looked_at():
    result = CliRunner().invoke(cli, ["host", "--kernel", "6.6"])
    assert result.exit_code == 0 and "THIS HOST" in result.stdout, result.exception


def test_a_kernel_that_is_none_is_refused_although_no_guest_runs(host):
    host()
    result = CliRunner().invoke(cli, ["host", *MACHINE, "--kernel", "foo"])
    assert result.exit_code and "cannot read the kernel version 'foo'" in str(result.exception)


@pytest.mark.nightly
def test_a_host_whose_kernel_may_behave_as_several_gets_an_answer_for_each(host):
    host("sev", **{"proc/sys/kernel/osrelease": "6.8.12-13-pve\n"})
    text = " ".join(run(*MACHINE).split())
    assert "As v6.8-v6.10, like 6.8.12-10-pve before it" in text and "As 6.17, if /proc/kallsyms has" in text


def test_limits_of_a_guests_cgroups_are_told(host, tmp_path):
    host("sev")
    groups = {"cgroup.controllers": "memory", "memory.max": "1073741824", "cpuset.mems.effective": "1"}
    (tmp_path / "sys/fs/cgroup").mkdir(parents=True)
    for name, text in groups.items():
        (tmp_path / "sys/fs/cgroup" / name).write_text(text)
    (tmp_path / "proc/1000/cgroup").write_text("0::/\n")
    text = " ".join(run(*MACHINE, "--kernel", "6.6").split())
    assert "its memory may lie on 1 node, cgroup limit 1 GiB (less than its memory)" in text


# `costmodel machine`, and every command that takes a machine.


@pytest.fixture
def described(tmp_path):
    path = tmp_path / "lscpu.txt"
    path.write_text(lscpu(*HOSTS["EPYC 8434P"][0]))
    return str(path)


def ran(*words, **more):
    result = CliRunner().invoke(cli, words, **more)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_says_what_was_taken_from_elsewhere(described):
    text = ran("machine", "show", described)
    assert "8 cache domains of 12 CPUs with 16 MiB" in text
    assert "EXTRAPOLATED" in text and "described by lscpu (lscpu.txt)" in text
    assert json.loads(ran("machine", "show", described, "--json"))["microarchitecture"] == "zen4"


def test_standard_input_is_a_machine_too(described):
    assert "EPYC 8434P" in ran("machine", "show", "-", input=Path(described).read_text())


def test_list_names_every_dump():
    names = json.loads(ran("machine", "list", "--json"))
    assert "epyc-7763-2s" in names and "9754" in names
    assert names["8434p"] == "AMD EPYC 8434P (lscpu of the part)"


def test_a_recommendation_is_given_for_a_described_host_and_asks_again_by_its_file(described):
    text = ran("recommend", "--full", "--guest", "sev", "--machine", described, "--kernel", "6.6")
    assert "AMD EPYC 8434P" in text
    assert "--machine lscpu.txt" in " ".join(text.split())
    assert described not in text, "no path of a machine in an answer"


@pytest.mark.parametrize(
    "words",
    [
        ("cost", "--guest", "sev", "--trigger", "munmap_or_discard"),
        ("admissible", "--guest", "sev", "--trigger", "munmap_or_discard"),
        ("calibrate",),
        ("breakeven", "--between", "WBINVD_ALL", "CLFLUSHOPT_DM_GMEM", "--over", "range_bytes"),
    ],
)
def test_every_command_takes_a_described_host(words, described):
    assert ran(*words, "--machine", described)


def test_an_unknown_name_says_how_to_describe_the_host():
    result = CliRunner().invoke(cli, ["machine", "show", "EPYC 9R99"])
    assert result.exit_code and "lscpu" in str(result.exception)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The user's folder of machines, empty."""
    monkeypatch.setenv("COSTMODEL_MACHINES", str(tmp_path / "machines"))
    return tmp_path / "machines"


def test_a_machine_is_kept_with_where_each_number_comes_from(described, own):
    text = ran("machine", "add", described, "--name", "rack-7")
    assert "logical_cpus: told by lscpu (lscpu.txt)" in text and "EXTRAPOLATED" in text
    kept = (own / "rack-7.toml").read_text()
    assert 'value = 96, unit = "1", source = "told by lscpu (lscpu.txt)"' in kept
    assert "rack-7" in json.loads(ran("machine", "list", "--json"))
    again = json.loads(ran("machine", "show", "RACK-7", "--json"))
    first = json.loads(ran("machine", "show", described, "--json"))
    apart = ("id", "given", "provenance")  # its words say which row stands behind a number
    assert {k: v for k, v in again.items() if k not in apart} == {k: v for k, v in first.items() if k not in apart}
    copied = json.loads(ran("machine", "show", str(own / "rack-7.toml"), "--json"))
    assert copied["id"] == "rack-7"


def test_what_was_kept_is_a_machine_for_every_command(described, own):
    ran("machine", "add", described, "--name", "rack-7")
    text = ran("cost", "--guest", "sev", "--machine", "rack-7", "--trigger", "unreg_region", "--kernel", "6.6")
    assert "sev on rack-7" in text


def test_machines_of_the_catalogue_and_of_dumps_can_be_kept_too(own):
    ran("machine", "add", "2x 9124")
    assert "epyc-9124-2s" in json.loads(ran("machine", "list", "--json"))
    text = ran("machine", "add", "milan", "--name", "mine")
    assert "logical_cpus: catalogue epyc-7763-2s: AuthenticAMD0A00F11_K19_Milan_CPUID2.txt" in text
    assert json.loads(ran("machine", "show", "mine", "--json"))["logical_cpus"] == 256


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("this", "--name", "epyc-7763-2s"), "is an id of the catalogue"),
        (("milan", "--name", "../mine"), "is no id"),
        (("milan", "--name", "taken"), "is there already"),
        (("9375F",), "no source here tells the CPUs and caches of '9375F'; give what lscpu prints"),
        (("2x 8434P",), "at most 1 socket"),
        (("nofile.txt",), "nofile.txt, field machine: no such file"),
        (("./lscpu",), "no such file"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_one_line(words, said, own):
    ran("machine", "add", "genoa", "--name", "taken")
    before = sorted(own.iterdir())
    result = CliRunner().invoke(cli, ["machine", "add", *words])
    assert isinstance(result.exception, CostModelError) and said in str(result.exception)
    assert "\n" not in str(result.exception) and len(str(result.exception)) < 400
    assert sorted(own.iterdir()) == before, "nothing is written"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("value = 96,", "value = 95,", "no multiple"),
        ("value = 96,", 'value = "many",', "logical_cpus"),
        ("sev = true", "sev = 1", "features"),
        ('vendor = "amd"', 'vendor = "via"', "vendor"),
        ('id = "rack-7"', 'id = "other"', "id"),
        ("[numbers]", "[numbers", "no TOML"),
    ],
)
def test_a_kept_file_that_was_spoilt_is_one_clear_line(old, new, said, described, own):
    ran("machine", "add", described, "--name", "rack-7")
    path = own / "rack-7.toml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    result = CliRunner().invoke(cli, ["machine", "show", "rack-7"])
    assert (
        isinstance(result.exception, BadInput)
        and said in str(result.exception)
        and "rack-7.toml" in str(result.exception)
    )
    assert "cannot be read" in json.loads(ran("machine", "list", "--json"))["rack-7"]


@pytest.mark.nightly
@pytest.mark.parametrize("name", [*HOSTS, "this"])
def test_hosts_that_others_described_get_an_answer(name, tmp_path):
    """`this` may have a CPU that nobody described: then the gap is named."""
    machine = name
    if name != "this":
        (tmp_path / "lscpu.txt").write_text(lscpu(*HOSTS[name][0]))
        machine = str(tmp_path / "lscpu.txt")
    guest = "tdx" if "Xeon" in name else "sev"
    words = ("--guest", guest, "--machine", machine, "--kernel", "6.17", "--json")
    result = CliRunner().invoke(cli, ["recommend", *words])
    if name == "this" and result.exception and not isinstance(result.exception, SystemExit):
        assert isinstance(result.exception, CostModelError) and "give lscpu" in str(result.exception)
        return
    found = json.loads(result.stdout)
    if "Xeon" in name:
        assert (
            "the flag tdx_host_platform is not shown" in found["not_applicable_reason"]
            and result.exit_code == ExitCode.NOT_APPLICABLE
        )
    elif name != "this":
        assert result.exit_code == 0 and found["headline_strategy"] == "WBNOINVD_MASK"
        assert found["scenario"]["logical_cpus"] == HOSTS[name][0][2]
        assert found["extrapolated"], "nobody has timed WBNOINVD on it"
