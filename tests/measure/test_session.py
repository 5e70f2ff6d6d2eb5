"""A profile on the disk: whole or not at all, and its place is tried first."""

import csv
import os
import tomllib

import pytest

from costmodel.errors import BadInput
from costmodel.measure.session import Outcome, as_csv, checked_name, prepared, write


def test_a_profile_holds_every_repetition_and_its_checksum(tmp_path, outcome):
    folder = write(outcome, tmp_path / "small")
    rows = list(csv.DictReader((folder / "refill.csv").open()))
    assert rows[0]["measured_cold_line_s"] == "1.23457e-09"
    document = tomllib.loads((folder / "host.toml").read_text())
    assert set(document["sha256"]) == {"refill.csv"}
    assert document["id"] == "small" and document["versions"]["costmodel"]
    assert any("no such CPU" in text for text in document["findings"])
    assert not list(tmp_path.glob(".measure-*"))


def test_a_failed_write_leaves_nothing(tmp_path, outcome, monkeypatch):
    monkeypatch.setattr("costmodel.measure.session.files", lambda *_: {"host.toml": 1})
    with pytest.raises(TypeError):
        write(outcome, tmp_path / "small")
    assert list(tmp_path.iterdir()) == []


def test_nothing_measured_is_no_profile(tmp_path, host):
    with pytest.raises(BadInput, match="nothing was measured"):
        write(Outcome(host, "costmodel measure sev", {}, {"sev": "no such CPU"}), tmp_path / "none")


@pytest.mark.parametrize("name", ["", "../up", "A B", "-x", "x" * 64, "a/b"])
def test_a_name_that_is_no_folder_is_refused(name):
    with pytest.raises(BadInput):
        checked_name(name)


def test_a_table_is_csv():
    assert as_csv([{"a": 1, "b": "x,y"}]) == 'a,b\n1,"x,y"\n'


@pytest.mark.parametrize("text", ["=1+1", "+1+A1", "-1-A1", "@x"])
def test_foreign_text_is_no_formula(text):
    """Names of tasks come from strangers, and a spreadsheet runs a cell that begins like this."""
    assert as_csv([{"a": text}]) == f"a\n'{text}\n"


def test_foreign_text_neither_breaks_a_line_nor_turns_it_round():
    assert as_csv([{"a": "a\rb\tc\u202ed\u2028e\x1b[2J"}]) == "a\na\\rb\\tc\\u202ed\\u2028e\\x1b[2J\n"


def test_numbers_below_zero_stay_numbers():
    assert as_csv([{"a": -1, "b": -2.5}]) == "a,b\n-1,-2.5\n"


@pytest.mark.parametrize("place", ["file/x/y", "{}/x".format("n" * 300)])
def test_a_place_that_cannot_be_written_is_refused_before_the_block(tmp_path, place):
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"), prepared(tmp_path / place / "name"):
        pytest.fail("the block must not begin")


def test_a_full_disk_is_refused_before_the_block(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(BadInput, match="No space left on device"), prepared(tmp_path / "a/b/name"):
        pytest.fail("the block must not begin")
    assert list(tmp_path.iterdir()) == []


def test_folders_that_were_made_go_again_when_nothing_comes_of_it(tmp_path):
    (tmp_path / "old").mkdir()
    with pytest.raises(KeyboardInterrupt), prepared(tmp_path / "old/new/newer/name"):
        assert (tmp_path / "old/new/newer").is_dir()
        raise KeyboardInterrupt
    assert list((tmp_path / "old").iterdir()) == []


def test_a_place_that_was_lost_meanwhile_is_one_line(tmp_path, outcome):
    with prepared(tmp_path / "a/name"):
        (tmp_path / "a").rmdir()
        (tmp_path / "a").write_text("")
        with pytest.raises(BadInput, match="cannot be written"):
            write(outcome, tmp_path / "a/name")
        (tmp_path / "a").unlink()
