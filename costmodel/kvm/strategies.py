"""Flush strategies: which instruction, on which CPUs or lines, with which address, and where they were merged."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.errors import known_id


@dataclass(frozen=True)
class Strategy:
    """One way to flush, or not to.

    `instruction`: wbinvd, wbnoinvd, clflushopt, wrmsr, seamcall, df_flush, defer, guest, other or none.
    `scope`: all_cpus, mask, range, page, package, sequence or none. `address_source` of a range: user_va, spte, pinned
    or gmem. `skips`: why nothing is flushed (always, coherent, event, unreachable). `first_version` is the first
    catalogued kernel that does it anywhere, None if no kernel version is known to; `features` are machine features.
    `contains` is another strategy that is a part of it, so that its cost is a lower bound.
    """

    id: str
    title: str
    instruction: str
    scope: str
    first_version: str | None
    list_status: str
    source: str
    address_source: str | None = None
    skips: str | None = None
    features: tuple[str, ...] = ()
    contains: str | None = None

    @property
    def whole_cache(self) -> bool:
        """Whether it writes back whole caches (WBINVD or WBNOINVD)."""
        return self.instruction in ("wbinvd", "wbnoinvd")


STRATEGIES = {
    strategy.id: strategy
    for strategy in (
        Strategy(
            "WBINVD_ALL",
            "WBINVD on all online CPUs",
            "wbinvd",
            "all_cpus",
            "v5.11",
            "in the notifier hook from v5.18 and 5.15.70 to v6.16; at ASID recycling in all versions",
            "commit 683412ccf612; arch/x86/lib/cache-smp.c wbinvd_on_all_cpus()",
        ),
        Strategy(
            "WBNOINVD_ALL",
            "WBNOINVD on all online CPUs",
            "wbnoinvd",
            "all_cpus",
            "v6.17",
            "helpers merged in v6.17; a CPU without WBNOINVD executes WBINVD",
            "commits 07f99c3fbe6e, 4fdc3431e03b",
        ),
        Strategy(
            "WBINVD_MASK",
            "WBINVD on the CPUs that ran the guest",
            "wbinvd",
            "mask",
            "v6.17",
            "helper merged in v6.17; what the masked write-back is on a CPU without WBNOINVD",
            "commit 6f38f8c57464; sev.c sev_writeback_caches()",
        ),
        Strategy(
            "WBNOINVD_MASK",
            "WBNOINVD on the CPUs that ran the guest",
            "wbnoinvd",
            "mask",
            "v6.17",
            "merged in v6.17",
            "commits a77896eea33d, 6f38f8c57464; sev.c sev_writeback_caches()",
        ),
        Strategy(
            "CLFLUSHOPT_UVA",
            "CLFLUSHOPT over the range through the user address",
            "clflushopt",
            "range",
            None,
            "planned on the list in 2022 for ranges up to 2 MB, not merged",
            "thread of 2023-08-18; list mail (A. Kalra 2022-10-06)",
            address_source="user_va",
            features=("sme_coherent", "clflushopt"),
        ),
        Strategy(
            "CLFLUSHOPT_DM_SPTE",
            "CLFLUSHOPT through the direct map, PFN from the SPTE",
            "clflushopt",
            "range",
            None,
            "rejected on the list: every leaf SPTE that KVM zaps would need a flush",
            "thread of 2023-08-18",
            address_source="spte",
            features=("sme_coherent", "clflushopt"),
        ),
        Strategy(
            "CLFLUSHOPT_DM_PINNED",
            "CLFLUSHOPT of pinned or kernel-owned pages",
            "clflushopt",
            "range",
            "v5.11",
            "merged for registered regions, launch and VMSA pages; v5.10 made it skip coherent CPUs",
            "commits e1ebb2b49048, d45829b351ee; sev.c sev_clflush_pages(), sev_flush_encrypted_page()",
            address_source="pinned",
            features=("clflushopt",),
        ),
        Strategy(
            "CLFLUSHOPT_DM_GMEM",
            "CLFLUSHOPT of guest_memfd pages through the direct map",
            "clflushopt",
            "range",
            "v6.11",
            "merged in v6.11",
            "commit 8eb01900b018; sev.c sev_gmem_invalidate()",
            address_source="gmem",
            features=("clflushopt",),
        ),
        Strategy(
            "VM_PAGE_FLUSH",
            "VM_PAGE_FLUSH MSR, one 4 KiB page per write",
            "wrmsr",
            "page",
            "v5.11",
            "merged in v5.11 for VMSA pages",
            "commit 69372cf01290; sev.c sev_flush_encrypted_page()",
            features=("vm_page_flush",),
        ),
        Strategy(
            "SKIP_COHERENT",
            "no flush, because the CPU keeps encrypted lines coherent",
            "none",
            "none",
            "v5.11",
            "merged in v5.10 for registered regions; not valid where a page may go to DMA",
            "commits 5866e9205b47, 75d1cc0e05af, e1ebb2b49048",
            skips="coherent",
            features=("sme_coherent",),
        ),
        Strategy(
            "SKIP_UNREACHABLE",
            "no flush, because the event cannot reach private memory",
            "none",
            "none",
            "v6.11",
            "merged in v6.11",
            "commit ea262f8a7c36; sev.c sev_guest_memory_reclaimed()",
            skips="unreachable",
        ),
        Strategy(
            "SKIP_EVENT",
            "no flush at events after which the page stays in the guest",
            "none",
            "none",
            None,
            "RFC 2023-11-10, not merged",
            "list mail (J. Li RFC 3/4 2023-11-10; S. Christopherson 2023-12-01)",
            skips="event",
        ),
        Strategy(
            "DEFER_BATCH",
            "one flush for several events",
            "defer",
            "sequence",
            "v5.11",
            "merged for ASID recycling; for notifiers tried on the list (2024-2025) and dropped",
            "sev.c sev_reclaim_asid_bitmap; sev_writeback_caches() comment",
        ),
        Strategy(
            "DF_FLUSH_SEQ",
            "WBINVD on all CPUs, then DF_FLUSH",
            "df_flush",
            "sequence",
            "v5.11",
            "in all catalogued versions",
            "sev.c sev_flush_asids(); drivers/crypto/ccp/sev-dev.c",
            contains="WBINVD_ALL",
        ),
        Strategy(
            "TDX_PAGE_WBINVD",
            "TDH.PHYMEM.PAGE.WBINVD of each page",
            "seamcall",
            "page",
            "v6.16",
            "merged in v6.16",
            "commit 541b3e9e0d90; vmx/tdx.c",
            features=("tdx",),
        ),
        Strategy(
            "TDX_CACHE_WB",
            "TDH.PHYMEM.CACHE.WB on one CPU of each package",
            "seamcall",
            "package",
            "v6.16",
            "merged in v6.16",
            "commit 541b3e9e0d90; vmx/tdx.c tdx_mmu_release_hkid()",
            features=("tdx",),
        ),
        Strategy(
            "GUEST_EVICT",
            "the guest reads its pages to evict stale lines",
            "guest",
            "page",
            None,
            "merged in 2025 in the guest kernel; the version was not read",
            "commits 7b306dfa326f, 7f830e126dc3",
        ),
        Strategy(
            "ARM_CMO_RANGE",
            "DC CIVAC over the range (arm64)",
            "other",
            "range",
            None,
            "arm64 only",
            "arch/arm64 stage2_unmap_walker",
        ),
        Strategy(
            "NO_FLUSH",
            "no flush",
            "none",
            "none",
            "v5.11",
            "what every catalogued version does where it has no hook",
            "kvm_main.c kvm_mmu_notifier_clear_young(); sev.c sev_guest_memory_reclaimed()",
            skips="always",
        ),
    )
}


def strategy(id: str) -> Strategy:
    """The strategy `id`, in any case. Raises UnknownName."""
    return STRATEGIES[known_id("strategy", id, STRATEGIES)]
