"""What a file tells of a machine: lscpu, lscpu -J, /proc/cpuinfo, CPUID dumps (`cpuid -r`, InstLatx64) and lstopo
XML.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from costmodel.errors import BadInput

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

FLAGS = {name: name for name in ("clflushopt", "clwb", "wbnoinvd", "sme", "sev", "sev_es", "sev_snp")}
FLAGS["tdx_host_platform"] = "tdx"
"""Flags of /proc/cpuinfo and the features that they show; VM_PAGE_FLUSH and SME_COHERENT have no flag."""
BITS = {
    "clflushopt": (7, "ebx", 23),
    "clwb": (7, "ebx", 24),
    "wbnoinvd": (0x80000008, "ebx", 9),
    "int_wbinvd": (0x80000008, "ebx", 13),
    "sme": (0x8000001F, "eax", 0),
    "sev": (0x8000001F, "eax", 1),
    "vm_page_flush": (0x8000001F, "eax", 2),
    "sev_es": (0x8000001F, "eax", 3),
    "sev_snp": (0x8000001F, "eax", 4),
    "sme_coherent": (0x8000001F, "eax", 10),
    "coherency_sfw_no": (0x8000001F, "ebx", 31),
}
"""Leaf, register and bit of each feature."""
REGISTERS = ("eax", "ebx", "ecx", "edx")
VENDORS = {"AuthenticAMD": "amd", "GenuineIntel": "intel"}
UNITS = {"": 1, "B": 1, "K": 2**10, "KiB": 2**10, "M": 2**20, "MiB": 2**20, "G": 2**30, "GiB": 2**30}
LONGEST = 2**24
"""Characters: a dump of all CPUs of a large host has a few million."""
HOST_BOUNDS = {
    "family": (0, 270),
    "model": (0, 255),
    "stepping": (0, 15),
    "logical_cpus": (1, 2**16),
    "sockets": (1, 2**10),
    "threads_per_core": (1, 16),
}
"""What the numbers of a host can be; family and model are the most that CPUID can say."""
CACHE_BOUNDS = {"level": (1, 4), "bytes": (2**10, 2**36), "line_bytes": (16, 4096), "shared_cpus": (1, 2**16)}
REMEDY = "give what `LC_ALL=C lscpu`, `lscpu -J`, /proc/cpuinfo, `cpuid -r` or `lstopo --of xml` prints"


@dataclass(frozen=True)
class Cache:
    """One level of data caches. `bytes` is the size of one, `total_bytes` that of all of the host, `shared_cpus` the
    CPUs behind one; what the file does not tell is None.
    """

    bytes: float | None = None
    total_bytes: float | None = None
    shared_cpus: int | None = None


@dataclass(frozen=True)
class Described:
    """A machine as a file describes it. What the file does not tell is None or empty; `features` None means that it
    tells of no feature, and `whole` that it tells of every one, so that what is not named is off. The bandwidth is that
    of the memory of one socket.
    """

    kind: str
    vendor: str = ""
    name: str = ""
    family: int | None = None
    model: int | None = None
    stepping: int | None = None
    logical_cpus: int | None = None
    cpus_per_socket: int | None = None
    sockets: int | None = None
    threads_per_core: int | None = None
    line_bytes: int | None = None
    caches: Mapping[int, Cache] = field(default_factory=dict)
    features: frozenset[str] | None = None
    whole: bool = False
    virtual: bool = False
    dram_peak_bytes_per_s: float | None = None


def read(text: str, file: str) -> Described:
    """What the text of `file` tells. Raises BadInput where it is none of the kinds, or tells too little."""
    if len(text) > LONGEST:
        raise BadInput(f"is longer than {LONGEST} characters", file=file, remedy="give one description of one host")
    for sign, reader in _KINDS:
        if sign.search(text):
            try:
                found = reader(text, file)
            except (ValueError, OverflowError) as error:
                raise BadInput(f"cannot be read: {str(error)[:80]}", file=file, remedy=REMEDY) from None
            return _checked(found, file)
    raise BadInput("describes no machine in a form that is known", file=file, remedy=REMEDY)


def _checked(found: Described, file: str) -> Described:
    if found.vendor not in VENDORS.values():
        raise BadInput("names neither an AMD nor an Intel CPU", file=file, field="vendor", remedy=REMEDY)
    if found.family is None or found.model is None:
        raise BadInput("does not tell family and model of the CPU", file=file, field="family", remedy=REMEDY)
    bounds = {"cpus_per_socket": HOST_BOUNDS["logical_cpus"], "line_bytes": CACHE_BOUNDS["line_bytes"], **HOST_BOUNDS}
    for name, (least, most) in bounds.items():
        value = getattr(found, name)
        if value is not None and not least <= value <= most:
            raise BadInput(f"{value} cannot be", file=file, field=name, remedy=REMEDY)
    for level, cache in found.caches.items():
        for size in (cache.bytes, cache.total_bytes):
            if size is not None and not CACHE_BOUNDS["bytes"][0] <= size <= CACHE_BOUNDS["bytes"][1]:
                raise BadInput(f"{size:g} bytes cannot be", file=file, field=f"L{level} cache", remedy=REMEDY)
    return found


def _number(text: str | None) -> int | None:
    """The whole number at the beginning of a value, if any."""
    match = re.match(r"\s*(\d{1,9})\b", text or "", re.ASCII)
    return int(match[1]) if match else None


def colon_fields(text: str) -> dict[str, str]:
    """The lines `name : value` of a text; of a name that is there twice the first."""
    fields: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if colon:
            fields.setdefault(name.strip(), value.strip())
    return fields


def _lscpu(text: str, file: str) -> Described:
    return _from_fields(colon_fields(text), "lscpu", file)


def _lscpu_json(text: str, file: str) -> Described:
    fields: dict[str, str] = {}

    def collect(entries: object) -> None:
        for entry in entries if isinstance(entries, list) else []:
            if isinstance(entry, dict):
                name, value = entry.get("field"), entry.get("data")
                if isinstance(name, str) and isinstance(value, str):
                    fields.setdefault(name.strip().removesuffix(":"), value.strip())
                collect(entry.get("children"))

    try:
        document = json.loads(text)
    except RecursionError:
        raise BadInput("is nested too deep", file=file, remedy=REMEDY) from None
    collect(document.get("lscpu") if isinstance(document, dict) else None)
    return _from_fields(fields, "lscpu -J", file)


def _from_fields(fields: Mapping[str, str], kind: str, file: str) -> Described:
    """From the fields of lscpu: sizes are those of all caches where it counts them, else of one (before 2.34)."""
    cpus = _number(fields.get("CPU(s)"))
    if cpus is None:
        raise BadInput("has no field CPU(s)", file=file, remedy="run it as LC_ALL=C lscpu")
    if online := fields.get("On-line CPU(s) list"):
        cpus = len(listed_cpus(online)) or cpus
    flags = frozenset(fields["Flags"].split()) if "Flags" in fields else None
    sockets = _number(fields.get("Socket(s)"))
    caches = {}
    for level, name in ((1, "L1d"), (2, "L2"), (3, "L3")):
        size = fields.get(f"{name} cache", fields.get(name))
        if size and (cache := _size(size, cpus)):
            caches[level] = cache
    return Described(
        kind=kind,
        vendor=VENDORS.get(fields.get("Vendor ID", ""), ""),
        name=fields.get("Model name", ""),
        family=_number(fields.get("CPU family")),
        model=_number(fields.get("Model")),
        stepping=_number(fields.get("Stepping")),
        logical_cpus=cpus,
        sockets=sockets,
        threads_per_core=_number(fields.get("Thread(s) per core")),
        caches=caches,
        features=None if flags is None else frozenset(FLAGS[flag] for flag in FLAGS.keys() & flags),
        virtual="Hypervisor vendor" in fields or bool(flags and "hypervisor" in flags),
    )


def _size(text: str, cpus: int) -> Cache | None:
    """A size of lscpu: `32768K` is one cache, `512 MiB (16 instances)` are all, `512 MiB` all of an unknown number."""
    match = re.match(r"([\d.]+)\s*([KMG]?(?:iB)?|B)\b(?:\s*\((\d+) instances?\))?", text, re.ASCII)
    if not match or match[2] not in UNITS:
        return None
    size, instances = float(match[1]) * UNITS[match[2]], int(match[3] or 0)
    if instances:
        return Cache(size / instances, size, max(1, round(cpus / instances)))
    return Cache(total_bytes=size) if match[2].endswith("iB") else Cache(bytes=size)


def listed_cpus(text: str) -> frozenset[int]:
    """CPUs of a list such as `0-63,128`; empty where it cannot be read.

    >>> sorted(listed_cpus("0-2,8")), listed_cpus("none")
    ([0, 1, 2, 8], frozenset())
    """
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})(?:-(\d{1,5}))?\s*", part, re.ASCII)
        if not match:
            return frozenset()
        found |= set(range(int(match[1]), int(match[2] or match[1]) + 1))
    return frozenset(found)


def _cpuinfo(text: str, file: str) -> Described:
    first = colon_fields(text.split("\n\n")[0])
    cpus = len(re.findall(r"^processor\s*:", text, re.MULTILINE))
    flags = frozenset(first.get("flags", "").split())
    siblings, cores = _number(first.get("siblings")), _number(first.get("cpu cores"))
    vendor = VENDORS.get(first.get("vendor_id", ""), "")
    sockets = len(set(re.findall(r"^physical id\s*:\s*(\d+)", text, re.MULTILINE)))
    if siblings and sockets == 1 and cpus < siblings:
        cpus = siblings  # only the beginning of the file was pasted
    caches = {}
    if (size := _size(first.get("cache size", "").replace(" KB", "K"), cpus)) is not None:
        caches[2 if vendor == "amd" else 3] = size
    return Described(
        kind="/proc/cpuinfo",
        vendor=vendor,
        name=first.get("model name", ""),
        family=_number(first.get("cpu family")),
        model=_number(first.get("model")),
        stepping=_number(first.get("stepping")),
        logical_cpus=cpus,
        sockets=sockets or None,
        threads_per_core=max(1, siblings // cores) if siblings and cores else None,
        line_bytes=_number(first.get("clflush size")),
        caches=caches,
        features=frozenset(FLAGS[flag] for flag in FLAGS.keys() & flags),
        virtual="hypervisor" in flags,
    )


CPUID_RAW = re.compile(
    r"^\s*0x(?P<leaf>[0-9a-f]{8}) 0x(?P<sub>[0-9a-f]{2,8}): "
    r"eax=0x(?P<eax>[0-9a-f]{8}) ebx=0x(?P<ebx>[0-9a-f]{8}) ecx=0x(?P<ecx>[0-9a-f]{8}) edx=0x(?P<edx>[0-9a-f]{8})",
    re.MULTILINE | re.IGNORECASE | re.ASCII,
)
INSTLAT = re.compile(
    r"^CPUID (?P<leaf>[0-9A-F]{8}): (?P<eax>[0-9A-F]{8})-(?P<ebx>[0-9A-F]{8})-(?P<ecx>[0-9A-F]{8})-(?P<edx>[0-9A-F]{8})"
    r"(?:.*\[SL (?P<sub>[0-9A-F]{2})\])?",
    re.MULTILINE | re.ASCII,
)


def _cpuid_raw(text: str, file: str) -> Described:
    """`cpuid -r`: one section a CPU, each leaf with its subleaf and four registers."""
    return _from_cpuid(text, CPUID_RAW, "cpuid -r", len(re.findall(r"^CPU \d+:", text, re.MULTILINE)))


def _instlat(text: str, file: str) -> Described:
    """A dump of InstLatx64: `CPUID 00000001: EAX-EBX-ECX-EDX`, subleafs as `[SL 01]`; other CPUs follow the first."""
    return _from_cpuid(text, INSTLAT, "CPUID dump", len(set(re.findall(r"Logical CPU #(\d+)", text))))


def _from_cpuid(text: str, line: re.Pattern[str], kind: str, sections: int) -> Described:
    """From the leaves of CPUID in the lines of a text, of which the first CPU counts."""
    leaves: dict[tuple[int, int], tuple[int, ...]] = {}
    for found in line.finditer(text):
        leaf, sub, *held = (int(found[name] or "0", 16) for name in ("leaf", "sub", *REGISTERS))
        leaves.setdefault((leaf, sub), tuple(held))
    empty, cpus = (0, 0, 0, 0), sections if sections > 1 else None
    _, b, c, d = leaves.get((0, 0), empty)
    vendor = VENDORS.get(_ascii(b, d, c), "")
    signature, extra, more, _ = leaves.get((1, 0), empty)
    family, model = family_model(f"{signature:08X}")
    features = frozenset(
        name
        for name, (leaf, register, bit) in BITS.items()
        if leaves.get((leaf, 0), empty)[REGISTERS.index(register)] >> bit & 1
    )
    threads, package = leaves.get((0xB, 0), empty)[1] & 0xFFFF, leaves.get((0xB, 1), empty)[1] & 0xFFFF
    caches, line_bytes = {}, None
    topology = 0x8000001D if (0x8000001D, 0) in leaves else 4
    for sub in range(8):
        a, b, c, _ = leaves.get((topology, sub), empty)
        if a & 31 in (1, 3):
            ways, parts, line_bytes = (b >> 22) + 1, (b >> 12 & 0x3FF) + 1, (b & 0xFFF) + 1
            caches[a >> 5 & 7] = Cache(float(ways * parts * line_bytes * (c + 1)), shared_cpus=(a >> 14 & 0xFFF) + 1)
    return Described(
        kind=kind,
        vendor=vendor,
        name=_ascii(*(r for leaf in (0x80000002, 0x80000003, 0x80000004) for r in leaves.get((leaf, 0), ()))).strip(),
        family=family if signature else None,
        model=model,
        stepping=signature & 15,
        logical_cpus=cpus,
        cpus_per_socket=package or None,
        sockets=max(1, cpus // package) if cpus and package else None,
        threads_per_core=threads or None,
        line_bytes=(extra >> 8 & 255) * 8 or line_bytes,
        caches=caches,
        features=features,
        whole=True,
        virtual=bool(more >> 31 & 1),
    )


def family_model(signature: str) -> tuple[int, int]:
    """Family and model of a CPUID signature of eight hexadecimal digits."""
    bits = int(signature, 16)
    base = bits >> 8 & 15
    return base + (bits >> 20 & 255 if base == 15 else 0), (bits >> 4 & 15) | (bits >> 16 & 15) << 4


def signature_of(family: int, model: int, stepping: int) -> str:
    """CPUID 1 EAX of family, model and stepping as eight hexadecimal digits."""
    base, extended = min(family, 15), max(0, family - 15)
    return f"{extended << 20 | (model >> 4) << 16 | base << 8 | (model & 15) << 4 | stepping:08X}"


def _ascii(*registers: int) -> str:
    raw = b"".join((register & 0xFFFFFFFF).to_bytes(4, "little") for register in registers)
    return raw.decode("ascii", "replace").replace("\0", "")


def xml_root(text: str, file: str, what: str, remedy: str) -> Element:
    """The root of what is said to be XML of `what`. Raises BadInput."""
    from xml.etree import ElementTree  # few machines and guests are described so

    if "<!ENTITY" in text:
        raise BadInput(f"declares entities, which no {what} does", file=file, remedy=remedy)
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise BadInput(f"is no XML: {error}", file=file, remedy=remedy) from None


def _lstopo(text: str, file: str) -> Described:
    """lstopo's XML, of hwloc 1 (Socket, Cache with a depth) and 2 (Package, L3Cache)."""
    root = xml_root(text, file, "lstopo", REMEDY)
    info = {one.get("name"): one.get("value", "") for one in root.iter("info")}
    objects: dict[str, list[Element]] = {}
    for one in root.iter("object"):
        kind = one.get("type", "")
        objects.setdefault(f"L{one.get('depth')}Cache" if kind == "Cache" else kind, []).append(one)
    cpus = len(objects.get("PU", ()))
    caches = {}
    for level, name in ((1, "L1Cache"), (2, "L2Cache"), (3, "L3Cache")):
        if held := objects.get(name):
            behind = sum(one.get("type") == "PU" for one in held[0].iter("object"))
            caches[level] = Cache(float(held[0].get("cache_size", "0")), shared_cpus=behind or None)
    lines = {int(one.get("cache_linesize", "0")) for name in ("L3Cache", "L2Cache") for one in objects.get(name, ())}
    cores = len(objects.get("Core", ()))
    return Described(
        kind="lstopo XML",
        vendor=VENDORS.get(info.get("CPUVendor", ""), ""),
        name=info.get("CPUModel", ""),
        family=_number(info.get("CPUFamilyNumber")),
        model=_number(info.get("CPUModelNumber")),
        stepping=_number(info.get("CPUStepping")),
        logical_cpus=cpus or None,
        sockets=len(objects.get("Package", objects.get("Socket", ()))) or None,
        threads_per_core=max(1, cpus // cores) if cores else None,
        line_bytes=max(lines, default=0) or None,
        caches=caches,
    )


_KINDS: tuple[tuple[re.Pattern[str], Callable[[str, str], Described]], ...] = (
    (re.compile(r"\A\s*\{[^\0]*\"lscpu\""), _lscpu_json),
    (re.compile(r"\A\s*<(?:\?xml|!DOCTYPE topology|topology)"), _lstopo),
    (re.compile(r"^\s*0x[0-9a-f]{8} 0x[0-9a-f]{2,8}: eax=0x", re.MULTILINE | re.IGNORECASE), _cpuid_raw),
    (re.compile(r"^CPUID [0-9A-F]{8}: [0-9A-F]{8}-", re.MULTILINE), _instlat),
    (re.compile(r"^processor\s*:\s*\d", re.MULTILINE), _cpuinfo),
    (re.compile(r"^\s*(?:Architecture|Vendor ID|CPU\(s\)):", re.MULTILINE), _lscpu),
)
"""What a text of each kind holds, and its reader; the first that fits."""
