"""Working sets of the refill probe."""

from costmodel.measure import refill
from costmodel.measure.probe import Settings


def test_working_sets_lie_in_their_level(host):
    sets = dict(refill.working_sets(host, Settings()))
    assert sets["L1"] == 16384 and sets["L3"] == 2**24 and sets["memory"] == 2**26
