"""Which triggers the name of a task can stand for. A user task allows many: then the trace alone does not decide."""

from __future__ import annotations

import re
from dataclasses import dataclass

from costmodel.kvm.catalog import TRIGGERS

HVA = tuple(trigger.id for trigger in TRIGGERS.values() if trigger.path == "hva_notifier")
"""Triggers that end in the mmu notifier, hence in the tracepoint."""
NAMES = (
    ("ksmd", ("ksm_write_protect", "ksm_replace_page"), "mm/ksm.c: write_protect_page() and replace_page()"),
    (
        "khugepaged",
        ("thp_collapse", "numa_or_compaction_migrate"),
        "mm/khugepaged.c: collapse; compaction to get a page",
    ),
    (r"kcompactd\d*", ("numa_or_compaction_migrate",), "mm/compaction.c"),
    (r"kswapd\d*", ("swap_reclaim", "thp_split"), "mm/vmscan.c: split before swap-out"),
    ("oom_reaper", ("munmap_or_discard",), "mm/oom_kill.c: unmap_page_range()"),
    ("numad", ("numa_or_compaction_migrate",), "numad moves memory with migrate_pages(2)"),
)
"""Pattern of the whole name, the triggers and where they come from (KERNEL flow D.1 to D.5)."""
EVERYTHING = (
    "a task of user space, or a worker: scan, migration, discard, copy on write and others end in the same event"
)


@dataclass(frozen=True)
class TaskTriggers:
    """Triggers that fit a task name; `decided` if it is one."""

    triggers: tuple[str, ...]
    why: str

    @property
    def decided(self) -> bool:
        return len(self.triggers) == 1


def triggers_of_task(name: str) -> TaskTriggers:
    """The triggers that `name` (comm of the task) can stand for.

    >>> triggers_of_task("kcompactd0").triggers, triggers_of_task("CPU 0/KVM").decided
    (('numa_or_compaction_migrate',), False)
    """
    for pattern, triggers, why in NAMES:
        if re.fullmatch(pattern, name):
            return TaskTriggers(triggers, why)
    return TaskTriggers(HVA, EVERYTHING)
