"""The part of a report page that recalculates: sliders, the cheapest flush and the curves, without a network.

The costs at the costliest flush are recorded by the model itself, with the case and the parameters left open, and printed
as JavaScript. The page draws the report's own joint draws anew, from the states of their generators, so that with any
numbers it comes to what the model comes to.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

import numpy
from markupsafe import Markup

from costmodel.calibration.parameters import TAIL, Z90
from costmodel.cost.draws import Case, Draws, generator
from costmodel.cost.grid import QUANTILES, recorded
from costmodel.cost.scenario import AXES
from costmodel.decision.choice import Study
from costmodel.decision.result import CostRow, Recommendation
from costmodel.decision.views import View
from costmodel.decision.views import view as view_of
from costmodel.formulas.recorded import Tape, array_name, formulas_of, javascript, javascript_functions
from costmodel.kvm.catalog import STRATEGIES, TRIGGERS
from costmodel.numbers import LEAST_OF_UNIT, SCALES, interval
from costmodel.report import page
from costmodel.report.drawing import VARIANTS, tick
from costmodel.report.explore import CACHES, RATES_PER_S, SIZES, size_text
from costmodel.report.names import AXIS_NAMES, capitalised
from costmodel.report.recommendation import NEEDS

DIRTY_SHARES = tuple(step / 20 for step in range(21))
AS_WORKLOAD = "as the workload has it"


@dataclass(frozen=True)
class Live:
    """`section` is the markup with the data, hidden until the script shows it; `script` all that may run on the page."""

    section: Markup
    script: Markup

    @property
    def source(self) -> str:
        """The script as a content-security policy names it."""
        return f"'sha256-{base64.b64encode(hashlib.sha256(self.script.encode()).digest()).decode()}'"


def live(result: Recommendation) -> Live | None:
    """The live part of a page; None where no flush has a cost."""
    seen = view_of(result)
    if seen is None:
        return None
    rows = [row for row in result.costs if row.trigger == seen.trigger]
    rows = [row for row in rows if STRATEGIES[row.strategy].instruction != "none"]
    case = Case(seen.trigger, seen.scenario, Draws(seen.parameters))
    programs = recorded_costs(case, [row.strategy for row in rows if row.refused is None])
    moved = sliders(case)
    told = {
        "n": case.draws.n,
        "draws": {name: _generated(name, case) for name in programs.parameters},
        "arrays": {name: _packed(values) for name, values in programs.held.items()},
        "z90": Z90,
        "tail": TAIL,
        "strategies": [_strategy(row, seen, programs) for row in rows],
        "usable": [c.strategy for c in Study(TRIGGERS[seen.trigger], seen.scenario, case.draws).usable],
        "own": result.costliest_strategy,
        "logical_cpus": seen.scenario.machine.logical_cpus,
        "quantiles": QUANTILES,
        "scales": SCALES,
        "least_of_unit": LEAST_OF_UNIT,
        "sliders": [asdict(slider) for slider in moved],
    }
    section = page.fragment(
        "live",
        trigger=seen.trigger,
        sliders=moved,
        n=case.draws.n,
        colours=Markup(_colours()),
        data=Markup(_json(told)),
    )
    return Live(Markup(section), _script(programs))


def _json(data: object) -> str:
    """JSON that no text in it can end, whatever it says."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _colours() -> str:
    """The shades of all plots, as the classes c0 to c5 of a drawing."""
    light, dark = (
        "".join(f"#live .c{place} {{ --shade: {shade}; }}\n" for place, shade in enumerate(VARIANTS[variant]))
        for variant in (False, True)
    )
    return f"{light}@media (prefers-color-scheme: dark) {{\n{dark}}}\n"


def _generated(name: str, case: Case) -> dict[str, object]:
    """How the draws of a parameter come about, with the last of them, by which the page sees that its own are the same."""
    state: Any = generator(name).bit_generator.state["state"]
    told = case.parameters[name].distribution.model_dump()
    return told | {"state": hex(state["state"]), "increment": hex(state["inc"]), "last": float(case.draws[name][-1])}


def _packed(values: numpy.ndarray) -> str:
    """Numbers in four bytes each, which are seven digits: the parameters themselves have six."""
    return base64.b64encode(values.astype("<f4").tobytes()).decode()


def _strategy(row: CostRow, seen: View, programs: Programs) -> dict[str, object]:
    """What the page says of a strategy, from the report's own row, and which function gives its cost."""
    ways = [given for strategy, given in programs.places if strategy == row.strategy]
    lost, functions = row.host_cpu_s_per_s, programs.functions
    return {
        "id": row.strategy,
        "state": row.state,
        "needs": NEEDS.get(row.needs, ""),
        "refused": row.refused,
        "drawn": row.strategy in seen.states,
        "at_most": lost is not None and lost.at_most,
        "functions": {_key(given): functions.index(programs.places[row.strategy, given]) for given in ways},
        "extrapolated": {_key(given): (row.strategy, given) in programs.extrapolated for given in ways},
    }


# What is calculated.

QUANTITIES = ("cpu_time", "host_cpus")
GIVEN: tuple[tuple[str, ...], ...] = ((), ("rate_per_s",), ("range_bytes",), ("range_bytes", "rate_per_s"))
"""Numbers that the workload has otherwise than as one number, so that a slider takes the place of its rule."""


@dataclass(frozen=True)
class Programs:
    """Costs recorded on a tape: the places of the results by strategy and by what is given, what of these rests on a prior
    by rule, and the names of the parameters that are drawn.
    """

    tape: Tape
    places: Mapping[tuple[str, tuple[str, ...]], tuple[int, ...]]
    extrapolated: frozenset[tuple[str, tuple[str, ...]]]
    parameters: tuple[str, ...]

    @property
    def functions(self) -> list[tuple[int, ...]]:
        """The results of each function that differs from the others."""
        return list(dict.fromkeys(self.places.values()))

    @property
    def held(self) -> dict[str, numpy.ndarray]:
        """What differs from draw to draw and is no parameter, such as a rate that was counted."""
        return {array_name(place): array for place, array in enumerate(self.tape.arrays)}


ALWAYS = ("cpus", "cache_bytes")
"""Numbers of the case that are always one number."""


def recorded_costs(case: Case, strategies: Sequence[str]) -> Programs:
    """The costs of `strategies` with the case and all parameters left open, with range and rate as the workload has them
    and as they are given.
    """
    known = case.parameters.parameters
    drawn = [name for name, entry in known.items() if entry.distribution.shape != "fixed"]
    one_range = len(case.scenario.ranges(case.trigger)) == 1
    tape, places, extrapolated = Tape(case.draws.n, whole=True), {}, set()
    for strategy in strategies:
        for given in GIVEN[:2] if one_range else GIVEN:
            tracked = case.draws.tracking()
            axes = [*ALWAYS, *drawn, *given, *(("range_bytes",) if one_range else ())]
            found = recorded(case.over(tracked), strategy, tape, axes)
            places[strategy, given] = tuple(tape.place_of(found[name]) for name in QUANTITIES if name in found)
            if tracked.extrapolated:
                extrapolated.add((strategy, given))
    needed = tape.needed([place for ends in places.values() for place in ends])
    inputs = {str(tape.nodes[place].told) for place in needed if tape.nodes[place].operation == "input"}
    return Programs(tape, places, frozenset(extrapolated), tuple(name for name in drawn if name in inputs))


def _key(given: Sequence[str]) -> str:
    return " ".join(given)


def calculations(programs: Programs) -> str:
    """JavaScript of the formulas, and of the costs as the array COSTS of functions, in the order of `programs.functions`."""
    tape, ends = programs.tape, [place for places in programs.functions for place in places]
    functions = javascript_functions()
    formulas = "\n".join(functions[name] for name in formulas_of(tape, ends))
    costs = ",\n".join(javascript(tape, places, programs.parameters) for places in programs.functions)
    return f"{formulas}\nconst COSTS = [\n{costs}\n];\n"


def _script(programs: Programs) -> Markup:
    """All that runs on the page: the costs, then what shows them."""
    told = 'const told = JSON.parse(document.getElementById("live-data").textContent);\n'
    parts = [calculations(programs), told, script("numbers"), script("draws"), script("live")]
    return Markup('"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n")


@lru_cache(maxsize=2)
def script(name: str) -> str:
    """A part of the script that is the same on every page."""
    return files("costmodel.report").joinpath(f"templates/{name}.js").read_text()


# What can be moved.


@dataclass(frozen=True)
class Slider:
    """A number of the case. `stops` are (value, text); at `start` stands what the report has, without a value where that
    is no single number.
    """

    id: str
    title: str
    unit: str
    stops: tuple[tuple[float | None, str], ...]
    start: int
    linear: bool = False
    whole: bool = False


def sliders(case: Case) -> list[Slider]:
    """Range length, CPUs that ran the guest, rate, cache of a domain and dirty share, as the report has them."""
    there, cpus = case.scenario, case.scenario.machine.logical_cpus
    steps = {
        "range_bytes": SIZES,
        "cpus": tuple(float(2**power) for power in range(cpus.bit_length())),
        "rate_per_s": RATES_PER_S,
        "cache_bytes": CACHES,
    }
    several = len(there.ranges(case.trigger)) > 1
    found = []
    for name, values in steps.items():
        axis, rule = AXES[name], name == "rate_per_s" or (name == "range_bytes" and several)
        start = None if rule else axis.here(there, case.trigger)
        stops, place = _stops(values, axis.unit, start, AS_WORKLOAD)
        title = capitalised(AXIS_NAMES[name])
        found.append(Slider(name, title, axis.unit, stops, place, whole=axis.integer))
    low, middle, high = numpy.quantile(case.draws["dirty_fraction"], QUANTILES)
    stops, place = _stops(DIRTY_SHARES, "1", None, f"{interval(low, middle, high, '1')}, as in the report")
    return [*found, Slider("dirty_fraction", "Dirty share of the valid lines", "1", stops, place, linear=True)]


def _stops(
    values: Sequence[float], unit: str, start: float | None, rule: str
) -> tuple[tuple[tuple[float | None, str], ...], int]:
    """Values with their texts, in their midst what the report has, and the place of that; a rule comes first."""
    stops: list[tuple[float | None, str]] = [(value, _text(value, unit)) for value in values if value != start]
    place = 0 if start is None else sum(value < start for value in values)
    stops.insert(place, (start, rule if start is None else f"{_text(start, unit)}, as in the report"))
    return tuple(stops), place


def _text(value: float, unit: str) -> str:
    return size_text(value) if unit == "B" else f"{tick(value, unit)}{' per second' if unit == '1/s' else ''}"
