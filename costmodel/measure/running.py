"""What runs on this host and how it is set, read from /proc and /sys without changing anything.

Only the fields below leave a command line: types, counts, sizes and switches. Paths of disks, addresses, passwords and,
unless they are asked for, names of guests are never kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from costmodel.errors import BadInput
from costmodel.evidence.described import listed_cpus, xml_root
from costmodel.measure.host import selected, text_of
from costmodel.numbers import MOST_VCPUS, bytes_of

MOST_BYTES = 2.0**52
"""An x86 CPU addresses no more memory."""
VMMS = {"qemu": re.compile(r"qemu-system-\w+|qemu-kvm|kvm"), "cloud-hypervisor": re.compile(r"cloud-hyperviso\w*")}
FIRECRACKER = re.compile(r"firecracker")
VCPU_THREADS = re.compile(r"CPU \d+/KVM|vcpu\d+|fc_vcpu \d+")
"""Names of vCPU threads in QEMU (debug-threads=on), cloud-hypervisor and Firecracker."""
ES_POLICY = 0x4
"""Bit of the SEV guest policy that asks for SEV-ES (QEMU docs/system/i386/amd-memory-encryption.rst)."""
TYPES = {"sev-guest": "sev", "sev-snp-guest": "sev-snp-gmem", "tdx-guest": "tdx"}
MEMPOLICIES = {
    "default": "default",
    "bind": "bind",
    "strict": "bind",
    "restrictive": "default",
    "interleave": "interleave",
    "preferred": "preferred-many",
}
"""How QEMU and libvirt call memory policies, and what of them the NUMA scanner sees: with MPOL_F_MOF or without."""
CMDLINE_MOST = 2**20
FROM_GUEST_MEMFD = frozenset({"sev-snp-gmem", "tdx"})
"""Guest types whose private memory lies in guest_memfd."""
NUMA_DEBUG = "sys/kernel/debug/sched/numa_balancing"
SWITCHES = {
    "numa_balancing": "proc/sys/kernel/numa_balancing",
    "ksm_run": "sys/kernel/mm/ksm/run",
    "ksm_pages_to_scan": "sys/kernel/mm/ksm/pages_to_scan",
    "ksm_sleep_millisecs": "sys/kernel/mm/ksm/sleep_millisecs",
    "transparent_hugepage": "sys/kernel/mm/transparent_hugepage/enabled",
    "compaction_proactiveness": "proc/sys/vm/compaction_proactiveness",
    "kvm_amd_sev": "sys/module/kvm_amd/parameters/sev",
    "kvm_amd_sev_es": "sys/module/kvm_amd/parameters/sev_es",
    "kvm_amd_sev_snp": "sys/module/kvm_amd/parameters/sev_snp",
    "kvm_intel_tdx": "sys/module/kvm_intel/parameters/tdx",
    "numa_scan_period_min_ms": f"{NUMA_DEBUG}/scan_period_min_ms",
    "numa_scan_size_mb": f"{NUMA_DEBUG}/scan_size_mb",
}
"""Files of the settings of the host that bear on flushes."""
IN_DEBUGFS = frozenset({"numa_scan_period_min_ms", "numa_scan_size_mb"})
"""Those that need root, debugfs, and a kernel that is not locked down."""
What = Literal[
    "setting",
    "numa scan",
    "kvm modules",
    "processes",
    "users",
    "firecracker",
    "vcpu threads",
    "cgroup",
    "guest type",
    "other host",
]


class Unseen(NamedTuple):
    """What could not be seen, and of it the name of a setting, or how many."""

    what: What
    detail: str = ""


@dataclass(frozen=True)
class RunningGuest:
    """A guest as it is. What could not be seen is None and named in `unseen`. `allowed_cpus` counts the CPUs on which
    its vCPUs may run. `limit_bytes` is the most memory that its cgroups let it have, None where they set no limit, and
    `allowed_nodes` counts the NUMA nodes that they let its memory lie on. `name` is empty unless names were asked for.
    """

    vmm: str
    guest: str
    vcpus: int | None = None
    memory_bytes: float | None = None
    backing: str | None = None
    mempolicy: str | None = None
    mergeable: bool | None = None
    allowed_cpus: int | None = None
    limit_bytes: float | None = None
    allowed_nodes: int | None = None
    name: str = ""
    unseen: tuple[Unseen, ...] = ()


@dataclass(frozen=True)
class Running:
    """The host: kernel release, settings by name of SWITCHES (what could not be read is missing), and its guests."""

    kernel: str
    settings: Mapping[str, str] = field(default_factory=dict)
    unseen: tuple[Unseen, ...] = ()
    guests: tuple[RunningGuest, ...] = ()


def look(root: Path = Path("/"), *, names: bool = False) -> Running:
    """Read the host under `root`. With `names` the guests' own names are kept."""
    settings: dict[str, str] = {}
    unseen: list[Unseen] = []
    for name, place in SWITCHES.items():
        try:
            text = (root / place).read_text()
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError):
            if name not in IN_DEBUGFS:
                unseen.append(Unseen("setting", name))
            continue
        settings[name] = selected(text)[:64]
    if not settings.keys() >= IN_DEBUGFS:
        unseen.append(Unseen("numa scan"))
    if not any((root / "sys/module" / module).is_dir() for module in ("kvm_amd", "kvm_intel")):
        unseen.append(Unseen("kvm modules"))
    found, denied = _guests(root, names, settings.get("transparent_hugepage", ""))
    if denied:
        unseen.append(Unseen("processes", str(denied)))
    if re.search(r"^proc /proc proc \S*\bhidepid=(?!0|off)", text_of(root / "proc/self/mounts"), re.MULTILINE):
        unseen.append(Unseen("users"))
    return Running(
        kernel=text_of(root / "proc/sys/kernel/osrelease")[:64],
        settings=settings,
        unseen=tuple(unseen),
        guests=tuple(found),
    )


def _guests(root: Path, names: bool, huge: str) -> tuple[list[RunningGuest], int]:
    """The guests among the processes, by pid, and the number of processes that may not be looked at; `huge` is how
    transparent huge pages are set.
    """
    folders = [path for path in (root / "proc").glob("[0-9]*") if path.name.isdecimal()]
    guests, denied = [], 0
    for folder in sorted(folders, key=lambda path: int(path.name)):
        try:
            raw = (folder / "cmdline").read_bytes()[:CMDLINE_MOST]
        except PermissionError:
            denied += 1
            continue
        except OSError:
            continue
        words = [word.decode("utf-8", "replace") for word in raw.split(b"\0") if word]
        found = _guest(words) if words else None
        if found is None:
            continue
        if found.backing == "thp" and huge == "never":
            found = replace(found, backing="anon")
        guests.append(replace(_cgroup(_threads(found, folder), folder, root), name=found.name if names else ""))
    return guests, denied


def _guest(words: Sequence[str]) -> RunningGuest | None:
    """The guest that a command line runs, if it is one of a VMM."""
    program = Path(words[0]).name
    if VMMS["qemu"].fullmatch(program):
        return qemu(words[1:])
    if VMMS["cloud-hypervisor"].fullmatch(program):
        return cloud_hypervisor(words[1:])
    if FIRECRACKER.fullmatch(program):
        return RunningGuest("other", "plain", unseen=(Unseen("firecracker"),))
    return None


def _threads(found: RunningGuest, folder: Path) -> RunningGuest:
    """With the number of vCPU threads, and on how many CPUs they may run, where the threads tell: where they have no
    names, all threads of the process stand for them.
    """
    vcpus, everywhere = [], []
    for thread in folder.glob("task/[0-9]*"):
        match = re.search(r"^Cpus_allowed_list:\s*(\S+)", text_of(thread / "status"), re.MULTILINE)
        allowed = frozenset(listed_cpus(match[1]) if match else ())
        everywhere.append(allowed)
        if VCPU_THREADS.fullmatch(text_of(thread / "comm")):
            vcpus.append(allowed)
    cpus = len(frozenset().union(*(vcpus or everywhere))) or None
    if vcpus:
        return replace(found, vcpus=found.vcpus or len(vcpus), allowed_cpus=cpus)
    if len(set(everywhere)) == 1 and cpus:
        return replace(found, allowed_cpus=cpus)
    return replace(found, allowed_cpus=cpus, unseen=(*found.unseen, Unseen("vcpu threads")))


def _cgroup(found: RunningGuest, folder: Path, root: Path) -> RunningGuest:
    """With the limits of its control groups, of which all down from the root count; their names are not kept."""
    match = re.search(r"^0::(/.*)$", text_of(folder / "cgroup"), re.MULTILINE)
    parts = [part for part in match[1].split("/") if part] if match else [".."]
    top = root / "sys/fs/cgroup"
    if ".." in parts or not (top / "cgroup.controllers").is_file():
        return replace(found, unseen=(*found.unseen, Unseen("cgroup")))
    groups = [top.joinpath(*parts[:depth]) for depth in range(len(parts) + 1)]
    limits = [text_of(group / name) for group in groups for name in ("memory.max", "memory.high")]
    given = [float(text) for text in limits if re.fullmatch(r"\d{1,20}", text, re.ASCII)]
    nodes = listed_cpus(text_of(groups[-1] / "cpuset.mems.effective"))
    return replace(found, limit_bytes=min(given, default=None), allowed_nodes=len(nodes) or None)


def _size(text: str, plain: int) -> float | None:
    """Bytes of `16G` or `16384MiB` as `bytes_of` reads them and, in units of `plain` bytes, of a bare number: MiB in
    QEMU.
    """
    size = bytes_of(text)
    if size is None:
        return None
    size *= plain if text.strip()[-1].isdigit() else 1
    return size if 0 < size <= MOST_BYTES else None


def _options(words: Sequence[str]) -> list[tuple[str, str]]:
    """(option without its hyphens, value) pairs; `--name=value` counts as well as `--name value`."""
    found = []
    for index, word in enumerate(words):
        if not word.startswith("-"):
            continue
        name, equals, value = word.lstrip("-").partition("=") if word.startswith("--") else (word.lstrip("-"), "", "")
        following = words[index + 1] if index + 1 < len(words) and not words[index + 1].startswith("-") else ""
        found.append((name, value if equals else following))
    return found


def _pairs(text: str, first: str = "") -> dict[str, str]:
    """Keys and values of `a=1,b=2` or of a JSON object; a leading part without `=` goes under `first`."""
    if text.lstrip().startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return {key: _plain(value) for key, value in document.items()} if isinstance(document, dict) else {}
    found: dict[str, str] = {}
    for index, part in enumerate(re.split(r"(?<!,),(?!,)", text)):
        key, equals, value = part.partition("=")
        if equals:
            found[key] = value
        elif index == 0 and first:
            found[first] = part
    return found


def _plain(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int | float | str) else json.dumps(value)


def qemu(words: Sequence[str]) -> RunningGuest:
    """A guest from the words of a QEMU command line, without the program."""
    options = _options(words)
    objects = [_pairs(value, "qom-type") for name, value in options if name == "object"]
    by_id = {one["id"]: one for one in objects if one.get("id")}
    machine: dict[str, str] = {}
    for name, value in options:
        if name in ("machine", "M"):
            machine |= _pairs(value, "type")
    memory = next((_pairs(value, "size") for name, value in options if name == "m"), {})
    smp = next((_pairs(value, "cpus") for name, value in options if name == "smp"), {"cpus": "1"})
    support = by_id.get(machine.get("confidential-guest-support", machine.get("memory-encryption", "")), {})
    guest = TYPES.get(support.get("qom-type", ""), "plain")
    if guest == "sev" and _integer(support.get("policy", "0")) & ES_POLICY:
        guest = "sev-es"
    backends = [one for one in objects if one.get("qom-type", "").startswith("memory-backend-")]
    merge = {one.get("merge", machine.get("mem-merge", "on")) for one in backends} or {machine.get("mem-merge", "on")}
    asked = "confidential-guest-support" in machine or "memory-encryption" in machine
    unseen = (Unseen("guest type"),) if asked and guest == "plain" else ()
    return RunningGuest(
        vmm="qemu",
        guest=guest,
        vcpus=_count(smp.get("cpus") or smp.get("maxcpus")),
        memory_bytes=_size(memory.get("size", "128"), 2**20),
        backing="guest_memfd" if guest in FROM_GUEST_MEMFD else _backing(options, backends),
        mempolicy=_policy(backends),
        mergeable=guest == "plain" and merge == {"on"},
        name=next((_pairs(value, "guest").get("guest", "") for name, value in options if name == "name"), "")[:64],
        unseen=unseen,
    )


def _integer(text: str) -> int:
    try:
        return int(text[:20], 0)
    except ValueError:
        return 0


def _count(text: str | None) -> int | None:
    return int(text) if text and re.fullmatch(r"\d{1,5}", text, re.ASCII) and 0 < int(text) <= MOST_VCPUS else None


def _backing(options: Sequence[tuple[str, str]], backends: Sequence[Mapping[str, str]]) -> str:
    """What lies behind the memory. Of a path only whether it names huge pages is looked at."""
    paths = [value for name, value in options if name == "mem-path"] + [one.get("mem-path", "") for one in backends]
    if any("huge" in path for path in paths) or any(one.get("hugetlb") == "on" for one in backends):
        return "hugetlb"
    if any(paths) or any(one.get("qom-type") == "memory-backend-memfd" for one in backends):
        return "memfd"
    return "thp"


def _policy(backends: Sequence[Mapping[str, str]]) -> str:
    policies = {MEMPOLICIES.get(one.get("policy", "default"), "default") for one in backends}
    return policies.pop() if len(policies) == 1 else "default"


def cloud_hypervisor(words: Sequence[str]) -> RunningGuest:
    """A guest from the words of a cloud-hypervisor command line, without the program."""
    options = dict(_options(words))
    memory, platform = _pairs(options.get("memory", "")), _pairs(options.get("platform", ""))
    guest = "tdx" if platform.get("tdx") == "on" else "sev-snp-gmem" if platform.get("sev_snp") == "on" else "plain"
    backing = "hugetlb" if memory.get("hugepages") == "on" else "memfd" if memory.get("shared") == "on" else "thp"
    if guest != "plain":
        backing = "guest_memfd"
    elif backing == "thp" and memory.get("thp") == "off":
        backing = "anon"
    return RunningGuest(
        vmm="cloud-hypervisor",
        guest=guest,
        vcpus=_count(_pairs(options.get("cpus", ""), "boot").get("boot")),
        memory_bytes=_size(memory.get("size", ""), 1),
        backing=backing,
        mempolicy="bind" if "host_numa_node" in options.get("memory-zone", "") else "default",
        mergeable=guest == "plain" and memory.get("mergeable") == "on",
    )


def domain(text: str, file: str, *, names: bool = False) -> RunningGuest:
    """A guest from libvirt's domain XML. Raises BadInput."""
    remedy = "give what `virsh dumpxml DOMAIN` prints"
    root = xml_root(text, file, "domain", remedy)
    if root.tag != "domain":
        raise BadInput("is no domain", file=file, remedy=remedy)
    security = root.find("launchSecurity")
    kind = security.get("type", "") if security is not None else ""
    guest = {"sev": "sev", "sev-snp": "sev-snp-gmem", "tdx": "tdx", "": "plain"}.get(kind)
    if guest is None:
        raise BadInput(f"launch security {kind[:20]!r} is unknown", file=file, field="launchSecurity", remedy=remedy)
    if guest == "sev" and _integer(root.findtext("launchSecurity/policy", "0")) & ES_POLICY:
        guest = "sev-es"
    memory = root.find("memory")
    unit = (memory.get("unit", "KiB") if memory is not None else "KiB").replace("bytes", "b")
    pins = [listed_cpus(pin.get("cpuset", "")) for pin in root.iterfind("cputune/vcpupin")]
    backing = root.find("memoryBacking")
    held = {one.tag for one in backing} if backing is not None else set()
    source = root.find("memoryBacking/source")
    kinds = (
        "hugetlb"
        if "hugepages" in held
        else "memfd"
        if source is not None and source.get("type") in ("memfd", "file")
        else "thp"
    )
    mode = root.find("numatune/memory")
    return RunningGuest(
        vmm="qemu",
        guest=guest,
        vcpus=_count((root.findtext("vcpu") or "").strip()),
        memory_bytes=_size(f"{(memory.text or '').strip()}{unit}", 1) if memory is not None else None,
        backing="guest_memfd" if guest in FROM_GUEST_MEMFD else kinds,
        mempolicy=MEMPOLICIES.get(mode.get("mode", "strict"), "default") if mode is not None else "default",
        mergeable=guest == "plain" and "nosharepages" not in held,
        allowed_cpus=len(set().union(*pins)) or None if pins else None,
        name=root.findtext("name", "")[:64] if names else "",
    )
