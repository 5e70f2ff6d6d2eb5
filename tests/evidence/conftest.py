"""A writable copy of data/ whose description is current."""

import shutil

import pytest

from costmodel.evidence import package, paths


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    shutil.copytree(paths.data_dir(), root)
    package.main([str(root)])
    return root


@pytest.fixture
def edit(data):
    """Replace text in one file of the copy (exactly one place) and describe the copy anew."""

    def change(name, old, new):
        path = data / name
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {name}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        package.main([str(data)])
        return data

    return change
