"""Predicates: conditions under which a strategy is safe, what they mean, how one knows them, and their evaluation.

An expression joins names with `&&`, `||`, `!` and parentheses. Evaluation is three-valued: a name that nobody told is
unknown, and an expression is unknown only where the unknown names could still change it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import YesNo, records
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, Catalog
from costmodel.kvm.kernels import KERNELS, MASK_KERNEL, SOURCE_FLUSH_KERNEL, STABLE_HOOK
from costmodel.kvm.releases import Version, own_fixes


@dataclass(frozen=True, kw_only=True)
class Predicate:
    """A condition: what it is `about`, what it means, and how one knows it: by a `feature` of the machine, or because
    `every_kernel` that is catalogued has it so in its own hooks (True) or none does (False), on CPUs that can run it;
    the others depend on the case.
    """

    id: str
    about: Literal["CPU", "kernel", "event", "address", "guest", "mm", "module"]
    meaning: str
    feature: str = ""
    every_kernel: YesNo | None = None
    source: str

    @property
    def text(self) -> str:
        """The meaning, with what it is about."""
        return f"{self.about}: {self.meaning}"


def read(path: Path) -> dict[str, Predicate]:
    """All predicates by id, in the order of the file. Raises BadInput with the row that cannot be read."""
    return {one.id: one for one in records(path, Predicate, ("id",))}


PREDICATES: Catalog[Predicate] = Catalog("predicate", lambda: read(data_dir() / "kvm" / "predicates.csv"))
PROTECTION = ("PROTECTION_VMA", "PROTECTION_PAGE")
"""Events of mmu_notifier that change nothing but protection."""
_TOKEN = re.compile(r"\s*(&&|\|\||!|\(|\)|[A-Za-z_][A-Za-z0-9_]*)")


@lru_cache(maxsize=1)
def _told() -> tuple[tuple[tuple[str, str], ...], dict[str, bool]]:
    """Predicates that a feature of the machine tells, each with that feature, and those that every kernel tells."""
    of_features = tuple((one.id, one.feature) for one in PREDICATES.values() if one.feature)
    return of_features, {one.id: one.every_kernel for one in PREDICATES.values() if one.every_kernel is not None}


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
    g, t = GUESTS[guest_id], TRIGGERS[trigger_id]
    here = KERNELS[kernel]
    own = [b for b in own_fixes(release) if guest_id in b.guests]
    masked = any(STRATEGIES[name].scope == "mask" for b in own for name in b.strategies)
    mask = g.has("asid_keyed") and (masked or here >= KERNELS[MASK_KERNEL])
    flushes = here >= KERNELS[STABLE_HOOK]
    in_place = here >= KERNELS[SOURCE_FLUSH_KERNEL]
    of_features, of_kernels = _told()
    facts = {id: bool(features.get(feature, False)) for id, feature in of_features} | of_kernels
    facts |= {
        "cpumask_complete": mask,
        "cpumask_monotonic": True,
        "later_release_event_flushes": flushes,
        "earlier_release_flushed": flushes,
        "event_is_protection": t.event in PROTECTION,
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


Node = tuple[Any, ...]
"""The name of an operation, and what it is applied to: nodes, or the name of a predicate."""


@lru_cache(maxsize=512)
def _parse(text: str) -> Node:
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

    def either() -> Node:
        left = both()
        while tokens and tokens[0] == "||":
            tokens.pop(0)
            left = ("||", left, both())
        return left

    def both() -> Node:
        left = single()
        while tokens and tokens[0] == "&&":
            tokens.pop(0)
            left = ("&&", left, single())
        return left

    def single() -> Node:
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

    def walk(node: Node) -> None:
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


def _value(node: Node, known: Mapping[str, bool]) -> bool | None:
    if node[0] == "name":
        return known.get(node[1])
    if node[0] == "!":
        inner = _value(node[1], known)
        return None if inner is None else not inner
    left, right = (_value(part, known) for part in node[1:])
    decisive: bool = node[0] == "||"
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
