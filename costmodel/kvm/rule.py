"""What a rule is, and the properties that several rules ask for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from costmodel.kvm.catalog import Guest, Strategy, Trigger

COMPLETE = "cpumask_complete"
WRITEBACK = "(has_wbnoinvd || fallback_to_wbinvd)"


@dataclass(frozen=True)
class Rule:
    """`when` says whether the rule applies; `label` and `predicates` are texts, or made from the properties."""

    id: str
    when: Callable[[Guest, Trigger, Strategy], bool]
    label: str | Callable[[Guest, Trigger, Strategy], str]
    predicates: str | Callable[[Trigger, Strategy], str]
    reason: str
    source: str

    def verdict(self, guest: Guest, trigger: Trigger, strategy: Strategy) -> str:
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
