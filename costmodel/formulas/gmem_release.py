"""guest_memfd release (SNP): per 4 KiB page RMPUPDATE to shared, fence, 64 line flushes, fence.

Source: sev_gmem_invalidate() from kvm_gmem_free_folio(); folios are order 0 in every tree read, so a hole of N pages is
N such calls.
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
        "pages": Quantity("dimensionless", "4 KiB pages of the hole"),
        "rmpupdate_s": Quantity("second", "RMPUPDATE of one page to shared"),
        "page_flush_s": Quantity("second", "range flush of one page"),
    },
    source="sev_gmem_invalidate() (v6.11 on); row S01 (claimed) bounds RMPUPDATE",
    validity="one thread, 4 KiB pages; pages that are not assigned in the RMP are skipped and cost nothing",
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
