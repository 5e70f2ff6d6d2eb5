"""Counts of every tool as a rate over the time that it says, with the interval of a Poisson count."""

import numpy
import pytest
from scipy.stats import poisson

from costmodel.measure import counts, trace_formats
from costmodel.traces.triggers import trigger_of_chain


def read(tmp_path, text):
    path = tmp_path / "counts.txt"
    path.write_text(text)
    return trace_formats.read(path, trigger_of_chain)


EVENT = "kvm:kvm_unmap_hva_range"
STAT = """
 Performance counter stats for 'system wide':

             5,120      kvm:kvm_unmap_hva_range
                 7      kvm:kvm_exit                                                     (75.00%)

      10.000000000 seconds time elapsed

       0.001000000 seconds user
"""
PER_CPU = """
 Performance counter stats for 'system wide':

CPU0                    2,000      kvm:kvm_unmap_hva_range
CPU1                    3,120      kvm:kvm_unmap_hva_range

      10.000000000 seconds time elapsed
"""
KVM_LOG = """kvm_exit kvm_unmap_hva_range
2026-09-30 12:00:00         5      2000
2026-09-30 12:00:05         5      1560
2026-09-30 12:00:10         5      1560
"""
FUNCCOUNT = """Tracing 1 functions for "b'kvm_mmu_notifier_invalidate_range_start'"... Hit Ctrl-C to end.
12:00:05
FUNC                                    COUNT
b'kvm_mmu_notifier_invalidate_range_start'  2560

12:00:10
FUNC                                    COUNT
kvm_mmu_notifier_invalidate_range_start     2560
Detaching...
"""
TOLD = {
    "perf stat": (STAT, EVENT, 5120, 10),
    "perf stat, dots": (STAT.replace("5,120", "5.120").replace("10.0", "10,0"), EVENT, 5120, 10),
    "perf stat, blanks": (STAT.replace("5,120", "5 120"), EVENT, 5120, 10),
    "perf stat -r": (STAT.replace("wide':", "wide' (2 runs):").replace("5,120", "2,560").replace("10.000000000", "5.000 +- 0.001"), EVENT, 5120, 10),
    "perf stat -A": (PER_CPU, EVENT, 5120, 10),
    "perf stat --per-thread": (STAT.replace("             5,120", "CPU 0/KVM-4242     5,120"), EVENT, 5120, 10),
    "perf stat -I": (f"#  time counts unit events\n 5.000000000 2,560 {EVENT}\n 10.000000000 2,560 {EVENT}\n", EVENT, 5120, 10),
    "perf stat -I -A": (
        "".join(f" {t}.000000000 CPU{c} 1,280 {EVENT}\n" for t in (5, 10) for c in (0, 1)), EVENT, 5120, 10,
    ),
    "perf stat -I -x,": (f"5.000000000,2560,,{EVENT},44,100.00,,\n10.000000000,2560,,{EVENT},44,100.00,,\n", EVENT, 5120, 10),
    "perf stat -I -j": (
        "".join(f'{{"interval" : {t}.0, "counter-value" : "2560.000000", "unit" : "", "event" : "{EVENT}"}}\n' for t in (5, 10)),
        EVENT, 5120, 10,
    ),
    "kvm_stat -1": ("kvm_exit                                        99         7\nkvm_unmap_hva_range                           9000      5120\n", "kvm_unmap_hva_range", 5120, 1),
    "kvm_stat -l": (KVM_LOG, "kvm_unmap_hva_range", 5120, 15),
    "kvm_stat -l --csv": (
        KVM_LOG.replace("kvm_exit kvm_unmap_hva_range", "timestamp,kvm_exit,kvm_unmap_hva_range").replace("         5      ", ",5,"),
        "kvm_unmap_hva_range", 5120, 15,
    ),
    "funccount -i 5 -T": (FUNCCOUNT, "kvm_mmu_notifier_invalidate_range_start", 5120, 10),
}  # fmt: skip


@pytest.mark.parametrize("tool", TOLD)
def test_count_and_time_of_a_tool(tmp_path, tool):
    text, name, count, seconds = TOLD[tool]
    found = read(tmp_path, text)
    assert not found.notes.bad
    (rate,) = [one for one in counts.rates(found.rows) if one.name == name]
    assert (rate.count, rate.seconds) == (count, pytest.approx(seconds))
    assert rate.option == (f"--rate all={count}/{seconds}" if "unmap_hva" in name else None)


def test_perf_says_where_it_scaled(tmp_path):
    assert read(tmp_path, STAT).notes.remarks == ["kvm:kvm_exit was counted 75.00 % of the time and scaled up by perf"]


def test_what_was_not_counted_is_left_out(tmp_path):
    text = f" 1.000000000 <not counted> {EVENT}\n 2.000000000 7 {EVENT}\n"
    found = read(tmp_path, text)
    assert found.notes.without_event == {f"not counted intervals of {EVENT}": 1} and len(found.rows) == 1


SCREEN = """ Event                                         Total %Total CurAvg/s
 kvm_exit                                      99999   95.1      300
 kvm_unmap_hva_range                            5120    4.9       12
 Total                                        105119             312
"""
EXITS = """Analyze events for all VMs, all VCPUs:

             VM-EXIT    Samples  Samples%     Time%    Min Time    Max Time         Avg time

                 msr        100    90.00%    50.00%      1.00us      9.00us      2.00us ( +-   1.00% )
              wbinvd         12    10.00%    50.00%   1000.00us   9000.00us   4000.00us ( +-   1.00% )

Total Samples:112, Total events handled time:48200.00us.
"""


@pytest.mark.parametrize(
    ("text", "name", "trigger", "count", "option"),
    [
        (SCREEN, "kvm_unmap_hva_range", "", 5120, "--rate all=5120/60"),
        (EXITS, counts.EXIT_OF_WBINVD, "guest_executes_wbinvd", 12, "--rate guest_executes_wbinvd=12/60"),
        ("FUNC      COUNT\nwbinvd_on_all_cpus    42\n", "wbinvd_on_all_cpus", "", 42, None),
        ("@[\n    change_prot_numa+22\n]: 128\n", "", "autonuma_prot_none_scan", 128, "--rate autonuma_prot_none_scan=128/60"),
        ("@c[ksmd, \n    write_protect_page+22\n]: 3\n", "c", "ksm_write_protect", 3, "--rate ksm_write_protect=3/60"),
        ("@c[\n    change_prot_numa+22\n, qemu]: 6\n", "c", "autonuma_prot_none_scan", 6, "--rate autonuma_prot_none_scan=6/60"),
        (
            "@[\n        ffffffff8127fdf4 change_prot_numa+0x26 ([kernel.kallsyms])\n]: 6\n",
            "", "autonuma_prot_none_scan", 6, "--rate autonuma_prot_none_scan=6/60",
        ),
        (
            "# event histogram\n\n{ common_stacktrace:\n         change_protection+0x1/0x2\n         mprotect_fixup+0x12d/0x300\n"
            "} hitcount:          7\n\nTotals:\n    Hits: 7\n    Entries: 1\n    Dropped: 0\n",
            "hitcount", "mprotect_or_uffd_wp", 7, "--rate mprotect_or_uffd_wp=7/60",
        ),
        ("{ common_pid:       4242, start:       8192 } hitcount:          7\n", "hitcount", "", 7, None),
        (
            "Tracing wbinvd_on_all_cpus.  Hit Ctrl-C to exit\n     usec                : count    distribution\n"
            "      4096 -> 8191       : 8        |****|\navg = 5000 usec, total: 40000 usec, count: 8\nExiting trace of x\n",
            "wbinvd_on_all_cpus", "", 8, None,
        ),
        (
            '{"type": "map", "data": {"@": {"ksmd,\\n    change_prot_numa+22\\n": 5}}}\n',
            "", "autonuma_prot_none_scan", 5, "--rate autonuma_prot_none_scan=5/60",
        ),
    ],
)  # fmt: skip
def test_where_no_time_is_said_it_must_be_given(tmp_path, text, name, trigger, count, option):
    found = read(tmp_path, text)
    assert not found.notes.bad and counts.rates(found.rows) == []
    (rate,) = [one for one in counts.rates(found.rows, 60.0) if one.name == name]
    assert (rate.trigger, rate.count, rate.seconds, rate.option) == (trigger, count, 60.0, option)


def test_exits_that_flush_nothing_are_left_out(tmp_path):
    assert read(tmp_path, EXITS).notes.without_event == {"VM exits other than WBINVD": 100}


@pytest.mark.parametrize("count", [0, 1, 5, 100, 5120])
def test_the_ends_of_the_interval_have_5_percent_beyond_them(count):
    low, high = counts.Rate("n", "", count, 10.0).interval_per_s
    assert poisson.cdf(count, high * 10) == pytest.approx(0.05)
    assert low == 0 if count == 0 else poisson.sf(count - 1, low * 10) == pytest.approx(0.05)


def test_the_interval_covers_the_true_rate_at_least_as_often_as_it_says():
    random = numpy.random.default_rng(3)
    for mean in (0.5, 3.0, 30.0):
        drawn = random.poisson(mean, 2000)
        ends = {n: counts.Rate("n", "", int(n), 1.0).interval_per_s for n in set(drawn.tolist())}
        assert numpy.mean([ends[n][0] <= mean <= ends[n][1] for n in drawn.tolist()]) >= 0.89


def test_a_map_that_names_no_unit_and_one_that_is_an_average_are_said(tmp_path):
    found = read(tmp_path, "@lat:\n[4, 8)      12 |@@@@|\n@avg_us: 9000\n")
    assert [text.split(" ")[0] for text in found.notes.remarks] == ["the", "@avg_us"]
    assert [row["kind"] for row in found.rows] == ["histogram", "value"]


def test_lost_events_of_bpftrace(tmp_path):
    assert read(tmp_path, "Lost 12 events\n@n: 3\n").notes.lost == 12
    assert read(tmp_path, '{"type": "lost_events", "data": {"events": 7}}\n@n: 3\n').notes.lost == 7


def test_keys_of_call_chains_that_never_end_are_not_understood(tmp_path):
    found = read(tmp_path, "@[\n" + "    f+1\n" * 1000)
    assert not found.rows and found.notes.bad_lines
