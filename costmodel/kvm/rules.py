"""Admissibility as general rules over properties of guest, trigger and strategy; the first rule that applies decides.

No rule names a guest or a trigger. A rule gives the three-valued label (yes, conditional, no), the predicates under
which the strategy is safe, the reason and where that was read. CPU features enter through the predicates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from costmodel.kvm.catalog import Guest, Strategy, Trigger

Label = Literal["yes", "conditional", "no"]
COMPLETE = "cpumask_complete"
WRITEBACK = "(has_wbnoinvd || fallback_to_wbinvd)"


@dataclass(frozen=True)
class Rule:
    """`when` says whether the rule applies; `label` and `predicates` are texts, or made from the properties."""

    id: str
    when: Callable[[Guest, Trigger, Strategy], bool]
    label: Label | Callable[[Guest, Trigger, Strategy], Label]
    predicates: str | Callable[[Trigger, Strategy], str]
    reason: str
    source: str

    def verdict(self, guest: Guest, trigger: Trigger, strategy: Strategy) -> Label:
        """yes, conditional or no."""
        return self.label if isinstance(self.label, str) else self.label(guest, trigger, strategy)

    def text(self, trigger: Trigger, strategy: Strategy) -> str:
        """The predicate expression for this trigger and strategy."""
        return self.predicates if isinstance(self.predicates, str) else self.predicates(trigger, strategy)


def context(trigger: Trigger, strategy: Strategy) -> str:
    """What a flush of whole caches needs at the trigger: context, complete mask, instruction or its fallback."""
    parts = [trigger.context]
    if strategy.scope == "mask":
        parts.append(COMPLETE)
    if strategy.instruction == "wbnoinvd":
        parts.append(WRITEBACK)
    return " && ".join(parts)


def unreachable(g: Guest, t: Trigger) -> bool:
    """The event carries user addresses and private memory has none."""
    return t.by_hva and not g.has("private_memory_vma_backed")


def reachable(g: Guest, t: Trigger) -> bool:
    return t.by_hva and g.has("private_memory_vma_backed")


def all_cpus(s: Strategy) -> bool:
    return s.whole_cache and s.scope == "all_cpus"


def masked(s: Strategy) -> bool:
    return s.whole_cache and s.scope == "mask"


def gmem_release(g: Guest, t: Trigger) -> bool:
    return t.path == "gmem" and g.has("asid_keyed")


def removal(g: Guest, t: Trigger) -> bool:
    """A private page leaves a guest whose pages the TDX module owns."""
    return g.has("keyid_keyed") and t.page_may_leave_vm and not t.by_hva


SEV_C = "v6.19.0 arch/x86/kvm/svm/sev.c"
MASK_SOURCE = f"{SEV_C} pre_sev_run(), sev_writeback_caches(); commit 6f38f8c57464; T. Lendacky 2024-03-06"
THREAD = "thread of 2023-08-18"
X86_C = "v6.19.0 arch/x86/kvm/x86.c"
DMA = f"{SEV_C} sev_flush_encrypted_page() comment"


def _wbinvd_of_mask(s: Strategy) -> bool:
    return masked(s) and s.instruction == "wbinvd"


RULES = (
    Rule(
        "other-architecture",
        lambda g, t, s: s.instruction == "other",
        "no",
        "false",
        "not an x86 operation",
        "arch/arm64 stage2_unmap_walker",
    ),
    Rule(
        "guest-evicts",
        lambda g, t, s: s.instruction == "guest" and t.guest_validates,
        "conditional",
        "!coherency_sfw_no",
        "the guest itself evicts stale lines when it validates a page, unless CPUID says it need not",
        "commit 7b306dfa326f",
    ),
    Rule(
        "guest-elsewhere",
        lambda g, t, s: s.instruction == "guest",
        "no",
        "false",
        "the host cannot rely on a guest to flush",
        "by definition of the strategy",
    ),
    Rule(
        "module-only",
        lambda g, t, s: s.instruction == "seamcall" and not g.has("keyid_keyed"),
        "no",
        "false",
        "the SEAMCALL belongs to the TDX module",
        "by definition of the strategy",
    ),
    Rule(
        "firmware-only",
        lambda g, t, s: s.instruction == "df_flush" and t.firmware_rule != "df_flush",
        "no",
        "false",
        "DF_FLUSH is a firmware command for ASID reuse, not part of memory reclaim",
        f"{SEV_C} sev_flush_asids()",
    ),
    Rule(
        "guest-wbinvd",
        lambda g, t, s: t.path == "guest_instruction",
        lambda g, t, s: "yes" if s.skips == "always" else "conditional" if _wbinvd_of_mask(s) else "no",
        lambda t, s: "!noncoherent_dma" if s.skips == "always" else t.context if _wbinvd_of_mask(s) else "false",
        "KVM executes the guest's WBINVD on the CPUs that the vCPU ran on since its last one, if a device does DMA "
        "that bypasses the caches; else the instruction does nothing",
        f"{X86_C} need_emulate_wbinvd(), kvm_emulate_wbinvd_noskip()",
    ),
    Rule(
        "vcpu-move",
        lambda g, t, s: t.path == "vcpu_move" and not g.has("encrypted") and s.skips == "always",
        "yes",
        "!noncoherent_dma || has_wbinvd_exit",
        "a CPU that the vCPU leaves is flushed only where DMA bypasses the caches and WBINVD of the guest does not "
        "exit",
        f"{X86_C} kvm_arch_vcpu_load(); commit f5f48ee15c2e; svm.c svm_has_wbinvd_exit()",
    ),
    Rule(
        "nothing-changes-hands",
        lambda g, t, s: t.lines is None,
        lambda g, t, s: "yes" if s.skips == "always" else "no",
        lambda t, s: "true" if s.skips == "always" else "false",
        "no page and no key changes hands: nothing is stale, any flush is overhead",
        "kvm_main.c kvm_mmu_notifier_clear_young(); sev.c pre_sev_run()",
    ),
    Rule(
        "asid-sequence",
        lambda g, t, s: t.firmware_rule == "df_flush" and s.instruction == "df_flush",
        "yes",
        "sev_deactivate_lock_held && wbinvd_on_all_online_cpus",
        "the firmware demands WBINVD on all CPUs, then DF_FLUSH",
        f"{SEV_C} sev_flush_asids() comments",
    ),
    Rule(
        "asid-first-half",
        lambda g, t, s: t.firmware_rule == "df_flush" and s.instruction == "wbinvd" and s.scope == "all_cpus",
        "conditional",
        "followed_by_df_flush",
        "necessary first half of the sequence",
        f"{SEV_C} sev_flush_asids()",
    ),
    Rule(
        "asid-batch",
        lambda g, t, s: t.batched and s.instruction == "defer",
        "yes",
        "sev_reclaim_asid_bitmap",
        "freed ASIDs wait in a bitmap: one flush recycles all",
        f"{SEV_C} __sev_recycle_asids()",
    ),
    Rule(
        "asid-nothing-else",
        lambda g, t, s: t.firmware_rule == "df_flush",
        "no",
        "false",
        "the firmware refuses a recycled ASID without WBINVD on all CPUs and DF_FLUSH; invalidation is required",
        f"{SEV_C} sev_flush_asids() comments",
    ),
    Rule(
        "key-release",
        lambda g, t, s: t.firmware_rule == "cache_wb" and s.scope == "package",
        "yes",
        "one_cpu_per_package && all_vps_flushed && tdx_lock",
        "the module verifies TDH.PHYMEM.CACHE.WB before TDH.MNG.KEY.FREEID",
        "v6.19.0 vmx/tdx.c tdx_mmu_release_hkid()",
    ),
    Rule(
        "key-release-nothing-else",
        lambda g, t, s: t.firmware_rule == "cache_wb",
        "no",
        "false",
        "TDH.MNG.KEY.FREEID fails without TDH.PHYMEM.CACHE.WB",
        "v6.19.0 vmx/tdx.c tdx_mmu_release_hkid()",
    ),
    Rule(
        "followed-by-key-release",
        lambda g, t, s: (
            unreachable(g, t) and s.skips == "unreachable" and t.event == "RELEASE" and g.has("keyid_keyed")
        ),
        "conditional",
        "followed_by_key_release",
        "the notifier flushes nothing; the key release that follows writes back",
        "v6.19.0 vmx/tdx.c",
    ),
    Rule(
        "private-memory-unreachable",
        lambda g, t, s: unreachable(g, t) and s.skips == "unreachable" and g.has("guest_memfd"),
        "yes",
        "private_memory_is_gmem_only && rmp_or_module_enforced",
        "hva events reach shared memory only; private pages come from guest_memfd",
        f"{SEV_C} sev_guest_memory_reclaimed(); tdp_mmu.h kvm_gfn_range_filter_to_root_types()",
    ),
    Rule(
        "coherent-memory",
        lambda g, t, s: unreachable(g, t) and s.skips == "always",
        "yes",
        "true",
        "no line tagged with a guest key can be behind the address",
        "kvm_main.c; no reclaim hook for this guest",
    ),
    Rule(
        "superfluous",
        lambda g, t, s: (
            unreachable(g, t)
            and (
                all_cpus(s)
                or (
                    not g.has("keyid_keyed")
                    and (
                        masked(s)
                        or s.address_source == "user_va"
                        or (s.address_source == "spte" and g.has("guest_memfd"))
                    )
                )
            )
        ),
        "yes",
        lambda t, s: {"user_va": "va_mapped", "spte": "pfn_known_from_spte"}.get(s.address_source or "", "true"),
        "correct but dominated: nothing encrypted can be behind the address",
        f"{SEV_C} sev_guest_memory_reclaimed()",
    ),
    Rule(
        "hva-writeback-all",
        lambda g, t, s: reachable(g, t) and all_cpus(s),
        "yes",
        context,
        "a write-back on every CPU reaches all lines of the guest; only ASID recycling needs invalidation",
        "commit 683412ccf612; WBNOINVD v6 2/2, 2025-02",
    ),
    Rule(
        "hva-writeback-mask",
        lambda g, t, s: reachable(g, t) and masked(s),
        "conditional",
        context,
        "correct iff every CPU that ran the guest is in the mask (it only grows) and SPTEs were zapped first",
        MASK_SOURCE,
    ),
    Rule(
        "hva-user-address",
        lambda g, t, s: reachable(g, t) and s.address_source == "user_va",
        "conditional",
        "has_sme_coherent && has_clflushopt && va_mapped && invalidations_serialised && pfn_stable",
        "CLFLUSH reaches tagged lines only with SME_COHERENT, and the user address may be unmapped or map a wrong PFN, "
        "because notifiers are not serialised",
        f"{THREAD}; S. Christopherson 2022-10-07",
    ),
    Rule(
        "hva-spte",
        lambda g, t, s: reachable(g, t) and s.address_source == "spte",
        "conditional",
        "has_sme_coherent && pfn_known_from_spte && direct_map_present && flush_on_every_leaf_spte_zap",
        "KVM may have zapped the SPTE itself, so every leaf zap would have to flush: rejected on the list",
        THREAD,
    ),
    Rule(
        "hva-pinned",
        lambda g, t, s: reachable(g, t) and s.address_source == "pinned",
        "conditional",
        "has_sme_coherent && memory_pinned && range_inside_registered_enc_region",
        "PFNs are known and stable only inside registered regions; the guest may encrypt other memory (CVE-2022-0171)",
        f"{SEV_C} sev_clflush_pages(); commit 683412ccf612",
    ),
    Rule(
        "hva-msr",
        lambda g, t, s: reachable(g, t) and s.instruction == "wrmsr" and not g.has("rmp_enforced"),
        "conditional",
        "has_vm_page_flush_msr && asid_known && pfn_known && pfn_stable && direct_map_present && npages_small",
        "one 4 KiB page per write, needs a kernel address and the ASID; same PFN problem as CLFLUSH",
        "commit 69372cf01290",
    ),
    Rule(
        "hva-event-filter",
        lambda g, t, s: reachable(g, t) and s.skips == "event" and t.page_stays_in_vm and not t.event_type_overloaded,
        "conditional",
        "event_is_protection && later_release_event_flushes && cpumask_monotonic",
        "the page stays in the VM: nothing can be corrupted until a later releasing event, which flushes",
        "J. Li RFC 3/4 2023-11-10; S. Christopherson 2023-12-01",
    ),
    Rule(
        "hva-new-event",
        lambda g, t, s: reachable(g, t) and s.skips == "event" and t.event_type_overloaded and g.has("upstream"),
        "conditional",
        "new_mmu_notify_event_available && zap_variant_excluded",
        "the page usually stays, but mm reports the overloaded CLEAR, so the event type alone cannot tell",
        "S. Christopherson 2023-12-01",
    ),
    Rule(
        "hva-stays-coherent",
        lambda g, t, s: (
            reachable(g, t) and s.skips == "coherent" and not t.page_may_leave_vm and not g.has("rmp_enforced")
        ),
        "conditional",
        "has_sme_coherent && page_stays_in_vm",
        "the page is not released; DMA cannot meet it",
        f"{DMA}; K. Loughlin 2024-12-10",
    ),
    Rule(
        "hva-stays",
        lambda g, t, s: reachable(g, t) and s.skips == "always" and not t.page_may_leave_vm,
        "conditional",
        "later_release_event_flushes && event_filter_in_kernel",
        "the page stays in the VM; safe if the releasing event flushes",
        "S. Christopherson 2023-12-01",
    ),
    Rule(
        "hva-coalesce",
        lambda g, t, s: reachable(g, t) and s.instruction == "defer" and g.has("upstream"),
        "conditional",
        "flush_generation_started_after_zap && flush_done_before_invalidate_range_end",
        "only concurrent flushes of one VM may share one: the page may be freed once the window closes",
        f"{SEV_C} sev_writeback_caches() comment; Zheyun v1 to v3",
    ),
    Rule(
        "pinned-known",
        lambda g, t, s: (
            t.pfn_source == "pinned"
            and not g.has("guest_memfd")
            and (
                s.address_source == "pinned"
                or (s.instruction == "wrmsr" and t.lines == "guest" and not g.has("rmp_enforced"))
            )
        ),
        "conditional",
        lambda t, s: (
            "has_vm_page_flush_msr && asid_known && memory_pinned && direct_map_present && npages_small"
            if s.instruction == "wrmsr"
            else "!has_sme_coherent && memory_pinned"
            if t.lines == "host"
            else "has_sme_coherent && memory_pinned"
        ),
        "the PFNs are pinned and known: host lines need it only without coherence, tagged lines only with it",
        f"{SEV_C} sev_clflush_pages()",
    ),
    Rule(
        "host-lines",
        lambda g, t, s: t.lines == "host" and t.pfn_source == "pinned" and (all_cpus(s) or s.skips == "coherent"),
        lambda g, t, s: "conditional" if s.instruction == "wbnoinvd" else "yes",
        lambda t, s: (
            "has_sme_coherent"
            if s.skips
            else "irqs_enabled"
            if s.instruction == "wbinvd"
            else "irqs_enabled && no_stale_clean_line_problem"
        ),
        "host lines must be written back before in-place encryption, unless the CPU is coherent",
        f"{SEV_C} sev_clflush_pages(); commit e1ebb2b49048",
    ),
    Rule(
        "kernel-page",
        lambda g, t, s: (
            t.pfn_source == "kernel_va"
            and (
                s.whole_cache
                or s.address_source == "pinned"
                or (s.instruction == "wrmsr" and not g.has("rmp_enforced"))
            )
        ),
        "yes",
        lambda t, s: (
            "has_sme_coherent && kernel_va"
            if s.address_source
            else "!has_sme_coherent && has_vm_page_flush_msr && asid_known && kernel_va"
            if s.instruction == "wrmsr"
            else context(t, s)
        ),
        "the kernel owns the page: CLFLUSH even if coherent, because of DMA; write-back is the fallback",
        f"{SEV_C} sev_flush_encrypted_page()",
    ),
    Rule(
        "gmem-release",
        lambda g, t, s: g.has("asid_keyed") and t.pfn_source == "gmem" and s.address_source == "gmem",
        "yes",
        "pfn_known && direct_map_present && has_sme_coherent && rmp_made_shared && !under_mmu_lock",
        "guest_memfd hands over the PFN; the page is flushed through the direct map after RMPUPDATE",
        f"{SEV_C} sev_gmem_invalidate()",
    ),
    Rule(
        "gmem-single-page",
        lambda g, t, s: gmem_release(g, t) and s.instruction in ("wrmsr", "defer"),
        "conditional",
        lambda t, s: (
            "has_vm_page_flush_msr && asid_known && direct_map_present"
            if s.instruction == "wrmsr"
            else "flush_before_page_returned && batch_inside_free"
        ),
        "the PFN is known, but the hook gets no ASID; several folios could share one flush inside the release",
        f"{SEV_C} sev_gmem_invalidate()",
    ),
    Rule(
        "clean-alias",
        lambda g, t, s: (
            t.path == "conversion"
            and t.pfn_source == "gmem"
            and g.has("asid_keyed")
            and s.whole_cache
            and (s.instruction == "wbnoinvd" or s.scope == "mask")
        ),
        "conditional",
        lambda t, s: (
            context(t, s)
            + " && clean_alias_lines_harmless"
            + (" && kvm_pointer_available" if s.scope == "mask" else "")
        ),
        "write-back only: stale clean lines stay cached; harmless with hardware coherence",
        f"{SEV_C} sev_gmem_make_shared()",
    ),
    Rule(
        "mask-needs-vm",
        lambda g, t, s: not t.kvm_pointer and masked(s) and g.has("asid_keyed"),
        "conditional",
        lambda t, s: context(t, s) + " && kvm_pointer_available",
        "the hook gets PFNs only, no struct kvm: the mask of the VM needs plumbing",
        "v6.19.0 guest_memfd.c:537",
    ),
    Rule(
        "superset",
        lambda g, t, s: (
            s.whole_cache
            and g.has("asid_keyed")
            and t.lines == "guest"
            and t.path not in ("rmp",)
            and not (t.flushed_elsewhere and t.path == "conversion")
        ),
        lambda g, t, s: "conditional" if s.scope == "mask" and not t.vcpus_locked_out else "yes",
        context,
        "superset: writes back every line of the guest",
        f"{MASK_SOURCE}; {SEV_C} sev_mem_enc_unregister_region()",
    ),
    Rule(
        "flushed-earlier",
        lambda g, t, s: (
            t.flushed_elsewhere and (s.skips == "always" or (s.skips == "unreachable" and t.path == "conversion"))
        ),
        lambda g, t, s: "conditional" if t.path == "destruction" else "yes",
        lambda t, s: "earlier_release_flushed" if t.path == "destruction" else "!gmem_in_place_conversion",
        "another trigger flushes the same lines",
        "commit 7e00013bd339; kvm_vm_set_mem_attributes()",
    ),
    Rule(
        "module-page",
        lambda g, t, s: removal(g, t) and s.instruction == "seamcall" and s.scope == "page",
        "yes",
        "hkid_assigned && spte_removed && tlb_tracked && under_mmu_lock",
        "the module writes the page back with its KeyID; KeyIDs are not coherent",
        "v6.19.0 vmx/tdx.c tdx_sept_remove_private_spte()",
    ),
    Rule(
        "module-other",
        lambda g, t, s: (
            g.has("keyid_keyed")
            and not t.by_hva
            and s.instruction == "wbinvd"
            and s.scope == "all_cpus"
            and t.pfn_source != "module"
        ),
        lambda g, t, s: "conditional" if t.page_may_leave_vm else "yes",
        lambda t, s: "whole_cache_instead_of_seamcall_verified" if t.page_may_leave_vm else "irqs_enabled",
        "superset of the write-back; no source says that it may replace the SEAMCALL for a removed page",
        "v6.19.0 arch/x86/virt/vmx/tdx/tdx.c PAMT comment",
    ),
    Rule(
        "page-to-guest",
        lambda g, t, s: (
            t.lines == "host"
            and t.pfn_source != "pinned"
            and (
                s.skips == "always"
                or (s.skips == "coherent" and not g.has("keyid_keyed"))
                or (s.address_source == "gmem" and g.has("keyid_keyed"))
                or (s.instruction == "wbinvd" and s.scope == "all_cpus")
            )
        ),
        lambda g, t, s: "conditional" if s.skips and g.has("keyid_keyed") else "yes",
        lambda t, s: (
            "true"
            if s.instruction != "none"
            else "has_sme_coherent"
            if t.guest_validates
            else "module_clears_clflush_before_alloc"
        ),
        "host lines of a page that the guest gets: coherent on SNP, flushed for TDX",
        "v6.19.0 arch/x86/virt/vmx/tdx/tdx.c tdx_clflush_page()",
    ),
    Rule(
        "lost-flush",
        lambda g, t, s: bool(s.skips) and t.lines == "guest",
        "no",
        "false",
        "the page goes back to the host: stale lines would be written over its next content, and SME_COHERENT does not "
        "cover DMA; a region ioctl is user ABI",
        f"{DMA}; commit 683412ccf612",
    ),
    Rule(
        "not-applicable",
        lambda g, t, s: True,
        "no",
        "false",
        "the addresses, CPUs or firmware step that this strategy needs are not at hand there",
        "by definition of the strategy",
    ),
)
