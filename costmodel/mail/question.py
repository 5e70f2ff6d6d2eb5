"""What the quoted lines of a mail ask for: guest types, triggers, strategies and the length of a range, each with the
words that name it. What they do not name stays empty.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from costmodel.kvm import catalog
from costmodel.numbers import bytes_of

LONGEST_RANGE = 2.0**29
"""A longer size in a mail is that of a guest, not of what one event flushes."""
GUESTS = (
    ("sev-snp-gmem", r"\bSNP\W{0,3}guest_memfd|\bSNP guests? with guest_memfd"),
    ("sev-snp", r"\b(?:SEV[- ])?SNP\b"),
    ("sev-es", r"\bSEV[- ]ES\b"),
    ("sev", r"\bSEV\b(?![- ](?:ES|SNP)\b)"),
    ("tdx", r"\bTDX\b|\bTDs?\b|\bTDH\.[A-Z.]+"),
)
TRIGGERS = (
    ("autonuma_prot_none_scan", r"auto\W?numa|numa[ _-]balanc\w*|PROT_NONE"),
    ("numa_or_compaction_migrate", r"\bnumad\b|migrate_pages|page migration|\bcompaction\b|\bkcompactd\b"),
    ("ksm_write_protect", r"\bKSM\b|\bksmd\b|MADV_MERGEABLE"),
    ("thp_collapse", r"\bkhugepaged\b|THP collapse"),
    ("swap_reclaim", r"\bkswapd\b|\bswap(?:ped|ping|[- ]?out)\b"),
    ("munmap_or_discard", r"\bmunmap\b|MADV_DONTNEED|\bballoon(?:ing)?\b|free page reporting"),
    ("memslot_delete_or_move", r"\bmemslots? (?:deletion|removal|move)|unmapped from (?:KVM's )?memslots?"),
    ("unreg_region", r"\bUNREG_REGION\b|unregister(?:ing|ed)? (?:encrypted )?regions?"),
    ("gmem_punch_hole", r"\bpunch\W?hole|\bPAGE\.(?:REMOVE|WBINVD)\b|private pages? (?:is |are )?(?:removed|zapped)"),
    ("asid_recycle", r"\bASIDs? (?:recycl|reus)\w+|\bDF_FLUSH\b"),
)
"""Events by the words of the list. `reclaim` names none: there it is any way in which a page leaves the guest."""
TEARDOWN = re.compile(r"\b(?:VM |guest |TD )?(?:shut\W?down|teardown|destruction)\b", re.IGNORECASE)
ENDS = {"tdx": "hkid_free_vm_teardown", "sev-snp-gmem": "gmem_free_folio_teardown", "sev-snp": "vm_destroy"}
"""What the end of a guest flushes at, by guest type; that of the others is the exit of the address space."""
END_OF_OTHERS = "vm_teardown_mn_release"
STRATEGIES = (
    ("TDX_PAGE_WBINVD", r"TDH\.PHYMEM\.PAGE\.WBINVD"),
    ("TDX_CACHE_WB", r"TDH\.PHYMEM\.CACHE\.WB"),
    ("WBINVD_ALL", r"(?<!PAGE\.)\bWBINVD\b|\bwbinvd_on_all_cpus\b"),
    ("WBNOINVD_ALL", r"\bWBNOINVD\b|\bwbnoinvd_on_all_cpus\b"),
    ("CLFLUSHOPT_UVA", r"\bCLFLUSH(?:OPT)?\b|clflush_cache_range"),
)
MASKED = re.compile(r"CPUs? that (?:have )?(?:ran|run|entered)|only (?:on|the) CPUs", re.IGNORECASE)
OTHER_ADDRESS = (
    ("CLFLUSHOPT_DM_SPTE", re.compile(r"\bSPTEs?\b")),
    ("CLFLUSHOPT_DM_PINNED", re.compile(r"\bpinned\b|REG_REGION", re.IGNORECASE)),
)
"""Through which address a range flush reaches the lines, where the mail says so; else the user's."""
YES_OR_NO = re.compile(
    r"(?:^|[.!?:;,]\s+)(?:and |so |but )?(?:is|are|does|do|did|can|could|would|will|should)\b(?:[^.?!]|\.(?=\S))*\?",
    re.IGNORECASE,
)
FOR_IT = re.compile(
    r"\b(?:worth|better|faster|cheaper|quicker|less|sav(?:e|ing)|help|pay|win|benefi\w+|sense)\b", re.IGNORECASE
)
"""A question to be answered by yes or no is one that begins with its verb; it is for the flush that it asks about where
it speaks well of it.
"""
SIZE = re.compile(r"\b(\d{1,6}(?:\.\d{1,3})?\s?[KMG]i?B?)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Question:
    """Ids in the order in which the answer gives them; `yes_or_no` where the lines ask whether the flush is worth it;
    `words` are the pairs of what was read and what it was taken for.
    """

    guests: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()
    range_bytes: float | None = None
    yes_or_no: bool = False
    words: tuple[tuple[str, str], ...] = ()

    @property
    def ranged(self) -> str | None:
        """The range flush that is asked about."""
        return next((name for name in self.strategies if catalog.STRATEGIES[name].instruction == "clflushopt"), None)


def question(quoted: Sequence[str], subject: str = "") -> Question:
    """What `quoted` lines ask; the subject tells the guest type where they do not."""
    text = " ".join(line.lstrip("> ") for line in quoted)
    words: list[tuple[str, str]] = []
    guests = _named(GUESTS, text, words) or _named(GUESTS, subject, words)
    if "sev-snp-gmem" in guests:
        guests = [name for name in guests if name == "sev-snp-gmem"]
    triggers = _named(TRIGGERS, text, words, re.IGNORECASE)
    if not triggers and guests and (end := TEARDOWN.search(text)):
        triggers = [ENDS.get(guests[0], END_OF_OTHERS)]
        words.append((end[0], triggers[0]))
    strategies = _strategies(text, guests, words)
    for_it = any(FOR_IT.search(asked[0]) for asked in YES_OR_NO.finditer(text))
    return Question(tuple(guests), tuple(triggers), tuple(strategies), _range(text, words), for_it, tuple(words))


def _named(table: Iterable[tuple[str, str]], text: str, words: list[tuple[str, str]], flags: int = 0) -> list[str]:
    """Ids of `table` whose pattern `text` has, with the words noted."""
    found = []
    for name, pattern in table:
        if match := re.search(pattern, text, flags):
            found.append(name)
            words.append((match[0], name))
    return found


def _strategies(text: str, guests: Sequence[str], words: list[tuple[str, str]]) -> list[str]:
    """Flushes that the text names: on the CPUs that ran the guest, and through another address, where it says so."""
    notes: list[tuple[str, str]] = []
    found = _named(STRATEGIES, text, notes, re.IGNORECASE)
    masked = MASKED.search(text)
    shown = []
    for name in found:
        given = name
        if name == "WBNOINVD_ALL" and masked:
            given = "WBNOINVD_MASK"
        elif name == "CLFLUSHOPT_UVA" and guests[:1] == ["sev-snp-gmem"]:
            given = "CLFLUSHOPT_DM_GMEM"
        elif name == "CLFLUSHOPT_UVA":
            given = next((other for other, pattern in OTHER_ADDRESS if pattern.search(text)), name)
        shown.append(given)
        words += [(said, given) for said, meant in notes if meant == name]
    return shown


def _range(text: str, words: list[tuple[str, str]]) -> float | None:
    """The length of a range that the text names, in bytes."""
    for match in SIZE.finditer(text):
        size = bytes_of(match[1])
        if size is not None and size <= LONGEST_RANGE:
            words.append((match[0], "range"))
            return size
    return None
