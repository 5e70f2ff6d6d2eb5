"""Frames of a grid: what each strategy costs at every point, which is the cheapest, where two break even.

Rows are tidy: one for each point, strategy and quantity, with the columns of every frame of costs first, then one for
each axis. The last axis varies fastest.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy
import pandas

from costmodel import __version__
from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, Draws
from costmodel.cost.grid import QUANTITIES, Cost, Grid, Told, unit_of
from costmodel.cost.scenario import Scenario, not_applicable
from costmodel.decision.choice import Study
from costmodel.decision.findings import picked, study_all
from costmodel.decision.waits import compared
from costmodel.errors import INSTALL, BadInput, NotApplicable, UnknownName
from costmodel.evidence.store import Evidence, load
from costmodel.hashing import place_beside, unwritable
from costmodel.numbers import P_BOUNDS, SWEEP_DRAWS, quantity

if TYPE_CHECKING:
    import xarray

REDUCTIONS = ("cheapest", "breakeven")
ROW_BYTES = 500
"""Memory of one row of a frame while it is made, measured: the frame itself takes half of it."""
SHARE_OF_MEMORY = 0.8
LEAST_DRAWS, MOST_DRAWS = 2, 2**16
NUMBERS = ("median", "low", "high", "p_best", "cheapest", "cheapest_admissible", "share")


def study_at(evidence: Evidence, case: Scenario, trigger: str | None = None) -> Study:
    """The study of a trigger, by default that of the costliest flush. Raises NotApplicable, UnknownName or BadInput."""
    if reason := not_applicable(case):
        raise NotApplicable(reason)
    found = picked(study_all(evidence, case, parameters_of(evidence, case.machine.id)), case.guest, trigger)
    if found is None:
        raise BadInput("nothing flushes in this case", field="trigger", remedy="name one of `costmodel list triggers`")
    return found


def sweep(
    study: Study,
    axes: Mapping[str, Sequence[float]],
    strategies: Sequence[str] | None = None,
    *,
    reduce: str | None = None,
    engine: str = "numpy",
    scheduler: str | None = None,
    draws: int = SWEEP_DRAWS,
    begun: Callable[[Grid], None] | None = None,
    told: Told | None = None,
) -> pandas.DataFrame:
    """Costs of `strategies` over all combinations of `axes`, by default of those that have a number at the trigger.

    `reduce` cheapest: CPU time alone, from buckets, with `p_best`, `cheapest` and `cheapest_admissible`, by default of
    the strategies that can be used; `p_best` lies in P_BOUNDS where a prior by rule went in. `breakeven`: where the two strategies cost the same along the first axis, at each point of the others.
    `begun` is called with what will be calculated, `told` with the share that is done. The frame's `attrs` have the
    version, the hash of the data and the number of draws. Raises BadInput, UnknownName or MissingNumber.
    """
    if not axes:
        raise BadInput("no axis given", field="sweep", remedy="give one, such as range_bytes, cpus or dirty_fraction")
    if not LEAST_DRAWS <= draws <= MOST_DRAWS:
        raise BadInput(f"must lie in {LEAST_DRAWS} to {MOST_DRAWS}", field="draws", remedy="give their number")
    if reduce not in (None, *REDUCTIONS):
        raise UnknownName("reduction", str(reduce), REDUCTIONS)
    states = {c.strategy: c.verdict.state for c in study.candidates}
    if strategies is None:
        usable = [name for name in states if reduce is None or states[name] != "inadmissible"]
        strategies = [c.strategy for c in compared(study) if c.strategy in usable]
    for name in strategies:
        if name not in states:
            raise UnknownName(f"strategy at {study.trigger.id}", name, states)
    if not strategies:
        raise BadInput("no flush has a number here", field="strategies", remedy="name a strategy or another trigger")
    if reduce == "breakeven" and len(strategies) != 2:
        raise BadInput("needs two strategies", field="reduce breakeven", remedy="name the two that are compared")
    grid = Grid(Case(study.trigger.id, study.scenario, Draws(study.parameters, draws)), strategies, axes, engine)
    rows = grid.points * (len(strategies) if reduce else len(grid.costs) + len(grid.refused))
    _refuse_too_large(rows)
    own = study.chosen.strategy if study.chosen else None
    if begun is not None:
        begun(grid)
    if reduce == "breakeven":
        frame = _break_evens(study, grid, (strategies[0], strategies[1]), states, scheduler, told)
    elif reduce == "cheapest":
        frame = _cheapest(study, grid, states, own, scheduler, told)
    else:
        frame = _all_costs(study, grid, strategies, states, own, scheduler, told)
    frame.attrs = {"costmodel_version": __version__, "data_hash": load().data_hash, "draws": draws}
    return frame


def _all_costs(
    study: Study,
    grid: Grid,
    strategies: Sequence[str],
    states: Mapping[str, str],
    own: str | None,
    scheduler: str | None,
    told: Told | None,
) -> pandas.DataFrame:
    """Every quantity of each strategy; one row with the gap of those that have no number."""
    kinds: list[tuple[str, str, Cost | None]] = []
    for name in strategies:
        kinds += [(name, cost.quantity, cost) for cost in grid.costs if cost.strategy == name]
        kinds += [(name, "cpu_time", None)] if name in grid.refused else []
    found = numpy.full((grid.points, len(kinds), 3), numpy.nan)
    known: dict[int, numpy.ndarray] = {}  # strategies that do the same share their costs
    ends = {cost.end for _, _, cost in kinds if cost is not None}
    for k, (_, _, cost) in enumerate(kinds):
        if cost is not None:
            if cost.end not in known:
                part = None if told is None else _part_of(told, len(known), len(ends))
                known[cost.end] = grid.intervals(cost, scheduler, part)
            found[:, k] = known[cost.end]
    names, quantities = [kind[0] for kind in kinds], [kind[1] for kind in kinds]
    frame = _frame(study, grid, names, quantities, found, states)
    frame["chosen"] = numpy.tile([name == own for name in names], grid.points)
    frame["refused"] = numpy.tile(numpy.array([grid.refused.get(name) for name in names], object), grid.points)
    return pandas.DataFrame(frame)


def _part_of(told: Told, part: int, parts: int) -> Told:
    """Tells of one part of several what it makes of the whole."""
    return lambda share: told((part + share) / parts)


def _cheapest(
    study: Study,
    grid: Grid,
    states: Mapping[str, str],
    own: str | None,
    scheduler: str | None,
    told: Told | None,
) -> pandas.DataFrame:
    """CPU time of each strategy that has a number, how often it is the cheapest, and whether its median is the least: of
    all, whatever their state, and of those that are admissible.
    """
    costs = [cost for cost in grid.costs if cost.quantity == "cpu_time"]
    if not costs:
        raise BadInput("no strategy has a number here", field="strategies", remedy=next(iter(grid.refused.values())))
    counted, names = grid.counted(costs, scheduler, told), [cost.strategy for cost in costs]
    frame = _frame(study, grid, names, ["cpu_time"] * len(names), counted.quantiles, states)
    ends = P_BOUNDS if grid.extrapolated & set(names) else (0.0, 1.0)
    frame["p_best"] = counted.shares.clip(*ends).reshape(-1)
    frame["cheapest"] = (counted.least[:, None] == numpy.arange(len(names))).reshape(-1)
    safe = numpy.array([k for k, name in enumerate(names) if states[name] == "admissible"], dtype=int)
    least = safe[counted.of(safe).least] if len(safe) else numpy.full(grid.points, len(names))
    frame["cheapest_admissible"] = (least[:, None] == numpy.arange(len(names))).reshape(-1)
    frame["chosen"] = numpy.tile([name == own for name in names], grid.points)
    return pandas.DataFrame(frame)


def _break_evens(
    study: Study,
    grid: Grid,
    pair: tuple[str, str],
    states: Mapping[str, str],
    scheduler: str | None,
    told: Told | None,
) -> pandas.DataFrame:
    """Where the pair costs the same along the first axis; an end that lies beyond it is empty. `state` is that of the first
    of the pair, `against_state` that of the other; `always` is the one that costs less all along it in every draw.
    """
    over, *others = grid.axes
    found = grid.break_even(*pair, over, scheduler, told)
    inside = numpy.where((found[:, :3] > 0) & numpy.isfinite(found[:, :3]), found[:, :3], numpy.nan)
    points = {name: grid.axes[name] for name in others}
    frame = _columns(study, points, len(found), 1)
    low, median, high = inside.T
    frame |= {
        "strategy": pair[0],
        "quantity": over,
        "median": median,
        "low": low,
        "high": high,
        "unit": unit_of(over, study.parameters),
        "extrapolated": bool(grid.extrapolated),
        "state": states[pair[0]],
        **_of_points(points, len(found), 1),
        "against": pair[1],
        "against_state": states[pair[1]],
        "share": found[:, 3],
        "always": [pair[0] if row[4] == 1 else pair[1] if row[5] == 1 else None for row in found],
        "swept_low": float(grid.axes[over].min()),
        "swept_high": float(grid.axes[over].max()),
    }
    return pandas.DataFrame(frame)


def _frame(
    study: Study,
    grid: Grid,
    names: Sequence[str],
    quantities: Sequence[str],
    found: numpy.ndarray,
    states: Mapping[str, str],
) -> dict[str, Any]:
    """Columns of what was `found` (points, rows of a point, 3) for strategies and quantities."""

    def repeated(values: Sequence[str]) -> Any:
        return pandas.array(list(values), dtype="str").take(numpy.tile(numpy.arange(len(values)), grid.points))

    low, median, high = found.reshape(-1, 3).T
    return {
        **_columns(study, grid.axes, grid.points, len(names)),
        "strategy": repeated(names),
        "quantity": repeated(quantities),
        "median": median,
        "low": low,
        "high": high,
        "unit": repeated([QUANTITIES[quantity] for quantity in quantities]),
        "extrapolated": numpy.tile([name in grid.extrapolated for name in names], grid.points),
        "state": repeated([states[name] for name in names]),
        **_of_points(grid.axes, grid.points, len(names)),
    }


def _columns(study: Study, axes: Mapping[str, numpy.ndarray], points: int, times: int) -> dict[str, Any]:
    """The columns of the case, with the numbers that an axis sets, and the trigger."""
    case, swept = study.scenario, _of_points(axes, points, times)
    return {
        "guest": numpy.full(points * times, case.guest, dtype=object),
        "machine": case.machine.id,
        "workload": case.workload.id,
        "kernel": case.kernel,
        "vcpus": swept.get("vcpus", case.vcpus),
        "resident_bytes": swept.get("resident_bytes", case.resident_bytes),
        "cpus_that_ran": swept.get("cpus", case.cpus_that_ran),
        "trigger": study.trigger.id,
    }


def _of_points(axes: Mapping[str, numpy.ndarray], points: int, times: int) -> dict[str, numpy.ndarray]:
    """The value of each axis in each row, where a point has several."""
    shape = tuple(len(values) for values in axes.values())
    index = numpy.unravel_index(numpy.arange(points), shape) if shape else ()
    return {name: numpy.repeat(axes[name][at], times) for name, at in zip(axes, index, strict=True)}


def _refuse_too_large(rows: int) -> None:
    """Raise BadInput where a frame of so many rows would not fit in the memory that is free."""
    needed, free = rows * ROW_BYTES, _free_bytes() * SHARE_OF_MEMORY
    if needed > free:
        raise BadInput(
            f"{rows} rows would take {quantity(needed, 'B')} of memory, of which {quantity(free, 'B')} can be used",
            field="sweep",
            remedy="give fewer values or strategies, ask for --reduce, or cut an axis and write several files",
        )


def _free_bytes() -> float:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return 1024.0 * next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES"))


# Frames as cubes and as files.


OF_STRATEGY = ("state", "chosen", "extrapolated", "refused")
"""Columns that a strategy has at every point alike: coordinates of a cube."""
OF_CASE = ("guest", "machine", "workload", "kernel", "vcpus", "resident_bytes", "cpus_that_ran", "trigger")
OF_ALL = ("against", "against_state", "swept_low", "swept_high")
"""With those of the case what all rows have alike, where no axis sets it: attributes of a cube."""


def as_xarray(frame: pandas.DataFrame, axes: Sequence[str]) -> xarray.Dataset:
    """The numbers of a frame over strategy, quantity and the axes, and what is `always` cheaper where it has that.

    What a strategy is (OF_STRATEGY) lies along it, `unit` along the quantity; a strategy with a number has an empty
    `refused`. What is the same in all rows is an attribute, as is how the frame was made. Raises BadInput without
    xarray.
    """
    try:
        import xarray
    except ModuleNotFoundError:
        raise BadInput("xarray is not installed", field="xarray", remedy=INSTALL.format("xarray")) from None
    over = ["strategy", "quantity", *(name for name in axes if name in frame)]
    shape = [frame[name].nunique() for name in over]
    codes = [pandas.factorize(frame[name]) for name in over]
    at = numpy.ravel_multi_index([code for code, _ in codes], shape)
    cubes: dict[str, Any] = {}
    for name in (name for name in NUMBERS if name in frame):
        cube = numpy.full(int(numpy.prod(shape)), numpy.nan)
        cube[at] = frame[name]
        cubes[name] = (over, cube.reshape(shape))
    if "always" in frame:
        told = numpy.full(int(numpy.prod(shape)), "", dtype=object)
        told[at] = frame["always"].fillna("")
        cubes["always"] = (over, told.astype(str).reshape(shape))
    labels: dict[str, Any] = {name: numpy.asarray(labels) for name, (_, labels) in zip(over, codes, strict=True)}
    strategies, quantities = frame.drop_duplicates("strategy"), frame.drop_duplicates("quantity")
    for name in (name for name in OF_STRATEGY if name in frame):
        column = strategies[name]
        plain = column.to_numpy(bool) if column.dtype == bool else column.astype(object).fillna("").to_numpy(str)
        labels[name] = ("strategy", plain)
    labels["unit"] = ("quantity", quantities["unit"].to_numpy(str))
    same = {name: frame[name].iloc[0] for name in (*OF_CASE, *OF_ALL) if name in frame and frame[name].nunique() == 1}
    return xarray.Dataset(cubes, labels, {**same, **frame.attrs})


def with_origin(frame: pandas.DataFrame) -> pandas.DataFrame:
    """The frame with its `attrs` as the last columns, the same in each row as the case is: for forms without another place
    where a reader would not stumble over them.
    """
    return frame.assign(**{str(name): value for name, value in frame.attrs.items()})


SUFFIXES = (".parquet", ".nc", ".csv")


def check_file(path: Path) -> None:
    """Raise BadInput for a name that tells no format, one whose library is not there, or a place where nothing can be
    written, before anything is calculated.
    """
    if path.suffix not in SUFFIXES:
        raise BadInput(f"ends in none of {', '.join(SUFFIXES)}", file=path, remedy="name the format by the suffix")
    if path.is_dir():
        raise BadInput("is a directory", file=path, remedy="name a file")
    for suffix, library, extra in ((".parquet", "pyarrow", "trace"), (".nc", "xarray", "xarray")):
        if path.suffix == suffix:
            try:
                __import__(library)
            except ModuleNotFoundError:
                raise BadInput(f"{library} is not installed", file=path, remedy=INSTALL.format(extra)) from None
    aside = place_beside(path)
    try:
        aside.touch()
        aside.unlink()
    except OSError as error:
        raise unwritable(path, error) from error


def write(frame: pandas.DataFrame, axes: Sequence[str], path: Path) -> None:
    """Write a frame as Parquet, NetCDF or CSV, by the suffix; a reader never sees half a file. Raises BadInput."""
    check_file(path)
    aside = place_beside(path)
    try:
        if path.suffix == ".parquet":
            frame.to_parquet(aside, index=False)
        elif path.suffix == ".csv":
            with_origin(frame).to_csv(aside, index=False)
        else:
            as_xarray(frame, axes).to_netcdf(aside, engine="scipy")
        aside.replace(path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        aside.unlink(missing_ok=True)
