import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from costmodel.errors import BadInput
from costmodel.traces import memslots

RANGES = st.lists(st.tuples(st.integers(0, 200), st.integers(1, 50)).map(lambda r: (r[0], r[0] + r[1])), min_size=1)


@given(RANGES, RANGES)
def test_overlap_is_counted_byte_by_byte(slots, ranges):
    covered = {byte for start, end in slots for byte in range(start, end)}
    found = memslots.Memslots.of(slots).overlap_bytes(*(numpy.array(column) for column in zip(*ranges, strict=True)))
    assert found.tolist() == [len(covered & set(range(start, end))) for start, end in ranges]


def test_addresses_are_decimal_or_hexadecimal(tmp_path):
    path = tmp_path / "slots.csv"
    path.write_text("start,end\n0x7f0000000000,0x7f0000001000\n4096,8192\n")
    found = memslots.read(path)
    assert found.start.tolist() == [4096, 0x7F0000000000] and found.bytes.tolist() == [4096, 4096]


@pytest.mark.parametrize(
    "text",
    ["", "a,b\n1,2\n", "start,end\n", "start,end\nx,2\n", "start,end\n2,1\n", "start,end\n1\n", "start,end\n0,1e9\n"]
    + ["start,end\n0," + "9" * 40 + "\n"],
)
def test_what_is_no_list_of_slots_is_refused(tmp_path, text):
    path = tmp_path / "slots.csv"
    path.write_text(text)
    with pytest.raises(BadInput):
        memslots.read(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "slots.csv"
    path.write_bytes(b"start,end\n\xff\xfe\n")
    with pytest.raises(BadInput, match="is not CSV text"):
        memslots.read(path)
