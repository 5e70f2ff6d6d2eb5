"""The Data Package description."""

import hashlib
import json

import pytest

from costmodel.errors import BadInput
from costmodel.evidence import package, paths
from costmodel.evidence.paths import data_files
from costmodel.report.audit import said
from costmodel.validation.audit import Problem


def test_description_of_the_repository_is_current():
    assert package.differences(paths.data_dir()) == []


def test_bytes_are_deterministic(data):
    first = (data / "datapackage.json").read_bytes()
    package.main([str(data)])
    assert (data / "datapackage.json").read_bytes() == first


def test_every_file_is_listed_with_checksum_and_size(data):
    resources = {entry["path"]: entry for entry in json.loads((data / "datapackage.json").read_text())["resources"]}
    assert set(resources) == {path.relative_to(data).as_posix() for path in data_files(data)}
    for path, entry in resources.items():
        content = (data / path).read_bytes()
        assert entry["hash"] == "sha256:" + hashlib.sha256(content).hexdigest()
        assert entry["bytes"] == len(content)
        assert entry["sources"]
    assert len({entry["name"] for entry in resources.values()}) == len(resources)


def test_schema_has_types_and_units(data):
    entries = {entry["path"]: entry for entry in package.describe(data)["resources"]}
    fields = {field["name"]: field for field in entries["measurements.csv"]["schema"]["fields"]}
    assert fields["value"] == {"name": "value", "type": "number", "unit": "as the column unit says"}
    assert fields["range_bytes"]["unit"] == "B"
    assert fields["cpus"]["type"] == "integer"
    assert fields["quote"] == {"name": "quote", "type": "string"}
    cpuid = {field["name"]: field for field in entries["cpuid_features.csv"]["schema"]["fields"]}
    assert cpuid["l3_kib"]["unit"] == "KiB"


@pytest.mark.parametrize(
    ("change", "path", "problem"),
    [
        (lambda root: (root / "cpuid_features.csv").unlink(), "cpuid_features.csv", "missing"),
        (lambda root: (root / "extra.csv").write_text("a\n1\n"), "extra.csv", "not listed"),
        (lambda root: (root / "measurements.csv").open("a").write("\n"), "measurements.csv", "checksum differs"),
        (lambda root: (root / "datapackage.json").unlink(), "datapackage.json", "missing"),
        (lambda root: (root / "datapackage.json").write_text("[]"), "datapackage.json", "cannot be read"),
        (
            lambda root: (root / "datapackage.json").write_text(
                (root / "datapackage.json").read_text().replace('"type": "number"', '"type": "string"')
            ),
            "datapackage.json",
            "differs from what the files say",
        ),
    ],
)
def test_differences_are_found(data, change, path, problem):
    change(data)
    [(where, what)] = package.differences(data)
    assert where == path
    assert problem in said(Problem(what))


def test_cells_with_newlines_and_short_rows_are_described(data):
    (data / "more.csv").write_text('name,count_s\n"a\nb",1\nc\n')
    entry = next(entry for entry in package.describe(data)["resources"] if entry["path"] == "more.csv")
    assert entry["schema"]["fields"] == [
        {"name": "name", "type": "string"},
        {"name": "count_s", "type": "integer", "unit": "s"},
    ]


def test_no_directory(tmp_path):
    with pytest.raises(BadInput):
        package.main([str(tmp_path / "none")])
