"""None"""

import pytest

from costmodel.kvm.catalog import TRIGGERS
from costmodel.traces.triggers import HVA, names, triggers_of_task


def test_every_trigger_of_the_table_ends_in_the_notifier():
    assert {t for _, told in names() for t in told.triggers} <= set(HVA)
    assert all(told.source for _, told in names())
    assert all(TRIGGERS[t].by_hva for t in HVA)


@pytest.mark.parametrize(
    ("name", "triggers"),
    [
        ("ksmd", ("ksm_write_protect", "ksm_replace_page")),
        ("kcompactd1", ("numa_or_compaction_migrate",)),
        ("kswapd0", ("swap_reclaim", "thp_split")),
        ("oom_reaper", ("munmap_or_discard",)),
    ],
)
def test_kernel_threads(name, triggers):
    assert triggers_of_task(name).triggers == triggers


@pytest.mark.parametrize("name", ["CPU 3/KVM", "qemu-kvm", "ksmd2", "xksmd", "", "\x00", "kswapd0\n", "kworker/u8:1"])
def test_other_names_leave_it_open(name):
    told = triggers_of_task(name)
    assert told.triggers == HVA and not told.decided
