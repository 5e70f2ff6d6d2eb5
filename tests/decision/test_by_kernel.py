"""A kernel of which no source tells what was backported: an answer for each that it may behave as, never one as if
known.
"""

import pytest

import costmodel as cm
from costmodel.decision.recommend import recommend_by_kernel
from costmodel.kvm.kernels import SeveralKernels

CASE = ("sev", "epyc-7763-2s", "autonuma-default")


def test_a_version_has_one_answer_and_its_json_is_the_recommendation():
    found = recommend_by_kernel(*CASE, "6.17")
    assert not found.several and len(found.answers) == 1
    assert found.as_json() == found.answers[0][1].model_dump(mode="json")


def test_each_behaviour_has_its_answer_and_the_numbers_that_were_asked_for():
    found = recommend_by_kernel(*CASE, "6.8.0-45-generic", vcpus=4)
    assert found.several and "Ubuntu" in found.why
    assert [one.kernel for one, _ in found.answers] == ["6.8.0", "6.17"]
    assert all(answer.scenario["vcpus"] == 4 for _, answer in found.answers)
    json = found.as_json()
    assert "/proc/kallsyms" in json["tell_apart"] and json["why_several"] == found.why
    assert [one["if"] for one in json["answers"]] == [one.why for one, _ in found.answers]


def test_the_api_refuses_with_all_that_it_may_be():
    with pytest.raises(SeveralKernels, match=r"it behaves as 6\.8\.0 or 6\.17") as refused:
        cm.case("sev", "epyc-7763-2s", kernel="6.8.0-45-generic")
    for one in refused.value.candidates:
        assert cm.case("sev", "epyc-7763-2s", kernel=one.kernel).guest == "sev"


def test_the_api_knows_ids_in_any_case_and_builds_that_were_read():
    case = cm.case("SEV", "Milan", kernel="5.14.0-503.11.1.el9_5.x86_64")
    assert case.scenario.guest == "sev" and case.machine == "epyc-7763-2s"
    assert case.scenario.kernel == "v6.11-v6.16" and case.scenario.version == "5.14.0-503.11.1.el9_5.x86_64"
