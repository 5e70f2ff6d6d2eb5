"""What the machine under measurement is: CPU, caches, kernel and state. No host name, serial number or address."""

from __future__ import annotations

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from costmodel.evidence.described import VENDORS, colon_fields, listed_cpus
from costmodel.evidence.hosts import HIDDEN_IN_A_GUEST, HostCache

FEATURES = ("clflushopt", "clwb", "wbnoinvd", "sev", "sev_es", "sev_snp", "tdx_host_platform")
"""Flags of /proc/cpuinfo that the model reads; a flag that is off may be off because the BIOS or a hypervisor hides
it.
"""


@dataclass(frozen=True)
class Host:
    """Identity and state of the machine. Numbers that the kernel does not tell are None."""

    vendor: str
    cpu_model: str
    family: int
    model: int
    stepping: int
    microcode: str
    features: tuple[str, ...]
    logical_cpus: int
    sockets: int
    threads_per_core: int
    numa_nodes: int
    caches: tuple[HostCache, ...]
    kernel: str
    hypervisor: str
    governor: str
    smt: str
    clock_source: str
    transparent_hugepage: str
    load_average: float
    memory_bytes: int

    @property
    def virtual(self) -> bool:
        return self.hypervisor != "none"

    def has(self, feature: str) -> bool:
        """Whether /proc/cpuinfo shows the flag."""
        return feature in self.features

    def cache(self, level: int) -> HostCache | None:
        """The data or unified cache of `level`."""
        return next((c for c in self.caches if c.level == level and c.kind in ("Data", "Unified")), None)

    @property
    def llc(self) -> HostCache | None:
        return max((c for c in self.caches if c.kind in ("Data", "Unified")), key=lambda c: c.level, default=None)

    def notes(self) -> list[str]:
        """What this machine cannot tell about itself."""
        return list(HIDDEN_IN_A_GUEST) if self.virtual else []

    def as_dict(self) -> dict[str, Any]:
        """Fields for host.toml; empty ones left out."""
        fields = asdict(self)
        return {name: value for name, value in fields.items() if value not in (None, "", (), [])}


def describe(root: Path = Path("/")) -> Host:
    """Read /proc and /sys under `root`."""
    text = (root / "proc/cpuinfo").read_text()
    info = colon_fields(text.split("\n\n")[0])
    flags = set(info.get("flags", "").split())
    online = len(re.findall(r"^processor\s*:", text, flags=re.M))
    siblings, cores = int(info.get("siblings", 1)), int(info.get("cpu cores", 1))
    return Host(
        vendor=VENDORS.get(info.get("vendor_id", ""), "other"),
        cpu_model=" ".join(info.get("model name", "").split()),
        family=int(info.get("cpu family", 0)),
        model=int(info.get("model", 0)),
        stepping=int(info.get("stepping", 0)),
        microcode=info.get("microcode", ""),
        features=tuple(name for name in FEATURES if name in flags),
        logical_cpus=online,
        sockets=len(set(re.findall(r"^physical id\s*:\s*(\d+)", text, flags=re.M))) or 1,
        threads_per_core=max(1, siblings // max(1, cores)),
        numa_nodes=len(list((root / "sys/devices/system/node").glob("node[0-9]*"))) or 1,
        caches=_caches(root / "sys/devices/system/cpu/cpu0/cache"),
        kernel=_version(text_of(root / "proc/sys/kernel/osrelease")),
        hypervisor=_hypervisor(root, flags),
        governor=text_of(root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") or "not reported",
        smt=text_of(root / "sys/devices/system/cpu/smt/control") or "not reported",
        clock_source=text_of(root / "sys/devices/system/clocksource/clocksource0/current_clocksource"),
        transparent_hugepage=selected(text_of(root / "sys/kernel/mm/transparent_hugepage/enabled")),
        load_average=float((text_of(root / "proc/loadavg") or "0").split()[0]),
        memory_bytes=1024 * int((re.search(r"MemTotal:\s*(\d+)", text_of(root / "proc/meminfo")) or [0, 0])[1]),
    )


def usable_cpus() -> list[int]:
    """CPUs on which this process may run, sorted."""
    return sorted(os.sched_getaffinity(0))


def _caches(folder: Path) -> tuple[HostCache, ...]:
    found = []
    for index in sorted(folder.glob("index[0-9]*")):
        size = re.fullmatch(r"(\d+)([KM]?)", text_of(index / "size"))
        if size is None:
            continue
        found.append(
            HostCache(
                level=int(text_of(index / "level")),
                kind=cast(Any, text_of(index / "type")),
                bytes=int(size[1]) * {"": 1, "K": 2**10, "M": 2**20}[size[2]],
                line_bytes=int(text_of(index / "coherency_line_size") or 64),
                shared_cpus=max(1, len(listed_cpus(text_of(index / "shared_cpu_list")))),
            )
        )
    return tuple(found)


def _hypervisor(root: Path, flags: set[str]) -> str:
    if "hypervisor" not in flags:
        return "none"
    return text_of(root / "sys/hypervisor/type") or "yes"


def _version(release: str) -> str:
    """The numbers of a kernel release: what follows may name a vendor or a build host."""
    found = re.match(r"\d+(\.\d+)*", release)
    return found[0] if found else ""


def selected(text: str) -> str:
    """The choice of a file such as `always [madvise] never`, else its text."""
    return text.partition("[")[2].partition("]")[0] or text.strip()


def text_of(path: Path) -> str:
    """What a file of /proc or /sys says, nothing where it cannot be read."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
