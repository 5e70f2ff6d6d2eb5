"""What a measured host showed is worked out once for each state of its tables and findings."""

from dataclasses import replace

import pytest

from costmodel.evidence.store import load
from costmodel.report import measured

HOST = "epyc-milan-2cpu-vm"


@pytest.fixture
def counted(tmp_path, monkeypatch):
    """An empty cache, and the profiles whose tables were read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked, flush = [], measured._flush
    monkeypatch.setattr(measured, "_flush", lambda profile: asked.append(profile) or flush(profile))
    return asked


def told_of(evidence, **changes):
    profile = replace(evidence.hosts[HOST], **changes)
    return measured.measured_rows(replace(evidence, hosts={**evidence.hosts, HOST: profile}), HOST)


def test_the_rows_are_found_once(counted):
    evidence = load()
    first = measured.measured_rows(evidence, HOST)
    assert any(row.value.endswith("per line") for row in first)
    assert measured.measured_rows(evidence, HOST) == first
    assert len(counted) == 1


def test_other_tables_and_other_findings_are_read_anew(counted):
    evidence = load()
    own = told_of(evidence)
    assert told_of(evidence, digest="another") == own
    assert told_of(evidence, findings=("one more",))[-1].value == "one more"
    assert len(counted) == 3


def test_a_catalogued_machine_was_not_measured(counted):
    assert measured.measured_rows(load(), "epyc-7763-2s") == []
    assert counted == []
