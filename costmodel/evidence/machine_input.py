"""The machine that a user means: by an id, a marketing name, a CPUID dump of data/, a file that describes it, or `this`.

Names are looked for in the catalogue, the dumps, and data/server_parts.csv (what vendors' pages, or a lscpu, tell of parts of
which no dump is in data/). What a description leaves open comes from the nearest dumps, by data/core_generations.csv where no
closer one is there, and a number that is taken so is told as EXTRAPOLATED.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, cast

from costmodel.errors import BadInput, UnknownName
from costmodel.evidence import described, machines
from costmodel.evidence.described import Described, family_model, signature_of
from costmodel.evidence.machines import FEATURES, CpuidRow
from costmodel.evidence.records import Machine, Vendor
from costmodel.evidence.store import Evidence, load, tell
from costmodel.evidence.tables import Cell, Count, Positive, Refused, column, one_of, placed, records
from costmodel.numbers import several
from costmodel.plain import visible

FILE = "server_parts.csv"
KIB, GB = 1024.0, 1e9


@dataclass(frozen=True, kw_only=True)
class Part:
    """One package. `dump` is a CPUID dump of the same family and model; `l3_bytes` is the size of all its L3 caches,
    and `l3_caches` how many they are, None where no source tells.
    """

    name: str = column("part")
    dump: str
    cores: Count
    threads: Count
    most_sockets: Count
    l3_kib: Positive
    l3_caches: Count | None = None
    dram_peak_gb_per_s_per_socket: Positive | None = None
    method: Literal["vendor's page", "lscpu of the part"]
    source: str
    l3_source: str = ""
    read_on: str

    def __post_init__(self) -> None:
        caches = self.l3_caches or 1
        for name, whole, parts in (("threads", self.threads, self.cores), ("l3_caches", self.cores, caches)):
            if whole % parts:
                raise Refused(f"{parts} does not divide {whole}", "correct it", name)
        if bool(self.l3_caches) != bool(self.l3_source):
            raise Refused("needs its number", "give both, or neither", "l3_source")

    @property
    def l3_bytes(self) -> float:
        return self.l3_kib * KIB

    @property
    def dram_peak_bytes_per_s(self) -> float | None:
        peak = self.dram_peak_gb_per_s_per_socket
        return None if peak is None else peak * GB

    @property
    def threads_per_core(self) -> int:
        return self.threads // self.cores


@lru_cache(maxsize=2)
def read_parts(path: Path, dumps: Collection[str]) -> dict[str, Part]:
    """The parts of a file by name. Raises BadInput with the row that cannot be read."""
    found = {part.name: part for part in records(path, Part, ("part",))}
    for part in found.values():
        with placed(path.name, part.name):
            one_of(part.dump, dumps, "dump")
    return found


# The machine that a user means: an id, a marketing name, a dump of data/, a file that describes it, `-` or `this`.
#
# A catalogued machine has the sockets that its entry says; one of a dump as many as the dump counts CPUs for; a part of
# data/server_parts.csv one; `2x NAME` says otherwise. NUMA nodes per socket change no cache, so they are not asked for.
#
# What a file does not tell comes from the CPUID dumps of the same signature, then from those of the same model, then
# from those of the same core generation; each such number is named in the notes, the last kind as EXTRAPOLATED. Of a
# part whose number of L3 caches no source tells, the largest size of one that fits is taken, as EXTRAPOLATED too.

GENERATIONS = "core_generations.csv"
PEAK = "dram_peak_bytes_per_s_per_socket"
STDIN = "-"
THIS = "this"
MOST_SOCKETS = 64

NOISE = frozenset(
    [
        "amd",
        "intel",
        "r",
        "tm",
        "cpu",
        "core",
        "processor",
        "emb",
        "xeon",
        "epyc",
        "platinum",
        "gold",
        "silver",
        "bronze",
        "ghz",
        "eng",
        "sample",
    ]
)
"""Words of a marketing name that tell no part from another."""


def find(evidence: Evidence, asked: str) -> Machine:
    """The machine that `asked` means. Raises UnknownName or BadInput; several matches are listed."""
    if asked.casefold() in {id.casefold() for id in evidence.machines} or asked in evidence.left_out:
        return evidence.machine(asked)
    if own := machines.own_path(asked):
        return machines.read_own(own, given=own.stem)
    match = re.fullmatch(r"(?:(\d{1,2})\s*[xX*]\s*)?(\S.*)", asked.strip(), re.DOTALL)
    if not match:
        raise UnknownName("machine", asked, evidence.machines)
    sockets, name = int(match[1] or 0), match[2]
    if sockets > MOST_SOCKETS:
        raise BadInput(f"{sockets} sockets cannot be", field="machine", remedy="write it as 2x NAME")
    if name in (STDIN, THIS) or Path(name).is_file():
        if Path(name).suffix == machines.SUFFIX:
            return _own_file(Path(name), sockets)
        prefix = f"{sockets}x " if sockets else ""
        return from_text(evidence, *_text(name), given=f"{prefix}{Path(name).name}", sockets=sockets)
    if name not in evidence.dumps and re.search(r"/|\.(?:txt|json|xml|toml|log|out|csv)$", name):
        raise BadInput("no such file", file=visible(name)[:80], field="machine", remedy=_GIVE_LSCPU)
    return _named(evidence, asked, name, sockets)


_GIVE_LSCPU = "give what lscpu prints on the machine: --machine lscpu.txt, or lscpu | ... --machine -"


def _own_file(path: Path, sockets: int) -> Machine:
    if sockets:
        remedy = "leave the number of sockets out"
        raise BadInput("tells its sockets itself", file=path.name, field="machine", remedy=remedy)
    return machines.read_own(path, given=str(path))


def origins(evidence: Evidence, asked: str) -> tuple[Machine, dict[str, str]]:
    """The machine that `asked` means, and where each of its numbers comes from, by attribute. Raises as `find`."""
    found = find(evidence, asked)
    if found.given:
        return found, dict(found.origins)
    rows = {name: ", ".join(found.provenance.get(name, ())) for name in machines.NUMBERS}
    kind = "measured host" if found.id in evidence.hosts else "catalogue"
    return found, {name: f"{kind} {found.id}" + (f": {text}" if text else "") for name, text in rows.items()}


def told(asked: str) -> Machine:
    """The machine that `asked` means; one that is only described is known to this process from now on. Raises as
    `find`.
    """
    found = find(load(), asked)
    if found.given:
        tell(found)
    return found


def _text(name: str) -> tuple[str, str]:
    """The text of a description and how messages call it. Raises BadInput."""
    if name == STDIN:
        return sys.stdin.read(described.LONGEST + 1), "standard input"
    path = Path("/proc/cpuinfo") if name == THIS else Path(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise BadInput(f"cannot be read: {error.strerror}", file=path.name, remedy="check the path") from None
    return content.decode("utf-8", "replace"), path.name


def from_text(evidence: Evidence, text: str, file: str, *, given: str, sockets: int = 0) -> Machine:
    """The machine that a file describes. Raises BadInput where neither the file nor the catalogue knows its caches."""
    return _Gaps(evidence, described.read(text, file), file).machine(given, sockets)


def microarchitecture(evidence: Evidence, vendor: str, family: int, model: int) -> str:
    """Core generation by data/core_generations.csv, empty where it has none. Raises BadInput."""
    for row in _generations(evidence.root / GENERATIONS):
        if row.vendor == vendor and row.family == family and row.first_model <= model <= row.last_model:
            return row.microarchitecture
    return ""


def _hexadecimal(cell: str) -> int:
    if not re.fullmatch(r"0x[0-9a-f]{2,3}", cell, re.ASCII):
        raise Refused(f"{cell[:20]!r} is no hexadecimal number", "write it as 0x19")
    return int(cell, 16)


Hexadecimal = Annotated[int, Cell(_hexadecimal)]


@dataclass(frozen=True)
class Generation:
    """Models of a family, first to last, that are of one core generation."""

    vendor: str
    family: Hexadecimal
    first_model: Hexadecimal
    last_model: Hexadecimal
    microarchitecture: str
    source: str


@lru_cache(maxsize=2)
def _generations(path: Path) -> tuple[Generation, ...]:
    return records(path, Generation, ("vendor", "family", "first_model"))


@dataclass(frozen=True)
class _Gaps:
    """A description, and the dumps that fill what it does not tell, nearest first."""

    evidence: Evidence
    told: Described
    file: str
    origins: dict[str, str] = field(default_factory=dict)

    @property
    def generation(self) -> str:
        return microarchitecture(self.evidence, self.told.vendor, self.told.family or 0, self.told.model or 0)

    @property
    def who(self) -> str:
        """The kind of the description and its file, as notes call them."""
        file = visible(self.file)
        return self.told.kind if self.told.kind.endswith(f"/{file}") else f"{self.told.kind} ({file})"

    def circles(self) -> list[tuple[str, list[CpuidRow]]]:
        """Dumps of the same signature, of the same model and of the same generation; of each first those of the same
        part.
        """
        told, rows = self.told, list(self.evidence.dumps.values())
        own = signature_of(told.family or 0, told.model or 0, told.stepping or 0)
        near = {
            "the dump of the same signature": [r for r in rows if told.stepping is not None and r.signature == own],
            "a dump of the same model": [r for r in rows if r.signature[:-1] == own[:-1]],
            "a dump of the same core generation (EXTRAPOLATED)": [
                r for r in rows if self.generation and self._of(r) == self.generation
            ],
        }
        part = set(_words(told.name))
        return [
            (why, sorted(found, key=lambda r: -len(part & set(_words(r.model)))))
            for why, found in near.items()
            if found
        ]

    def _of(self, row: CpuidRow) -> str:
        return microarchitecture(self.evidence, _vendor(row), *family_model(row.signature))

    def machine(self, given: str, sockets: int) -> Machine:
        told = self.told
        itself = f"told by {self.who}"
        notes = [f"described by {self.who}"]
        threads = told.threads_per_core or 1
        counted = "asked for" if sockets else itself if told.sockets else "assumed: one, nothing tells"
        sockets = sockets or told.sockets or 1
        self.origins.update(
            sockets=counted,
            logical_cpus=itself,
            threads_per_core=itself if told.threads_per_core else "assumed: one, nothing tells",
            line_bytes=itself if told.line_bytes else "assumed: 64 bytes, as every catalogued machine has",
        )
        cpus = told.logical_cpus or (told.cpus_per_socket or 0) * sockets
        if told.logical_cpus and told.cpus_per_socket and not told.sockets:
            cpus = told.cpus_per_socket * sockets
        if not cpus:
            raise BadInput(
                "does not tell how many CPUs the host has",
                file=self.file,
                field="logical_cpus",
                remedy="give lscpu, or write the number of sockets before it: --machine '2x FILE'",
            )
        twin = None if told.dram_peak_bytes_per_s else self._twin()
        if told.dram_peak_bytes_per_s:
            self.origins[PEAK] = itself
        if twin:
            text = f"memory bandwidth of a socket as of {twin.title} (EXTRAPOLATED; fewer channels give less)"
            notes.append(text)
            self.origins[PEAK] = text
        l2, _ = self._cache(2, cpus, notes)
        llc, shared = self._cache(3, cpus, notes)
        shared = _fitting(cpus, min(shared, cpus))
        return Machine(
            id=_id(told.name, sockets, self.evidence),
            title=f"{'' if sockets == 1 else f'{sockets} x '}{_title(told.name) or told.vendor}",
            vendor=cast(Vendor, told.vendor),
            microarchitecture=self.generation or "not catalogued",
            sockets=sockets,
            logical_cpus=cpus,
            threads_per_core=threads,
            cpus_per_domain=shared,
            domains=max(1, cpus // shared),
            llc_bytes_per_domain=llc,
            l2_bytes_per_core=l2,
            line_bytes=told.line_bytes or 64,
            dram_peak_bytes_per_s_per_socket=getattr(twin, PEAK, told.dram_peak_bytes_per_s),
            features=(features := self._features(notes)),
            features_off=self._off(features, notes),
            provenance={PEAK: twin.provenance[PEAK]} if twin else {},
            missing=self._missing(features, twin),
            notes=(
                *notes,
                *(("virtual machine: caches and CPUs as the hypervisor reports them",) if told.virtual else ()),
            ),
            given=given,
            origins=dict(self.origins),
        )

    def _twin(self) -> Machine | None:
        """A catalogued machine of the same core generation whose memory bandwidth has a source."""
        machines = self.evidence.machines.values()
        same = [m for m in machines if m.microarchitecture == self.generation and m.vendor == self.told.vendor]
        return next((m for m in same if PEAK in m.provenance and getattr(m, PEAK)), None)

    def _cache(self, level: int, cpus: int, notes: list[str]) -> tuple[float, int]:
        """Bytes of one cache of the level and the CPUs behind it. Raises BadInput where nothing tells."""
        told = self.told.caches.get(level, described.Cache())
        itself = f"told by {self.who}"
        size_of, shared_of = ("l2_bytes_per_core", "") if level == 2 else ("llc_bytes_per_domain", "cpus_per_domain")
        self.origins.update({name: itself for name in (size_of, shared_of) if name})
        if told.bytes and told.shared_cpus:
            return told.bytes, told.shared_cpus
        for why, rows in self.circles():
            size, shared = rows[0].l3_bytes if level == 3 else rows[0].l2_bytes, _shared(rows[0], level)
            if told.total_bytes and not told.bytes:  # all of them: how many there are follows from the size of one
                instances = max(1, round(told.total_bytes / size))
                notes.append(f"L{level}: {instances} caches, by the size of one in {why}, {rows[0].model}")
                self.origins.update({name: notes[-1] for name in (size_of, shared_of) if name})
                return told.total_bytes / instances, max(1, cpus // instances)
            notes.append(f"L{level}: {'CPUs behind one' if told.bytes else 'size'} from {why}, {rows[0].model}")
            self.origins.update({name: notes[-1] for name in ("" if told.bytes else size_of, shared_of) if name})
            return told.bytes or size, _scaled(shared, rows[0], self.told)
        raise BadInput(
            f"does not tell the L{level} caches, and no dump of this CPU generation is catalogued",
            file=self.file,
            field=f"L{level} cache",
            remedy="give lscpu with the number of instances (util-linux 2.37 or newer), cpuid -r or lstopo XML",
        )

    def _features(self, notes: list[str]) -> dict[str, bool]:
        """What the file shows or the silicon has; a feature without a flag is that of the nearest dumps."""
        shown = self.told.features or frozenset()
        if self.told.whole:
            return {name: name in shown for name in FEATURES} | {"tdx": False}
        circles = self.circles()
        why, rows = circles[0] if circles else ("", [])
        silicon = {name for row in rows for name in row.bits}
        if why:
            notes.append(f"feature bits that it does not show from {why}")
        return {name: name in shown or name in silicon for name in FEATURES} | {"tdx": "tdx" in shown}

    def _missing(self, features: Mapping[str, bool], twin: Machine | None) -> dict[str, str]:
        """Why a number is not there, or a feature is taken as absent that no CPUID bit tells of."""
        found = (
            {}
            if twin or self.told.dram_peak_bytes_per_s
            else {PEAK: "not told by the description, and no machine of this generation has a source"}
        )
        if self.told.vendor == "intel" and not features["tdx"]:
            found["features.tdx"] = (
                "no CPUID bit tells of TDX: give lscpu or /proc/cpuinfo"
                if self.told.whole or self.told.features is None
                else "the flag tdx_host_platform is not shown: the BIOS has it off, the kernel does not know it, or the CPU has none"
            )
        return found

    def _off(self, features: Mapping[str, bool], notes: list[str]) -> tuple[str, ...]:
        """Features that the silicon has and the description, which tells of flags, does not show."""
        shown = self.told.features
        if shown is None or self.told.whole:
            return ()
        off = tuple(name for name in described.FLAGS.values() if features[name] and name not in shown)
        if off:
            notes.append(
                f"not shown although the CPU has them: {', '.join(off)} (switched off, or hidden by a hypervisor)"
            )
        return off


def _scaled(shared: int, row: CpuidRow, told: Described) -> int:
    """CPUs behind a cache of a dump, as many as this host has where SMT is on there and off here or the reverse."""
    dumped = row.threads_per_core or 1
    return max(1, round(shared * (told.threads_per_core or dumped) / dumped))


def _shared(row: CpuidRow, level: int) -> int:
    return row.l2_shared_by_max_logical_cpus if level == 2 else row.l3_shared_by_max_logical_cpus


def _fitting(cpus: int, shared: int) -> int:
    """The largest divisor of `cpus` that is no more than `shared`: cores that are fused off leave smaller domains."""
    return next(size for size in range(shared, 0, -1) if cpus % size == 0)


def _vendor(row: CpuidRow) -> str:
    """Dumps are named after the vendor that CPUID gives."""
    return next(vendor for name, vendor in described.VENDORS.items() if row.dump.startswith(name))


def _words(name: str) -> list[str]:
    """The words of a name that tell parts apart, in lower case: `AMD EPYC 9754 128-Core Processor` gives 9754."""
    found = re.findall(r"[a-z0-9+]+(?:-c)?", re.sub(r"\d+-core|@.*|\(r\)|\(tm\)", " ", name.lower()))
    return [word for word in found if word not in NOISE]


def _title(name: str) -> str:
    return visible(" ".join(re.sub(r"\d+-Core Processor|CPU @.*|\(R\)|\(TM\)", " ", name, flags=re.IGNORECASE).split()))


def _id(name: str, sockets: int, evidence: Evidence) -> str:
    """An id such as epyc-9754-2s, told apart from the catalogue's."""
    brand = next((word for word in ("epyc", "xeon", "ryzen") if word in name.lower()), "cpu")
    part = "-".join(re.sub(r"[^a-z0-9]", "", word) for word in _words(name))[:40].strip("-")
    made = f"{brand}-{part or 'host'}-{sockets}s"
    return f"{made}-described" if made in evidence.machines and not evidence.machines[made].given else made


def _named(evidence: Evidence, asked: str, name: str, sockets: int) -> Machine:
    """A machine by words of its title, or of a dump that no machine stands for."""
    wanted = set(_words(name)) or {name.lower()}
    titles = {
        id: set(_words(f"{m.title} {id.replace('-', ' ')}"))
        for id, m in evidence.machines.items()
        if id not in evidence.hosts
    }
    hits = [id for id, words in titles.items() if wanted <= words]
    if sockets:
        hits = [id for id in hits if evidence.machines[id].sockets == sockets]
    if len(hits) > 1:
        raise _several(asked, {id: evidence.machines[id].title for id in hits})
    if hits:
        return evidence.machines[hits[0]]
    if name in evidence.dumps:
        return from_dump(evidence, evidence.dumps[name], asked, sockets)
    rows = evidence.dumps.values()
    dumps = _newest_of(row for row in rows if wanted <= set(_words(f"{row.model} {row.dump.replace('_', ' ')}")))
    if len(dumps) > 1:
        raise _several(asked, {row.model: row.dump for row in dumps.values()})
    if dumps:
        return from_dump(evidence, next(iter(dumps.values())), asked, sockets)
    found = {part.name: part for part in _parts(evidence).values() if wanted <= set(_words(part.name))}
    if len(found) > 1:
        raise _several(asked, {" ".join(_words(name)): name for name in found})
    if found:
        return from_part(evidence, next(iter(found.values())), asked, sockets)
    known = [*evidence.machines, *(" ".join(_words(row.model)) for row in evidence.dumps.values())]
    if re.fullmatch(r"(?=.*\d{3})[\w+-]+", " ".join(_words(name))):  # a part: another part's number is no near match
        problem = f"no source here tells the CPUs and caches of {visible(name)[:40]!r}"
        raise BadInput(problem, field="machine", remedy=f"{_GIVE_LSCPU}; `costmodel machine list` has what is known")
    raise UnknownName("machine", asked, known, f"see `costmodel machine list`, or {_GIVE_LSCPU}")


def _newest_of(rows: Iterable[CpuidRow]) -> Mapping[str, CpuidRow]:
    """One dump of each part: the one that counts most CPUs."""
    found: dict[str, CpuidRow] = {}
    for row in rows:
        part = " ".join(_words(row.model))
        if part not in found or row.logical_cpus_in_dump > found[part].logical_cpus_in_dump:
            found[part] = row
    return found


def _several(asked: str, names: Mapping[str, str]) -> BadInput:
    listed = ", ".join(f"{name} ({title})" for name, title in list(names.items())[:8])
    return BadInput(
        f"{visible(asked)[:40]!r} is the name of several", field="machine", remedy=f"choose one of {listed}"
    )


def from_dump(evidence: Evidence, row: CpuidRow, given: str, sockets: int = 0) -> Machine:
    """The machine of a CPUID dump in data/: as many sockets as the dump shows CPUs for, or as were asked for."""
    threads = row.threads_per_core or 1
    package = row.logical_cpus_per_package or _part_cpus(row, threads)
    sockets = sockets or max(1, row.logical_cpus_in_dump // package if package else 1)
    caches = {
        level: described.Cache(size, shared_cpus=_shared(row, level))
        for level, size in ((2, row.l2_bytes), (3, row.l3_bytes))
    }
    family, model = family_model(row.signature)
    told = Described(
        kind="CPUID dump",
        vendor=_vendor(row),
        name=row.model,
        family=family,
        model=model,
        stepping=int(row.signature[-1], 16),
        logical_cpus=package * sockets,
        sockets=sockets,
        threads_per_core=threads,
        line_bytes=row.clflush_line_bytes,
        caches=caches,
        features=row.bits,
        whole=True,
    )
    return _Gaps(evidence, told, row.dump).machine(given, sockets)


def from_part(evidence: Evidence, part: Part, given: str, sockets: int = 0) -> Machine:
    """The machine of a part of data/server_parts.csv, with one socket unless more were asked for. Raises BadInput."""
    sockets = sockets or 1
    if sockets > part.most_sockets:
        problem = f"{part.name} goes into hosts of at most {several(part.most_sockets, 'socket')} ({part.source})"
        raise BadInput(problem, field="machine", remedy="ask for fewer sockets")
    caches, why = part.l3_caches, part.l3_source
    if caches is None:
        caches, why = _caches_of(evidence, part)
    row = evidence.dumps[part.dump]
    family, model = family_model(row.signature)
    told = Described(
        kind=f"{part.method}, {part.read_on}",
        vendor=_vendor(row),
        name=part.name,
        family=family,
        model=model,
        logical_cpus=part.threads * sockets,
        sockets=sockets,
        threads_per_core=part.threads_per_core,
        line_bytes=row.clflush_line_bytes,
        caches={3: described.Cache(part.l3_bytes / caches, shared_cpus=part.threads // caches)},
        dram_peak_bytes_per_s=part.dram_peak_bytes_per_s,
    )
    found = _Gaps(evidence, told, part.source).machine(given, sockets)
    note = f"L3: {several(caches, 'cache')} a socket ({why})"
    return replace(found, notes=(*found.notes, note), origins={**found.origins, **dict.fromkeys(L3, note)})


L3 = ("llc_bytes_per_domain", "cpus_per_domain")


def _parts(evidence: Evidence) -> dict[str, Part]:
    return read_parts(evidence.root / FILE, tuple(evidence.dumps))


def _caches_of(evidence: Evidence, part: Part) -> tuple[int, str]:
    """Number of L3 caches of a part and why: of the sizes that caches of the same model have, the largest of which a
    whole number makes the total, with no more caches and no more cores behind one than that model is known to have.

    Raises BadInput where none fits.
    """
    own = evidence.dumps[part.dump].signature
    known: list[tuple[float, int, int, str]] = []
    for row in evidence.dumps.values():
        threads, package = row.threads_per_core, row.logical_cpus_per_package
        if row.signature[:-1] == own[:-1] and package:
            known.append((row.l3_bytes, package // _shared(row, 3), _shared(row, 3) // threads, _title(row.model)))
    for other in _parts(evidence).values():
        if other.l3_caches and evidence.dumps[other.dump].signature[:-1] == own[:-1]:
            size = other.l3_bytes / other.l3_caches
            known.append((size, other.l3_caches, other.cores // other.l3_caches, other.name))
    most_caches = max((one[1] for one in known), default=0)
    most_cores = max((one[2] for one in known), default=0)
    for size, _, _, name in sorted(known, reverse=True):
        caches = part.l3_bytes / size
        fits = caches == int(caches) and caches <= most_caches and part.cores % int(caches or 1) == 0
        if fits and part.cores // int(caches) <= most_cores:
            text = f"EXTRAPOLATED: as large as those of {name}, of the same CPU model; they can be smaller and more"
            return int(caches), text
    raise BadInput(
        f"{part.name} has {part.cores} cores and {part.l3_bytes / 2**20:g} MiB of L3, but into how many caches no "
        "source says",
        field="machine",
        remedy=_GIVE_LSCPU,
    )


def _part_cpus(row: CpuidRow, threads: int) -> int:
    """CPUs of a package by the name of the part, `32-Core`. Raises BadInput."""
    match = re.search(r"(\d+)-Core", row.model)
    if not match:
        raise BadInput("does not tell its CPUs", file=row.dump, remedy="give lscpu of the host")
    return int(match[1]) * threads


def facts(machine: Machine) -> Sequence[str]:
    """What a person wants to check of a machine, one line each."""
    mib = 2.0**20
    on = [name for name, has in machine.features.items() if has]
    return (
        f"{machine.title} ({machine.microarchitecture})",
        f"{several(machine.sockets, 'socket')}, {several(machine.logical_cpus, 'CPU')}, "
        f"{several(machine.threads_per_core, 'thread')} a core",
        f"{several(machine.domains, 'cache domain')} of {machine.cpus_per_domain} CPUs with "
        f"{machine.llc_bytes_per_domain / mib:g} MiB",
        f"L2 {machine.l2_bytes_per_core / mib:g} MiB a core, lines of {machine.line_bytes} bytes",
        f"features: {', '.join(on) or 'none of those that the model asks for'}",
        *machine.notes,
    )


def named(evidence: Evidence) -> dict[str, str]:
    """Names that `find` takes without a file, and what each means: ids first, then parts of which a dump is in
    data/.
    """
    found = {id: machine.title for id, machine in evidence.machines.items()}
    titles = " ".join(found.values()).lower()
    for part, row in sorted(_newest_of(evidence.dumps.values()).items()):
        if f" {part} " not in f" {titles} ":
            found[part] = f"{_title(row.model)} (dump {row.dump})"
    known = {frozenset(_words(title)) for title in found.values()} | {
        frozenset(_words(r.model)) for r in evidence.dumps.values()
    }
    for one in _parts(evidence).values():
        if frozenset(_words(one.name)) not in known:
            found[" ".join(_words(one.name))] = f"{one.name} ({one.method})"
    for path in machines.own_paths():
        try:
            found[path.stem] = f"{machines.read_own(path, given=path.stem).title} (added: {visible(str(path))})"
        except BadInput as error:
            found[path.stem] = f"cannot be read: {error}"
    return found
