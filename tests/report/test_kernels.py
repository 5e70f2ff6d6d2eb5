"""Why a kernel is taken as another one has its words, and no word is without a kernel."""

from costmodel.kvm.kernels import candidates
from costmodel.report.kernels import GROUNDS, why

VERSIONS = (
    "5.7",
    "5.10.300",
    "6.18.999",
    "6.8.0-45-generic",
    "6.17.4-2-pve",
    "4.18.0-305.el8.x86_64",
    "5.14.0-400.el9",
    "5.14.0-5.el9",
    "5.19.17-1-pve",
    "7.2.0-next-20250101",
)


def test_every_ground_has_its_words_and_is_that_of_some_kernel():
    found = [one for version in VERSIONS for guest in (None, "plain") for one in candidates(version, guest)]
    assert {ground.kind for one in found for ground in one.grounds} == set(GROUNDS)
    for one in found:
        text = why(one)
        assert text and "{" not in text and "  " not in text


def test_a_catalogued_kernel_is_told_without_a_word():
    assert [why(one) for one in candidates("v6.17-v7.2")] == [""]
