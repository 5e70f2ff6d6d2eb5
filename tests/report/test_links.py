"""What a locator names becomes a link, and nothing else markup."""

import pytest

from costmodel.report.links import linked
from tests.report.html import Reader

SHA = "9d1745cf8134"


@pytest.mark.parametrize(
    ("locator", "addresses"),
    [
        ("Message-ID 20150304230045.GZ18360@dastard (archive)", ["https://lore.kernel.org/all/20150304230045.GZ18360@dastard/"]),
        ("http://a.org/b.html ; github c/d commit 66d11b9c1281", ["http://a.org/b.html", "https://github.com/c/d/commit/66d11b9c1281"]),
        (f"github a/b-7.1.5@{SHA} (the tree): kernel/x.c:16", [f"https://github.com/a/b-7.1.5/blob/{SHA}/kernel/x.c#L16"]),
        (f"github a/b@{SHA}", [f"https://github.com/a/b/tree/{SHA}"]),
        ("github a/b, release 1", ["https://github.com/a/b"]),
        ("commits e1ebb2b49048, d45829b351ee", [f"https://git.kernel.org/torvalds/c/{c}" for c in ("e1ebb2b49048", "d45829b351ee")]),
        ("data/kvm/amd_rendezvous.csv", []),
        ("https://a.org/\"onclick=\"x <script>", ["https://a.org/"]),
    ],
)  # fmt: skip
def test_links(locator, addresses):
    reader = Reader(str(linked(locator)))
    assert reader.faults == []
    assert [e.get("href") for e in reader.elements] == addresses
    assert all(set(e.attributes) == {"href"} and e.tag == "a" for e in reader.elements)
