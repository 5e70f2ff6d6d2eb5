"""What an answer comes to: a kind, and the step and the remedy that pay, as the sentences about it say."""

import pytest

from costmodel.report.record import Answer

EPYC = "epyc-7763-2s"


@pytest.mark.parametrize(
    ("guest", "asked", "kind", "said"),
    [
        ("tdx", {}, "not applicable", "Not applicable: "),
        ("plain", {}, "unencrypted", "No flush: "),
        ("sev", {"kernel": "6.12.40"}, "flush", ""),
        (
            "sev",
            {"kernel": "6.6", "rates": {"all": (0, 300)}},
            "none counted",
            "Nothing to do at the rate that was counted",
        ),
        ("sev", {"kernel": "6.6", "workload": "ksm-default"}, "cannot happen", "Nothing to do under this workload: "),
        ("sev-snp-gmem", {}, "no flush", "Nothing to do under this workload: "),
    ],
)
def test_the_headline_says_what_was_found(guest, asked, kind, said):
    found = Answer.of(guest, EPYC, **asked)
    assert found.plan.kind == kind
    assert found.headline.startswith(said)
    named = [one for one in (found.plan.step, found.plan.remedy) if one is not None]
    assert bool(named) == (kind == "flush")


@pytest.mark.parametrize("kernel", ["6.6", "6.12.40", "7.2"])
def test_the_plan_names_what_pays_at_the_leading_trigger(kernel):
    found = Answer.of("sev", EPYC, kernel=kernel)
    plan, lead = found.plan, found.lead
    assert plan.step is found.step
    if plan.enough:
        assert plan.remedy is None and plan.step.gain.share > 0.9
    else:
        pays = [one for one in found.remedied if one.gain.pays_at(lead)]
        assert plan.remedy is (pays[0] if pays else None)
        assert all(any(s.trigger.id == lead.trigger.id for s in one.gain.studies) for one in pays)


@pytest.mark.parametrize(
    ("asked", "open_"),
    [({}, "rate"), ({"rates": {"all": (3000, 300)}}, "causes"), ({"rates": {"all": (0, 300)}}, None)],
)
def test_what_is_open_about_the_rate(asked, open_):
    found = Answer.of("sev", EPYC, kernel="6.6", **asked)
    assert found.open_rate == open_
    assert bool(found.measure_rate) == (open_ is not None)
