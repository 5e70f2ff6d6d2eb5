"""Guest types and the properties that decide about their cache flushes."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.errors import known_id

PROPERTIES = {
    "encrypted": "memory is encrypted with a key of the guest",
    "asid_keyed": "the ASID selects the key (AMD SEV family)",
    "keyid_keyed": "a KeyID in the physical address selects the key (Intel TDX)",
    "private_memory_vma_backed": "private memory lies in user VMAs, so an hva event can reach it",
    "guest_memfd": "private memory comes from guest_memfd only",
    "rmp_enforced": "the reverse map table checks who owns a page",
    "vmsa": "register state of a vCPU lies in an encrypted page",
    "upstream": "mainline KVM runs this guest type",
}


@dataclass(frozen=True)
class Guest:
    """A guest type. `requires` names the machine features without which it cannot run; `vendor` is amd, intel or None;
    `successor` is the guest type that mainline has in its place.
    """

    id: str
    title: str
    vendor: str | None
    properties: frozenset[str]
    requires: tuple[str, ...]
    note: str
    successor: str = ""

    def has(self, name: str) -> bool:
        """Whether the guest type has the property `name` of PROPERTIES."""
        return name in self.properties


def _guest(
    id: str, title: str, vendor: str | None, properties: str, requires: tuple[str, ...], note: str, successor: str = ""
) -> Guest:
    return Guest(id, title, vendor, frozenset(properties.split()), requires, note, successor)


GUESTS = {
    guest.id: guest
    for guest in (
        _guest("plain", "plain VM", None, "upstream", (), "memory is not encrypted; caches stay coherent"),
        _guest(
            "sev",
            "AMD SEV",
            "amd",
            "encrypted asid_keyed private_memory_vma_backed upstream",
            ("sev",),
            "KVM cannot prevent the guest from using any VMA-backed page as encrypted",
        ),
        _guest(
            "sev-es",
            "AMD SEV-ES",
            "amd",
            "encrypted asid_keyed private_memory_vma_backed vmsa upstream",
            ("sev_es",),
            "as SEV, and the register state of each vCPU lies in an encrypted page (VMSA)",
        ),
        _guest(
            "sev-snp",
            "AMD SEV-SNP without guest_memfd",
            "amd",
            "encrypted asid_keyed private_memory_vma_backed rmp_enforced vmsa",
            ("sev_snp",),
            "never in mainline: KVM requires guest_memfd for SNP; hosts of the 2023 thread ran it out of tree",
            successor="sev-snp-gmem",
        ),
        _guest(
            "sev-snp-gmem",
            "AMD SEV-SNP with guest_memfd",
            "amd",
            "encrypted asid_keyed guest_memfd rmp_enforced vmsa upstream",
            ("sev_snp",),
            "since v6.11; hva events reach shared memory only",
        ),
        _guest(
            "tdx",
            "Intel TDX",
            "intel",
            "encrypted keyid_keyed guest_memfd upstream",
            ("tdx",),
            "since v6.16; the TDX module owns private pages and their write-back",
        ),
    )
}


def guest(id: str) -> Guest:
    """The guest type `id`, in any case. Raises UnknownName."""
    return GUESTS[known_id("guest type", id, GUESTS)]
