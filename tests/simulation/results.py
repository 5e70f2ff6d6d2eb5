"""What the simulator gives for each setting of the grid, beside what the formulas say to it.

`python -m tests.simulation.results` (`make validation-data`) simulates all of them, for some minutes, and writes
data/validation/, from which `costmodel validate` makes its rows.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, fields

from costmodel.evidence import paths, tables
from costmodel.formulas.compiled import fingerprint
from costmodel.hashing import value_hash, write_beside
from costmodel.validation.simulation import FILE, Result
from tests.certified import committed
from tests.simulation import invalidations, samples
from tests.simulation.grid import Case, grid
from tests.simulation.invalidations import Invalidations
from tests.simulation.predicted import predicted
from tests.simulation.statistics import Estimate

Simulated = dict[str, dict[str, Estimate]]
"""Estimates by setting and simulated output."""
ENTROPY = 20230818
WORKERS = 2
_SAMPLED = {
    samples.UserAddress: samples.simulate_address,
    samples.DirtyCache: samples.simulate_cache,
    samples.Migrations: samples.simulate_mask,
    samples.RandomMask: samples.simulate_mask,
    samples.NumaScan: samples.simulate_numa,
    samples.Broadcast: samples.simulate_response,
    samples.WholeCache: samples.simulate_whole,
}


def asked(case: Case) -> str:
    """Hash of what the simulator is asked: the setting, its outputs and the source of its random numbers."""
    return value_hash([case.id, type(case.setting).__name__, asdict(case.setting), case.outputs, ENTROPY])


def simulate_all(cases: tuple[Case, ...], progress: Callable[[], None]) -> Simulated:
    """Simulated outputs by setting, computed on two CPUs; `progress` is called after each."""
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
        return case.id, invalidations.simulate(case.setting, tuple(case.outputs.values()), seed)
    return case.id, _SAMPLED[type(case.setting)](case.setting, seed)


def compared(cases: Sequence[Case], known: Simulated) -> list[Result]:
    """Each simulated output beside the formula's value of today."""
    prints = {output: fingerprint(output) for output in {name for case in cases for name in case.outputs}}
    return [
        Result(
            setting=case.id,
            family=case.family,
            output=output,
            simulated=estimate.value,
            half_width=estimate.half_width,
            formula=formula,
            limit=case.limits.get(output, ""),
            asked=asked(case),
            fingerprint=prints[output],
        )
        for case in cases
        for output, formula in predicted(case).items()
        for estimate in [known[case.id][case.outputs[output]]]
    ]


def text(found: Iterable[Result]) -> str:
    """The file with all results."""
    rows = [[f"{value:.12g}" if isinstance(value, float) else value for value in vars(one).values()] for one in found]
    return tables.csv_text([field.name for field in fields(Result)], rows)


if __name__ == "__main__":
    found = simulate_all(grid(), lambda: print(".", end="", flush=True))
    write_beside(paths.data_dir() / FILE, text(compared(grid(), found)))
    committed.write(paths.data_dir())
