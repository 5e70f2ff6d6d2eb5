"""docs/questions.md says what was expected: each answer against its expectation, not against an earlier answer.

That the page shows what the commands print is held by test_readme.py.
"""

import re

import pytest

from tests.pages import ROOT

PAGE = ROOT / "docs" / "questions.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="no checkout")
UNITS = {"": 1.0, "ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
CELL = re.compile(r"([\d.e+-]+) \[([\d.e+-]+), ([\d.e+-]+)\](?: ([a-zA-Z]+))?")


def answers():
    """By number: the expectation, and what the commands print, its line breaks taken as blanks."""
    text = PAGE.read_text() if PAGE.is_file() else ""
    found = {}
    for part in re.split(r"(?m)^### ", text)[1:]:
        number = int(part.partition(".")[0])
        output = " ".join(
            " ".join(line[4:].split()) for line in part.splitlines() if line.startswith("    ") and "$ " not in line[:6]
        )
        found[number] = (part[part.index("**Expected.**") : part.index("\n    $")], output)
    return found


ANSWERS = answers()


def cells(number, unit):
    """The intervals of an answer in the base unit of `unit`, in order: (median, low, high)."""
    kind = UNITS if unit == "time" else {"MiB": 2**20, "GiB": 2**30, "KiB": 2**10} if unit == "bytes" else {}
    found = []
    for match in CELL.finditer(ANSWERS[number][1]):
        name = match[4] or ""
        if unit == "count" or name in kind:
            scale = 1.0 if unit == "count" else kind[name]
            found.append(tuple(float(match[i]) * scale for i in (1, 2, 3)))
    return found


def test_there_are_thirty_each_with_an_expectation_and_a_source_of_it():
    assert sorted(ANSWERS) == list(range(1, 31))
    for number, (expected, output) in ANSWERS.items():
        assert len(expected) > 80 and output, number


@pytest.mark.parametrize(
    ("number", "said", "unsaid"),
    [
        (
            1,
            [
                r"WBINVD_ALL: .*\(the only safe choice\); hook after unlock",
                "autonuma_prot_none_scan",
                "munmap_or_discard",
            ],
            [],
        ),
        (
            2,
            [r"WBINVD_ALL: .*\(the only safe choice\); hook after SRCU", r"6\.18\.\d+ or a later"],
            [r"WBNOINVD_MASK: "],
        ),
        (3, ["at most", "at least", "perf stat -e kvm:kvm_unmap_hva_range"], []),
        (4, ["QEMU switches mem-merge off", "keep KSM off", "at most"], []),
        (
            5,
            [
                r"autonuma_prot_none_scan, numa_or_compaction_migrate, thp_split",
                r"ksm_replace_page cannot happen here",
                r"thp_collapse cannot happen here, costs 0: the memory is pinned",
                r"swap_reclaim cannot happen here",
                r"memslot_delete_or_move, vm_teardown_mn_release (?!cannot)",
            ],
            [],
        ),
        (6, ["no rate is published.*no rate is published"], ["at most", "NUMA balancing off"]),
        (7, ["at most", "at least"], []),
        (8, [r"host CPUs, most .*?/(?:[1-3]\d) \["], []),
        (11, [r"after SRCU is dropped"], []),
        (12, ["interrupts are off on each CPU"], []),
        (14, ["guest_memfd gives folios of 2.0 MiB: no kernel"], []),
        (16, ["total refused", "S06c", "S07c"], []),
        (17, ["at least"], []),
        (18, ["No flush", "not modelled", "balancing off"], ["Nothing to do"]),
        (19, ["one attacking thread takes"], []),
        (20, ["conditional -> admissible", "later_release_event_flushes"], ["fails"]),
        (21, ["E01", "5.15.69|can lose a flush"], []),
        (23, [r"-\d+ \[-\d+, -[\d.]+\] %"], [r"/\d+ \["]),
        (24, ["Pin the vCPUs from the guest's start", r"\b0$"], []),
        (25, ["MPOL_F_MOF", "hugetlbfs"], []),
        (26, ["VMM that loops munmap_or_discard"], []),
        (27, [r"SKIP_COHERENT 0 0"], []),
        (29, ["0 \\(no flush\\)", "guest_memfd page release"], []),
        (30, ["0 \\(no flush\\)", "shared memory only"], []),
    ],
)
def test_the_answer_is_what_was_expected(number, said, unsaid):
    output = ANSWERS[number][1]
    for pattern in said:
        assert re.search(pattern, output), (number, pattern, output)
    for pattern in unsaid:
        assert not re.search(pattern, output), (number, pattern, output)


def test_the_two_ends_of_the_scan_lie_more_than_a_decade_apart():
    most, least = cells(3, "count")[1:3]
    assert most[0] / least[0] >= 10


def test_ten_guests_lose_at_most_ten_times_and_no_more_than_the_host_has():
    (most, least), one = cells(7, "count")[:2], cells(3, "count")[1:3]
    assert one[0][0] < most[0] <= 10 * one[0][0] and most[2] <= 256
    assert least[0] <= 10 * one[1][0] * 1.2


def test_a_packed_mask_costs_less_than_a_spread_one():
    packed, spread = cells(9, "time")[:2]
    assert packed[0] < spread[0]


def test_the_break_even_lies_at_tens_to_hundreds_of_mib():
    ((middle, low, high),) = cells(10, "bytes")
    assert 10 * 2**20 <= middle <= 1000 * 2**20 and low < middle < high


def test_both_places_behind_the_lock_let_a_memslot_update_wait_as_long():
    output = ANSWERS[11][1]
    assert output.count("us") == 2 and len(set(CELL.findall(output.partition("under mmu_lock")[2]))) <= 3


def test_a_pause_is_of_the_order_of_a_millisecond():
    middle, _, high = cells(12, "time")[0]
    assert 1e-4 <= middle <= 1e-2 and high <= 5e-2


def test_the_release_of_512_gib_takes_minutes_and_huge_folios_less():
    pages, folios = cells(13, "time")[0], cells(14, "time")[0]
    assert 60 <= pages[0] <= 1800
    assert folios[0] < pages[0] / 5


def test_one_page_takes_microseconds():
    assert 5e-7 <= cells(15, "time")[0][0] <= 1e-5


def test_a_counted_rate_gives_hundredths_of_a_cpu():
    assert 0.001 <= cells(22, "count")[0][0] <= 0.1


def test_rome_takes_seconds_where_milan_takes_nothing():
    assert 0.3 <= cells(27, "time")[0][0] <= 10


def test_the_end_of_a_guest_is_milliseconds():
    assert cells(28, "time")[0][0] <= 0.01
