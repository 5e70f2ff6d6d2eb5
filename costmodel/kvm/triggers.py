"""Triggers: the events at which a flush may be due, and the properties that decide about it."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.errors import known_id
from costmodel.kvm.guests import Guest
from costmodel.kvm.guests import guest as guest_of

NOTIFIER = "may_block && irqs_enabled && vcpu_sptes_zapped_and_tlb_flushed"


@dataclass(frozen=True)
class Cause:
    """A way of the kernel to a trigger's notifier. `before` names the conditions (`costmodel.kvm.events`) that are tested
    before it fires, `after` those tested afterwards, where the page stays if one fails. `moves`: the page leaves the guest
    if all hold. `goes_on`: a pass that changed nothing goes on to the next range at once. `since` and `until` are the
    first release that works so and the first that does not.
    """

    id: str
    title: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    moves: bool = False
    goes_on: bool = False
    since: tuple[int, int, int] = (0, 0, 0)
    until: tuple[int, int, int] = (9999, 0, 0)

    def exists_in(self, release: tuple[int, int, int]) -> bool:
        """Whether the release works so."""
        return self.since <= release < self.until


@dataclass(frozen=True)
class Trigger:
    """An event of the host or of KVM.

    `path` is the code path, `event` the mmu_notifier event. `lines` says whose cache lines are at stake: of the guest
    (a page goes back to the host), of the host (a page goes to the guest) or none. `pfn_source` is where the PFNs of
    the range come from: vma (only behind user addresses), pinned, kernel_va, gmem, module or none. `context` is the
    predicate that a flush of whole caches needs there. `by_vmm` says that the guest's own VMM makes the event at will, by a
    system call or an ioctl, as often as it likes. A guest has the trigger if it has all properties of `requires`
    and none of `excludes`. `causes` are the kernel's ways to the notifier; KVM's own events have none. `stock_bytes`: the
    event uses up one piece of this size of the guest, so that there are no more of them than pieces.
    """

    id: str
    title: str
    path: str
    lines: str | None
    pfn_source: str = "none"
    event: str | None = None
    context: str = "irqs_enabled"
    requires: frozenset[str] = frozenset()
    excludes: frozenset[str] = frozenset()
    page_may_leave_vm: bool = False
    page_stays_in_vm: bool = False
    event_type_overloaded: bool = False
    flushed_elsewhere: bool = False
    user_abi: bool = False
    firmware_rule: str | None = None
    batched: bool = False
    kvm_pointer: bool = True
    vcpus_locked_out: bool = False
    guest_validates: bool = False
    by_vmm: bool = False
    causes: tuple[Cause, ...] = ()
    stock_bytes: float | None = None

    @property
    def by_hva(self) -> bool:
        """Whether the event comes with user addresses of the memslots."""
        return self.path in ("hva_notifier", "memslot")

    @property
    def in_window(self) -> bool:
        """Whether the hook runs between range_start and range_end of a notifier; the release of a whole mm has neither."""
        return self.path == "hva_notifier" and self.event != "RELEASE"

    @property
    def per_folio(self) -> bool:
        """Whether the hook runs once for each folio of guest_memfd, not once for the event: kvm_gmem_free_folio(), and
        from v7.3-rc on kvm_gmem_make_shared(), which walks the folios of a conversion.
        """
        return self.pfn_source == "gmem"

    @property
    def leaves_rmp(self) -> bool:
        """Whether pages with an RMP entry go back to the host: RMPUPDATE is due, whatever is flushed."""
        return self.lines == "guest" and (self.pfn_source == "gmem" or self.path == "rmp")

    def occurs_with(self, guest: Guest) -> bool:
        """Whether the guest type has this trigger."""
        return self.requires <= guest.properties and not self.excludes & guest.properties


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _hva(
    id: str,
    title: str,
    event: str | None,
    path: str = "hva_notifier",
    *,
    leaves: bool = True,
    stays: bool = False,
    overloaded: bool = False,
    by_vmm: bool = False,
    causes: tuple[Cause, ...] = (),
    stock_bytes: float | None = None,
) -> Trigger:
    """An event on user addresses: `stays` if the page normally stays in the VM, `leaves` if it may go elsewhere."""
    return Trigger(
        id,
        title,
        path,
        "guest",
        "vma",
        event,
        NOTIFIER,
        page_may_leave_vm=leaves,
        page_stays_in_vm=stays,
        event_type_overloaded=overloaded,
        by_vmm=by_vmm,
        causes=causes,
        stock_bytes=stock_bytes,
    )


_PINNED_SKIPPED = (6, 19, 0)
"""folio_can_map_prot_numa() leaves pinned folios alone, huge ones too, after the notifier has fired."""
_SCANNED = ("policy_mof", "not_hugetlb")
_MERGED = ("mergeable", "not_hugetlb")
_SCANS = (
    Cause("scan", "NUMA scan", _SCANNED, ("pin_overlooked",), goes_on=True, until=_PINNED_SKIPPED),
    Cause("scan", "NUMA scan", _SCANNED, ("unpinned",), goes_on=True, since=_PINNED_SKIPPED),
)
_MIGRATIONS = (
    Cause(
        "numa_fault",
        "NUMA hint fault",
        (*_SCANNED, "pin_overlooked"),
        ("unpinned",),
        moves=True,
        until=_PINNED_SKIPPED,
    ),
    Cause("numa_fault", "NUMA hint fault", (*_SCANNED, "unpinned"), moves=True, since=_PINNED_SKIPPED),
    Cause("compaction", "compaction", ("not_hugetlb", "unpinned_or_shared"), ("unpinned",), moves=True),
    Cause("migrate_pages", "numad or migrate_pages(2)", (), ("unpinned",), moves=True),
)
_SEV = _names("asid_keyed upstream")
_SEV_VMA = _names("asid_keyed private_memory_vma_backed upstream")
_SNP_GMEM = _names("guest_memfd rmp_enforced")
_TDX = _names("keyid_keyed")

TRIGGERS = {
    trigger.id: trigger
    for trigger in (
        _hva(
            "autonuma_prot_none_scan", "NUMA balancing scan", "PROTECTION_VMA", leaves=False, stays=True, causes=_SCANS
        ),
        _hva("numa_or_compaction_migrate", "page migration", "CLEAR", causes=_MIGRATIONS),
        _hva(
            "ksm_write_protect",
            "KSM write protection",
            "CLEAR",
            leaves=False,
            stays=True,
            overloaded=True,
            causes=(Cause("write_protect", "KSM write protection", (*_MERGED, "no_pinned_huge_page"), ("unpinned",)),),
        ),
        _hva(
            "ksm_replace_page",
            "KSM merge",
            "CLEAR",
            causes=(Cause("replace", "KSM merge", (*_MERGED, "unpinned"), moves=True),),
            stock_bytes=4096.0,
        ),
        _hva(
            "thp_collapse",
            "khugepaged collapse",
            "CLEAR",
            causes=(Cause("collapse", "khugepaged collapse", ("huge_pages", "unpinned"), moves=True),),
            stock_bytes=2097152.0,
        ),
        _hva(
            "thp_split",
            "huge page split",
            "CLEAR",
            stays=True,
            overloaded=True,
            causes=(Cause("pmd_split", "split of a huge mapping", ("huge_pages",)),),
        ),
        _hva(
            "swap_reclaim",
            "swap-out",
            "CLEAR",
            causes=(Cause("reclaim", "reclaim", ("not_hugetlb", "unpinned_or_shared"), ("unpinned",), moves=True),),
        ),
        _hva(
            "munmap_or_discard",
            "munmap or discard",
            "UNMAP",
            by_vmm=True,
            causes=(
                Cause("munmap", "munmap, also by a VMM that means harm", (), ("unpinned",), moves=True),
                Cause("discard", "balloon, free page reporting", ("discards",), ("unpinned",), moves=True),
            ),
        ),
        _hva(
            "mprotect_or_uffd_wp",
            "mprotect or userfaultfd write protection",
            "PROTECTION_VMA",
            leaves=False,
            stays=True,
            by_vmm=True,
            causes=(Cause("mprotect", "mprotect(2) or userfaultfd"),),
        ),
        _hva(
            "memslot_delete_or_move",
            "memslot deletion or move",
            None,
            "memslot",
            by_vmm=True,
            causes=(Cause("memslot", "KVM_SET_USER_MEMORY_REGION", moves=True),),
        ),
        _hva(
            "vm_teardown_mn_release",
            "address space exit",
            "RELEASE",
            causes=(Cause("exit", "exit of the VMM", moves=True),),
        ),
        Trigger("access_bit_aging", "access bit aging", "aging", None, requires=_SEV),
        Trigger(
            "vcpu_migration_between_pcpus", "vCPU moves to another CPU", "vcpu_move", None, requires=_names("upstream")
        ),
        Trigger(
            "guest_executes_wbinvd", "guest executes WBINVD", "guest_instruction", None, excludes=_names("encrypted")
        ),
        Trigger(
            "reg_region_or_launch_update",
            "region registration or launch update",
            "region_ioctl",
            "host",
            "pinned",
            requires=_SEV_VMA,
        ),
        Trigger(
            "unreg_region",
            "region unregistration",
            "region_ioctl",
            "guest",
            "pinned",
            context="irqs_enabled && kvm_lock_held",
            requires=_SEV,
            page_may_leave_vm=True,
            user_abi=True,
            by_vmm=True,
            causes=(Cause("unregister", "KVM_MEMORY_ENCRYPT_UNREG_REGION", ("registered",), moves=True),),
        ),
        Trigger(
            "intra_host_migration_move_ctx",
            "intra-host migration (source VM)",
            "context_move",
            "guest",
            context="before_clearing_src_active",
            requires=_SEV_VMA,
            page_may_leave_vm=True,
            vcpus_locked_out=True,
        ),
        Trigger(
            "vm_destroy",
            "VM destruction",
            "destruction",
            "guest",
            requires=_SEV,
            page_may_leave_vm=True,
            flushed_elsewhere=True,
        ),
        Trigger(
            "asid_recycle", "ASID recycling", "asid", "guest", requires=_SEV, firmware_rule="df_flush", batched=True
        ),
        Trigger(
            "vmsa_page_free",
            "VMSA page release",
            "vmsa",
            "guest",
            "kernel_va",
            requires=_names("vmsa upstream"),
            page_may_leave_vm=True,
            vcpus_locked_out=True,
        ),
        Trigger(
            "rmp_ownership_change_to_hypervisor",
            "RMP ownership change to the hypervisor",
            "rmp",
            "guest",
            "pinned",
            requires=_names("rmp_enforced private_memory_vma_backed"),
            page_may_leave_vm=True,
        ),
        Trigger(
            "snp_init",
            "SNP initialisation",
            "firmware_init",
            "guest",
            requires=_names("rmp_enforced upstream"),
            firmware_rule="df_flush",
        ),
        Trigger(
            "gmem_punch_hole",
            "guest_memfd punch hole",
            "gmem",
            "guest",
            "gmem",
            context="irqs_enabled && flush_before_page_returned",
            requires=_names("guest_memfd"),
            page_may_leave_vm=True,
            kvm_pointer=False,
            by_vmm=True,
        ),
        Trigger(
            "gmem_free_folio_teardown",
            "guest_memfd page release",
            "gmem",
            "guest",
            "gmem",
            context="irqs_enabled && flush_before_page_returned",
            requires=_names("guest_memfd"),
            page_may_leave_vm=True,
            kvm_pointer=False,
        ),
        Trigger(
            "convert_private_to_shared_in_place",
            "conversion to shared, in place",
            "conversion",
            "guest",
            "gmem",
            requires=_SNP_GMEM,
            page_may_leave_vm=True,
            kvm_pointer=False,
            by_vmm=True,
        ),
        Trigger(
            "convert_private_to_shared_separate_backing",
            "conversion to shared, separate backing",
            "conversion",
            "guest",
            requires=_SNP_GMEM,
            flushed_elsewhere=True,
        ),
        Trigger(
            "convert_shared_to_private",
            "conversion to private",
            "conversion",
            "host",
            requires=_SNP_GMEM,
            guest_validates=True,
        ),
        Trigger(
            "convert_private_to_shared",
            "conversion to shared",
            "conversion",
            "guest",
            "gmem",
            requires=_TDX,
            page_may_leave_vm=True,
            by_vmm=True,
        ),
        Trigger(
            "convert_shared_to_private_or_page_add",
            "conversion to private or page add",
            "conversion",
            "host",
            "gmem",
            requires=_TDX,
        ),
        Trigger("hkid_free_vm_teardown", "KeyID release", "hkid", "guest", requires=_TDX, firmware_rule="cache_wb"),
        Trigger(
            "tdr_page_free", "TD root page release", "tdr", "guest", "module", requires=_TDX, page_may_leave_vm=True
        ),
        Trigger("kexec_or_virt_disable", "kexec or virtualisation off", "kexec", "guest", requires=_TDX),
    )
}


def trigger(id: str) -> Trigger:
    """The trigger `id`, in any case. Raises UnknownName."""
    return TRIGGERS[known_id("trigger", id, TRIGGERS)]


def triggers_of(guest_id: str) -> tuple[Trigger, ...]:
    """The triggers that a guest type has, in catalogue order. Raises UnknownName."""
    guest = guest_of(guest_id)
    return tuple(entry for entry in TRIGGERS.values() if entry.occurs_with(guest))
