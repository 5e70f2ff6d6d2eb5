"""A report stands only while its inputs and its own bytes are what they were; everything else is built again."""

import json

import pytest

from costmodel.report import unchanged
from costmodel.report.unchanged import Built

ASKED = {"guest": "sev", "machine": "epyc-7763-2s", "workload": "ksm-default", "kernel": "6.17", "vcpus": 8}


@pytest.fixture
def out(tmp_path):
    """Two reports and an index that was made after them."""
    (tmp_path / "sev").mkdir()
    for name in ("sev/a.html", "sev/a.json", "sev/b.html", "index.html"):
        (tmp_path / name).write_text(name)
    built = Built.read(tmp_path)
    built.note("a", ["sev/a.html", "sev/a.json"])
    built.note("b", ["sev/b.html"])
    built.note("all", ["sev/a.html", "sev/a.json", "sev/b.html", "index.html"])
    built.write()
    return tmp_path


def standing(out):
    built = Built.read(out)
    return {key for key in ("a", "b", "all") if built.stands(key)}


def test_what_was_noted_stands(out):
    assert standing(out) == {"a", "b", "all"}
    assert not Built.read(out).stands("other") and not Built.read(out).stands(None)


@pytest.mark.parametrize("harm", [lambda p: p.unlink(), lambda p: p.write_text("edited"), lambda p: p.write_text("")])
def test_a_file_that_was_removed_or_edited_takes_its_own_report_with_it(out, harm):
    harm(out / "sev/a.json")
    assert standing(out) == {"b"}
    harm(out / "index.html")
    assert standing(out) == {"b"}


def test_what_is_built_again_with_other_bytes_takes_what_rested_on_it_with_it(out):
    (out / "sev/b.html").write_text("new")
    built = Built.read(out)
    built.note("b", ["sev/b.html"])
    built.write()
    assert standing(out) == {"a", "b"}


def test_a_report_from_other_inputs_replaces_the_one_in_its_place(out):
    """Also where its bytes are the same: one place has one report."""
    built = Built.read(out)
    built.note("a from other inputs", ["sev/a.html", "sev/a.json"])
    built.write()
    assert standing(out) == {"b", "all"} and Built.read(out).stands("a from other inputs")


def test_a_file_that_is_not_there_is_not_noted(out):
    built = Built.read(out)
    built.note("c", ["sev/b.html", "sev/none.html"])
    assert not built.stands("c")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"made": 1}', '{"made": {"a": ["x"]}, "hashes": {}}', "\udcff"])
def test_what_cannot_be_read_counts_for_nothing(out, content):
    (out / unchanged.FILE).write_bytes(content.encode(errors="surrogateescape"))
    assert standing(out) == set()


def test_a_place_that_cannot_be_written_is_no_failure(tmp_path):
    built = Built.read(tmp_path / "none")
    built.write()
    assert not built.stands("a")


def test_every_part_of_the_question_counts():
    key = unchanged.key_of("inputs", ASKED)
    assert key == unchanged.key_of("inputs", dict(reversed(ASKED.items())))
    others = [{**ASKED, name: other} for name, other in (("guest", "tdx"), ("vcpus", 9), ("vcpus", None))]
    assert key not in {unchanged.key_of("inputs", other) for other in others} | {unchanged.key_of("others", ASKED)}


def test_what_nobody_knows_beforehand_has_no_key(tmp_path):
    (tmp_path / "lscpu.txt").write_text("")
    for changed in (
        {"machine": "this"},
        {"machine": "-"},
        {"kernel": "THIS"},
        {"machine": str(tmp_path / "lscpu.txt")},
    ):
        assert unchanged.key_of("inputs", {**ASKED, **changed}) is None


def test_every_input_counts(tmp_path, monkeypatch):
    """Data, the user's own machines, notebooks, sources and templates, libraries, CPU and switches."""
    folders = {name: tmp_path / name for name in ("data", "machines", "notebooks", "package")}
    for name, file in (("data", "a.csv"), ("machines", "m.toml"), ("notebooks", "n.ipynb"), ("package", "t.html.j2")):
        folders[name].mkdir()
        (folders[name] / file).write_text("1")
    monkeypatch.setenv("COSTMODEL_DATA", str(folders["data"]))
    monkeypatch.setenv("COSTMODEL_MACHINES", str(folders["machines"]))
    monkeypatch.setenv("COSTMODEL_NOTEBOOKS", str(folders["notebooks"]))
    monkeypatch.setattr(unchanged, "PACKAGE", folders["package"])
    seen = [unchanged.inputs_hash()]
    assert unchanged.inputs_hash() == seen[0]
    for place in folders.values():
        next(place.iterdir()).write_text("2")
        seen.append(unchanged.inputs_hash())
    (folders["package"] / "new.py").write_text("")
    seen.append(unchanged.inputs_hash())
    monkeypatch.setattr(unchanged.cache, "cpu", lambda: "another CPU")
    seen.append(unchanged.inputs_hash())
    monkeypatch.setenv("COSTMODEL_TOLD", "{}")
    seen.append(unchanged.inputs_hash())
    monkeypatch.setattr(unchanged, "version", lambda name: "0")
    seen.append(unchanged.inputs_hash())
    assert len(set(seen)) == len(seen)


def test_what_is_noted_can_be_read(out):
    noted = json.loads((out / unchanged.FILE).read_text())
    assert noted["made"]["a"] == ["sev/a.html", "sev/a.json"] and len(noted["hashes"]) == 4


def test_what_another_process_noted_meanwhile_is_kept(out):
    one, other = Built.read(out), Built.read(out)
    (out / "sev/c.html").write_text("c")
    (out / "sev/b.html").write_text("new")
    one.note("c", ["sev/c.html"])
    other.note("b", ["sev/b.html"])
    one.write()
    other.write()
    assert standing(out) == {"a", "b"} and Built.read(out).stands("c")


def test_what_was_made_while_the_inputs_changed_is_of_no_key(out):
    """Nobody can tell whether it was made from what was there before or after."""
    built = Built.read(out)
    (out / "sev/b.html").write_text("new")
    (out / "sev/c.html").write_text("c")
    built.note("b", ["sev/b.html"])
    built.write()
    assert Built.read(out).stands("b")
    built.note("c", ["sev/c.html"])
    built.disown()
    built.write()
    assert standing(out) == {"a"} and not Built.read(out).stands("c")
