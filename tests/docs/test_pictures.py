"""The pictures that a visitor of the repository sees are those of the committed reports."""

import pytest

from tests.pages import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / "reports" / "index.json").is_file(), reason="no checkout")


def test_each_picture_shows_what_the_reports_say():
    pytest.importorskip("PIL")
    from tests.pictures import pictures, told

    for picture in pictures():
        path = ROOT / "docs" / picture.name
        assert told(path) == picture.told, "`make pictures` renews it"
        assert path.stat().st_size < 150_000
