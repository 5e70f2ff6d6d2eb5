"""All formulas by id. Importing this imports sympy; the compiled forms do not."""

from __future__ import annotations

from costmodel.errors import UnknownName
from costmodel.formulas import (
    broadcast,
    event_rates,
    gmem_release,
    line_shape,
    line_time,
    mmu_lock,
    range_flush,
    refill,
    stolen,
    whole_cache,
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
        refill,
        mmu_lock,
        event_rates,
        gmem_release,
        stolen,
    )
    for formula in module.FORMULAS
}


def formula(name: str) -> Formula:
    """The formula called `name`; raises UnknownName."""
    if name not in FORMULAS:
        raise UnknownName("formula", name, FORMULAS)
    return FORMULAS[name]
