"""Admissibility as general rules over properties of guest, trigger and strategy; the first rule that applies decides.

No rule names a guest or a trigger. A rule gives the three-valued label (yes, conditional, no) and the predicates under
which the strategy is safe; data/kvm/reasons.toml has the reason of each, and where that was read. CPU features enter
through the predicates.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import Table, entries
from costmodel.kvm.catalog import Catalog, Guest, Strategy, Trigger

Label = Literal["yes", "conditional", "no"]
COMPLETE = "cpumask_complete"
WRITEBACK = "(has_wbnoinvd || fallback_to_wbinvd)"


@dataclass(frozen=True)
class Reason(Table):
    """Why a rule holds, and where that was read: `reason` says why a strategy is safe or not, `besides` what else is to
    be known.
    """

    id: str
    reason: str
    source: str
    besides: str = ""

    @property
    def whole(self) -> str:
        """All that is said."""
        return "; ".join(filter(None, (self.reason, self.besides)))


REASONS: Catalog[Reason] = Catalog("rule", lambda: entries(data_dir() / "kvm" / "reasons.toml", "rule", Reason))


@dataclass(frozen=True)
class Rule:
    """`when` says whether the rule applies; `label` and `predicates` are texts, or made from the properties.
    `dominated`: what it allows is never the cheapest.
    """

    id: str
    when: Callable[[Guest, Trigger, Strategy], bool]
    label: Label | Callable[[Guest, Trigger, Strategy], Label]
    predicates: str | Callable[[Trigger, Strategy], str]
    dominated: bool = False

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


def _wbinvd_of_mask(s: Strategy) -> bool:
    return masked(s) and s.instruction == "wbinvd"


RULES = (
    Rule(
        "other-architecture",
        lambda g, t, s: s.instruction == "other",
        "no",
        "false",
    ),
    Rule(
        "guest-evicts",
        lambda g, t, s: s.instruction == "guest" and t.guest_validates,
        "conditional",
        "!coherency_sfw_no",
    ),
    Rule(
        "guest-elsewhere",
        lambda g, t, s: s.instruction == "guest",
        "no",
        "false",
    ),
    Rule(
        "module-only",
        lambda g, t, s: s.instruction == "seamcall" and not g.has("keyid_keyed"),
        "no",
        "false",
    ),
    Rule(
        "firmware-only",
        lambda g, t, s: s.instruction == "df_flush" and t.firmware_rule != "df_flush",
        "no",
        "false",
    ),
    Rule(
        "guest-wbinvd",
        lambda g, t, s: t.path == "guest_instruction",
        lambda g, t, s: "yes" if s.skips == "always" else "conditional" if _wbinvd_of_mask(s) else "no",
        lambda t, s: "!noncoherent_dma" if s.skips == "always" else t.context if _wbinvd_of_mask(s) else "false",
    ),
    Rule(
        "vcpu-move",
        lambda g, t, s: t.path == "vcpu_move" and not g.has("encrypted") and s.skips == "always",
        "yes",
        "!noncoherent_dma || has_wbinvd_exit",
    ),
    Rule(
        "nothing-changes-hands",
        lambda g, t, s: t.lines is None,
        lambda g, t, s: "yes" if s.skips == "always" else "no",
        lambda t, s: "true" if s.skips == "always" else "false",
    ),
    Rule(
        "asid-sequence",
        lambda g, t, s: t.firmware_rule == "df_flush" and s.instruction == "df_flush",
        "yes",
        "sev_deactivate_lock_held && wbinvd_on_all_online_cpus",
    ),
    Rule(
        "asid-first-half",
        lambda g, t, s: t.firmware_rule == "df_flush" and s.instruction == "wbinvd" and s.scope == "all_cpus",
        "conditional",
        "followed_by_df_flush",
    ),
    Rule(
        "asid-batch",
        lambda g, t, s: t.batched and s.instruction == "defer",
        "yes",
        "sev_reclaim_asid_bitmap",
    ),
    Rule(
        "asid-nothing-else",
        lambda g, t, s: t.firmware_rule == "df_flush",
        "no",
        "false",
    ),
    Rule(
        "key-release",
        lambda g, t, s: t.firmware_rule == "cache_wb" and s.scope == "package",
        "yes",
        "one_cpu_per_package && all_vps_flushed && tdx_lock",
    ),
    Rule(
        "key-release-nothing-else",
        lambda g, t, s: t.firmware_rule == "cache_wb",
        "no",
        "false",
    ),
    Rule(
        "followed-by-key-release",
        lambda g, t, s: (
            unreachable(g, t) and s.skips == "unreachable" and t.event == "RELEASE" and g.has("keyid_keyed")
        ),
        "conditional",
        "followed_by_key_release",
    ),
    Rule(
        "private-memory-unreachable",
        lambda g, t, s: unreachable(g, t) and s.skips == "unreachable" and g.has("guest_memfd"),
        "yes",
        "private_memory_is_gmem_only && rmp_or_module_enforced",
    ),
    Rule(
        "coherent-memory",
        lambda g, t, s: unreachable(g, t) and s.skips == "always",
        "yes",
        "true",
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
        dominated=True,
    ),
    Rule(
        "hva-writeback-all",
        lambda g, t, s: reachable(g, t) and all_cpus(s),
        "yes",
        context,
    ),
    Rule(
        "hva-writeback-mask",
        lambda g, t, s: reachable(g, t) and masked(s),
        "conditional",
        context,
    ),
    Rule(
        "hva-user-address",
        lambda g, t, s: reachable(g, t) and s.address_source == "user_va",
        "conditional",
        "has_sme_coherent && has_clflushopt && va_mapped && invalidations_serialised && pfn_stable",
    ),
    Rule(
        "hva-spte",
        lambda g, t, s: reachable(g, t) and s.address_source == "spte",
        "conditional",
        "has_sme_coherent && pfn_known_from_spte && direct_map_present && flush_on_every_leaf_spte_zap",
    ),
    Rule(
        "hva-pinned",
        lambda g, t, s: reachable(g, t) and s.address_source == "pinned",
        "conditional",
        "has_sme_coherent && memory_pinned && range_inside_registered_enc_region",
    ),
    Rule(
        "hva-msr",
        lambda g, t, s: reachable(g, t) and s.instruction == "wrmsr" and not g.has("rmp_enforced"),
        "conditional",
        "has_vm_page_flush_msr && asid_known && pfn_known && pfn_stable && direct_map_present && npages_small",
    ),
    Rule(
        "hva-event-filter",
        lambda g, t, s: reachable(g, t) and s.skips == "event" and t.page_stays_in_vm and not t.event_type_overloaded,
        "conditional",
        "event_is_protection && later_release_event_flushes && cpumask_monotonic",
    ),
    Rule(
        "hva-new-event",
        lambda g, t, s: reachable(g, t) and s.skips == "event" and t.event_type_overloaded and g.has("upstream"),
        "conditional",
        "new_mmu_notify_event_available && zap_variant_excluded",
    ),
    Rule(
        "hva-stays-coherent",
        lambda g, t, s: (
            reachable(g, t) and s.skips == "coherent" and not t.page_may_leave_vm and not g.has("rmp_enforced")
        ),
        "conditional",
        "has_sme_coherent && page_stays_in_vm",
    ),
    Rule(
        "hva-stays",
        lambda g, t, s: reachable(g, t) and s.skips == "always" and not t.page_may_leave_vm,
        "conditional",
        "later_release_event_flushes && event_filter_in_kernel",
    ),
    Rule(
        "hva-coalesce",
        lambda g, t, s: reachable(g, t) and s.instruction == "defer" and g.has("upstream"),
        "conditional",
        "flush_generation_started_after_zap && flush_done_before_invalidate_range_end",
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
    ),
    Rule(
        "gmem-release",
        lambda g, t, s: g.has("asid_keyed") and t.pfn_source == "gmem" and s.address_source == "gmem",
        "yes",
        "pfn_known && direct_map_present && has_sme_coherent && rmp_made_shared && !under_mmu_lock",
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
    ),
    Rule(
        "mask-needs-vm",
        lambda g, t, s: not t.kvm_pointer and masked(s) and g.has("asid_keyed"),
        "conditional",
        lambda t, s: context(t, s) + " && kvm_pointer_available",
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
    ),
    Rule(
        "flushed-earlier",
        lambda g, t, s: (
            t.flushed_elsewhere and (s.skips == "always" or (s.skips == "unreachable" and t.path == "conversion"))
        ),
        lambda g, t, s: "conditional" if t.path == "destruction" else "yes",
        lambda t, s: "earlier_release_flushed" if t.path == "destruction" else "!gmem_in_place_conversion",
    ),
    Rule(
        "module-page",
        lambda g, t, s: removal(g, t) and s.instruction == "seamcall" and s.scope == "page",
        "yes",
        "hkid_assigned && spte_removed && tlb_tracked && under_mmu_lock",
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
    ),
    Rule(
        "lost-flush",
        lambda g, t, s: bool(s.skips) and t.lines == "guest",
        "no",
        "false",
    ),
    Rule(
        "not-applicable",
        lambda g, t, s: True,
        "no",
        "false",
    ),
)
