"""The cache saves time and nothing else: damaged it is built again, foreign it is not read, missing it is not
missed.
"""

import json
import os
import subprocess
import sys

import pytest

from costmodel import cache

ANSWER = ("recommend", "--guest", "sev", "--machine", "epyc-7763-2s", "--json")


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty cache of our own; checked anew."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache._checked.cache_clear()
    yield tmp_path / "costmodel"
    cache._checked.cache_clear()


def test_an_entry_is_built_once(place):
    built = []

    def build():
        built.append(1)
        return b"content"

    assert [cache.recall("x", "key", build) for _ in range(3)] == [b"content"] * 3
    assert len(built) == 1
    assert cache.recall("x", "another key", build) == b"content" and len(built) == 2


@pytest.mark.parametrize(
    "damage",
    [lambda b: b + b"\nimport os", lambda b: b[:-1], lambda b: b"", lambda b: b[:40], lambda b: b[:-1] + b"?"],
    ids=["appended", "cut", "empty", "stump", "one byte"],
)
def test_a_damaged_entry_heals(place, damage):
    cache.recall("x", "key", lambda: b"content")
    (entry,) = place.iterdir()
    good = entry.read_bytes()
    entry.write_bytes(damage(good))
    assert cache.recall("x", "key", lambda: b"content") == b"content"
    assert entry.read_bytes() == good


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o702])
def test_a_directory_that_others_can_write_is_refused(place, mode):
    place.mkdir()
    place.chmod(mode)
    with pytest.warns(cache.CacheRefused, match="can be written by others and is not used; remove it"):
        assert cache.directory() is None
    assert cache.recall("x", "key", lambda: b"content") == b"content"
    assert list(place.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory of somebody else")
def test_a_directory_of_somebody_else_is_refused(place):
    place.mkdir(mode=0o700)
    os.chown(place, 65534, 65534)
    with pytest.warns(cache.CacheRefused, match="belongs to user 65534"):
        assert cache.directory() is None


def test_a_link_is_refused(place, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    place.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(cache.CacheRefused, match="is no directory"):
        assert cache.directory() is None


def test_a_cache_that_cannot_be_made_is_no_cache(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    cache._checked.cache_clear()
    assert cache.directory() is None and cache.folder_of("numba") is None
    assert cache.recall("x", "key", lambda: b"content") == b"content"


def test_without_home_and_without_a_name_there_is_no_cache(monkeypatch):
    import pwd

    def unknown(_):
        raise KeyError("uid not found")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    assert cache.directory() is None


def test_an_entry_that_cannot_be_written_is_no_error(place, monkeypatch):
    def refuse(*_):
        raise cache.BadInput("disk full")

    monkeypatch.setattr(cache, "write_beside", refuse)
    assert cache.recall("x", "key", lambda: b"content") == b"content"


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.setenv("OPENBLAS_CORETYPE", "Prescott"),
        lambda m: m.setenv("NPY_DISABLE_CPU_FEATURES", "AVX2"),
        lambda m: m.setattr(cache, "_versions", lambda: ["0.0"]),
        lambda m: m.setattr(cache, "cpu", lambda: "another CPU"),
        lambda m: m.setattr(cache, "code_hash", lambda *names: "other sources"),
        lambda m: m.setattr(sys.implementation, "cache_tag", "cpython-399"),
    ],
    ids=["linear algebra", "numpy kernels", "libraries", "cpu", "sources", "python"],
)
def test_the_key_holds_whatever_the_content_follows_from(monkeypatch, change):
    before = cache.key_of(["input"], ["formulas"])
    assert before == cache.key_of(["input"], ["formulas"]) != cache.key_of(["other"], ["formulas"])
    change(monkeypatch)
    assert cache.key_of(["input"], ["formulas"]) != before


def test_a_librarys_folder_is_emptied_when_a_file_is_not_what_was_noted(place):
    folder = cache.folder_of("numba")
    (folder / "index.nbi").write_bytes(b"index")
    cache._note(folder)
    assert (cache.folder_of("numba") / "index.nbi").exists()
    (folder / "index.nbi").write_bytes(b"other")
    assert not (cache.folder_of("numba") / "index.nbi").exists()
    (folder / "never-noted.nbc").write_bytes(b"code")
    assert not list(cache.folder_of("numba").glob("*.nbc"))


def run(*words, **environment):
    return subprocess.run(
        [sys.executable, "-m", "costmodel", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


@pytest.mark.nightly
def test_code_appended_to_any_entry_never_runs_and_no_number_changes(tmp_path):
    """Once with an empty cache, then with every entry damaged: the same answer, and nothing of the damage ran."""
    first = run(*ANSWER, XDG_CACHE_HOME=str(tmp_path))
    assert first.returncode == 0, first.stderr
    entries = [path for path in (tmp_path / "costmodel").rglob("*") if path.is_file()]
    assert {"answer", "overlaps", "records", "sensitivities", "table"} <= {path.name.split("-")[0] for path in entries}
    trap = f"\nimport os; os.system('touch {tmp_path}/ran')\n".encode()
    for path in entries:
        content = path.read_bytes()
        path.write_bytes(content.replace(b"6e-09", b"6e-06") + trap)
    again = run(*ANSWER, XDG_CACHE_HOME=str(tmp_path))
    assert json.loads(again.stdout) == json.loads(first.stdout) and again.stderr == ""
    assert not (tmp_path / "ran").exists()


def test_the_versions_are_those_that_are_installed(monkeypatch, tmp_path):
    """Whether an installer noted them beside the library, or somewhere that only importlib.metadata knows."""
    from importlib.metadata import version

    noted = cache._versions.__wrapped__()
    assert all(version(name) in said for name, said in zip(cache.LIBRARIES, noted, strict=True))
    (tmp_path / "numpy-0.1.dist-info").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(tmp_path / "none"), *sys.path])
    assert cache._versions.__wrapped__()[0] == "numpy-0.1.dist-info"
    monkeypatch.setattr(sys, "path", [])
    monkeypatch.setattr(cache, "_asked_version", lambda name: f"{name} asked")
    assert cache._versions.__wrapped__() == [f"{name} asked" for name in cache.LIBRARIES]


def test_an_entry_is_held_or_not(place):
    assert not cache.holds("x", "key")
    cache.store("x", "key", b"content")
    assert cache.holds("x", "key") and not cache.holds("x", "other")


def test_without_a_cache_nothing_is_held(monkeypatch):
    monkeypatch.setattr(cache, "directory", lambda: None)
    assert not cache.holds("x", "key")
