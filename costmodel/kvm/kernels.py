"""What each catalogued kernel range does at each trigger (data/kvm/upstream_behaviour.csv), and which range a version is in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from costmodel.errors import BadInput
from costmodel.evidence import table
from costmodel.evidence.paths import data_dir
from costmodel.kvm.releases import Version, backport, dotted

KERNEL_RANGES = ("v5.11", "v5.15.70+", "v5.18-v6.7", "v6.8-v6.10", "v6.11-v6.16", "v6.17-v7.2", "v7.3-rc")
_LAST = ((5, 14), (5, 17), (6, 7), (6, 10), (6, 16), (7, 2), (7, 3))
"""Last version that behaves as each range: v5.15.70 has the hook of v5.18 (stable backport)."""
_RELEASE_OF = {"v5.15.70+": (5, 15, 70), "v7.3-rc": (7, 3, 0)}
"""Ranges whose last release cannot be read off `_LAST`: a stable series, and the newest one, which has no end."""
TDX_FIRST = "v6.16"
"""Label of the facts for TDX in v6.16, the first kernel that has it; it stands for the range up to v6.16."""
COLUMNS = ("guest_type", "trigger", "kernel_range", "upstream_strategy", "locator")
NOTHING_KNOWN = ("n/a", "unverified")
_DISTRIBUTION = r"v?(\d{1,3})\.(\d{1,3})(?:\.\d{1,4})?[-.+~_][!-~]{1,100}"
SYMBOLS = (
    "look with grep -wE 'wbnoinvd_on_cpus_mask|sev_gmem_invalidate|sev_guest_memory_reclaimed' /proc/kallsyms and give "
    "6.17 if it shows the first, else 6.11 for the second, 5.18 for the third, 5.11 for none"
)
"""Symbols that tell which of the flushes a kernel has, and the version to give for each; newest first."""
OUT_OF_TREE = ("WBINVD_ALL",)
"""Hosts of the 2023 thread ran SNP without guest_memfd out of tree, with the SEV hook (KVM list, 2022 to 2023)."""
OUT_OF_TREE_RANGE = "v5.18-v6.7"
"""Mainline range of the time of that thread (2023-08-18)."""


@dataclass(frozen=True)
class Upstream:
    """Strategies of a kernel range at a trigger (several where the CPU decides) and where that was read."""

    strategies: tuple[str, ...]
    locator: str
    note: str = ""


def newest() -> str:
    """The newest catalogued range."""
    return KERNEL_RANGES[-1]


def resolve(version: str) -> str:
    """Range of a version such as `6.6`, `v6.17.3`, `7.3-rc5`, a range id, or `newest`. Raises BadInput."""
    if version == "newest":
        return newest()
    if version in KERNEL_RANGES:
        return version
    match = re.fullmatch(r"v?(\d{1,3})\.(\d{1,3})(?:\.(\d{1,4}))?(?:-rc\d{0,3})?", version, re.ASCII)
    if not match and re.fullmatch(_DISTRIBUTION, version, re.ASCII):
        raise BadInput(
            f"{version[:60]!r} is a distribution's kernel, and no source here tells what was backported to it",
            field="kernel",
            remedy=SYMBOLS,
        )
    if not match:
        raise BadInput(
            f"cannot read the kernel version {version[:40]!r}",
            field="kernel",
            remedy="write it as 6.6, 6.17.3 or newest",
        )
    major, minor, patch = (int(part or 0) for part in match.groups())
    if (major, minor) < (5, 11):
        raise BadInput(
            f"kernel {version} is older than v5.11, the first catalogued",
            field="kernel",
            remedy=f"choose one of {', '.join(KERNEL_RANGES)}",
        )
    if (major, minor) == (5, 15):
        return "v5.15.70+" if patch >= 70 or match.group(3) is None else "v5.11"
    if (5, 15) < (major, minor) < (5, 18):
        return "v5.11"
    found = next((name for name, last in zip(KERNEL_RANGES, _LAST, strict=True) if (major, minor) <= last), None)
    if found is None:
        raise BadInput(
            f"kernel {version} is newer than {newest()}, the last that was read: what it does is not known",
            field="kernel",
            remedy="give newest for what that one does",
        )
    return found


def release(version: str) -> tuple[int, int, int]:
    """(major, minor, patch) of a version that `resolve` understands; of a range, and of `newest`, the last release that
    behaves as the range does. Raises BadInput.
    """
    name = resolve(version)
    if version in ("newest", name):
        return _RELEASE_OF.get(name) or (*_LAST[KERNEL_RANGES.index(name)], 0)
    major, minor, patch = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version).groups()
    return int(major), int(minor), int(patch or 0)


@lru_cache(maxsize=1)
def _rows() -> dict[tuple[str, str, str], Upstream]:
    return read(data_dir() / "kvm" / "upstream_behaviour.csv")


def read(path: Path) -> dict[tuple[str, str, str], Upstream]:
    """What a file says of each guest type, trigger and kernel range. Raises BadInput with the row that cannot be read."""
    from costmodel.kvm.guests import GUESTS
    from costmodel.kvm.strategies import STRATEGIES
    from costmodel.kvm.triggers import TRIGGERS

    known = {"guest_type": GUESTS, "trigger": TRIGGERS, "kernel_range": (*KERNEL_RANGES, TDX_FIRST)}
    found = {}
    for row in table.read_table(path, COLUMNS, COLUMNS[:3]):
        place = {"file": path.name, "name": table.row_name(row, COLUMNS[:3])}
        cell = tuple(table.choice(row, field, allowed, **place) for field, allowed in known.items())
        table.filled(row, ("upstream_strategy", "locator"), **place)
        strategies = table.choices(row, "upstream_strategy", (*NOTHING_KNOWN, *STRATEGIES), "|", **place)
        found[cell] = Upstream(strategies, row["locator"])
    return found


def upstream(guest: str, trigger: str, kernel: str, release: Version = (0, 0, 0)) -> Upstream | None:
    """What the range `kernel` does, or None where the guest did not exist or nothing was verified; what was backported
    to `release` replaces it.

    SNP without guest_memfd was never upstream: the out-of-tree hosts of the thread stand for it.
    """
    from costmodel.kvm.guests import guest as guest_of
    from costmodel.kvm.triggers import trigger as trigger_of

    if not guest_of(guest).has("upstream"):
        event = trigger_of(trigger)
        return Upstream(OUT_OF_TREE, "thread of 2023-08-18", "out of tree") if event.by_hva else None
    if fix := backport(guest, trigger, release):
        return Upstream(fix.strategies, f"commit {fix.commit}; {fix.source}", f"from {dotted(fix.first)} on")
    row = _rows().get((guest, trigger, kernel))
    if (row is None or row.strategies[0] in NOTHING_KNOWN) and kernel == "v6.11-v6.16":
        row = _rows().get((guest, trigger, TDX_FIRST), row)
    return None if row is None or row.strategies[0] in NOTHING_KNOWN else row


def hosts(guest: str, kernel: str) -> bool:
    """Whether anything is catalogued of `guest` on the range `kernel`: the guest type exists there."""
    from costmodel.kvm.triggers import triggers_of

    return any(upstream(guest, trigger.id, kernel) for trigger in triggers_of(guest))
