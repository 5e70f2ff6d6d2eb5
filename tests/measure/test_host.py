"""The description of a machine: what it holds and what stays out."""

import os
import socket

from costmodel.measure.host import describe, usable_cpus
from costmodel.measure.session import default_name

CPUINFO = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 143
model name\t: Intel(R) Xeon(R) Platinum 8470
stepping\t: 8
microcode\t: 0x2b
physical id\t: 0
siblings\t: 4
cpu cores\t: 2
flags\t\t: fpu clflush clflushopt clwb

processor\t: 1
physical id\t: 1
"""


def tree(root, files):
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


CACHE = "sys/devices/system/cpu/cpu0/cache/index"


def test_a_bare_machine_is_read(tmp_path):
    host = describe(
        tree(
            tmp_path,
            {
                "proc/cpuinfo": CPUINFO,
                "proc/meminfo": "MemTotal:       1024 kB\n",
                "proc/loadavg": "0.50 0.1 0.1 1/2 3\n",
                "proc/sys/kernel/osrelease": "6.6.9-secret-cloud\n",
                f"{CACHE}0/level": "1",
                f"{CACHE}0/type": "Data",
                f"{CACHE}0/size": "48K",
                f"{CACHE}0/coherency_line_size": "64",
                f"{CACHE}0/shared_cpu_list": "0,2",
                f"{CACHE}3/level": "3",
                f"{CACHE}3/type": "Unified",
                f"{CACHE}3/size": "105M",
                f"{CACHE}3/coherency_line_size": "64",
                f"{CACHE}3/shared_cpu_list": "0-3,8-11",
                "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
            },
        )
    )
    assert (host.vendor, host.family, host.model, host.logical_cpus, host.sockets) == ("intel", 6, 143, 2, 2)
    assert host.threads_per_core == 2
    assert host.llc.bytes == 105 * 2**20 and host.llc.shared_cpus == 8
    assert host.cache(1).bytes == 48 * 2**10
    assert host.has("clwb") and not host.has("wbnoinvd")
    assert host.transparent_hugepage == "always"
    assert host.kernel == "6.6.9"
    assert not host.virtual and host.notes() == []
    assert host.memory_bytes == 2**20


def test_a_virtual_machine_says_what_it_cannot_tell(tmp_path):
    text = CPUINFO.replace("fpu", "fpu hypervisor")
    host = describe(tree(tmp_path, {"proc/cpuinfo": text, "proc/meminfo": "", "proc/loadavg": ""}))
    assert host.virtual
    assert any("last-level cache" in note for note in host.notes())


def test_this_machine_is_described_without_its_name():
    text = repr(describe().as_dict()).lower()
    for secret in (socket.gethostname().lower(), os.environ.get("USER", "").lower()):
        assert len(secret) < 4 or secret not in text
    assert usable_cpus()


def test_the_default_name_is_that_of_the_model(host):
    assert default_name(host) == "amd-epyc-test-f25m17-4cpu"
