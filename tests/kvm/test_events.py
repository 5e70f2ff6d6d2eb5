"""Which events can happen: the rules over properties against the table of what was read in the sources."""

import itertools

import pytest

from costmodel.errors import BadInput
from costmodel.kvm import events
from costmodel.kvm.catalog import GUESTS, TRIGGERS, triggers_of
from costmodel.kvm.events import CONDITIONS, FAILS, FIRES, NEVER, REFUSALS, event_rows, firing, outcomes
from costmodel.kvm.setup import BACKINGS, CHOICES, MEMPOLICIES, VMMS, defaults, setup

RELEASES = ((5, 15, 70), (6, 12, 61), (6, 18, 9), (6, 19, 0), (7, 3, 0))
HVA = [entry for entry in TRIGGERS.values() if entry.by_hva]
CAUSED = [entry for entry in TRIGGERS.values() if entry.causes]


def every_setup(guest_id):
    for vmm, pinned, backing, policy, mergeable in itertools.product(
        VMMS, (True, False), BACKINGS, MEMPOLICIES, (True, False)
    ):
        try:
            yield setup(guest_id, vmm, pinned=pinned, backing=backing, mempolicy=policy, mergeable=mergeable)
        except BadInput:
            continue


def test_the_rules_reproduce_the_table_and_the_table_says_something_of_every_case():
    said = 0
    for guest_id, entry in itertools.product(GUESTS, CAUSED):
        for where, release in itertools.product(every_setup(guest_id), RELEASES):
            for found in outcomes(entry, GUESTS[guest_id], where, release):
                rows = [
                    row
                    for row in event_rows()
                    if (row.trigger, row.cause) == (entry.id, found.cause.id)
                    and row.covers(GUESTS[guest_id], where)
                    and row.lasts(release)
                ]
                place = (guest_id, entry.id, found.cause.id, where, release)
                assert len(rows) == 1, (place, rows)
                assert (rows[0].fires, rows[0].page_leaves) == (found.fires, found.page_leaves), (place, rows[0])
                assert (found.why == "") == (found.fires == FIRES)
                said += 1
    assert said > 10_000


def test_every_row_of_the_table_is_about_some_setup_and_release():
    cases = [(g, s) for g in GUESTS.values() for s in every_setup(g.id)]
    for row in event_rows():
        assert any(row.covers(*case) for case in cases) and any(row.lasts(release) for release in RELEASES), row


@pytest.mark.parametrize("every", [12, pytest.param(1, marks=pytest.mark.nightly)])
def test_a_row_that_says_otherwise_would_be_seen(monkeypatch, every):
    turned = {FIRES: NEVER, FAILS: FIRES, NEVER: FIRES}
    rows = event_rows()
    for at, row in list(enumerate(rows))[::every]:
        other = events.EventRow(**{**vars(row), "fires": turned[row.fires]})
        with monkeypatch.context() as patch:
            patch.setattr(f"{__name__}.event_rows", lambda at=at, other=other: (*rows[:at], other, *rows[at + 1 :]))
            with pytest.raises(AssertionError):
                test_the_rules_reproduce_the_table_and_the_table_says_something_of_every_case()


def test_every_hva_trigger_has_causes_and_every_condition_is_known():
    for entry in HVA:
        assert entry.causes
    for entry in TRIGGERS.values():
        for cause in entry.causes:
            assert set(cause.before) | set(cause.after) <= set(CONDITIONS)
    used = {name for entry in TRIGGERS.values() for cause in entry.causes for name in (*cause.before, *cause.after)}
    assert used == set(CONDITIONS)
    assert set(REFUSALS) == {"mergeable_under_qemu", *CONDITIONS}
    assert all(one.refusal and one.source for one in REFUSALS.values())


def test_rules_name_no_guest_and_no_trigger():
    from pathlib import Path

    text = Path(events.__file__).read_text()
    assert not [name for name in (*TRIGGERS, *GUESTS) if f'"{name}"' in text]


@pytest.mark.parametrize("id", ["ksm_write_protect", "ksm_replace_page"])
def test_ksm_cannot_reach_a_sev_guest_under_qemu_and_the_reason_says_who_prevents_it(id):
    found = firing(TRIGGERS[id], GUESTS["sev"], setup("sev"), (7, 3, 0))
    assert not found.fires and "QEMU switches mem-merge off" in found.why


def test_a_mergeable_pinned_guest_gets_the_first_notifier_of_a_merge_that_then_fails():
    where = setup("sev", mergeable=True, backing="anon")
    first, second = (
        outcomes(TRIGGERS[id], GUESTS["sev"], where, (7, 3, 0))[0] for id in ("ksm_write_protect", "ksm_replace_page")
    )
    assert (first.fires, second.fires) == (FAILS, NEVER)
    huge = outcomes(
        TRIGGERS["ksm_write_protect"], GUESTS["sev"], setup("sev", mergeable=True, backing="thp"), (7, 3, 0)
    )[0]
    assert huge.fires == NEVER, "ksmd splits first, and a pinned page refuses"


def test_only_from_v6_19_on_does_a_scan_of_pinned_huge_pages_go_on():
    scan, sev = TRIGGERS["autonuma_prot_none_scan"], GUESTS["sev"]
    assert not firing(scan, sev, setup("sev"), (6, 18, 5)).again
    assert firing(scan, sev, setup("sev"), (6, 19, 0)).again
    assert not firing(scan, sev, setup("sev", pinned=False), (6, 19, 0)).again


@pytest.mark.parametrize("policy", ["bind", "interleave", "preferred-many"])
def test_the_scanner_skips_what_has_no_mof_policy(policy):
    found = firing(TRIGGERS["autonuma_prot_none_scan"], GUESTS["sev"], setup("sev", mempolicy=policy), (7, 3, 0))
    assert not found.fires and policy in found.why


def test_what_was_never_registered_cannot_be_unregistered():
    """QEMU registers no memory of an SNP guest with guest_memfd, and all of an SEV guest."""
    found = firing(TRIGGERS["unreg_region"], GUESTS["sev-snp-gmem"], setup("sev-snp-gmem"), (6, 12, 0))
    assert not found.fires and "registered" in found.why
    assert firing(TRIGGERS["unreg_region"], GUESTS["sev"], setup("sev"), (6, 12, 0)).fires


def test_triggers_without_a_cause_always_can_happen():
    for guest_id in GUESTS:
        for entry in triggers_of(guest_id):
            if not entry.causes:
                assert firing(entry, GUESTS[guest_id], setup(guest_id), (7, 3, 0)).fires


def test_defaults_are_sourced_or_called_assumed():
    assert setup("sev").values == {
        "vmm": "qemu",
        "pinned": True,
        "backing": "thp",
        "mempolicy": "default",
        "mergeable": False,
    }
    assert setup("sev").assumed == ("mempolicy",)
    assert set(setup("sev", "other").assumed) == {"pinned", "backing", "mempolicy", "mergeable"}
    assert setup("sev", "other", pinned=True).assumed == ("backing", "mempolicy", "mergeable")
    assert setup("plain").mergeable and not setup("plain", "cloud-hypervisor").mergeable
    for _, _, name in defaults():
        assert name in CHOICES


@pytest.mark.parametrize(
    ("guest_id", "given", "says"),
    [
        ("sev", {"backing": "guest_memfd"}, "no guest_memfd"),
        ("tdx", {"backing": "hugetlb"}, "guest_memfd only"),
        ("plain", {"backing": "hugetlb", "mergeable": True}, "anonymous memory only"),
        ("plain", {"backing": "memfd", "mergeable": True}, "anonymous memory only"),
        ("plain", {"backing": "floppy"}, "not one of anon"),
        ("plain", {"vmm": "crosvm"}, "not one of qemu"),
        ("plain", {"pinned": "yes"}, "neither true nor false"),
    ],
)
def test_a_setup_that_cannot_exist_is_refused_with_the_way_out(guest_id, given, says):
    with pytest.raises(BadInput, match=says) as refused:
        setup(guest_id, given.pop("vmm", None), **given)
    assert refused.value.remedy


def test_hugetlb_alone_takes_the_merging_default_back():
    assert not setup("plain", backing="hugetlb").mergeable


def test_words_of_a_setup_give_it_again():
    assert setup("sev").words("sev") == []
    words = setup("sev", "other", pinned=False, backing="memfd", mempolicy="bind").words("sev")
    assert words == ["--vmm", "other", "--not-pinned", "--backing", "memfd", "--mempolicy", "bind"]
