"""The audit passes the data of the repository and finds each seeded defect."""

import dataclasses
import json
from typing import get_args

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from costmodel.cli.facts import audit_command as command
from costmodel.errors import BadInput, MissingNumber
from costmodel.evidence import paths, records, store
from costmodel.report.audit import WORDS, line, said
from costmodel.validation import audit
from costmodel.validation.audit import OUTPUTS, costs, evaluate, literals, numbers_in, published, same, unused_rows
from tests.samples import sampled


def test_the_data_of_the_repository_have_no_findings():
    assert audit.audit(paths.data_dir()) == []


W05 = "As per measurements, around 98% of the time"
MILAN = "machines/epyc-7763-2s.toml"
ROWS = "measurements.csv"


@pytest.mark.parametrize(
    ("name", "old", "new", "row", "field", "problem"),
    sampled(
        [
            (ROWS, W05, "As per measurements, most of the time", "W05", "value", "does not stand in the quote"),
            (
                ROWS,
                "measured,check,share over machines that are not named; checks W01 to W04",
                "measured,check,",
                "W05",
                "reason",
                "no reason",
            ),
            (
                ROWS,
                "claimed,check,claim: shown beside S06 and S07,not rated,,[PATCH RFC]",
                "claimed,fit,claim: shown beside S06 and S07,not rated,,[PATCH RFC]",
                "S08",
                "use",
                "may not be fitted",
            ),
            (
                ROWS,
                "David Vrabel (Citrix),2016-03-10,github xen-project/xen commit dff593c7b6eb1cfd4591b662a880a0c9325cce40,"
                '"e.g., A set_memory_wc call in Linux: before: 4097 us after: 47 us"\nW07',
                'David Vrabel (Citrix),2016-03-10,,"e.g., A set_memory_wc call in Linux: before: 4097 us after: 47 us"\nW07',
                "W06",
                "source_locator",
                "provenance is missing",
            ),
            (ROWS, "18*60+35", "18*60+60", "N03", "value", "arithmetic gives 1140"),
            (ROWS, "18*60+35", "18*62-1", "N03", "value", "uses 62"),
            (ROWS, "18*60+35", "18*60+35; high: 1+1", "N03", "arithmetic", "names 'high'"),
            (
                ROWS,
                "uncertainty: 357635*4.11/100",
                "uncertainty: 357635*4.11/1000",
                "N04",
                "uncertainty",
                "arithmetic gives",
            ),
            (ROWS, "18*60+35", "eighteen", "N03", "value", "only numbers"),
            (
                ROWS,
                ",measured,fit,upper end of the slow-down",
                ",guessed,fit,upper end of the slow-down",
                "W10",
                "kind",
                "guessed",
            ),
            (
                MILAN,
                'value = 204.8, unit = "GB/s", source = "M13"',
                'value = 205.8, unit = "GB/s", source = "M13"',
                "dram_peak_bytes_per_s_per_socket",
                "source",
                "differs from row M13",
            ),
            (
                MILAN,
                'value = 204.8, unit = "GB/s", source = "M13"',
                'value = 204.8, unit = "GB", source = "M13"',
                "dram_peak_bytes_per_s_per_socket",
                "source",
                "not of the kind",
            ),
            (
                MILAN,
                'source = "M13"',
                'source = "M99"',
                "dram_peak_bytes_per_s_per_socket",
                "source",
                "neither a row nor",
            ),
            (MILAN, "value = 32768", "value = 16384", "llc_bytes_per_domain", "source", "differs from l3_kib = 32768"),
            (MILAN, 'column = "l3_kib"', 'column = "model"', "llc_bytes_per_domain", "source", "holds no number"),
            (MILAN, 'arithmetic = "256/128"', 'arithmetic = "384/192"', "sockets", "source", "uses 192, 384"),
            (
                "workloads/swap-pressure.toml",
                "sources = []",
                'sources = ["Z9"]',
                "swap_reclaim",
                "sources",
                "does not exist",
            ),
            (
                "workloads/swap-pressure.toml",
                ', note = "the guest size that row S02 speaks of; the user may set it"',
                "",
                "resident_bytes",
                "source",
                "needs a note",
            ),
        ],
        4,
    ),
)
def test_seeded_defect_is_found(edit, name, old, new, row, field, problem):
    findings = audit.audit(edit(name, old, new))
    assert [(found.file, found.row, found.field) for found in findings] == [(name, row, field)]
    assert problem in said(findings[0].problem)
    assert line(findings[0]).startswith(f"{name}: {row}: {field}: ")


@pytest.mark.parametrize("id", ["W11", "T01", "M2a"])
def test_a_row_that_is_marked_fit_and_that_nothing_fits_is_found(id):
    """M2a is in a workload or machine already; the others are of observables that no fit selects."""
    evidence = store.load()
    marked = dataclasses.replace(evidence.one(id), use="fit")
    more = dataclasses.replace(evidence, measurements={**evidence.measurements, id: marked})
    found = [(finding.file, finding.row, finding.field) for finding in audit.unfitted(more)]
    assert found == ([] if id == "M2a" else [(ROWS, id, "use")])
    assert audit.unfitted(evidence) == []


def test_every_kind_of_problem_has_its_words():
    kinds = [kind for part in get_args(audit.Kind) for kind in get_args(part)]
    assert kinds == list(WORDS)


def test_changed_file_is_found(data):
    with (data / "workloads/idle.toml").open("a") as stream:
        stream.write("\n")
    assert [(*found[:3], said(found.problem)) for found in audit.audit(data)] == [
        ("workloads/idle.toml", "", "hash", "checksum differs from datapackage.json")
    ]


@pytest.mark.parametrize(
    ("unit", "problem"),
    [
        (records.Unit("s", 1e-2, "millisecond"), "pint says 0.001"),
        (records.Unit("s", 1e-3, "blink"), "does not parse"),
        (records.Unit("s", 1e-3, "meter"), "does not parse"),
    ],
)
def test_wrong_unit_table_is_found(monkeypatch, unit, problem):
    monkeypatch.setitem(records.UNITS, "ms", unit)
    findings = audit.audit(paths.data_dir())
    assert {found.field for found in findings if problem in said(found.problem)} == {"unit"}


def test_numbers_are_counted():
    evidence = store.load()
    assert audit.count_numbers(evidence) > len(evidence.measurements) + len(evidence.machines) * 7


def test_unused_numbers_are_named():
    evidence = store.load()

    def outputs(changed):
        if changed.one("W02").si != evidence.one("W02").si:
            raise MissingNumber("W02 matters by making the answer impossible")
        host = changed.machine("epyc-7763-2s")
        load = changed.workload("ksm-default").load("ksm_write_protect")
        return changed.one("W01").si, host.sockets, host.llc_bytes_per_domain, load.sleep_s.si

    unused = set(audit.unused_rows(evidence, [outputs]))
    assert unused.isdisjoint(
        {
            "W01",
            "W02",
            "N11",
            "machines/epyc-7763-2s.sockets",
            "machines/epyc-7763-2s.llc_bytes_per_domain",
            "workloads/ksm-default.ksm_write_protect.sleep_s",
        }
    )
    assert {
        "W03",
        "machines/epyc-7763-2s.line_bytes",
        "workloads/ksm-default.vcpus",
        "workloads/autonuma-default.autonuma_prot_none_scan.tunables.numa_limiter_factor",
    } <= unused


def test_nothing_is_unused_where_everything_counts():
    evidence = store.load()
    assert (
        audit.unused_rows(
            evidence,
            [lambda changed: ([row.si for row in changed.measurements.values()], changed.machines, changed.workloads)],
        )
        == []
    )


# `costmodel audit`.


@pytest.fixture
def run(monkeypatch):
    """Run the command with `outputs` in the place of the model."""

    def call(outputs, *arguments):
        monkeypatch.setattr(audit, "OUTPUTS", [outputs])
        return CliRunner().invoke(command, arguments)

    return call


def everything(evidence):
    return [row.si for row in evidence.measurements.values()], evidence.machines, evidence.workloads


def test_clean_data(run, data):
    result = run(everything, "--data", str(data))
    assert result.exit_code == 0
    assert result.output.endswith(" numbers checked, 0 findings\n")
    assert not result.output.startswith("0 ")


def test_unused_numbers_fail(run, data):
    result = run(lambda evidence: 0, "--data", str(data))
    assert result.exit_code == 1
    assert "data: W01: nothing uses this number\n" in result.output


def test_json_names_each_finding(run, data):
    (data / "more.csv").write_text("a\n1\n")
    result = run(everything, "--data", str(data), "--json")
    assert result.exit_code == 1
    assert json.loads(result.output)["findings"] == [
        {"file": "more.csv", "row": "", "field": "hash", "problem": "is not listed in datapackage.json"},
    ]


def test_data_that_cannot_be_loaded_is_a_finding(run, edit):
    root = edit("measurements.csv", "W05,whole_cache", "W05,magic")
    result = run(everything, "--data", str(root))
    assert result.exit_code == 1
    assert result.output.startswith("measurements.csv: W05: term: 'magic' is not one of ")
    assert result.output.endswith("0 numbers checked, 1 findings\n")


# Every number of the evidence moves an output.


@pytest.mark.nightly
def test_every_number_is_used(evidence):
    assert unused_rows(evidence, OUTPUTS) == []


def test_a_geometry_row_moves_the_checks(evidence):
    assert published(evidence.with_value("M101", 1.1)) != published(evidence)


@pytest.mark.nightly
def test_costs_do_not_depend_on_claims(evidence):
    assert costs(evidence.with_value("M12", 1.1)) == costs(evidence)


# Arithmetic on quoted numbers.

SMALL = st.integers(min_value=1, max_value=10**6)


@given(SMALL, SMALL, SMALL)
def test_evaluates_like_python(a, b, c):
    assert evaluate(f"({a}+{b})*{c}-{b}/{a}") == (a + b) * c - b / a


@given(SMALL, st.integers(min_value=0, max_value=20), SMALL)
def test_evaluates_bits_like_python(a, shift, mask):
    assert evaluate(f"(({a}<<{shift})>>2&{mask})|1") == ((a << shift) >> 2 & mask) | 1


@given(st.text(max_size=40))
def test_anything_else_is_refused_or_a_number(text):
    try:
        value = evaluate(text)
    except BadInput:
        return
    assert isinstance(value, float)
    assert "__" not in text and "import" not in text


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os')",
        "a+1",
        "1 if 1 else 2",
        "[1]",
        "'1'",
        "2**9999",
        "1<<9999",
        "1/0",
        "1//0",
        "(1).real",
        "",
        "1e308*10",
        "True",
        "1.5>>1",
        "((" * 300,
        "1+" * 500 + "1",
        "9**64**2",
        "-1<<-1",
    ],
)
def test_hostile_expressions_are_refused(text):
    with pytest.raises(BadInput):
        evaluate(text)


def test_cache_size_from_cpuid_registers():
    expression = "((0x03C0003F>>22)+1)*(((0x03C0003F>>12)&0x3FF)+1)*((0x03C0003F&0xFFF)+1)*(0x00007FFF+1)/1024"
    assert evaluate(expression) == 32768
    assert literals("0x10+2") == {16.0, 2.0}


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1437ms      28ms", 28),
        ("357,635 events", 357635),
        ("1024,.00158601000000000000", 0.00158601),
        ("T: 72.00ns=244.33c", 72),
        ("~1–3 microseconds", 3),
        ("It requires four SEAMCALLs", 4),
        ("315k", 315),
        ("0001C163-03C0003F-00007FFF-00000001", 0x7FFF),
        (">=10GB", 10),
        ("614,400 MB/s", 614400),
    ],
)
def test_numbers_in_a_quote(text, number):
    assert number in numbers_in(text)


@given(st.floats(min_value=1e-12, max_value=1e12))
def test_same_tolerates_rounding_to_six_digits_only(value):
    assert same(value, float(f"{value:.6g}"))
    assert not same(value, value * 1.001)
