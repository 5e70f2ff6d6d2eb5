"""The neighbour that flushes."""

import pytest

from costmodel.measure import cpus
from costmodel.measure.probe import Settings, Skipped

QUICK = Settings(quick=True)


def test_one_cpu_is_said_to_be_too_few(host, monkeypatch):
    monkeypatch.setattr(cpus, "usable_cpus", lambda: [0])
    with pytest.raises(Skipped, match="one CPU"):
        cpus.neighbour_probe(host, QUICK, lambda: None)
