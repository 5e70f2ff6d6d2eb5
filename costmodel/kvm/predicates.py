"""Predicates: conditions under which a strategy is safe, what they mean, how one knows them, and their evaluation.

An expression joins names with `&&`, `||`, `!` and parentheses. Evaluation is three-valued: a name that nobody told is
unknown, and an expression is unknown only where the unknown names could still change it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from costmodel.errors import BadInput
from costmodel.kvm import kernels
from costmodel.kvm.guests import guest
from costmodel.kvm.releases import Version, own_fixes
from costmodel.kvm.strategies import STRATEGIES
from costmodel.kvm.triggers import trigger

MEANING = {
    "has_sme_coherent": "CPU: hardware keeps encrypted and plain lines coherent (CPUID 8000_001F EAX[10])",
    "has_clflushopt": "CPU: CLFLUSHOPT (CPUID 7 EBX[23])",
    "has_wbnoinvd": "CPU: WBNOINVD (CPUID 8000_0008 EBX[9])",
    "has_vm_page_flush_msr": "CPU: VM_PAGE_FLUSH MSR (CPUID 8000_001F EAX[2])",
    "coherency_sfw_no": "CPU: no software coherency needed (CPUID 8000_001F EBX[31])",
    "fallback_to_wbinvd": "kernel: a CPU without WBNOINVD executes WBINVD instead",
    "may_block": "kernel: the hook may sleep",
    "irqs_enabled": "kernel: interrupts are on, so other CPUs can be interrupted",
    "vcpu_sptes_zapped_and_tlb_flushed": "kernel: no vCPU can dirty lines of the range any more",
    "cpumask_complete": "kernel: every CPU that ran the guest is in the mask (v6.17 on)",
    "cpumask_monotonic": "kernel: no CPU that ran the guest is ever left out later: none leaves the mask, and without a mask all flush",
    "later_release_event_flushes": "kernel: the event that frees the page flushes",
    "event_filter_in_kernel": "kernel: the hook sees the notifier's event type (RFC, not merged)",
    "event_is_protection": "event: only the protection of the page changes",
    "page_stays_in_vm": "event: the page stays in the VM",
    "new_mmu_notify_event_available": "kernel: mm reports splits and write protection as events of their own (nobody has)",
    "zap_variant_excluded": "kernel: the event cannot zap the page",
    "va_mapped": "address: the user address is mapped",
    "invalidations_serialised": "mm: invalidations of one range do not overlap (mm does not promise it)",
    "pfn_stable": "address: the PFN cannot change until the flush is done",
    "pfn_known": "address: the PFN is at hand",
    "pfn_known_from_spte": "address: the SPTE still holds the PFN",
    "flush_on_every_leaf_spte_zap": "kernel: KVM flushes at each leaf SPTE that it zaps (rejected)",
    "direct_map_present": "address: the direct map has the page",
    "memory_pinned": "guest: the memory is pinned by a registered region",
    "range_inside_registered_enc_region": "guest: the whole range lies in registered regions",
    "asid_known": "kernel: the hook knows the ASID",
    "npages_small": "event: few pages",
    "kvm_lock_held": "kernel: kvm->lock is held",
    "kvm_pointer_available": "kernel: the hook gets the VM",
    "under_mmu_lock": "kernel: mmu_lock is held",
    "rmp_made_shared": "kernel: RMPUPDATE has made the page shared",
    "flush_before_page_returned": "kernel: the page goes back only after the flush",
    "batch_inside_free": "kernel: the batch ends inside the release (nobody batches)",
    "flush_generation_started_after_zap": "kernel: a shared flush started after the zap (nobody tracks it)",
    "flush_done_before_invalidate_range_end": "kernel: the flush ends inside the invalidation window",
    "clean_alias_lines_harmless": "CPU: clean stale lines are never used",
    "noncoherent_dma": "guest: a device does DMA that bypasses the caches, such as a passed-through GPU",
    "has_wbinvd_exit": "CPU: WBINVD of a guest exits to KVM (SVM: always; VMX: the secondary control, from Penryn on)",
    "no_stale_clean_line_problem": "CPU: clean host lines may stay cached during in-place encryption (no source)",
    "before_clearing_src_active": "kernel: the flush runs while the source VM still counts as SEV",
    "earlier_release_flushed": "kernel: the release of the memory has flushed before",
    "gmem_in_place_conversion": "kernel: guest_memfd converts in place",
    "kernel_va": "address: the kernel owns the page",
    "sev_deactivate_lock_held": "kernel: sev_deactivate_lock is held for writing",
    "wbinvd_on_all_online_cpus": "kernel: WBINVD runs on all online CPUs",
    "followed_by_df_flush": "kernel: DF_FLUSH follows",
    "sev_reclaim_asid_bitmap": "kernel: freed ASIDs are collected",
    "one_cpu_per_package": "kernel: one CPU of each package runs it",
    "all_vps_flushed": "kernel: TDH.VP.FLUSH has run for all vCPUs",
    "tdx_lock": "kernel: tdx_lock is held",
    "followed_by_key_release": "kernel: the key release follows",
    "private_memory_is_gmem_only": "guest: private memory comes from guest_memfd only",
    "rmp_or_module_enforced": "guest: the RMP or the TDX module enforces it",
    "hkid_assigned": "module: the KeyID is assigned",
    "spte_removed": "module: the private SPTE is removed",
    "tlb_tracked": "module: TDH.MEM.TRACK has run",
    "whole_cache_instead_of_seamcall_verified": "module: WBINVD may replace the SEAMCALL (no source)",
    "module_clears_clflush_before_alloc": "module: reports that pages need no CLFLUSH before use",
}
FEATURES = {
    "has_sme_coherent": "sme_coherent",
    "has_clflushopt": "clflushopt",
    "has_wbnoinvd": "wbnoinvd",
    "has_vm_page_flush_msr": "vm_page_flush",
    "coherency_sfw_no": "coherency_sfw_no",
}
HOOK = (
    "may_block",
    "irqs_enabled",
    "vcpu_sptes_zapped_and_tlb_flushed",
    "fallback_to_wbinvd",
    "kvm_lock_held",
    "flush_before_page_returned",
    "rmp_made_shared",
    "flush_done_before_invalidate_range_end",
    "kernel_va",
    "sev_deactivate_lock_held",
    "wbinvd_on_all_online_cpus",
    "sev_reclaim_asid_bitmap",
    "one_cpu_per_package",
    "all_vps_flushed",
    "tdx_lock",
    "followed_by_key_release",
    "hkid_assigned",
    "spte_removed",
    "tlb_tracked",
    "has_wbinvd_exit",
)
"""What every catalogued kernel does in its own hooks (KVM sources cited with the rules), on CPUs that can run it: all Intel
CPU models from Penryn on have the WBINVD exit (QEMU target/i386/cpu.c, VMX_SECONDARY_EXEC_WBINVD_EXITING).
"""
NOBODY = (
    "invalidations_serialised",
    "flush_on_every_leaf_spte_zap",
    "new_mmu_notify_event_available",
    "event_filter_in_kernel",
    "batch_inside_free",
    "flush_generation_started_after_zap",
)
"""What no catalogued kernel provides."""
MASK_KERNEL = "v6.17-v7.2"
SOURCE_FLUSH_KERNEL = "v7.3-rc"
RELEASE_FLUSH_KERNEL = "v5.15.70+"
_TOKEN = re.compile(r"\s*(&&|\|\||!|\(|\)|[A-Za-z_][A-Za-z0-9_]*)")


def known(
    guest_id: str,
    trigger_id: str,
    features: Mapping[str, bool],
    kernel: str,
    release: Version = (0, 0, 0),
    pinned: bool | None = None,
    noncoherent_dma: bool | None = None,
) -> dict[str, bool]:
    """Truth values that machine, guest, trigger and kernel (its range, and what came to `release`) tell; what cannot be
    known is absent.

    `pinned`: whether all memory of the guest lies in regions that are registered, and so pinned; None if nobody told.
    `noncoherent_dma`: whether a device of the guest does DMA that bypasses the caches; None if nobody told.
    """
    g, t = guest(guest_id), trigger(trigger_id)
    order = kernels.KERNEL_RANGES.index
    own = [b for b in own_fixes(release) if guest_id in b.guests]
    masked = any(STRATEGIES[name].scope == "mask" for b in own for name in b.strategies)
    mask = g.has("asid_keyed") and (masked or order(kernel) >= order(MASK_KERNEL))
    flushes = order(kernel) >= order(RELEASE_FLUSH_KERNEL)
    in_place = order(kernel) >= order(SOURCE_FLUSH_KERNEL)
    facts = {name: bool(features.get(feature, False)) for name, feature in FEATURES.items()}
    facts |= dict.fromkeys(HOOK, True) | dict.fromkeys(NOBODY, False)
    facts |= {
        "cpumask_complete": mask,
        "cpumask_monotonic": True,
        "later_release_event_flushes": flushes,
        "earlier_release_flushed": flushes,
        "event_is_protection": bool(t.event and t.event.startswith("PROTECTION")),
        "page_stays_in_vm": t.page_stays_in_vm and not t.page_may_leave_vm,
        "under_mmu_lock": g.has("keyid_keyed") and not t.by_hva,
        "kvm_pointer_available": t.kvm_pointer,
        "before_clearing_src_active": in_place or any(b.concerns(guest_id, trigger_id) for b in own),
        "gmem_in_place_conversion": in_place and t.pfn_source == "gmem" and t.path == "conversion",
        "private_memory_is_gmem_only": g.has("guest_memfd"),
        "rmp_or_module_enforced": g.has("rmp_enforced") or g.has("keyid_keyed"),
        "clean_alias_lines_harmless": bool(features.get("sme_coherent", False)),
        "followed_by_df_flush": False,
    }
    if t.pfn_source in ("pinned", "kernel_va", "gmem"):
        facts |= {"pfn_known": True, "pfn_stable": True, "direct_map_present": True}
    if t.pfn_source == "pinned":
        facts["memory_pinned"] = True
    if pinned is not None and t.by_hva and g.has("private_memory_vma_backed"):
        facts |= {"memory_pinned": pinned, "range_inside_registered_enc_region": pinned}
    if noncoherent_dma is not None:
        facts["noncoherent_dma"] = noncoherent_dma
    if t.path == "vmsa":
        facts["asid_known"] = True
    return facts


@lru_cache(maxsize=512)
def _parse(text: str) -> tuple:
    """Nested tuples: ("name", x), ("!", a), ("&&", a, b), ("||", a, b). Raises BadInput."""
    tokens, position = [], 0
    while position < len(text.rstrip()):
        match = _TOKEN.match(text, position)
        if not match:
            raise BadInput(
                f"cannot read {text[position : position + 20]!r}",
                field="predicates",
                remedy="join names with &&, ||, ! and parentheses",
            )
        tokens.append(match.group(1))
        position = match.end()

    def either() -> tuple:
        left = both()
        while tokens and tokens[0] == "||":
            tokens.pop(0)
            left = ("||", left, both())
        return left

    def both() -> tuple:
        left = single()
        while tokens and tokens[0] == "&&":
            tokens.pop(0)
            left = ("&&", left, single())
        return left

    def single() -> tuple:
        token = tokens.pop(0) if tokens else ")"
        if token == "!":
            return ("!", single())
        if token == "(":
            inner = either()
            if not tokens or tokens.pop(0) != ")":
                raise BadInput("a parenthesis is not closed", field="predicates", remedy="close it")
            return inner
        if token in (")", "&&", "||"):
            raise BadInput(f"{text!r} ends or breaks off", field="predicates", remedy="name a predicate")
        return ("name", token)

    tree = either()
    if tokens:
        raise BadInput(f"{tokens[0]!r} is left over", field="predicates", remedy="join names with && or ||")
    return tree


def atoms(text: str) -> tuple[str, ...]:
    """Names in the expression, in order, without `true` and `false`."""
    names: dict[str, None] = {}

    def walk(node: tuple) -> None:
        if node[0] == "name":
            if node[1] not in ("true", "false"):
                names[node[1]] = None
            return
        for part in node[1:]:
            walk(part)

    walk(_parse(text))
    return tuple(names)


def evaluate(text: str, known: Mapping[str, bool]) -> bool | None:
    """True, False, or None where unknown names could still change the value."""
    return _value(_parse(text), {**known, "true": True, "false": False})


def _value(node: tuple, known: Mapping[str, bool]) -> bool | None:
    if node[0] == "name":
        return known.get(node[1])
    if node[0] == "!":
        inner = _value(node[1], known)
        return None if inner is None else not inner
    left, right = (_value(part, known) for part in node[1:])
    decisive = node[0] == "||"
    if decisive in (left, right):
        return decisive
    return None if None in (left, right) else not decisive


def helps(text: str, name: str, known: Mapping[str, bool]) -> bool | None:
    """False if the known value of `name` is what keeps the expression from holding; None if its value is unknown."""
    if name not in known:
        return None
    if evaluate(text, known) is not False:
        return True
    flipped = evaluate(text, {**known, name: not known[name]})
    others_open = {key: value for key, value in known.items() if key == name}
    return not (flipped is not False or evaluate(text, others_open) is False)
