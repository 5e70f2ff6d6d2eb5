"""Do the contention formulas say what a simulation of the kernel's behaviour shows?

A formula agrees with the simulation of a setting if the whole 95 % interval of the relative difference lies within 5 %
either way (two one-sided tests at 2.5 %). Simulated values stand in data/validation/, by the hash of the setting; the formulas
are evaluated anew each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass

from costmodel.cache import key_of, recall
from costmodel.evidence import paths
from costmodel.hashing import value_hash
from costmodel.simulation import address, cache, mask, numa, response, run, whole
from costmodel.simulation.invalidations import Invalidations
from costmodel.simulation.measure import Estimate
from costmodel.validation import simulated_data
from costmodel.validation.simulated_data import Simulated
from costmodel.validation.simulated_design import Case
from costmodel.validation.simulated_formulas import predicted
from costmodel.validation.simulated_grid import grid

EQUIVALENCE = 0.05
"""Largest relative difference that counts as agreement."""
WIDEST = 0.02
"""Largest relative half-width of a simulated value that can decide."""
ENTROPY = 20230818
WORKERS = 2
_SAMPLED = {
    address.UserAddress: address.simulate,
    cache.DirtyCache: cache.simulate,
    mask.Migrations: mask.simulate,
    mask.RandomMask: mask.simulate,
    numa.NumaScan: numa.simulate,
    response.Broadcast: response.simulate,
    whole.WholeCache: whole.simulate,
}


@dataclass(frozen=True)
class Result:
    """One output of one setting: the simulated value with its 95 % interval, and the formula's.

    `output` is the id of the formula; values are in its unit. `limit` is the stated limit of validity beyond which the
    setting lies, empty inside.
    """

    setting: str
    family: str
    output: str
    low: float
    simulated: float
    high: float
    formula: float
    limit: str

    @property
    def half_width(self) -> float:
        """Relative half-width of the simulated value."""
        return (self.high - self.low) / 2 / self.simulated

    @property
    def difference(self) -> float:
        """Relative difference of the formula from the simulated value."""
        return self.formula / self.simulated - 1

    @property
    def agrees(self) -> bool:
        """Whether the two are equivalent: precise enough, and the whole interval of the difference within 5 %."""
        if not (self.low > 0 and self.half_width <= WIDEST):
            return False
        return self.formula / self.high - 1 >= -EQUIVALENCE and self.formula / self.low - 1 <= EQUIVALENCE


def results(cases: Iterable[Case] | None = None, progress: Callable[[], None] = lambda: None) -> list[Result]:
    """All outputs of all settings of the grid (or of `cases`); `progress` is called once per setting simulated.

    Raises SimulationUnavailable where SimPy is missing.
    """
    cases = grid() if cases is None else tuple(cases)
    known = simulated(cases, progress)
    return [
        Result(
            setting=case.id,
            family=case.family,
            output=output,
            low=estimate.value - estimate.half_width,
            simulated=estimate.value,
            high=estimate.value + estimate.half_width,
            formula=formula,
            limit=case.limits.get(output, ""),
        )
        for case in cases
        for output, formula in predicted(case).items()
        for estimate in [known[case.id][case.outputs[output]]]
    ]


def simulated(cases: tuple[Case, ...], progress: Callable[[], None] = lambda: None) -> Simulated:
    """Simulated outputs by setting: from data/, and of settings that are not there from the cache or two CPUs."""
    stored = simulated_data.read(paths.data_dir())
    found = {case.id: stored.get((case.id, simulated_data.asked(case, ENTROPY))) for case in cases}
    new = tuple(case for case in cases if found[case.id] is None)
    return found | (simulate_all(new, progress) if new else {})


def simulate_all(cases: tuple[Case, ...], progress: Callable[[], None]) -> Simulated:
    """Simulated outputs by setting, from the cache or computed on two CPUs."""
    settings = [simulated_data.asked(case, ENTROPY) for case in cases]
    key = key_of(settings, ["simulation"])
    stored = json.loads(recall("simulated", key, lambda: json.dumps(_run_all(cases, progress)).encode()))
    return {name: {out: Estimate(*pair) for out, pair in found.items()} for name, found in stored.items()}


def _run_all(cases: tuple[Case, ...], progress: Callable[[], None]) -> Simulated:
    found: Simulated = {}
    # Long runs first: they would keep one worker busy at the end.
    order = sorted(cases, key=lambda case: not isinstance(case.setting, Invalidations))
    with ProcessPoolExecutor(min(WORKERS, os.cpu_count() or 1)) as pool:
        for future in as_completed([pool.submit(simulate, case) for case in order]):
            name, values = future.result()
            found[name] = values
            progress()
    return found


def simulate(case: Case) -> tuple[str, dict[str, Estimate]]:
    """The case's id and its simulated outputs; the seed depends on the id alone."""
    seed = int(value_hash([ENTROPY, case.id]), 16)
    if isinstance(case.setting, Invalidations):
        return case.id, run.simulate(case.setting, tuple(case.outputs.values()), seed)
    return case.id, _SAMPLED[type(case.setting)](case.setting, seed)
