"""data/cpuid_features.csv and its reader."""

import pytest

from costmodel.errors import BadInput
from costmodel.evidence import paths
from costmodel.evidence.cpuid import FILE, read


def test_dump_of_rome():
    row = read(paths.data_dir() / FILE)["AuthenticAMD0830F10_K17_Rome_CPUID.txt"]
    assert (row.signature, row.l2_bytes, row.l3_bytes) == ("00830F10", 512 * 1024, 16 * 2**20)
    assert {"sev_es", "vm_page_flush", "wbnoinvd"} <= row.bits
    assert "sme_coherent" not in row.bits


def test_empty_bits_of_intel_count_as_absent():
    row = read(paths.data_dir() / FILE)["GenuineIntel00606A6_ICX_CPUID2.txt"]
    assert row.bits == {"clflushopt", "clwb", "wbnoinvd"}


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        (",00830F10,256,64,1,", ",00830F10,256,64,2,", "clflushopt"),
        ("K17_Rome_CPUID.txt", "K17_Rome_CPUID2.txt", "source"),
        (",0,512,2,0,16384,8,1,2,128,", ",0,512,2,0,,8,1,2,128,", "l3_kib"),
    ],
)
def test_bad_dump_is_refused(edit, old, new, field):
    root = edit(FILE, old, new)
    with pytest.raises(BadInput) as caught:
        read(root / FILE)
    assert caught.value.field == field
