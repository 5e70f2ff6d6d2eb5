"""The anchors of a whole-cache flush, solved by hand at every corner of the geometry."""

import math

import pytest

from costmodel.calibration import whole_cache
from costmodel.evidence.store import load

EVIDENCE = load()
ANCHORS = whole_cache.anchors(EVIDENCE)


def test_one_flush_is_the_difference_over_two_flushes_of_every_cpu():
    """Row W01: 1437 ms with, W02: 28 ms without, 104 cores of two threads."""
    first = EVIDENCE.one("W01")
    expected = (first.si - EVIDENCE.one("W02").si) / (2 * first.cpus)
    assert whole_cache.per_flush_s(EVIDENCE, "W01", "W02") == pytest.approx(expected)


def test_every_corner_of_the_open_geometry_is_fitted():
    skylake = [row.l3_bytes for row in EVIDENCE.geometry("00050654") if row.l3_bytes >= 32 * 2**20]
    sapphire = [row.l3_bytes for row in EVIDENCE.geometry("000806F8")]
    stated = EVIDENCE.one("W09").cpus
    assert {a.skylake_llc_bytes for a in ANCHORS} == {min(skylake), max(skylake)}
    assert {a.sapphire_llc_bytes for a in ANCHORS} == {min(sapphire), max(sapphire)}
    assert {a.sapphire_cores_per_socket for a in ANCHORS} == {stated, stated // 2}
    assert len(ANCHORS) == 8
    assert min(skylake) < 64 * 2**20


@pytest.mark.parametrize("anchor", ANCHORS, ids=range(len(ANCHORS)))
def test_three_rows_give_three_numbers(anchor):
    """Walk: one flush over its lines. Exponent: cores at once against the walk alone. Siblings: the ratio of the rows."""
    found = anchor.result.values
    l2 = EVIDENCE.geometry("00050654")[0].l2_bytes
    walk_s = whole_cache.per_flush_s(EVIDENCE, "W01", "W02") / ((anchor.skylake_llc_bytes + l2) / 64)
    assert found["line_empty_s"] == pytest.approx(walk_s)
    alone_s = walk_s * (anchor.sapphire_llc_bytes + EVIDENCE.geometry("000806F8")[0].l2_bytes) / 64
    exponent = math.log(EVIDENCE.one("W09").si / alone_s) / math.log(anchor.sapphire_cores_per_socket)
    assert found["serial_exponent"] == pytest.approx(exponent)
    assert found["smt_factor"] == pytest.approx(EVIDENCE.one("W08").si / EVIDENCE.one("W09").si)


def test_the_groups_are_the_two_generations():
    problem = ANCHORS[0].result.problem
    assert dict(zip(problem.ids, problem.groups, strict=True)) == {
        "W01-W02": "skylake-sp",
        "W09": "sapphire-rapids",
        "W08": "sapphire-rapids",
    }
