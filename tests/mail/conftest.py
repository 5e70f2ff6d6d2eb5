"""Fixtures of the mail tests. Golden texts are renewed with COSTMODEL_UPDATE_GOLDEN=1."""

import os
import re
from pathlib import Path

import pytest

from costmodel.report.alternatives import alternatives

FIXTURES = Path(__file__).parent / "fixtures"
GOLDEN = Path(__file__).parent / "golden"
UPDATE = "COSTMODEL_UPDATE_GOLDEN"
HASHES = re.compile(r"\b[0-9a-f]{16}\b")
SAID = ("still causing serious", "For SNP guests, KVM should")


def masked(text):
    """`text` without the hashes that change with every commit."""
    return HASHES.sub("0" * 16, text)


def agrees(name, text):
    """Compare with the golden text `name`, hashes masked, or renew it."""
    path = GOLDEN / name
    if os.environ.get(UPDATE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(masked(text), encoding="utf-8")
    assert masked(text) == path.read_text(encoding="utf-8"), f"{name} differs; {UPDATE}=1 renews it"


@pytest.fixture(scope="session")
def page():
    return FIXTURES / "thread-2023-08-18.txt"


@pytest.fixture(scope="session")
def raw():
    return FIXTURES / "reply-2023-08-18.eml"


@pytest.fixture(scope="session")
def numbers():
    return alternatives(
        ("sev-snp", "sev"), "epyc-7763-2s", strategies=("CLFLUSHOPT_UVA",), measured=("epyc-genoa-4cpu-vm",)
    )
