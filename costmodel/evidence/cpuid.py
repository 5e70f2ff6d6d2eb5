"""data/cpuid_features.csv: feature bits and cache geometry as CPUID dumps give them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.evidence import table

FILE = "cpuid_features.csv"
FEATURES = (
    "clflushopt",
    "clwb",
    "wbnoinvd",
    "int_wbinvd",
    "sme",
    "sev",
    "vm_page_flush",
    "sev_es",
    "sev_snp",
    "sme_coherent",
    "coherency_sfw_no",
)
COLUMNS = (
    "model",
    "signature",
    "logical_cpus_in_dump",
    "clflush_line_bytes",
    *FEATURES,
    "l1d_kib",
    "l1d_shared_by_max_logical_cpus",
    "l1d_wbinvd_not_guaranteed_for_sharers",
    "l2_kib",
    "l2_shared_by_max_logical_cpus",
    "l2_wbinvd_not_guaranteed_for_sharers",
    "l3_kib",
    "l3_shared_by_max_logical_cpus",
    "l3_wbinvd_not_guaranteed_for_sharers",
    "threads_per_core",
    "logical_cpus_per_package",
    "source",
)
KIB = 1024.0


@dataclass(frozen=True)
class CpuidRow:
    """One dump. `bits` holds the features whose bit is 1; `cells` the row as it stands in the file."""

    dump: str
    model: str
    signature: str
    l2_bytes: float
    l3_bytes: float
    bits: frozenset[str]
    cells: dict[str, str]


def read(path: Path) -> dict[str, CpuidRow]:
    """All dumps by file name of the dump. Raises BadInput."""
    rows = {}
    for cells in table.read_table(path, COLUMNS, "source"):
        name = cells["source"].rpartition("/")[2]
        for field in FEATURES:
            table.choice(cells, field, ("", "0", "1"), file=path.name, name=name)
        if name in rows:
            raise BadInput(
                "names a dump that another row names",
                file=path.name,
                row=name,
                field="source",
                remedy="keep one row per dump",
            )
        l2, l3 = (
            table.number(cells, field, file=path.name, name=name, required=True) for field in ("l2_kib", "l3_kib")
        )
        rows[name] = CpuidRow(
            dump=name,
            model=cells["model"],
            signature=cells["signature"],
            l2_bytes=l2 * KIB,
            l3_bytes=l3 * KIB,
            bits=frozenset(field for field in FEATURES if cells[field] == "1"),
            cells=cells,
        )
    return rows
