"""Settings of the grid about the whole cache: one domain that its cores walk, flushes in line, answers that take as long.

Each family tests the formulas that it names. What simulation and formula share are the numbers of the setting: the times
per line, the shares of lines and the number of cores; which exponent a way to walk means (one after the other s = 1, at
once s = 0; WBNOINVD one after the other r = 1) is in costmodel/validation/simulated_formulas.py. Domains are a few
hundred lines instead of half a million, so that a setting takes a second: all terms are linear in them.
"""

from __future__ import annotations

from collections.abc import Iterator

from costmodel.simulation.response import Broadcast
from costmodel.simulation.whole import AT_ONCE, IN_TURN, SHARES, WholeCache
from costmodel.validation.simulated_design import Case, points

LINE_S = 1e-9
SHARED = "valid lines are walked by one core: cores that walk at once share them, which takes less (upper bound)"
OVERLAP = "walk and write-back add up: cores that walk at once write while others walk (upper bound)"
DIVIDED = "0 <= s: cores that walk a share of the lines each take less (upper bound)"
FOUND_EMPTY = (
    "each flush costs alike: one in line behind another finds what that left (upper bound of time, lower of number)"
)
HELD = "cores are held until their domain is done: those that walk first go on before (upper bound)"


def walks() -> Iterator[Case]:
    """domain_flush: cores of a domain that walk it one after the other, or at once where nothing is valid, or where
    WBNOINVD leaves what is clean valid for each.
    """
    for index, (cores, valid, dirty, valid_s, write_s) in enumerate(
        points(41, 12, (1, 8.99), (0.0, 1.0), (0.0, 0.6), (0.3, 3.0), (0.3, 3.0))
    ):
        walk, invalidates = (IN_TURN, index % 3 > 0) if index % 4 else (AT_ONCE, index % 8 == 0)
        if walk == AT_ONCE:
            valid, dirty = (0.0 if invalidates else valid), 0.0
        setting = WholeCache(
            int(cores), 400, valid, dirty, LINE_S, valid_s * LINE_S, write_s * LINE_S, walk, invalidates=invalidates
        )
        yield Case(f"walk-{index:02d}", "whole", setting, {"domain_flush": "flush_s"})


def in_line() -> Iterator[Case]:
    """Flushes that several CPUs ask of the whole host at once, of caches that hold nothing: each takes its whole time."""
    for index, (cores, initiators, share) in enumerate(points(42, 6, (1, 8.99), (2, 8.99), (0.5, 0.95))):
        walk = (IN_TURN, AT_ONCE)[index % 2]
        flush_s = 200 * LINE_S * (int(cores) if walk == IN_TURN else 1)
        setting = WholeCache(
            int(cores),
            200,
            0.0,
            0.0,
            LINE_S,
            LINE_S,
            LINE_S,
            walk,
            initiators=int(initiators),
            limit_s=share * int(initiators) * flush_s,
        )
        outputs = {"initiators_at_limit": "initiators_in_line"}
        if walk == AT_ONCE:
            outputs["stolen_whole_cache"] = "stolen_s"
        yield Case(f"in-line-{index:02d}", "whole", setting, outputs)


def answers() -> Iterator[Case]:
    """slowest_response and its quantile at the length of a whole-cache flush: each CPU takes a random time of that mean."""
    outputs = {"slowest_response": "slowest_s", "slowest_response_quantile": "slowest_quantile_s"}
    for index, cpus in enumerate((16, 64, 128, 256)):
        setting = Broadcast(cpus, delay_s=1e-3 * (1 + 3 * index), share=0.1)
        yield Case(f"answers-{index:02d}", "broadcast", setting, outputs, share=0.1)


def whole_edges() -> Iterator[Case]:
    """Beyond what domain_flush, stolen_whole_cache and initiators_at_limit state."""

    def one(name: str, outputs: dict[str, str], limit: str, *numbers: object, **more: object) -> Case:
        cores, valid, dirty, walk = numbers
        setting = WholeCache(cores, 400, valid, dirty, LINE_S, LINE_S, LINE_S, walk, **more)
        return Case(f"edge-whole-{name}", "whole", setting, outputs, limits=dict.fromkeys(outputs, limit))

    domain = {"domain_flush": "flush_s"}
    yield one("shared", domain, SHARED, 8, 0.8, 0.0, AT_ONCE)
    yield one("overlap", domain, OVERLAP, 8, 0.8, 0.5, AT_ONCE)
    yield one("divided", domain, DIVIDED, 8, 0.8, 0.0, SHARES)
    yield one("held", {"stolen_whole_cache": "stolen_s"}, HELD, 8, 0.5, 0.1, IN_TURN)
    line = {"initiators_at_limit": "initiators_in_line"}
    found_empty = {"initiators": 6, "limit_s": 1.2e-6}
    yield one("found-empty", line, FOUND_EMPTY, 1, 0.8, 0.3, IN_TURN, **found_empty)
    yield one("found-clean", line, FOUND_EMPTY, 1, 0.8, 0.3, IN_TURN, invalidates=False, **found_empty)
    yield one("stolen-in-line", {"stolen_whole_cache": "stolen_s"}, FOUND_EMPTY, 4, 0.8, 0.3, AT_ONCE, initiators=6)
