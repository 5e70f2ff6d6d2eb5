"""Page by page."""

from tests.formulas.domain import exact


def test_each_page_is_made_shared_and_flushed():
    assert exact("gmem_release", pages=5, rmpupdate_s=2, page_flush_s=3) == 25
    assert exact("page_chain", pages=5, page_operation_s=3) == 15
