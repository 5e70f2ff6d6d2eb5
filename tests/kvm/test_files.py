"""The files under data/kvm: a row that cannot be read is refused with file, row and field."""

import csv

import pytest

from costmodel.errors import BadInput
from costmodel.evidence import rendezvous
from costmodel.evidence.paths import data_dir
from costmodel.evidence.table import csv_text
from costmodel.kvm import agreement, builds, decisions, events, kernels, releases, remedies, setup
from costmodel.traces import tasks

READERS = {
    "admissibility.csv": agreement.read_facts,
    "backports.csv": releases.read_backports,
    "builds.csv": builds.read_builds,
    "call_chains.csv": tasks.read,
    "majors.csv": builds.read_majors,
    "releases.csv": releases.read_releases,
    "amd_rendezvous.csv": rendezvous.read,
    "disagreements.csv": agreement.read_documented,
    "events.csv": events.read,
    "guest_defaults.csv": setup.read,
    "remedies.csv": remedies.read,
    "upstream_behaviour.csv": kernels.read,
    "upstream_decisions.csv": decisions.read,
}
every = pytest.mark.parametrize("name", READERS)


@pytest.fixture
def table(tmp_path):
    """Writes a copy of a file with its header and rows changed, and returns its path."""

    def write(name, change):
        with (data_dir() / "kvm" / name).open(newline="", encoding="utf-8") as stream:
            header, *rows = csv.reader(stream)
        header, rows = change(header, rows)
        path = tmp_path / name
        path.write_text(csv_text(header, rows), encoding="utf-8")
        return path

    return write


def test_every_file_has_its_reader():
    assert {path.name for path in (data_dir() / "kvm").glob("*.csv")} == set(READERS)


@every
def test_the_file_as_it_is(name):
    assert len(READERS[name](data_dir() / "kvm" / name)) > 1


@every
def test_a_missing_column_is_refused(name, table):
    for at in range(3):
        path = table(name, lambda h, rows, at=at: (h[:at] + h[at + 1 :], [r[:at] + r[at + 1 :] for r in rows]))
        with pytest.raises(BadInput, match=f"{name}, field .*: column is missing"):
            READERS[name](path)


@every
def test_a_row_that_is_there_twice_is_refused(name, table):
    with pytest.raises(BadInput, match=f"{name}, row .*: is there twice"):
        READERS[name](table(name, lambda h, rows: (h, [*rows, rows[0]])))


@every
def test_a_row_that_is_too_short_is_refused(name, table):
    with pytest.raises(BadInput, match=f"{name}, row 3: has .* cells"):
        READERS[name](table(name, lambda h, rows: (h, [rows[0], rows[1][:-1], *rows[2:]])))


@pytest.mark.parametrize(
    ("name", "field"),
    [
        *[("admissibility.csv", field) for field in ("guest_type", "trigger", "strategy", "admissible")],
        *[("disagreements.csv", field) for field in ("guest", "trigger", "strategy")],
        *[("events.csv", field) for field in ("trigger", "cause", "pinned", "backing", "mempolicy", "vmm", "fires")],
        *[("guest_defaults.csv", field) for field in ("guest_type", "vmm", "property", "value")],
        *[("remedies.csv", field) for field in ("effect", "triggers", "guests", "first_kernel")],
        *[("upstream_behaviour.csv", f) for f in ("guest_type", "trigger", "kernel_range", "upstream_strategy")],
    ],
)
def test_a_word_that_is_not_catalogued_is_refused_with_its_place(name, field, table):
    def change(header, rows):
        rows[0][header.index(field)] = "nobody-knows"
        return header, rows

    with pytest.raises(BadInput, match="'nobody-knows' is not one of") as caught:
        READERS[name](table(name, change))
    assert (caught.value.file, caught.value.field) == (name, field) and caught.value.row
