"""data/server_parts.csv: what vendors' pages, or a lscpu, tell of parts of which no CPUID dump is in data/."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.evidence import table

FILE = "server_parts.csv"
COLUMNS = (
    "part",
    "dump",
    "cores",
    "threads",
    "most_sockets",
    "l3_kib",
    "l3_caches",
    "dram_peak_gb_per_s_per_socket",
    "method",
    "source",
    "l3_source",
    "read_on",
)
METHODS = ("vendor's page", "lscpu of the part")
KIB, GB = 1024.0, 1e9


@dataclass(frozen=True)
class Part:
    """One package. `dump` is a CPUID dump of the same family and model; `l3_bytes` is the size of all its L3 caches, and
    `l3_caches` how many they are, None where no source tells.
    """

    name: str
    dump: str
    cores: int
    threads: int
    most_sockets: int
    l3_bytes: float
    l3_caches: int | None
    dram_peak_bytes_per_s: float | None
    method: str
    source: str
    l3_source: str
    read_on: str

    @property
    def threads_per_core(self) -> int:
        return self.threads // self.cores


@lru_cache(maxsize=2)
def read(path: Path, dumps: Collection[str]) -> dict[str, Part]:
    """The parts of a file by name. Raises BadInput with the row that cannot be read."""
    found = {}
    for row in table.read_table(path, COLUMNS, "part"):
        place = {"file": path.name, "name": row["part"]}
        table.filled(row, ("cores", "threads", "most_sockets", "source", "read_on"), **place)
        cores, threads, sockets = (table.whole(row, name, **place) for name in ("cores", "threads", "most_sockets"))
        caches = table.whole(row, "l3_caches", **place)
        peak = table.number(row, "dram_peak_gb_per_s_per_socket", **place)
        for field, whole, parts in (("threads", threads, cores), ("l3_caches", cores, caches or 1)):
            if whole % parts:
                problem = f"{parts} does not divide {whole}"
                raise BadInput(problem, field=field, remedy="correct it", file=path.name, row=row["part"])
        if bool(caches) != bool(row["l3_source"]):
            remedy = "give both, or neither"
            raise BadInput("needs its number", field="l3_source", remedy=remedy, file=path.name, row=row["part"])
        found[row["part"]] = Part(
            name=row["part"],
            dump=table.choice(row, "dump", dumps, **place),
            cores=cores,
            threads=threads,
            most_sockets=sockets,
            l3_bytes=table.number(row, "l3_kib", required=True, **place) * KIB,
            l3_caches=caches,
            dram_peak_bytes_per_s=None if peak is None else peak * GB,
            method=table.choice(row, "method", METHODS, **place),
            source=row["source"],
            l3_source=row["l3_source"],
            read_on=row["read_on"],
        )
    return found
