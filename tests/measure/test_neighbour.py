"""The neighbour that flushes."""

import pytest

from costmodel.measure import hardware
from costmodel.measure.probe import Settings, Skipped

QUICK = Settings(quick=True)


def test_one_cpu_is_said_to_be_too_few(host, monkeypatch):
    monkeypatch.setattr(hardware, "usable_cpus", lambda: [0])
    with pytest.raises(Skipped, match="one CPU"):
        hardware.neighbour_probe(host, QUICK, lambda: None)
