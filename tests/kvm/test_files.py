"""The files under data/kvm: a row that cannot be read is refused with file, row and field."""

import csv

import pytest

from costmodel.errors import BadInput
from costmodel.evidence.paths import data_dir
from costmodel.evidence.records import read_rendezvous
from costmodel.evidence.tables import csv_text, entries
from costmodel.kvm import admissibility, events, kernels, predicates, releases, rules, setup
from costmodel.kvm.catalog import Gap, Guest, Placement, Strategy, Trigger
from costmodel.traces import triggers

READERS = {
    "admissibility.csv": admissibility.read_facts,
    "backports.csv": releases.read_backports,
    "builders.csv": releases.read_builders,
    "builds.csv": releases.read_builds,
    "call_chains.csv": triggers.read,
    "majors.csv": releases.read_majors,
    "releases.csv": releases.read_releases,
    "amd_rendezvous.csv": read_rendezvous,
    "disagreements.csv": admissibility.read_documented,
    "events.csv": events.read,
    "guest_defaults.csv": setup.read,
    "kernels.csv": kernels.read_kernels,
    "task_names.csv": triggers.read_names,
    "predicates.csv": predicates.read,
    "remedies.csv": kernels.read_remedies,
    "upstream_behaviour.csv": kernels.read,
    "upstream_decisions.csv": kernels.read_decisions,
}
RECORDS = {
    "guests": Guest,
    "strategies": Strategy,
    "triggers": Trigger,
    "placements": Placement,
    "gaps": Gap,
    "reasons": rules.Reason,
    "conditions": events.Refusal,
}
KEYS = {
    "guests": "guest",
    "strategies": "strategy",
    "triggers": "trigger",
    "placements": "placement",
    "gaps": "gap",
    "reasons": "rule",
    "conditions": "condition",
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
        *[("predicates.csv", field) for field in ("about", "every_kernel")],
        ("kernels.csv", "mainline"),
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


def broken(tmp_path, name, old, new):
    """A copy of a TOML file of records, one text of its first entry replaced."""
    text = (data_dir() / "kvm" / f"{name}.toml").read_text(encoding="utf-8")
    at = text.index(f"[[{KEYS[name]}]]")
    assert old in text[at:]
    path = tmp_path / f"{name}.toml"
    path.write_text(text[:at] + text[at:].replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("\nsource = ", "\nsauce = ", "source"),
        ("\nsource = ", "\ncolour = 1\nsource = ", "colour"),
        ('\nsource = "', "\nsource = 1 #", "source"),
    ],
)
def test_a_record_that_says_something_impossible_is_refused_with_its_place(tmp_path, name, old, new, field):
    path = broken(tmp_path, name, old, new)
    with pytest.raises(BadInput) as caught:
        entries(path, KEYS[name], RECORDS[name])
    assert (caught.value.file, caught.value.field) == (path.name, field) and caught.value.row


@pytest.mark.parametrize("written", ['"6.17"', '"v6"', '"v6.17-v7.2"', '"v6.17.1"', '"v6.x"', "6.17", "true"])
def test_a_first_version_that_is_no_release_is_refused_in_one_line(tmp_path, written):
    path = broken(tmp_path, "strategies", 'first_version = "v5.11"', f"first_version = {written}")
    with pytest.raises(BadInput) as caught:
        entries(path, KEYS["strategies"], RECORDS["strategies"])
    assert (caught.value.file, caught.value.row, caught.value.field) == (path.name, "WBINVD_ALL", "first_version")
    assert "is no release; write it with its v" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", RECORDS)
def test_two_records_have_no_id_in_common(tmp_path, name):
    text = (data_dir() / "kvm" / f"{name}.toml").read_text(encoding="utf-8")
    parts = text.split(f"[[{KEYS[name]}]]")
    path = tmp_path / f"{name}.toml"
    path.write_text(f"[[{KEYS[name]}]]".join([*parts, parts[1]]), encoding="utf-8")
    with pytest.raises(BadInput, match="is the id of two entries"):
        entries(path, KEYS[name], RECORDS[name])


def test_every_record_has_a_source():
    assert {path.stem for path in (data_dir() / "kvm").glob("*.toml")} == set(RECORDS)
    for name, record in RECORDS.items():
        for one in entries(data_dir() / "kvm" / f"{name}.toml", KEYS[name], record).values():
            assert one.source and all(cause.source for cause in getattr(one, "causes", ()))
