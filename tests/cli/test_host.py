"""`costmodel host` on synthetic trees, on libvirt's XML and on the machine that runs the tests."""

import functools
import json

import pytest
from click.testing import CliRunner

from costmodel.cli import cli
from costmodel.measure import running
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
