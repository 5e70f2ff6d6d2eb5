"""guest_memfd release (SNP): per folio RMPUPDATE to shared, fence, line flushes, fence.

Source: sev_gmem_invalidate() from kvm_gmem_free_folio(); folios are order 0 in every tree read, so a hole of N pages is
N such calls. Whatever flushes, each call makes its pages shared first.
"""

from __future__ import annotations

from costmodel.formulas.formula import Formula, Quantity, symbol

N, t_r, t_p = symbol("pages"), symbol("rmpupdate_s"), symbol("page_flush_s")

GMEM_RELEASE = Formula(
    id="gmem_release",
    title="Time to release N pages of a guest_memfd",
    expression=N * (t_r + t_p),
    unit="second",
    symbols={
        "pages": Quantity("dimensionless", "folios of the hole: 4 KiB pages in every tree read"),
        "rmpupdate_s": Quantity("second", "RMPUPDATE of one entry to shared"),
        "page_flush_s": Quantity("second", "flush of one folio; 0 where it is counted apart"),
    },
    source="sev_gmem_invalidate() (v6.11 on); row S01 (claimed) bounds RMPUPDATE",
    validity="one thread; pages that are not assigned in the RMP are skipped and cost nothing; PSMASH, once for each 2 MiB "
    "entry that is released page by page, is not in it: no source times it",
)
PAGE_CHAIN = Formula(
    id="page_chain",
    title="Time of N per-page operations in a row",
    expression=N * symbol("page_operation_s"),
    unit="second",
    symbols={
        "pages": Quantity("dimensionless", "4 KiB pages"),
        "page_operation_s": Quantity("second", "one per-page operation (for TDX: a chain of SEAMCALLs)"),
    },
    source="tdx_sept_remove_private_spte(); sev_clflush_pages()",
    validity="one thread; rows S06, S07 bound the TDX chain from above",
)
FORMULAS = (GMEM_RELEASE, PAGE_CHAIN)
