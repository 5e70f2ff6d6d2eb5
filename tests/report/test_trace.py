"""A replayed trace as page and text: nothing from the trace is markup, every line fits."""

import json
import re

import pytest

from costmodel.plain import visible
from costmodel.report import trace
from costmodel.report.replayed import replayed as study
from costmodel.traces import store, summary
from tests.report.html import Reader
from tests.traces.conftest import poisson, table

HOSTILE = "<script>alert(1)</script>\x1b[31m\x00 ../../etc &amp; \u202e\n"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    target = tmp_path_factory.mktemp("t") / "a<b>&.parquet"
    names = [HOSTILE, "ksmd", "CPU 0/KVM"]
    n = 3000
    store.write([table(poisson(n, 500.0), [names[k % 3] for k in range(n)], [k % 3 + 1 for k in range(n)])], target)
    return target


@pytest.fixture(scope="module")
def found(path):
    return study(path, "sev", "epyc-7763-2s", "autonuma-default")


@pytest.fixture(scope="module")
def files(found):
    return trace.files(found)


def test_three_files_with_a_harmless_name(files):
    assert sorted(files) == [f"sev/epyc-7763-2s.trace-a-b--.{kind}" for kind in ("html", "json", "txt")]


def test_the_page_is_well_formed_and_loads_nothing(files):
    page = next(content for name, content in files.items() if name.endswith(".html"))
    reader = Reader(page)
    assert reader.faults == []
    assert not reader.all("script", "link", "iframe", "object", "embed", "base", "form", "img")
    assert not re.search(r"[\x00-\x08\x0b-\x1f]", page)
    assert "<script>" not in page
    ids = [element.get("id") for element in reader.elements if element.get("id")]
    assert len(ids) == len(set(ids))


def test_the_page_shows_strategies_tasks_and_hashes(files, found):
    reader = Reader(next(content for name, content in files.items() if name.endswith(".html")))
    text = reader.all("body")[0].text
    codes = {element.text.strip() for element in reader.all("code")}
    assert {s.strategy for w in found.ways for s in w.strategies} <= codes
    assert found.headline in text and found.asked_hash in text and "not decidable" in text


@pytest.mark.parametrize("guest", ["sev", "sev-snp-gmem", "plain"])
def test_text_is_ascii_and_fits(path, guest):
    text = trace.replay(study(path, guest, "epyc-7763-2s", "autonuma-default"))
    assert text.isascii() and not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert max(map(len, text.splitlines())) <= 72
    assert text.rstrip().splitlines()[-1].startswith("costmodel ")


def test_text_of_a_summary_is_ascii_and_fits(path):
    text = trace.summary(summary.summarise(path))
    assert text.isascii() and not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    assert max(map(len, text.splitlines())) <= 72
    assert "3,000 events" in text and "ksm_write_protect" in text


@pytest.fixture
def two_lengths(tmp_path):
    path = tmp_path / "two.parquet"
    lengths = [4096] * 90 + [2**28] * 10
    tasks = ["ksmd"] * 90 + ["qemu-kvm"] * 10
    store.write([table([1000 * k for k in range(100)], tasks, [1] * 90 + [2] * 10, lengths)], path)
    return path


def test_a_summary_names_lengths_that_occur(two_lengths):
    text = trace.summary(summary.summarise(two_lengths))
    assert "  p50 4.00 KiB, p90 4.00 KiB, p99 256 MiB, max 256 MiB\n" in text
    assert "range p50 4.00 KiB, p90 4.00 KiB, p99 4.00 KiB, max 4.00 KiB" in " ".join(text.split())
    assert "range p50 256 MiB, p90 256 MiB, p99 256 MiB, max 256 MiB" in " ".join(text.split())


def test_a_replay_names_lengths_that_occur(two_lengths):
    found = study(two_lengths, "sev", "epyc-7763-2s", "autonuma-default")
    assert (found.range_p50_bytes, found.range_p99_bytes) == (4096, 2**28)
    text = " ".join(trace.replay(found).split())
    assert "range length: mean 25.6 MiB, median 4.00 KiB, p99 256 MiB" in text
    assert "mean 25.6 MiB, median 4.00 KiB, p99 256 MiB" in trace.html(found)


def test_both_arrivals_are_shown_where_they_differ(found):
    text = trace.replay(found)
    assert "\n    closed\n" in text and "\n    open\n" in text
    assert trace.replay(found.model_copy(update={"arrivals": "open"})).count("\n    closed\n") == 0


def test_what_is_unsafe_is_marked(found):
    lines = trace.replay(found).splitlines()
    assert any(line.startswith("- CLFLUSHOPT_UVA") for line in lines)
    assert any(line.startswith(("  WBINVD_ALL", "  WBNOINVD")) for line in lines)


def test_what_only_a_newer_kernel_could_do_is_marked_plus(path):
    lines = trace.replay(study(path, "sev", "epyc-7763-2s", "autonuma-default", kernel="6.12")).splitlines()
    marks = {line.split()[0] for line in lines if "WBNOINVD_MASK" in line.split()[1:2]}
    assert "+" in marks and "-" not in marks
    assert "'+' what only a newer kernel has" in " ".join(" ".join(lines).split())


def test_saturation_is_told_per_arrivals(found):
    assert "saturation episode" in trace.replay(found)


def test_json_is_complete_and_rounded(files, found):
    value = json.loads(next(content for name, content in files.items() if name.endswith(".json")))
    assert value["events"] == found.events and len(value["ways"]) == len(found.ways)
    assert value["tasks"][0]["task"] in (visible(HOSTILE), "ksmd", "CPU 0/KVM")
