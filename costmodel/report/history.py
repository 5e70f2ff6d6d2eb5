"""What upstream decided, in sentences: one per release, every commit of it behind what that commit did."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.decision.result import Alternatives, Upstreamed
from costmodel.report.text import wrap


def history(result: Alternatives) -> list[str]:
    """One sentence per release that changed the flush between the rows; guest types that it treats alike together."""
    return [line for guests, steps in releases(result.upstream) for line in wrap(sentence(guests, steps))]


def releases(decisions: Sequence[Upstreamed]) -> list[tuple[list[str], list[Upstreamed]]]:
    """The decisions by guest type and release, as (guest types, decisions); equal ones of several guest types once."""
    by_release: dict[tuple[str, str], list[Upstreamed]] = {}
    for one in decisions:
        by_release.setdefault((one.guest_title, one.version), []).append(one)
    found: dict[tuple, tuple[list[str], list[Upstreamed]]] = {}
    for (guest, version), steps in by_release.items():
        key = (version, *((one.change, one.more, one.commit) for one in steps))
        found.setdefault(key, ([], steps))[0].append(guest)
    return list(found.values())


def sentence(guests: Sequence[str], steps: Sequence[Upstreamed]) -> str:
    """What one release did: `Upstream VERSION CHANGE for GUEST (COMMIT) and CHANGE (COMMIT).`"""
    first, *others = steps
    clauses = [_clause(f"{first.change} for {' and '.join(guests)}", first)]
    clauses += [_clause(one.change, one) for one in others]
    return f"Upstream {first.version} {' and '.join(clauses)}."


def _clause(text: str, one: Upstreamed) -> str:
    return f"{text} {one.more} ({one.commit})" if one.more else f"{text} ({one.commit})"
