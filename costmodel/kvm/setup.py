"""How a guest's memory is set up: what decides, beside the guest type, which events of the host can reach it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.tables import among, column, one_of, records, words
from costmodel.kvm.catalog import GUESTS, Guest, GuestId

VMMS = ("qemu", "cloud-hypervisor", "other")
BACKINGS = ("anon", "thp", "hugetlb", "memfd", "guest_memfd")
"""anon: anonymous 4 KiB pages; thp: anonymous, with transparent huge pages; memfd: shared 4 KiB pages of tmpfs."""
MEMPOLICIES = ("default", "bind", "interleave", "preferred-many", "numa-balancing")
"""numa-balancing: a policy with MPOL_F_NUMA_BALANCING, which sets MPOL_F_MOF as the default policy does."""
SWITCHES = {"yes": True, "no": False}
CHOICES = {
    "pinned": tuple(SWITCHES),
    "backing": BACKINGS,
    "mempolicy": MEMPOLICIES,
    "mergeable": tuple(SWITCHES),
}
WHOSE = {"user": True, "none": False}
"""Words of the column `choice`: whether the VMM lets its user have it otherwise."""


@dataclass(frozen=True, kw_only=True)
class Default:
    """What a VMM does with a property of a guest type: the word for it, whether its user can have it otherwise, and
    where that was read.
    """

    guest_type: GuestId
    vmm: Annotated[str, among(VMMS)]
    name: Annotated[str, among(CHOICES)] = column("property")
    word: str = column("value")
    free: Annotated[bool, words(WHOSE)] = column("choice")
    source: str

    def __post_init__(self) -> None:
        one_of(self.word, CHOICES[self.name], "word")

    @property
    def value(self) -> str | bool:
        return SWITCHES.get(self.word, self.word)


@dataclass(frozen=True)
class Setup:
    """`pinned`: all memory is held by long-term pins (KVM_MEMORY_ENCRYPT_REG_REGION, or VFIO). `backing` is what lies
    behind the guest's addresses, for a guest with guest_memfd its private part. `mergeable`: the memory is marked
    MADV_MERGEABLE. `assumed` names the properties that neither the user nor any source tells.
    """

    vmm: str
    pinned: bool
    backing: str
    mempolicy: str
    mergeable: bool
    assumed: tuple[str, ...] = ()

    @property
    def pinned_for_sure(self) -> bool | None:
        """Whether the memory is pinned; None where that is only assumed."""
        return None if "pinned" in self.assumed else self.pinned

    @property
    def values(self) -> dict[str, str | bool]:
        """The five properties by name."""
        return {name: value for name, value in asdict(self).items() if name != "assumed"}

    def words(self, guest_id: str) -> list[str]:
        """Words of a command line that give this setup again, where it is not the default of the guest type."""
        usual = setup(guest_id, self.vmm)
        words = ["--vmm", self.vmm] if self.vmm != VMMS[0] else []
        for name, value in self.values.items():
            if name == "vmm" or value == usual.values[name]:
                continue
            words += [f"--{'' if value else 'not-'}{name}"] if isinstance(value, bool) else [f"--{name}", str(value)]
        return words


def setup(
    guest_id: str,
    vmm: str | None = None,
    *,
    pinned: bool | None = None,
    backing: str | None = None,
    mempolicy: str | None = None,
    mergeable: bool | None = None,
) -> Setup:
    """The setup of a guest: what was given, else what the VMM does (data/kvm/guest_defaults.csv), else an assumption.

    Raises UnknownName, or BadInput for a setup that cannot exist.
    """
    g = GUESTS[guest_id]
    who = VMMS[0] if vmm is None else vmm
    given = {"pinned": pinned, "backing": backing, "mempolicy": mempolicy, "mergeable": mergeable}
    for name, allowed in {"vmm": VMMS, "backing": BACKINGS, "mempolicy": MEMPOLICIES}.items():
        value = who if name == "vmm" else given[name]
        if value is not None and value not in allowed:
            raise BadInput(f"{value!r} is not one of {', '.join(allowed)}", field=name, remedy="use one of these")
    for name in ("pinned", "mergeable"):
        if not isinstance(given[name], bool | None):
            raise BadInput(f"{given[name]!r} is neither true nor false", field=name, remedy="give true or false")
    sourced = {name: default.value for name, default in _defaults_of(g.id, who).items()}
    told = {name: value for name, value in given.items() if value is not None}
    if (told.get("backing") in ("hugetlb", "memfd")) and "mergeable" not in told:
        told["mergeable"] = False
    values: dict[str, Any] = assumed_values(g) | sourced | told
    found = Setup(who, **values, assumed=tuple(name for name in values if name not in sourced and name not in told))
    _check(g, found)
    return found


@dataclass(frozen=True)
class Contradiction:
    """A property of a setup that no guest of its type under this VMM can have, and the one that all of them have."""

    name: str
    value: str | bool
    default: Default


def contradictions(guest_id: str, found: Setup) -> list[Contradiction]:
    """What no guest of this type under this VMM can have."""
    return [
        Contradiction(name, found.values[name], default)
        for name, default in _defaults_of(guest_id, found.vmm).items()
        if not default.free and found.values[name] != default.value
    ]


def _defaults_of(guest_id: str, vmm: str) -> dict[str, Default]:
    return {name: default for (type_, by, name), default in defaults().items() if (type_, by) == (guest_id, vmm)}


def assumed_values(g: Guest) -> dict[str, str | bool]:
    """What is assumed of a guest whose VMM no source describes: encrypted memory behind user addresses is
    registered.
    """
    return {
        "pinned": g.has("private_memory_vma_backed"),
        "backing": "guest_memfd" if g.has("guest_memfd") else "anon",
        "mempolicy": "default",
        "mergeable": False,
    }


def _check(g: Guest, found: Setup) -> None:
    """Raise BadInput for a setup that no kernel allows."""
    if g.has("guest_memfd") and found.backing != "guest_memfd":
        problem = f"private memory of {g.id} comes from guest_memfd only, not from {found.backing}"
        raise BadInput(problem, field="backing", remedy="leave it out")
    if not g.has("guest_memfd") and found.backing == "guest_memfd":
        hint = f", or ask for {g.successor}" if g.successor else ""
        raise BadInput(
            f"KVM gives {g.id} no guest_memfd: its memory lies behind user addresses",
            field="backing",
            remedy=f"use anon, thp, hugetlb or memfd{hint}",
        )
    if found.mergeable and found.backing in ("hugetlb", "memfd"):
        raise BadInput(
            "KSM merges anonymous memory only, never "
            f"{'huge pages of hugetlbfs' if found.backing == 'hugetlb' else 'shared memory of a memfd'}",
            field="mergeable",
            remedy="leave out mergeable, or use the backing anon or thp",
        )


@lru_cache(maxsize=1)
def defaults() -> dict[tuple[str, str, str], Default]:
    """What each VMM does by default, by guest type, VMM and property. Raises BadInput."""
    return read(data_dir() / "kvm" / "guest_defaults.csv")


def read(path: Path) -> dict[tuple[str, str, str], Default]:
    """The defaults of a file. Raises BadInput with the row that cannot be read."""
    rows = records(path, Default, ("guest_type", "vmm", "property"))
    return {(row.guest_type, row.vmm, row.name): row for row in rows}
