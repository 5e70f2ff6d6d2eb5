"""Cost of one event as a single expression, composed of the registered terms, so that its slope is exact.

Nothing is written anew here: each expression is another formula's with its intermediate times substituted. The lines of
a range stay a symbol, because a rounded number has no slope.
"""

from __future__ import annotations

from costmodel.formulas.broadcast import BROADCAST
from costmodel.formulas.formula import Formula, Quantity, symbol
from costmodel.formulas.gmem_release import PAGE_CHAIN
from costmodel.formulas.range_flush import RANGE_FLUSH
from costmodel.formulas.stolen import STOLEN_RANGE, STOLEN_WHOLE
from costmodel.formulas.whole_cache import DOMAIN_FLUSH, EVENT_FLUSH


def _symbols(*parts: Formula, without: set[str], more: dict[str, Quantity]) -> dict[str, Quantity]:
    merged = {name: quantity for part in parts for name, quantity in part.symbols.items() if name not in without}
    return merged | more


_flush = EVENT_FLUSH.expression.subs(symbol("domain_flush_s"), DOMAIN_FLUSH.expression)
_round = BROADCAST.expression.subs(symbol("target_cpus"), symbol("cpus_stopped") - 1)
_cached = symbol("domains_per_socket") * (
    symbol("llc_bytes_per_domain") + symbol("cores_flushing") * symbol("l2_bytes_per_core")
)
_valid = symbol("valid_fraction")
_written = _valid * symbol("dirty_fraction") * _cached
_evicted = symbol("invalidates") * symbol("sockets") * _valid * _cached

WHOLE_CACHE_EVENT = Formula(
    id="whole_cache_event",
    title="CPU time taken by one whole-cache flush, from the cost parameters",
    expression=STOLEN_WHOLE.expression.subs(
        {
            symbol("flush_s"): _flush,
            symbol("broadcast_s"): _round,
            symbol("written_bytes_per_socket"): _written,
            symbol("evicted_bytes"): _evicted,
        }
    ),
    unit="second",
    symbols=_symbols(
        STOLEN_WHOLE,
        DOMAIN_FLUSH,
        EVENT_FLUSH,
        BROADCAST,
        without={
            "flush_s",
            "broadcast_s",
            "domain_flush_s",
            "target_cpus",
            "written_bytes_per_socket",
            "evicted_bytes",
        },
        more={
            "sockets": Quantity("dimensionless", "sockets on which a CPU flushes"),
            "invalidates": Quantity("dimensionless", "1 for WBINVD, 0 for WBNOINVD"),
        },
    ),
    source="stolen_whole_cache of whole_cache_flush of domain_flush, and of broadcast to all but the initiator",
    validity="as its parts",
)
_range = RANGE_FLUSH.expression
_range_stolen = STOLEN_RANGE.expression.subs(
    {
        symbol("time_s"): _range,
        symbol("evicted_bytes"): symbol("present_fraction") * symbol("lines") * symbol("line_bytes"),
    }
)
_REFILL = {name: STOLEN_RANGE.symbols[name] for name in ("reused_fraction", "cpu_read_bytes_per_s")}
_RANGE = RANGE_FLUSH.symbols | _REFILL
_PAGES = {"pages": PAGE_CHAIN.symbols["pages"]}
RANGE_EVENT = Formula(
    id="range_event",
    title="CPU time taken by one range flush, from the cost parameters",
    expression=_range_stolen,
    unit="second",
    symbols=_RANGE,
    source="stolen_range of range_flush of range_lines",
    validity="as range_flush; lines from range_lines",
)
PAGED_EVENT = Formula(
    id="paged_event",
    title="CPU time taken by a range flush page by page, from the cost parameters",
    expression=PAGE_CHAIN.expression.subs(symbol("page_operation_s"), _range_stolen),
    unit="second",
    symbols=_RANGE | _PAGES,
    source="page_chain of stolen_range of range_flush over the lines of one page",
    validity="as page_chain and range_flush",
)
FORMULAS = (WHOLE_CACHE_EVENT, RANGE_EVENT, PAGED_EVENT)
