"""Which parameters move the headline cost: Sobol indices and elasticities of its logarithm."""

from __future__ import annotations

import json

import numpy

from costmodel import cache
from costmodel.calibration.parameters import ROUND, WALK
from costmodel.cost import event
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.event import Term, cpus_flushed, folios, invalidates, leaves_rmp, piece_bytes
from costmodel.cost.scenario import Scenario
from costmodel.cost.total import total
from costmodel.decision.result import Sensitivity
from costmodel.formulas.compiled import slope, value
from costmodel.kvm.catalog import STRATEGIES, Strategy

SAMPLES = 512
SHOWN = 6
SOURCES = ("evidence", "kvm", "formulas", "calibration", "cost", "decision")
"""Subpackages that the indices follow from."""


def sensitivities(case: Case, strategy: str) -> list[Sensitivity]:
    """Indices for the CPU time that one event steals, largest total index first; empty where it costs nothing.

    They are kept in the user's cache: scipy's estimate takes as long as the rest of a recommendation.
    """

    def as_json() -> bytes:
        found = _sensitivities(case, strategy)
        return json.dumps([entry.model_dump() for entry in found]).encode()

    key = cache.key_of([strategy, case.trigger, repr(case.scenario), case.parameters.model_dump()], SOURCES)
    return [Sensitivity.model_validate(entry) for entry in json.loads(cache.recall("sensitivities", key, as_json))]


def _sensitivities(case: Case, strategy: str) -> list[Sensitivity]:
    middle = medians(case.parameters)
    base = total(case.over(middle), strategy)
    if base.refused or float(base.priced.stolen_s[0]) == 0:
        return []
    names = [n for n in base.parameters if case.parameters[n].distribution.shape != "fixed"]
    slopes = elasticities(case, strategy)
    first, whole = _sobol(case, strategy, names)
    found = [
        Sensitivity(
            parameter=name,
            description=case.parameters[name].description,
            sobol_first=_index(first[i]),
            sobol_total=_index(whole[i]),
            elasticity=round(slopes.get(name, 0.0), 3),
            prior=case.parameters[name].rule,
        )
        for i, name in enumerate(names)
    ]
    return sorted(found, key=lambda s: (-s.sobol_total, s.parameter))[:SHOWN]


def _index(value: float) -> float:
    """Sampling noise can push an index a little outside [0, 1]."""
    return round(min(1.0, max(0.0, float(value))), 3)


def _sobol(case: Case, strategy: str, names: list[str]) -> tuple[numpy.ndarray, numpy.ndarray]:
    from scipy.stats import sobol_indices, uniform

    def log_cost(u: numpy.ndarray) -> numpy.ndarray:
        n = u.shape[1]
        values = {name: numpy.full(n, p.distribution.median) for name, p in case.parameters.parameters.items()}
        values |= {
            name: case.parameters[name].distribution.quantile(numpy.clip(row, 1e-9, 1 - 1e-9))
            for name, row in zip(names, u, strict=True)
        }
        cost = total(case.over(Draws(case.parameters, n, fixed=values)), strategy)
        return numpy.asarray(numpy.log(numpy.broadcast_to(cost.priced.stolen_s, (n,))))

    result = sobol_indices(
        func=log_cost, n=SAMPLES, dists=[uniform()] * len(names), random_state=numpy.random.default_rng(7)
    )
    return result.first_order, result.total_order


# Elasticities of an event's CPU time in the cost parameters, from the derivatives of the symbolic expression.

DOMAIN = "domain_writeback_bytes_per_s"


def elasticities(case: Case, strategy: str) -> dict[str, float]:
    """Percent of CPU time per percent of each parameter, at the medians; empty for a strategy that flushes nothing.

    Raises MissingNumber where a parameter has no number.
    """
    entry = STRATEGIES[strategy]
    at = medians(case.parameters).tracking()
    if not (entry.whole_cache or entry.instruction == "clflushopt"):
        return {}
    parts = [
        (weight * times, formula, arguments, present)
        for size, weight in case.scenario.ranges(case.trigger)
        for times, formula, arguments, present in _parts(entry, case.trigger, case.scenario, at, size)
    ]
    cost = sum(weight * float(value(formula, **arguments)[0]) for weight, formula, arguments, _ in parts)
    found = {}
    for name in sorted(at.used):
        change = sum(
            weight * _slope(name, formula, arguments, present) for weight, formula, arguments, present in parts
        )
        found[name] = change * float(at[name][0]) / cost
    return found


def _slope(name: str, formula: str, arguments: dict[str, object], present: Term | None) -> float:
    """d CPU time / d parameter; the position of the present share acts through that share, and a socket's bandwidth is
    that of its only domain too.
    """
    if name in arguments:
        only = name == "writeback_bytes_per_s" and arguments.get(DOMAIN) is arguments[name]
        return sum(float(slope(formula, one, **arguments)[0]) for one in ((name, DOMAIN) if only else (name,)))
    if name == "presence_position" and present is not None:
        inner = float(slope(present["formula"], name, **present["arguments"])[0])
        return inner * float(slope(formula, "present_fraction", **arguments)[0])
    return 0.0


def _parts(
    strategy: Strategy, trigger: str, scenario: Scenario, at: Draws, size: float
) -> list[tuple[float, str, dict[str, object], Term | None]]:
    """What one event of `size` bytes is made of: how often, formula, arguments, and where its present share is from."""
    found: list[tuple[float, str, dict[str, object], Term | None]] = []
    if strategy.whole_cache:
        found.append((1.0, "whole_cache_event", _whole(strategy, scenario, at), None))
        if (calls := float(folios(trigger, scenario, size))) > 1:
            cpus = cpus_flushed(strategy, scenario)
            drops = invalidates(strategy, scenario)
            first = event.whole_cache(at, scenario.machine, cpus, invalidates=drops, packed=scenario.packed)
            again = event.at_rate(at, scenario.machine, 1.0 / first.time_s)
            found.append((calls - 1, "whole_cache_event", _whole(strategy, scenario, again), None))
    else:
        found.append((1.0, *_range(strategy, trigger, scenario, at, size)))
    if leaves_rmp(trigger, scenario):
        entries = event.pieces(size, scenario.folio_bytes)
        updates = {"pages": entries, "rmpupdate_s": at["rmpupdate_s"], "page_flush_s": 0.0}
        found.append((1.0, "gmem_release", updates, None))
    return found


def _whole(strategy: Strategy, scenario: Scenario, at: Draws) -> dict[str, object]:
    machine, cpus = scenario.machine, cpus_flushed(strategy, scenario)
    spread = event.Spread.of(machine, cpus, packed=scenario.packed)
    shares = ("valid_fraction", "dirty_fraction", "reused_fraction", "memory_bound_fraction")
    rates = ("writeback_bytes_per_s", "cpu_read_bytes_per_s", *ROUND)
    return {
        "cpus_stopped": cpus,
        "cpus_outside": event.cpus_outside(machine, spread, cpus),
        "llc_bytes_per_domain": machine.llc_bytes_per_domain,
        "l2_bytes_per_core": machine.l2_bytes_per_core,
        "line_bytes": machine.line_bytes,
        "cores_flushing": spread.cores_per_domain,
        "both_siblings": spread.both_siblings,
        "domains_per_socket": spread.domains_per_socket,
        "sockets": spread.sockets,
        "invalidates": float(invalidates(strategy, scenario)),
        DOMAIN: event.domain_writeback(at, machine),
        **{name: at[name] for name in (*WALK, *shares, *rates)},
    }


def _range(
    strategy: Strategy, trigger: str, scenario: Scenario, at: Draws, range_bytes: float
) -> tuple[str, dict[str, object], Term | None]:
    """Formula, its arguments, and how the present share follows from its position (None where it is given)."""
    machine, load = scenario.machine, scenario.shape(trigger)
    residency = load.residency if load else "unknown"
    present = event.present_arguments(at, machine, scenario.resident_bytes, residency, range_bytes)
    piece = piece_bytes(strategy, scenario)
    names = (
        "range_start_s",
        "line_dirty_s",
        "line_clean_s",
        "line_absent_s",
        "remote_factor",
        "dirty_fraction",
        "writeback_bytes_per_s",
        "reused_fraction",
        "cpu_read_bytes_per_s",
    )
    arguments: dict[str, object] = {
        "lines": value(
            "range_lines", range_bytes=piece or range_bytes, offset_bytes=0.0, line_bytes=machine.line_bytes
        ),
        "line_bytes": machine.line_bytes,
        "present_fraction": event.present_fraction(at, machine, scenario.resident_bytes, residency, range_bytes),
        **{name: at[name] for name in names},
    }
    if piece is None:
        return "range_event", arguments, present
    return "paged_event", {**arguments, "pages": event.pieces(range_bytes, piece)}, present
