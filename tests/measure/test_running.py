"""What runs on a host, from synthetic /proc and /sys trees; no path, address or password leaves them."""

import json
from dataclasses import asdict
from typing import get_args

import pytest

from costmodel.errors import BadInput
from costmodel.measure import running
from costmodel.report.measurement import TITLES, UNSEEN, unseen

GIB = 2.0**30
SECRET = "hunter2"
QEMU = (
    "/usr/bin/qemu-system-x86_64 -name guest=tenant-7,debug-threads=on -machine q35,{machine} -m 16G -smp 8,sockets=1 "
    "-drive file=/srv/disks/tenant-7.qcow2,if=virtio -netdev tap,id=n -device virtio-net,netdev=n,mac=52:54:00:12:34:56 "
    f"-object secret,id=s0,data={SECRET} -vnc :0,password=on {{more}}"
)
KINDS = {
    "plain": (QEMU.format(machine="accel=kvm", more=""), ("qemu", "plain", 8, 16 * GIB, "thp", "default", True)),
    "sev": (
        QEMU.format(
            machine="confidential-guest-support=sev0",
            more="-object sev-guest,id=sev0,policy=0x1 -object memory-backend-ram,id=m,size=16G,host-nodes=0,policy=bind",
        ),
        ("qemu", "sev", 8, 16 * GIB, "thp", "bind", False),
    ),
    "sev-es": (
        QEMU.format(machine="memory-encryption=e", more="-object sev-guest,id=e,policy=5"),
        ("qemu", "sev-es", 8, 16 * GIB, "thp", "default", False),
    ),
    "sev on huge pages, as libvirt writes it": (
        "/usr/libexec/qemu-kvm\0-machine\0q35,confidential-guest-support=lsec0,mem-merge=off\0-m\0size=33554432k\0-smp\0"
        '16,maxcpus=32\0-object\0{"qom-type":"sev-guest","id":"lsec0","policy":1}\0-object\0'
        '{"qom-type":"memory-backend-file","id":"r","mem-path":"/dev/hugepages/libvirt/qemu/1-x","share":false}',
        ("qemu", "sev", 16, 32 * GIB, "hugetlb", "default", False),
    ),
    "snp": (
        QEMU.format(machine="confidential-guest-support=x", more="-object sev-snp-guest,id=x,policy=0x30000"),
        ("qemu", "sev-snp-gmem", 8, 16 * GIB, "guest_memfd", "default", False),
    ),
    "tdx": (
        QEMU.format(machine="confidential-guest-support=t", more='-object {"qom-type":"tdx-guest","id":"t"}'),
        ("qemu", "tdx", 8, 16 * GIB, "guest_memfd", "default", False),
    ),
    "cloud-hypervisor": (
        "/usr/bin/cloud-hypervisor --cpus boot=4 --memory size=8G,shared=on,mergeable=off --disk path=/srv/x.raw "
        "--net mac=52:54:00:12:34:56",
        ("cloud-hypervisor", "plain", 4, 8 * GIB, "memfd", "default", False),
    ),
    "cloud-hypervisor with huge pages": (
        "cloud-hypervisor --cpus=boot=2,max=4 --memory=size=4G,hugepages=on,mergeable=on",
        ("cloud-hypervisor", "plain", 2, 4 * GIB, "hugetlb", "default", True),
    ),
    "firecracker": ("/usr/bin/firecracker --api-sock /run/fc.sock", ("other", "plain", 2, None, None, None, None)),
}


def tree(root, commands, *, vcpus=2, allowed="4-5", **files):
    """A host with such processes: a synthetic /proc and /sys."""
    places = {
        "proc/sys/kernel/osrelease": "6.12.43+deb13-amd64\n",
        "proc/sys/kernel/numa_balancing": "1\n",
        "sys/kernel/mm/ksm/run": "0\n",
        "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
        "sys/module/kvm_amd/parameters/sev_snp": "Y\n",
        **files,
    }
    for place, text in places.items():
        if text is None:
            continue
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(text)
    for pid, command in enumerate(commands, start=1000):
        folder = root / "proc" / str(pid)
        folder.mkdir(parents=True)
        words = command if "\0" in command else command.replace(" ", "\0")
        (folder / "cmdline").write_bytes(words.encode() + b"\0")
        for thread in range(vcpus):
            task = folder / "task" / str(pid * 10 + thread)
            task.mkdir(parents=True)
            (task / "comm").write_text(
                f"{'fc_vcpu ' + str(thread) if 'firecracker' in command else f'CPU {thread}/KVM'}\n"
            )
            (task / "status").write_text(f"Name:\tx\nCpus_allowed_list:\t{allowed}\n")
    return root


@pytest.mark.parametrize("kind", KINDS)
def test_a_guest_is_read_off_its_command_line(kind, tmp_path):
    command, expected = KINDS[kind]
    (found,) = running.look(tree(tmp_path, [command])).guests
    seen = (found.vmm, found.guest, found.vcpus, found.memory_bytes, found.backing, found.mempolicy, found.mergeable)
    assert seen == expected
    assert found.allowed_cpus == 2


def test_only_what_is_listed_leaves_proc(tmp_path):
    host = running.look(tree(tmp_path, [command for command, _ in KINDS.values()]))
    assert len(host.guests) == len(KINDS)
    text = json.dumps(asdict(host))
    for hidden in (SECRET, "qcow2", "52:54", "/srv", "tenant", "hugepages", "sock"):
        assert hidden not in text


def test_names_are_kept_only_on_request(tmp_path):
    tree(tmp_path, [KINDS["plain"][0]])
    assert running.look(tmp_path).guests[0].name == ""
    assert running.look(tmp_path, names=True).guests[0].name == "tenant-7"


def test_the_settings_of_the_host(tmp_path):
    host = running.look(tree(tmp_path, ["/bin/sleep 5"]))
    assert host.kernel == "6.12.43+deb13-amd64"
    assert host.settings == {
        "numa_balancing": "1",
        "ksm_run": "0",
        "transparent_hugepage": "madvise",
        "kvm_amd_sev_snp": "Y",
    }
    assert host.guests == () and any("needs root" in text for text in map(unseen, host.unseen))
    assert not any("neither kvm_amd" in text for text in map(unseen, host.unseen))


def test_a_host_without_kvm_says_so(tmp_path):
    host = running.look(tree(tmp_path, [], **{"sys/module/kvm_amd/parameters/sev_snp": None}))
    assert any("neither kvm_amd nor kvm_intel is loaded" in text for text in map(unseen, host.unseen))


def test_threads_without_names_tell_where_they_run_if_all_run_there(tmp_path):
    """QEMU names its threads only with debug-threads=on; `taskset` on the process pins all of them."""
    root = tree(tmp_path, [KINDS["sev"][0]])
    tasks = sorted((root / "proc/1000/task").iterdir())
    for task in tasks:
        (task / "comm").write_text("qemu-system-x86\n")
    (found,) = running.look(root).guests
    assert found.allowed_cpus == 2 and not any("threads" in text for text in map(unseen, found.unseen))
    (tasks[0] / "status").write_text("Cpus_allowed_list:\t0-63\n")
    (found,) = running.look(root).guests
    assert found.allowed_cpus == 64 and any(
        "which of its threads run vCPUs" in text for text in map(unseen, found.unseen)
    )


def test_without_transparent_huge_pages_memory_lies_in_small_ones(tmp_path):
    setting = {"sys/kernel/mm/transparent_hugepage/enabled": "always madvise [never]\n"}
    kinds = [KINDS["plain"][0], KINDS["sev on huge pages, as libvirt writes it"][0]]
    assert [one.backing for one in running.look(tree(tmp_path, kinds, **setting)).guests] == ["anon", "hugetlb"]


def test_processes_that_may_not_be_seen_are_counted(tmp_path, monkeypatch):
    tree(
        tmp_path,
        [KINDS["plain"][0], KINDS["sev"][0]],
        **{"proc/self/mounts": "proc /proc proc rw,hidepid=invisible 0 0\n"},
    )
    read = running.Path.read_bytes

    def refusing(path):
        if path.parent.name == "1001":
            raise PermissionError(13, "Permission denied")
        return read(path)

    monkeypatch.setattr(running.Path, "read_bytes", refusing)
    host = running.look(tmp_path)
    assert len(host.guests) == 1
    assert any("guests among 1 processes" in text for text in map(unseen, host.unseen))
    assert any("hidepid" in text for text in map(unseen, host.unseen))
    (tmp_path / "proc/self/mounts").write_text("proc /proc proc rw,hidepid=0 0 0\n")
    assert not any("hidepid" in text for text in map(unseen, running.look(tmp_path).unseen))


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("512", 512 * 2**20),
        ("512M", 512 * 2**20),
        ("size=2g,slots=4", 2 * GIB),
        ("1.5G", 1.5 * GIB),
        ("16GiB", 16 * GIB),
        ("0", None),
        ("9999999T", None),
        ("x", None),
    ],
)
def test_sizes_of_qemu_are_those_of_the_command_line_and_a_bare_number_is_mib(size, expected):
    assert running.qemu(["-m", size]).memory_bytes == expected


@pytest.mark.parametrize(
    ("unit", "expected"), [("GiB", GIB), ("G", GIB), ("GB", 1e9), ("KiB", 2**10), ("bytes", None), ("b", None)]
)
def test_units_of_libvirt(unit, expected):
    """libvirt: GB is 10^9 bytes, G and GiB are 2^30."""
    size = 16 if expected else 16 * 2**20
    text = f"<domain><memory unit='{unit}'>{size}</memory><vcpu>8</vcpu></domain>"
    assert running.domain(text, "domain.xml").memory_bytes == size * (expected or 1)


def test_a_guest_whose_threads_have_no_names_says_what_was_not_seen(tmp_path):
    (found,) = running.look(tree(tmp_path, [KINDS["sev"][0]], vcpus=0)).guests
    assert found.allowed_cpus is None and any("vCPUs" in text for text in map(unseen, found.unseen))


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"machine.slice/tenant-7.scope/memory.max": "8589934592"}, 8 * GIB),
        ({"memory.max": "max", "machine.slice/memory.high": "4294967296", "machine.slice/memory.max": "max"}, 4 * GIB),
        ({"machine.slice/tenant-7.scope/memory.max": "max"}, None),
        ({"machine.slice/tenant-7.scope/memory.max": "-5"}, None),
    ],
)
def test_the_least_limit_of_its_groups_counts(limits, expected, tmp_path):
    groups = {f"sys/fs/cgroup/{name}": text for name, text in {"cgroup.controllers": "memory", **limits}.items()}
    groups["sys/fs/cgroup/machine.slice/tenant-7.scope/cpuset.mems.effective"] = "0-1\n"
    groups["proc/1000/cgroup"] = "0::/machine.slice/tenant-7.scope\n"
    tree(tmp_path, [], **groups)
    (tmp_path / "proc/1000/cmdline").write_bytes(KINDS["plain"][0].replace(" ", "\0").encode())
    (found,) = running.look(tmp_path).guests
    assert (found.limit_bytes, found.allowed_nodes) == (expected, 2)
    assert "machine.slice" not in json.dumps(asdict(found))


@pytest.mark.parametrize("told", [None, "12:memory:/machine\n", "0::/../../etc\n"])
def test_groups_that_are_not_seen_are_named(told, tmp_path):
    tree(tmp_path, [KINDS["plain"][0]], **{"sys/fs/cgroup/cgroup.controllers": "memory"})
    if told is not None:
        (tmp_path / "proc/1000/cgroup").write_text(told)
    (found,) = running.look(tmp_path).guests
    assert found.limit_bytes is None and any("cgroup" in text for text in map(unseen, found.unseen))


@pytest.mark.parametrize("more", ["-m", "-smp x", "-object {", "-m 99999999999999999999G -smp 0", "-object sev-guest"])
def test_hostile_command_lines_are_no_error(more, tmp_path):
    (found,) = running.look(tree(tmp_path, [QEMU.format(machine="a=,=b,,", more=more)])).guests
    assert found.guest == "plain"


def test_the_live_host_can_be_looked_at():
    host = running.look()
    assert host.kernel
    for guest in host.guests:
        assert guest.vmm in ("qemu", "cloud-hypervisor", "other")


DOMAIN = """<domain type='kvm'><name>tenant-7</name><memory unit='GiB'>16</memory>{backing}<vcpu placement='static'>8</vcpu>
{more}<devices><disk type='file'><source file='/srv/tenant-7.qcow2'/></disk></devices></domain>"""


@pytest.mark.parametrize(
    ("backing", "more", "expected"),
    [
        ("", "", ("plain", "thp", "default", True, None)),
        (
            "<memoryBacking><hugepages/></memoryBacking>",
            "<launchSecurity type='sev'><policy>0x0001</policy></launchSecurity>",
            ("sev", "hugetlb", "default", False, None),
        ),
        (
            "<memoryBacking><nosharepages/></memoryBacking>",
            "<numatune><memory mode='strict' nodeset='0'/></numatune><cputune><vcpupin vcpu='0' cpuset='2'/>"
            "<vcpupin vcpu='1' cpuset='3-4'/></cputune>",
            ("plain", "thp", "bind", False, 3),
        ),
        (
            "",
            "<launchSecurity type='sev'><policy>0x5</policy></launchSecurity>",
            ("sev-es", "thp", "default", False, None),
        ),
        ("", "<launchSecurity type='sev-snp'/>", ("sev-snp-gmem", "guest_memfd", "default", False, None)),
        ("", "<launchSecurity type='tdx'/>", ("tdx", "guest_memfd", "default", False, None)),
    ],
)
def test_a_domain_of_libvirt_is_a_guest(backing, more, expected):
    found = running.domain(DOMAIN.format(backing=backing, more=more), "domain.xml")
    assert (found.guest, found.backing, found.mempolicy, found.mergeable, found.allowed_cpus) == expected
    assert (found.vcpus, found.memory_bytes, found.name) == (8, 16 * GIB, "")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("<domain", "no XML"),
        ("<network/>", "no domain"),
        ("<!DOCTYPE a [<!ENTITY b 'c'>]><domain/>", "entities"),
        ("<domain><launchSecurity type='s390-pv'/></domain>", "unknown"),
    ],
)
def test_what_is_no_domain_is_refused(text, problem):
    with pytest.raises(BadInput, match=problem):
        running.domain(text, "domain.xml")


def test_every_setting_and_all_that_can_be_unseen_has_its_words():
    assert list(TITLES) == list(running.SWITCHES)
    assert list(UNSEEN) == list(get_args(running.What))
