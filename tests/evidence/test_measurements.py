"""data/measurements.csv and its reader."""

import csv
import re
from dataclasses import fields

import pytest

from costmodel.calibration.published import PREDICTORS
from costmodel.errors import BadInput
from costmodel.evidence import paths
from costmodel.evidence.records import MEASUREMENTS as FILE
from costmodel.evidence.records import OBSERVABLES, Measurement
from costmodel.evidence.records import read_measurements as read

COLUMNS = [field.name for field in fields(Measurement)]

ROW = {
    **dict.fromkeys(COLUMNS, ""),
    "id": "X1",
    "term": "broadcast",
    "observable": "broadcast.total_s",
    "quantity": "q",
    "value": "3",
    "unit": "ns per 100000",
    "uncertainty_kind": "none",
    "bound": "exact",
    "kind": "measured",
    "use": "check",
    "reason": "r",
    "trust": "high",
    "quote": "3",
}


def one(tmp_path, **cells):
    path = tmp_path / FILE
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        writer.writerow({**ROW, **cells})
    return read(path)["X1"]


def test_converts_to_si(tmp_path):
    row = one(
        tmp_path, low="1", high="4", uncertainty="0.5", uncertainty_kind="statistical", cpus="72", range_bytes="4096"
    )
    assert (row.value, row.si, row.si_unit) == (3.0, pytest.approx(3e-14), "s")
    assert (row.low_si, row.high_si, row.uncertainty_si) == pytest.approx((1e-14, 4e-14, 5e-15))
    assert (row.cpus, row.sockets, row.range_bytes) == (72, None, 4096.0)


def test_scaling_takes_the_interval_along(tmp_path):
    row = one(tmp_path, low="1", high="4").scaled(2.0)
    assert (row.value, row.si, row.low_si, row.high_si) == pytest.approx((6.0, 6e-14, 2e-14, 8e-14))


@pytest.mark.parametrize(
    "cells",
    [
        {"value": "nan"},
        {"value": "inf"},
        {"value": "-1"},
        {"value": "0"},
        {"value": ""},
        {"value": "1e999"},
        {"value": "many"},
        {"range_bytes": "-4096"},
        {"cpus": "1.5"},
        {"sockets": "0"},
        {"unit": "furlong"},
        {"kind": "guessed"},
        {"use": "maybe"},
        {"term": "magic"},
        {"bound": "both"},
        {"vendor": "via"},
        {"line_state": "warm"},
        {"low": "4"},
        {"high": "2"},
        {"uncertainty": "1"},
        {"uncertainty_kind": "bound"},
        {"observable": ""},
        {"observable": "broadcast.totals"},
        {"observable": "geometry.cache_bytes", "quantity": "L2D size per instance"},
        {"observable": "geometry.cache_bytes", "quantity": ""},
        {"quote": "=cmd"},
        {"reason": "<script>"},
    ],
)
def test_a_bad_cell_is_refused_with_its_place(tmp_path, cells):
    with pytest.raises(BadInput) as caught:
        one(tmp_path, **cells)
    assert (caught.value.file, caught.value.row) == (FILE, "X1")
    assert caught.value.field and caught.value.remedy


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (
            {"observable": "range_flush.slop_s"},
            "field observable: 'range_flush.slop_s' is no known observable; did you mean 'range_flush.slope_s'?",
        ),
        ({"observable": "whole_cache"}, "did you mean 'whole_cache."),
        ({"observable": "zzzz"}, "field observable: 'zzzz' is no known observable; use one of OBSERVABLES"),
        (
            {"observable": "geometry.cache_bytes", "quantity": "l3 size"},
            "field quantity: 'l3' is no level of a cache; begin with one of L1D, L2, L3",
        ),
    ],
)
def test_what_would_drop_out_of_every_check_is_refused_with_a_near_name(tmp_path, cells, said):
    with pytest.raises(BadInput) as caught:
        one(tmp_path, **cells)
    assert str(caught.value).startswith(f"{FILE}, row X1, field ") and said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_observables_are_those_of_the_rows_and_all_that_the_code_asks_for(rows):
    """A name in the code that no row can have would be asked for in vain."""
    assert {row.observable for row in rows.values()} <= OBSERVABLES
    groups = "|".join(sorted({name.partition(".")[0] for name in OBSERVABLES}))
    written = re.compile(rf'"((?:{groups})\.[a-z_0-9]*_(?:s|bytes|fraction))"')
    asked = {name for path in paths.PACKAGE.rglob("*.py") for name in written.findall(path.read_text())}
    assert {"range_flush.slope_s", "limits.csd_lock_s", "tdx_page.shutdown_dynamic_s"} <= asked <= OBSERVABLES
    assert set(PREDICTORS) <= OBSERVABLES


@pytest.fixture(scope="module")
def rows():
    return read(paths.data_dir() / FILE)


def test_observables_belong_to_one_si_unit(rows):
    units = {}
    for row in rows.values():
        units.setdefault(row.observable, set()).add(row.si_unit)
    assert {name: found for name, found in units.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("id", "si", "unit"),
    [
        ("W01", 1.437, "s"),
        ("W05", 0.98, "1"),
        ("I04c", 25.69376682e-6, "s"),
        ("C03", 44717.4 * 2**20, "B/s"),
        ("T01", 4 * 2**20, "B"),
        ("N07", 2**28, "B"),
        ("M112", 2**25, "B"),
        ("I06a", 315e3, "1/s"),
        ("N03", 1115, "s"),
        ("L02", 20, "s"),
        ("L04", 5, "s"),
        ("C101", 72e-9, "s"),
        ("S06c", 5539, "s"),
    ],
)
def test_known_rows(rows, id, si, unit):
    assert rows[id].si == pytest.approx(si)
    assert rows[id].si_unit == unit


@pytest.mark.parametrize(
    ("id", "use"),
    [
        ("C124", "check"),
        ("C125", "check"),
        ("C127", "exclude"),
        ("W06", "exclude"),
        ("W07", "exclude"),
        ("W03", "check"),
        ("W11", "check"),
        ("S01", "check"),
        ("W01", "fit"),
        ("W08", "fit"),
        ("I06h", "fit"),
        ("C04k", "fit"),
    ],
)
def test_use_of_the_rows_that_the_model_treats_apart(rows, id, use):
    assert rows[id].use == use


def test_flush_rows_carry_their_covariates(rows):
    """What the tables do not say, the state of the line, is not in the data: a test tells latency from turns."""
    for row in rows.values():
        if row.observable in ("range_flush.same_line_s", "range_flush.in_turn_s"):
            assert row.vendor and row.microarchitecture and row.sockets in (1, 2)
            assert row.instruction in ("CLFLUSH", "CLFLUSHOPT", "CLWB")
            assert row.line_state == "unknown" and "inferred" not in row.conditions
            assert (row.use == "fit") <= (row.observable == "range_flush.same_line_s")
    assert {row.id for row in rows.values() if row.observable == "range_flush.in_turn_s"} >= {"C124", "C125", "C108"}
    assert rows["C120"].sockets == rows["C154"].sockets == rows["C167"].sockets == 2
    assert rows["C148"].sockets == 1


def test_range_of_the_array_rows_is_the_number_in_their_quote(rows):
    for row in rows.values():
        if row.observable == "range_flush.range_time_s" and row.use == "fit":
            assert row.range_bytes == int(row.quote.split(",")[0]) * 1024
            assert row.si == pytest.approx(float(row.quote.split(",")[1]), rel=1e-5)


def test_trust_is_not_repeated_in_the_conditions(rows):
    assert [row.id for row in rows.values() if "trust=" in row.conditions] == []
