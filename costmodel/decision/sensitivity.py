"""Which parameters move the headline cost: Sobol indices and elasticities of its logarithm."""

from __future__ import annotations

import json

import numpy

from costmodel import cache
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.sensitivity import elasticities
from costmodel.cost.total import total
from costmodel.decision.result import Sensitivity

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
