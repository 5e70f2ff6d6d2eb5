"""All formulas by id. Importing this imports sympy; the compiled forms do not."""

from __future__ import annotations

from costmodel.errors import known_id
from costmodel.formulas import (
    address_source,
    broadcast,
    coalescing,
    composed,
    dirty,
    event_rates,
    gmem_release,
    line_shape,
    line_time,
    mmu_lock,
    occupancy,
    presence,
    range_flush,
    refill,
    stolen,
    tenants,
    whole_cache,
    window,
)
from costmodel.formulas.formula import Formula

FORMULAS: dict[str, Formula] = {
    formula.id: formula
    for module in (
        range_flush,
        line_time,
        line_shape,
        whole_cache,
        broadcast,
        occupancy,
        presence,
        refill,
        window,
        mmu_lock,
        address_source,
        coalescing,
        event_rates,
        dirty,
        gmem_release,
        stolen,
        composed,
        tenants,
    )
    for formula in module.FORMULAS
}


def formula(name: str) -> Formula:
    """The formula called `name`, in any case; raises UnknownName."""
    return FORMULAS[known_id("formula", name, FORMULAS)]
