"""What was proposed around the flush, in words: what each is, in which quantity, and what is to be said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from costmodel.decision.choice import Study
from costmodel.decision.proposals import DEFERRED_S, Variant, variants
from costmodel.decision.result import VariantRow
from costmodel.evidence.store import Evidence
from costmodel.numbers import quantity


class Words(NamedTuple):
    """How a proposal is told; `quantity` and `note` may hold numbers of it."""

    title: str
    quantity: Callable[[Variant], str]
    note: Callable[[Variant], str]
    source: str


def variant_rows(study: Study, evidence: Evidence) -> list[VariantRow]:
    """Rows of one notifier trigger; those that need a rate are left out where nobody published one."""
    return [_row(found) for found in variants(study, evidence)]


def _row(found: Variant) -> VariantRow:
    words = WORDS[found.id]
    return VariantRow(
        id=found.id,
        trigger=found.study.trigger.id,
        strategy=found.strategy,
        title=words.title,
        quantity=words.quantity(found),
        kernel=found.kernel,
        variant=found.variant,
        admissible=found.admissible,
        note=words.note(found),
        source=words.source,
    )


def _host_cpus(found: Variant) -> str:
    return "host CPUs lost"


def _shared(found: Variant) -> str:
    if found.shared is None:
        return "one thread that waits for its own flush never has company; not in the kernel"
    return f"{quantity(found.shared, '1')} events share a flush; not in the kernel"


def _exposed(found: Variant) -> str:
    if not found.study.trigger.page_may_leave_vm:
        return "this trigger releases no page, but the hook is the same for those that do"
    return f"about {quantity(found.exposed_bytes, 'B')} of guest memory could be in use again before its flush"


def _met(found: Variant) -> str:
    return f"{found.share:.0%} of the measured events met a memslot ({found.where}); both kernels of the thread test for it"


WORDS = {
    "coalesced": Words(
        "concurrent initiators of one VM share a flush",
        _host_cpus,
        _shared,
        "coalesced_batch; no kernel coalesces: each initiator sends its own round (smp.c)",
    ),
    "deferred": Words(
        f"flushes collected for {quantity(DEFERRED_S, 's')}",
        _host_cpus,
        _exposed,
        "deferred_rate; flush_done_before_invalidate_range_end",
    ),
    "imprecise": Words(
        "a hook that flushes whether or not a memslot overlapped",
        _host_cpus,
        _met,
        "precise_events; kvm_main.c: `if (locked)` up to v6.7, found_memslot from v6.8",
    ),
    "spte-zaps": Words(
        "PFNs from SPTEs: every leaf that KVM zaps itself needs a flush, too",
        lambda found: f"KVM's own zaps per notifier event that cost as much as {found.against}",
        lambda found: "rejected on the list; nobody published a rate of KVM's own zaps",
        "spte_events; thread of 2023-08-18",
    ),
    "user-va-missed": Words(
        "flush through the user address: its mapping may be gone when the flush runs",
        lambda found: "missed flushes per hour",
        lambda found: "a second trigger of the same rate, ranges at uniform places; any number above 0 is inadmissible",
        "missed_flushes; mmu_notifier_invalidate_range_start() calls are not serialised",
    ),
}
