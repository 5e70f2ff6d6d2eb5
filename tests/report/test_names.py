"""Every axis has a name, and a strategy that the CPU cannot carry out is called what it then is."""

from costmodel.cost.scenario import AXES, scenario
from costmodel.kvm.kernels import candidates
from costmodel.report.names import AXIS_NAMES, GROUNDS, kernel_ground, title_on


def test_every_axis_has_a_name():
    assert set(AXIS_NAMES) == set(AXES)


def test_a_strategy_without_its_instruction_is_called_what_the_kernel_then_executes(evidence):
    new, old = (scenario(evidence, "sev", machine, "ksm-default") for machine in ("epyc-7763-2s", "epyc-7601-2s"))
    assert "(" not in title_on("WBNOINVD_ALL", new)
    assert title_on("WBNOINVD_ALL", old) == f"{title_on('WBINVD_ALL', old)} (this CPU has no WBNOINVD)"


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
        text = kernel_ground(one)
        assert text and "{" not in text and "  " not in text


def test_a_catalogued_kernel_is_told_without_a_word():
    assert [kernel_ground(one) for one in candidates("v6.17-v7.2")] == [""]
