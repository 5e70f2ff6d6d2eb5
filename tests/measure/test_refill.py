"""Working sets of the refill probe."""

from dataclasses import replace

from costmodel.measure import hardware
from costmodel.measure.host import usable_cpus
from costmodel.measure.probe import Settings


def test_working_sets_lie_in_their_level(host):
    sets = dict(hardware.working_sets(host, Settings()))
    assert sets["L1"] == 16384 and sets["L3"] == 2**24 and sets["memory"] == 2**26


def test_both_page_sizes_are_measured_where_they_can_be(host, monkeypatch):
    monkeypatch.setattr(hardware, "LARGEST_REFILL_BYTES", 2**21)
    small = replace(host, caches=host.caches[:2])
    pages = {}
    for choice in ("madvise", "never"):
        table = hardware.refill_probe(
            replace(small, transparent_hugepage=choice), Settings(quick=True), lambda: None, usable_cpus()[-1]
        )
        pages[choice] = {row["page"] for row in table.rows}
        assert all(row["measured_cold_line_s"] > 0 for row in table.rows)
    assert pages == {"madvise": {"4KiB", "2MiB"}, "never": {"4KiB"}}
    assert "2 MiB pages: transparent huge pages are off" in table.notes
