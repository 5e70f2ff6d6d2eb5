"""Look-up in the evidence, and copies that differ in one number."""

import subprocess
import sys

import pytest

from costmodel.errors import BadInput, UnknownName
from costmodel.evidence import store


def test_load_is_cached(evidence):
    assert store.load() is evidence
    assert store.load(evidence.root) is evidence


def test_rows_by_observable_and_covariates(evidence):
    rows = evidence.rows("range_flush.in_turn_s", vendor="amd", sockets=1, instruction="CLFLUSHOPT")
    assert [row.id for row in rows] == ["C108", "C129", "C141", "C145", "C245"]
    assert evidence.rows(observable="no such thing") == []


@pytest.mark.parametrize("look_up", ["one", "machine", "workload", "geometry"])
def test_unknown_names(evidence, look_up):
    with pytest.raises(UnknownName):
        getattr(evidence, look_up)("nothing")


def test_geometry_by_signature(evidence):
    assert {row.l3_bytes for row in evidence.geometry("000806F8")} == {37.5 * 2**20, 82.5 * 2**20}


def test_with_value_scales_the_row_and_what_follows_from_it(evidence):
    changed = evidence.with_value("N11", 1.5)
    assert changed.one("N11").si == pytest.approx(0.030)
    assert changed.workload("ksm-default").load("ksm_write_protect").sleep_s.si == pytest.approx(0.030)
    assert evidence.one("N11").si == 0.020
    assert changed.data_hash != evidence.data_hash
    faster = evidence.with_value("M13", 2.0).machine("epyc-7763-2s").dram_peak_bytes_per_s_per_socket
    assert faster == pytest.approx(409.6e9)
    assert evidence.with_value("M13", 2.0).machine("epyc-9654-2s") == evidence.machine("epyc-9654-2s")


def test_with_value_of_the_same_change_has_the_same_hash(evidence):
    assert evidence.with_value("W01", 1.1).data_hash == evidence.with_value("W01", 1.1).data_hash
    assert evidence.with_value("W01", 1.1).data_hash != evidence.with_value("W02", 1.1).data_hash


def test_without(evidence):
    changed = evidence.without("W01")
    assert set(evidence.measurements) - set(changed.measurements) == {"W01"}
    with pytest.raises(UnknownName):
        changed.one("W01")
    with pytest.raises(UnknownName):
        evidence.without("nothing")


def test_hash_follows_the_content_not_the_place(evidence, data, edit):
    assert store.read(data).data_hash == evidence.data_hash
    edit("workloads/idle.toml", 'title = "Idle host"', 'title = "Idle"')
    assert store.read(data).data_hash != evidence.data_hash


def test_missing_directory_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no directory"):
        store.load(tmp_path / "none")


def test_loading_imports_no_heavy_package():
    code = (
        "import sys; from costmodel.evidence import store; store.load();"
        "print([name for name in ('numpy', 'scipy', 'sympy', 'pint', 'pydantic', 'pandas') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
