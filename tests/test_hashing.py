"""Hashes name content, not order or time; a write is seen whole or not at all."""

import os
from pathlib import Path

import pytest

from costmodel import hashing
from costmodel.errors import BadInput
from costmodel.hashing import LARGE_BYTES, code_hash, file_digest, files_hash, value_hash, write_beside


def test_files_hash_depends_on_names_and_contents_only(tmp_path):
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_text("x")
    two.write_text("y")
    first = files_hash([one, two], tmp_path)
    assert first == files_hash([two, one], tmp_path)
    two.write_text("z")
    assert first != files_hash([one, two], tmp_path)


def test_value_hash_ignores_the_order_of_keys():
    assert value_hash({"a": 1, "b": 2}) == value_hash({"b": 2, "a": 1})
    assert value_hash({"a": 1}) != value_hash({"a": 2})


def test_code_hash_tells_subpackages_apart():
    assert code_hash("formulas") != code_hash("calibration") != code_hash()


def test_code_is_templates_too(tmp_path, monkeypatch):
    (tmp_path / "report").mkdir()
    monkeypatch.setattr(hashing, "PACKAGE", tmp_path)
    seen = []
    for name, text in (("a.py", "1"), ("t.html.j2", "1"), ("t.html.j2", "2"), ("style.css", "1"), ("live.js", "1")):
        (tmp_path / "report" / name).write_text(text)
        code_hash.cache_clear()
        seen.append(code_hash("report"))
    (tmp_path / "report" / "notes.txt").write_text("1")
    code_hash.cache_clear()
    assert len(set(seen)) == 5 and code_hash("report") == seen[-1]
    code_hash.cache_clear()


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "report.txt"
    target.write_text("old")
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(BadInput, match="report.txt: cannot be written: disk full; choose another place"):
        write_beside(target, "new")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["report.txt"]


@pytest.mark.parametrize("name", ["no/such/report.txt", "file/report.txt"])
def test_a_missing_directory_is_named_and_nothing_is_written(tmp_path, name):
    (tmp_path / "file").write_text("a file, no directory")
    with pytest.raises(BadInput, match=f"{name}: the directory does not exist") as caught:
        write_beside(tmp_path / name, "new")
    assert caught.value.file == tmp_path / name and caught.value.remedy
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_what_cannot_be_a_file_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    for path, problem in (
        (tmp_path / "folder", "Is a directory"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path(), "is no name of a file"),
    ):
        with pytest.raises(BadInput, match=problem):
            write_beside(path, "new")
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]


def test_a_device_or_pipe_is_not_replaced_by_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(BadInput, match="pipe: is a device or pipe"):
        write_beside(pipe, "new")
    assert pipe.is_fifo() and [p.name for p in tmp_path.iterdir()] == ["pipe"]


def test_a_large_file_is_read_once_while_it_stays_as_it_is(tmp_path, monkeypatch):
    large, small = tmp_path / "large", tmp_path / "small"
    large.write_bytes(b"x" * LARGE_BYTES)
    small.write_bytes(b"x")
    before = files_hash([large, small], tmp_path)
    original, read = Path.read_bytes, []
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path.name) or original(path))
    assert files_hash([large, small], tmp_path) == before and read == ["small"]
    other = tmp_path / "other"
    other.write_bytes(b"y" * LARGE_BYTES)
    other.replace(large)
    assert files_hash([large, small], tmp_path) != before


def test_a_large_file_of_the_same_length_that_was_written_over_is_read_again(tmp_path):
    large = tmp_path / "large"
    large.write_bytes(b"x" * LARGE_BYTES)
    before = file_digest(large)
    large.write_bytes(b"y" * LARGE_BYTES)
    os.utime(large, (1.0, 1.0))
    assert file_digest(large) != before
