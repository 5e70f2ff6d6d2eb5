"""What a user types: `import costmodel as cm`, then `cm.case(...)`. Questions give pandas frames of one schema.

Every frame of costs has the columns COLUMNS: those of the case, then trigger, strategy, quantity, median, low and high
(the central 90 % of the joint draws), the SI `unit`, whether a prior by rule went in (`extrapolated`), and the `state`:
admissible, undecided (a condition that you must check) or inadmissible (a flush can be lost). More columns follow them.
"""

from __future__ import annotations

import functools
import inspect
import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar, cast

import numpy
import pandas

from costmodel.calibration.calibrate import parameters_of
from costmodel.cost.draws import DRAWS, Draws
from costmodel.cost.scenario import Scenario, scenario
from costmodel.decision import result as records
from costmodel.decision.choice import Study
from costmodel.decision.headline import costliest_study
from costmodel.decision.recommend import not_applicable, study_all
from costmodel.decision.recommend import recommend as decide
from costmodel.decision.tables import cost_rows, mask_rows
from costmodel.decision.waits import bill_rows, contention_rows
from costmodel.errors import BadInput, NotApplicable, UnknownName
from costmodel.evidence import machine_input
from costmodel.evidence.store import load
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.kvm.catalog import GUESTS, STRATEGIES
from costmodel.numbers import bytes_of

if TYPE_CHECKING:
    import sympy
    import xarray
    from matplotlib.axes import Axes

    from costmodel.calibration.fit import Fit, Problem
    from costmodel.evidence.hosts import Profile

CASE = ("guest", "machine", "workload", "kernel", "vcpus", "resident_bytes", "cpus_that_ran")
COLUMNS = (*CASE, "trigger", "strategy", "quantity", "median", "low", "high", "unit", "extrapolated", "state")
PARTS = {
    "event_time_s": "event_time",
    "event_p99_s": "event_time_p99",
    "stolen_cpu_s_per_event": "cpu_time",
    "irq_off_s": "interrupts_off",
    "rate_per_s": "rate",
    "host_cpu_s_per_s": "host_cpus",
    "least_rate_per_s": "rate_at_least",
    "least_host_cpu_s_per_s": "host_cpus_at_least",
    "standstill_fraction": "standstill",
    "guest_stall_fraction": "guest_stall",
    "in_progress_fraction": "in_progress",
    "saturation_rate_per_s": "saturation_rate",
}
"""Fields of a cost row and the `quantity` that a frame calls them; `cpu_time` is what one event takes from the host."""
WAITS = {
    "lock_busy_fraction": "lock_busy",
    "in_progress_fraction": "in_progress",
    "standstill_fraction": "standstill",
    "fault_wait_mean_s": "fault_wait_mean",
    "fault_wait_p99_s": "fault_wait_p99",
    "faults_that_retry_fraction": "faults_that_retry",
    "retry_mean_s": "retry_mean",
    "memslot_wait_mean_s": "memslot_wait_mean",
    "saturation_rate_per_s": "saturation_rate",
}
SWEEP_DRAWS = 512
SECTIONS = (
    "answer",
    "policy",
    "costs",
    "contention",
    "curves",
    "uncertainty",
    "admissibility",
    "upstream",
    "formulas",
    "provenance",
)

P = ParamSpec("P")
R = TypeVar("R")


class UnknownAttribute(UnknownName, AttributeError):  # type: ignore[misc]  # both have a `name`: what was asked for
    """An attribute that an object lacks; completion and copying rely on its being an AttributeError."""


def _named(function: Callable[P, R]) -> Callable[P, R]:
    """`function`, with UnknownName and the near match for a keyword that it does not have."""
    known = [name for name in inspect.signature(function).parameters if name != "self"]

    @functools.wraps(function)
    def checked(*args: P.args, **keywords: P.kwargs) -> R:
        for name in keywords:
            if name not in known:
                raise UnknownName(f"keyword of {function.__name__}()", name, known)
        return function(*args, **keywords)

    return checked


def _bytes(size: float | str, field: str) -> float:
    """Bytes of a number or of text such as `16 GiB` or `16G`. Raises BadInput."""
    if not isinstance(size, str):
        return _number(size, field)
    found = bytes_of(size)
    if found is None:
        raise BadInput(f"cannot read {size[:40]!r}", field=field, remedy="write 4 KiB, 16G or a number of bytes")
    return found


def _number(value: object, field: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | numpy.integer | numpy.floating):
        raise BadInput(f"{value!r} is no number", field=field, remedy="give a number")
    if not math.isfinite(value):
        raise BadInput("must be finite", field=field, remedy="give a number")
    return float(value)


def _rate(value: object, field: str) -> float | tuple[float, float]:
    """Events per second, or a pair of a count and its seconds. Raises BadInput."""
    if not isinstance(value, tuple | list):
        return _number(value, field)
    if len(value) != 2:
        raise BadInput(f"{value!r} is no pair", field=field, remedy="give (events counted, seconds)")
    return _number(value[0], field), _number(value[1], field)


def _whole(value: object, field: str) -> int:
    number = _number(value, field)
    if number != int(number):
        raise BadInput(f"{value!r} is no whole number", field=field, remedy="give a whole number")
    return int(number)


@_named
def logspace(start: float | str, stop: float | str, points: int = 25) -> numpy.ndarray:
    """`points` values from `start` to `stop`, both included, evenly spaced in the logarithm.

    Ends are numbers, or sizes as text (then in bytes). Raises BadInput.

    >>> logspace("4 KiB", "64 KiB", 3).round().tolist()
    [4096.0, 16384.0, 65536.0]
    """
    low, high = _bytes(start, "start"), _bytes(stop, "stop")
    if not 0 < low < high or _whole(points, "points") < 2:
        raise BadInput("needs 0 < start < stop and two points or more", field="logspace", remedy="correct the ends")
    return numpy.geomspace(low, high, int(points))


@_named
def case(
    guest: str,
    machine: str,
    *,
    workload: str = DEFAULT_WORKLOAD,
    kernel: str = "newest",
    vcpus: int | None = None,
    resident_bytes: float | str | None = None,
    cpus_that_ran: int | None = None,
    event_fraction: float | None = None,
    rates: Mapping[str, float | tuple[float, float]] | None = None,
    vmm: str | None = None,
    pinned: bool | None = None,
    backing: str | None = None,
    mempolicy: str | None = None,
    mergeable: bool | None = None,
    noncoherent_dma: bool = False,
) -> Case:
    """One guest on one machine under a workload and a kernel: the start of every question.

    None means the workload's own number; for `cpus_that_ran`, the mask of an unpinned guest: all CPUs. `resident_bytes`
    may be text such as `"16 GiB"`. `machine` is anything that `machine()` takes. `rates` are events per second that you
    measured, by trigger, or pairs of a count and its seconds; the trigger `"all"` is every event at the guest's hook.
    `vmm` (qemu, cloud-hypervisor, other), `pinned`, `backing` (anon, thp, hugetlb, memfd, guest_memfd), `mempolicy` and
    `mergeable` say how the guest's memory is set up; None is what the VMM does by default. `noncoherent_dma`: a device
    of a guest without encryption does DMA that bypasses the caches, so that KVM executes the guest's WBINVD. Ids are
    those of `guests()`, `machines()`, `workloads()`, `kernels()` and `triggers()`. Raises UnknownName or BadInput.

    >>> case("sev", "epyc-7763-2s", kernel="6.17", cpus_that_ran=8)
    case('sev', 'epyc-7763-2s', kernel='6.17', cpus_that_ran=8)
    """
    texts = {"guest": guest, "machine": machine, "workload": workload, "kernel": kernel}
    for field, text in texts.items():
        if not isinstance(text, str):
            raise BadInput(
                f"{text!r} is no text", field=field, remedy="give an id or a version as text, such as '6.17'"
            )
    texts["machine"] = machine_input.told(machine).id
    own = Case(
        **texts,
        vcpus=None if vcpus is None else _whole(vcpus, "vcpus"),
        resident_bytes=None if resident_bytes is None else _bytes(resident_bytes, "resident_bytes"),
        cpus_that_ran=None if cpus_that_ran is None else _whole(cpus_that_ran, "cpus_that_ran"),
        event_fraction=None if event_fraction is None else _number(event_fraction, "event_fraction"),
        rates=tuple(sorted((name, _rate(rate, f"rates[{name!r}]")) for name, rate in (rates or {}).items())),
        vmm=vmm,
        pinned=pinned,
        backing=backing,
        mempolicy=mempolicy,
        mergeable=mergeable,
        noncoherent_dma=noncoherent_dma,
    )
    own.scenario  # noqa: B018  every name and number is checked here and now
    return own


@dataclass(frozen=True, repr=False)
class Case:
    """What is asked, as it was asked; made by `case()`. Call it with keywords of `case()` for another one."""

    guest: str
    machine: str
    workload: str
    kernel: str
    vcpus: int | None
    resident_bytes: float | None
    cpus_that_ran: int | None
    event_fraction: float | None
    rates: tuple[tuple[str, float | tuple[float, float]], ...]
    vmm: str | None
    pinned: bool | None
    backing: str | None
    mempolicy: str | None
    mergeable: bool | None
    noncoherent_dma: bool

    def __call__(self, **changes: Any) -> Case:
        """The same case with some keywords of `case()` changed. Raises UnknownName or BadInput.

        >>> case("sev", "epyc-7763-2s")(vcpus=16)
        case('sev', 'epyc-7763-2s', vcpus=16)
        """
        return case(**{**self._asked, **changes})

    @property
    def _asked(self) -> dict[str, Any]:
        return {**{name: getattr(self, name) for name in self.__dataclass_fields__}, "rates": dict(self.rates)}

    def __repr__(self) -> str:
        defaults = {"workload": DEFAULT_WORKLOAD, "kernel": "newest", "rates": {}, "noncoherent_dma": False}
        words = [repr(self.guest), repr(self.machine)]
        words += [f"{name}={value!r}" for name, value in self._asked.items() if name not in ("guest", "machine")
                  and value is not None and value != defaults.get(name)]  # fmt: skip
        return f"case({', '.join(words)})"

    def _repr_html_(self) -> str:
        return self.recommend()._repr_html_()

    def __getstate__(self) -> dict[str, Any]:
        """What was asked; answers are found again."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}

    @cached_property
    def scenario(self) -> Scenario:
        """The case with the workload's own numbers filled in, as the model takes it."""
        return scenario(load(), **self._asked)

    @cached_property
    def _studies(self) -> list[Study]:
        if reason := not_applicable(self.scenario, GUESTS[self.guest]):
            raise NotApplicable(reason)
        return study_all(load(), self.scenario, parameters_of(load(), self.machine))

    def _study(self, trigger: str | None) -> Study:
        """The study of `trigger`, by default that of the costliest flush."""
        by_id = {study.trigger.id: study for study in self._studies}
        if trigger is None:
            found = costliest_study(self._studies)
            if found is None:
                raise BadInput("nothing flushes in this case", field="trigger", remedy="name one of triggers()")
            return found
        if trigger not in by_id:
            raise UnknownName(f"trigger of {self.guest}", trigger, by_id)
        return by_id[trigger]

    @property
    def costliest_trigger(self) -> str:
        """The trigger whose flush costs most: where `draws`, `sweep` and `breakeven` look by default. Raises
        BadInput.
        """
        return self._study(None).trigger.id

    def _columns(self, case: Scenario | None = None) -> dict[str, object]:
        asked = case or self.scenario
        values = (asked.guest, asked.machine.id, asked.workload.id, asked.kernel, asked.vcpus)
        return dict(zip(CASE, (*values, asked.resident_bytes, asked.cpus_that_ran), strict=True))

    @_named
    def costs(self, trigger: str | None = None) -> pandas.DataFrame:
        """What each strategy that rules leave open costs, at every trigger or at one.

        A frame of COLUMNS, `chosen` (what the kernel does), `needs` (nothing, or what this kernel lacks for the
        strategy: an upgrade, a patch), `refused`, `fires` and `why` (whether the guest's setup lets the trigger happen,
        and why not) and `at_most` (rates and what is lost by them are ceilings; `host_cpus_at_least` is the floor);
        quantities: the values of PARTS. Times in seconds, `cpu_time` per event, `host_cpus` in CPUs that do nothing
        else. A number that no source gives is a row with quantity `cpu_time`, no median, and the gap in `refused`.
        Raises UnknownName, or BadInput where the machine cannot host the guest.

        >>> frame = case("sev", "epyc-7763-2s").costs()
        >>> set(COLUMNS) < set(frame.columns)
        True
        """
        rows = []
        for study in self._studies if trigger is None else [self._study(trigger)]:
            own = study.chosen.strategy if study.chosen else None
            for cost in cost_rows(study):
                known = {name: getattr(cost, name) for name in ("trigger", "strategy", "state", "refused", "needs")}
                known |= {"chosen": cost.strategy == own, "fires": cost.fires, "why": cost.why}
                known["at_most"] = cost.host_cpu_s_per_s is not None and cost.host_cpu_s_per_s.at_most
                parts = {name: getattr(cost, field) for field, name in PARTS.items()}
                if cost.refused:
                    rows.append({**known, "quantity": "cpu_time", **_cells(None, cost.extrapolated)})
                rows += [
                    {**known, "quantity": name, **_cells(part, cost.extrapolated)}
                    for name, part in parts.items()
                    if part
                ]
        return self._frame(rows, "chosen", "needs", "refused", "fires", "why", "at_most")

    @_named
    def waits(self, trigger: str | None = None, rate_per_s: Sequence[float] | None = None) -> pandas.DataFrame:
        """What waits for each flush, by the place of the hook: a frame of COLUMNS, `chosen`, `placement`, `here`,
        `note`.

        Quantities: the values of WAITS, times in seconds, shares as fractions of 1. `chosen` and `here` mark the flush
        and the place of this kernel; a wait without a bound has no median. Triggers without a rate have no rows: give
        one in `rates`, or several in `rate_per_s` (then at one trigger, by default the costliest, and a column
        `rate_per_s` more). Raises UnknownName or BadInput.

        >>> case("sev", "epyc-7763-2s").waits("autonuma_prot_none_scan").placement.nunique()
        4
        """
        if rate_per_s is None:
            studies = self._studies if trigger is None else [self._study(trigger)]
            rows = [row for study in studies for row in _waits(study)]
            return self._frame(rows, "chosen", "placement", "here", "note")
        study = self._study(trigger)
        draws = Draws(study.parameters, SWEEP_DRAWS)
        rows = []
        for rate in self._grid("rate_per_s", rate_per_s):
            there = replace(self.scenario, rate_per_s=rate)
            rows += [row | {"rate_per_s": rate} for row in _waits(Study(study.trigger, there, draws))]
        return self._frame(rows, "chosen", "placement", "here", "note", "rate_per_s")

    @_named
    def bill(self, trigger: str | None = None) -> pandas.DataFrame:
        """Who pays for one event of each flush: a frame of COLUMNS, `chosen` and `payer`, by default at the costliest
        trigger.

        The `payer` of `cpu_time` is "its guest" (the CPUs that run it) or "everyone else". Raises UnknownName or
        BadInput.

        >>> sorted(set(case("sev", "epyc-7763-2s").bill().payer))
        ['everyone else', 'its guest']
        """
        study = self._study(trigger)
        own = study.chosen.strategy if study.chosen else None
        rows = []
        for paid in bill_rows(study, load()):
            known: dict[str, object] = {
                "trigger": paid.trigger,
                "strategy": paid.strategy,
                "state": paid.state,
                "quantity": "cpu_time",
            }
            known["chosen"] = paid.strategy == own
            parts = {"its guest": paid.own_s, "everyone else": paid.others_s}
            rows += [{**known, "payer": who, **_cells(part, part.extrapolated)} for who, part in parts.items()]
        return self._frame(rows, "chosen", "payer")

    @_named
    def mask(self, trigger: str | None = None) -> pandas.DataFrame:
        """What pinning and time make of the mask of CPUs that ran the guest, and what a flush on it costs.

        A frame of COLUMNS, `mask` (in words), `domains` and `note`, for the masked flush of this kernel;
        `cpus_that_ran` is the size of the mask, quantities are `cpu_time` and `event_time`. Empty where no masked flush
        is safe. Raises UnknownName or BadInput.

        >>> case("sev", "epyc-7763-2s").mask()["mask"].iloc[0]
        'pinned, packed'
        """
        rows = []
        for row in mask_rows(self._study(trigger)):
            known = {"trigger": row.trigger, "strategy": row.strategy, "mask": row.label, "cpus_that_ran": row.cpus}
            known |= {"domains": row.domains, "note": row.note}
            known["state"] = "admissible" if row.admissible else "inadmissible"
            parts = {"cpu_time": row.stolen_cpu_s_per_event, "event_time": row.event_time_s}
            rows += [{**known, "quantity": name, **_cells(part, part.extrapolated)} for name, part in parts.items()]
        return self._frame(rows, "mask", "domains", "note")

    @_named
    def draws(self, strategy: str, trigger: str | None = None) -> pandas.DataFrame:
        """The joint draws behind an interval: a row for each draw, a column for each parameter and each cost.

        Names of columns carry the SI unit: `cpu_time_s` is what the 5 %, 50 % and 95 % of `costs()` come from. At the
        costliest trigger unless one is named. Raises UnknownName, BadInput, or MissingNumber with the gap.

        >>> bool(case("sev", "epyc-7763-2s").draws("WBINVD_ALL").cpu_time_s.gt(0).all())
        True
        """
        from costmodel.errors import MissingNumber

        study = self._study(trigger)
        cost = study.cost(STRATEGIES[strategy].id)
        if cost.refused:
            raise MissingNumber(f"{strategy}: {cost.refused}")
        names: dict[str, numpy.ndarray | None] = {
            "event_time_s": cost.priced.time_s,
            "cpu_time_s": cost.priced.stolen_s,
            "guest_s": cost.priced.guest_s,
        }
        names |= {
            "interrupts_off_s": cost.priced.irq_off_s,
            "rate_per_s": cost.rate_per_s,
            "host_cpus": cost.host_cpu_s_per_s,
        }
        columns = {name: study.draws[name] for name in cost.parameters} | {
            n: v for n, v in names.items() if v is not None
        }
        return pandas.DataFrame({name: numpy.broadcast_to(v, (DRAWS,)) for name, v in columns.items()})

    def sweep(
        self,
        trigger: str | None = None,
        strategies: Sequence[str] | None = None,
        *,
        reduce: str | None = None,
        engine: str = "numpy",
        scheduler: str | None = None,
        as_xarray: bool = False,
        **axes: Sequence[float] | float | str,
    ) -> pandas.DataFrame | xarray.Dataset:
        """Costs over all combinations of the axes: a frame of COLUMNS, one column for each axis, `chosen`, `refused`.

        Axes: `range_bytes`, `cpus` (that ran the guest), `rate_per_s`, `cache_bytes` (per last-level-cache domain),
        `vcpus`, `resident_bytes`, `event_fraction`, `l2_bytes_per_core` and every name of `parameters()`, each a number
        or a sequence. Quantities `cpu_time`, `event_time` and, where a rate is known, `host_cpus`. By default at the
        costliest trigger, for the strategies that have a number there.

        With `reduce="cheapest"` only CPU time, from buckets 0.4 % wide, with the share of draws in which a strategy is
        the cheapest (`p_best`) and whether its median is (`cheapest`), of the strategies that can be used. With
        `reduce="breakeven"` the value of the first axis at which the two `strategies` cost the same, at each point of
        the others. `engine="numba"` is faster for large grids, `scheduler` is the address of a Dask scheduler,
        `as_xarray` gives a Dataset over the axes. Raises UnknownName or BadInput.

        >>> frame = case("sev", "epyc-7763-2s").sweep(cpus=[8, 64])
        >>> sorted(set(frame.cpus))
        [8.0, 64.0]
        """
        from costmodel.decision import swept

        grids = {name: self._values(name, values) for name, values in axes.items()}
        chosen = None if strategies is None else [STRATEGIES[name].id for name in strategies]
        frame = swept.sweep(
            self._study(trigger), grids, chosen, reduce=reduce, engine=engine, scheduler=scheduler, draws=SWEEP_DRAWS
        )
        return swept.as_xarray(frame, list(grids)) if as_xarray else frame

    def _values(self, axis: str, values: Sequence[float] | float | str) -> list[float]:
        """The values of an axis as numbers, sizes as text among them."""
        several = isinstance(values, Sequence | numpy.ndarray | pandas.Series) and not isinstance(values, str)
        sequence = cast(Sequence[float], values if several else [values])
        return [(_bytes if axis.endswith("_bytes") else _number)(value, axis) for value in sequence]

    def _grid(self, axis: str, values: Sequence[float] | float | str) -> list[float]:
        found = self._values(axis, values)
        top = self.scenario.machine.logical_cpus if axis == "cpus" else math.inf
        least = 1 if axis == "cpus" else self.scenario.machine.line_bytes if axis.endswith("_bytes") else 0
        if not found or not all(least <= value <= top and value > 0 for value in found):
            raise BadInput(f"needs values from {least:g} to {top:g}", field=axis, remedy="correct the values")
        return found

    @_named
    def breakeven(self, first: str, second: str, over: str, trigger: str | None = None) -> pandas.DataFrame:
        """Where one strategy becomes cheaper than the other along an axis of `sweep()`: COLUMNS and seven more.

        `median`, `low`, `high` are the break-even (`quantity` is the axis) over all draws, of which a `share` has it
        inside the swept range; the others count as beyond its ends, and an end that lies there is empty (`swept_low`
        and `swept_high` are the ends of the range). `at_medians` is that of the median parameters. Without any, they
        are empty and `always` names the cheaper one. Over `rate_per_s`, rows give the rates at which each loses 1 % and
        10 % of the host. Compared is CPU time per event. Raises UnknownName, BadInput, or MissingNumber with the gap.

        >>> case("sev", "epyc-7763-2s").breakeven("WBNOINVD_MASK", "CLFLUSHOPT_UVA", over="range_bytes").quantity.item()
        'range_bytes'
        """
        from costmodel.cost.sweep import break_even

        study = self._study(trigger)
        found = break_even(load(), self.scenario, study.trigger.id, (first, second), over)
        states = {c.strategy: c.verdict.state for c in study.candidates}
        order = ("admissible", "undecided", "inadmissible")
        known = {
            "trigger": study.trigger.id,
            "strategy": first,
            "against": second,
            "quantity": over,
            "unit": found.unit,
            "extrapolated": found.extrapolated,
            "state": max(states[first], states[second], key=order.index),
            "always": found.always,
            "swept_low": found.low,
            "swept_high": found.high,
        }
        parts = [asdict(row) for row in found.rows] or [{"label": "no break-even", "share": 0.0}]
        rows = [{**known, **part} for part in parts]
        return self._frame(rows, "against", "label", "at_medians", "share", "always", "swept_low", "swept_high")

    @_named
    def compare(
        self, kernels: Sequence[str] | None = None, strategies: Sequence[str] | None = None
    ) -> pandas.DataFrame:
        """Two kernels or two strategies side by side, over the same draws: COLUMNS, `side`, `verdict`, `refused`.

        `side` is base, new or ratio (new over base, formed draw by draw); `verdict` says whether new is lower, higher,
        equal, or cannot be told apart (undecided). Raises UnknownName or BadInput.

        >>> set(case("sev", "epyc-7763-2s").compare(kernels=["6.6", "6.17"]).side) == {"base", "new", "ratio"}
        True
        """
        from costmodel.decision.versus import compare_sides, sides

        asked = {**self._asked, "rates": dict(self.rates)}
        own = asked.pop("kernel")
        pair = tuple(kernels) if kernels is not None else (own,) if strategies else ()
        kind, base, new = sides(load(), **asked, kernel_names=pair, strategies=tuple(strategies or ()))
        rows = []
        for entry in compare_sides(load(), kind, base, new).triggers:
            ends = {"base": (entry.base, base.scenario.kernel), "new": (entry.new, new.scenario.kernel)}
            for row in entry.rows:
                known = {
                    "trigger": entry.trigger,
                    "quantity": row.id,
                    "verdict": row.verdict,
                    "refused": row.refused,
                }
                for side, (done, kernel) in ends.items():
                    told = {"side": side, "strategy": done.strategy, "state": done.state, "kernel": kernel}
                    rows.append({**known, **told, **_cells(getattr(row, side), entry.extrapolated, row.unit)})
                told = {
                    "side": "ratio",
                    "strategy": f"{entry.new.strategy} / {entry.base.strategy}",
                    "state": entry.new.state,
                }
                rows.append(
                    {**known, **told, "kernel": new.scenario.kernel, **_cells(row.ratio, entry.extrapolated, "1")}
                )
        return self._frame(rows, "side", "verdict", "refused")

    @_named
    def recommend(self, vms: Mapping[str, int] | None = None) -> Recommendation:
        """What to do, what it gains, how sure it is. Shows itself as the first screen of the report.

        `vms`: how many guests of each type share the host, such as `{"sev": 4, "sev-es": 2}`; `.together` is what they
        take.
        """
        return Recommendation(decide(**self._asked, vms=vms)) if vms else self._recommended

    @cached_property
    def _recommended(self) -> Recommendation:
        return Recommendation(decide(**self._asked))

    def _frame(self, rows: list[dict[str, object]], *more: str) -> pandas.DataFrame:
        return pandas.DataFrame([self._columns() | row for row in rows], columns=[*COLUMNS, *more])


def _cells(part: records.Interval | None, extrapolated: bool, unit: str = "s") -> dict[str, object]:
    """Columns of an interval; without numbers where there is none."""
    if part is None:
        return {"median": math.nan, "low": math.nan, "high": math.nan, "unit": unit, "extrapolated": extrapolated}
    return {name: getattr(part, name) for name in ("median", "low", "high", "unit", "extrapolated")}


def _waits(study: Study) -> list[dict[str, object]]:
    """Rows of `waits` at one trigger."""
    own = study.chosen.strategy if study.chosen else None
    rows = []
    for wait in contention_rows(study):
        known = {name: getattr(wait, name) for name in ("trigger", "strategy", "state", "placement", "here", "note")}
        known["chosen"] = wait.strategy == own
        marked = study.cost(wait.strategy).extrapolated
        for field, name in WAITS.items():
            unit = "1/s" if field.endswith("_per_s") else "s" if field.endswith("_s") else "1"
            rows.append({**known, "quantity": name, **_cells(getattr(wait, field), marked, unit)})
    return rows


def recommend(guest: str, machine: str, *, vms: Mapping[str, int] | None = None, **asked: Any) -> Recommendation:
    """`case(guest, machine, ...).recommend(vms)` in one call. Raises UnknownName or BadInput."""
    return case(guest, machine, **asked).recommend(vms)


class Html(NamedTuple):
    """A piece of a report that shows itself in a notebook."""

    name: str
    markup: str

    def __repr__(self) -> str:
        return f"<{self.name} of a report>"

    def _repr_html_(self) -> str:
        from costmodel.report.page import scoped

        return scoped(self.markup)


@dataclass(frozen=True, repr=False)
class Recommendation:
    """What to do for one case. `result` holds every field (`costmodel recommend --json` prints it)."""

    result: records.Recommendation

    def __repr__(self) -> str:
        asked = f"{self.result.guest} on {self.result.machine}, {self.result.workload}, {self.result.kernel}"
        return f"<Recommendation for {asked}: {self.result.headline[:400]}>"

    def _repr_html_(self) -> str:
        return self.section("answer")._repr_html_()

    @property
    def policy(self) -> pandas.DataFrame:
        """What to run at each trigger, and why: a row for each trigger."""
        fields = [name for name in records.PolicyEntry.model_fields if name not in ("regret", "flips")]
        return self._frame([{name: getattr(entry, name) for name in fields} for entry in self.result.policy], fields)

    @property
    def remedies(self) -> pandas.DataFrame:
        """What to do now and what would be worth a patch; `median`, `low`, `high` are the host CPUs that it saves."""
        fields = ["id", "kind", "title", "triggers", "saves_fraction", "status", "caveat", "source"]
        rows = [
            {name: getattr(entry, name) for name in fields}
            | _cells(entry.saves_cpu_s_per_s, self.result.extrapolated, "1")
            for entry in (*self.result.do_now, *self.result.remedies, *self.result.worth_patching)
        ]
        frame = self._frame(rows, [*fields, "median", "low", "high", "unit", "extrapolated"])
        return frame.drop_duplicates("id", ignore_index=True)

    @property
    def together(self) -> pandas.DataFrame:
        """What the guests of `vms` take of the host's CPUs, by type and all: `quantity` host_cpus, and at its floor."""
        rows = []
        for row in self.result.together:
            parts = {"host_cpus": row.host_cpu_s_per_s, "host_cpus_at_least": row.least_host_cpu_s_per_s}
            rows += [
                {"guests": row.guest, "vms": row.vms, "quantity": name, **_cells(part, part.extrapolated)}
                for name, part in parts.items()
                if part
            ]
        return self._frame(rows, ["guests", "vms", "quantity", "median", "low", "high", "unit", "extrapolated"])

    @property
    def flips(self) -> pandas.DataFrame:
        """Where the choice changes: at `at` of `parameter`, beyond which `winner` is cheapest."""
        fields = list(records.Flip.model_fields)
        rows = [
            {"trigger": entry.trigger, "strategy": entry.strategy, **flip.model_dump()}
            for entry in self.result.policy
            for flip in entry.flips
        ]
        return self._frame(rows, ["trigger", "strategy", *fields])

    def _frame(self, rows: list[dict[str, object]], columns: Sequence[str]) -> pandas.DataFrame:
        asked = {name: getattr(self.result, name, self.result.scenario.get(name)) for name in CASE}
        return pandas.DataFrame([asked | row for row in rows], columns=[*CASE, *columns])

    def text(self) -> str:
        """The block of 7-bit text that `costmodel recommend` prints."""
        from costmodel.report.recommendation import render

        return render(self.result)

    def json(self) -> str:
        """The document that `costmodel recommend --json` prints."""
        return json.dumps(self.result.model_dump(mode="json"), indent=2, sort_keys=True, allow_nan=False)

    def section(self, name: str) -> Html:
        """A section of the report page (SECTIONS), which shows itself in a notebook. Raises UnknownName."""
        from costmodel.report import page

        if name not in SECTIONS:
            raise UnknownName("section", name, SECTIONS)
        if name == "formulas":
            return Html(name, page.formulas())
        return Html(name, getattr(page, name)(self.result))


class Formula:
    """One cost term: `expr` (sympy), `symbols` (a frame), `source`, `validity`; a call gives numbers.

    Each symbol is an attribute: `f.expr.diff(f.lines)`.
    """

    def __init__(self, name: str) -> None:
        from costmodel.formulas.catalog import formula

        self._item = formula(name)
        self.id, self.title, self.unit = self._item.id, self._item.title, self._item.unit
        self.source, self.validity = self._item.source, self._item.validity

    @property
    def expr(self) -> sympy.Expr:
        """The expression, in symbols with long names."""
        return self._item.expression

    @property
    def symbols(self) -> pandas.DataFrame:
        """Letter in the printed formula, unit and meaning of each symbol, by its name."""
        from costmodel.formulas.formula import NOTATION

        rows = [(name, NOTATION[name], *quantity) for name, quantity in self._item.symbols.items()]
        return pandas.DataFrame(rows, columns=["symbol", "letter", "unit", "meaning"]).set_index("symbol")

    def __call__(self, **values: Any) -> numpy.ndarray:
        """The value in `unit`; numbers and arrays broadcast. Raises UnknownName, or BadInput for one left out.

        >>> float(formulas.range_lines(range_bytes=4096, offset_bytes=0, line_bytes=64))
        64.0
        """
        from costmodel.formulas.compiled import value

        known = self._item.symbols
        for name in values:
            if name not in known:
                raise UnknownName(f"symbol of {self.id}", name, known)
        if missing := [name for name in known if name not in values]:
            raise BadInput(f"no value for {', '.join(missing)}", field=self.id, remedy="give every symbol a value")
        return value(self.id, **values)

    def __getattr__(self, name: str) -> sympy.Symbol:
        item = self.__dict__.get("_item")
        if item is None or name not in item.symbols:
            raise UnknownAttribute("symbol", name, item.symbols if item else ())
        return next(symbol for symbol in item.expression.free_symbols if str(symbol) == name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._item.symbols]

    def __repr__(self) -> str:
        from costmodel.formulas import catalog

        text = catalog.text(self.id)
        shown = text if len(text) < 600 else f"of {', '.join(self._item.symbols)}"
        return f"{self.id}: {self.title} [{self.unit}]\n{shown}"

    def _repr_latex_(self) -> str:
        from costmodel.formulas import catalog

        return f"$\\displaystyle {catalog.latex(self.id)}$"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and self._item == other._item

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return Formula, (self.id,)


class Catalogue:
    """The formulas by id: as attributes, by `[]`, and as a frame when called.

    >>> formulas.range_flush == formulas["range_flush"]
    True
    """

    __name__ = "costmodel.formulas"

    def __getitem__(self, name: str) -> Formula:
        return Formula(name)

    def __getattr__(self, name: str) -> Any:
        """The formula; else the module of the subpackage, whose place on the package the catalogue has taken."""
        import sys

        from costmodel.formulas.catalog import FORMULAS

        if name in FORMULAS:
            return Formula(name)
        if (module := sys.modules.get(f"{self.__name__}.{name}")) is not None:
            return module
        raise UnknownAttribute("formula", name, FORMULAS)

    def __call__(self) -> pandas.DataFrame:
        """Title, unit, source and validity of each formula, by its id."""
        from costmodel.formulas.catalog import FORMULAS

        fields = ("id", "title", "unit", "source", "validity")
        return pandas.DataFrame([{name: getattr(f, name) for name in fields} for f in FORMULAS.values()]).set_index(
            "id"
        )

    def __dir__(self) -> list[str]:
        from costmodel.formulas.catalog import FORMULAS

        return list(FORMULAS)

    def __repr__(self) -> str:
        return f"<{len(dir(self))} formulas; formulas() lists them>"

    def __reduce__(self) -> str:
        return "formulas"


formulas = Catalogue()


def _table(records: Sequence[object], *left_out: str) -> pandas.DataFrame:
    """Dataclass records as a frame by id; sets and tuples as texts."""
    rows = [{name: value for name, value in vars(record).items() if name not in left_out} for record in records]
    plain = [{name: _cell(value) for name, value in row.items()} for row in rows]
    return pandas.DataFrame(plain).set_index("id")


def _cell(value: object) -> object:
    if isinstance(value, dict):
        value = [name for name, holds in value.items() if holds]
    return (
        ", ".join(map(str, sorted(value) if isinstance(value, frozenset) else value))
        if isinstance(value, frozenset | tuple | list)
        else value
    )


def measurements() -> pandas.DataFrame:
    """Every published number, by its id: value as written and in SI (`si`, `si_unit`), conditions, source, quote.

    >>> bool((measurements().query("term == 'whole_cache'").si > 0).all())
    True
    """
    return _table(list(load().measurements.values()))


def machines() -> pandas.DataFrame:
    """Catalogued machines and measured hosts, by id: topology, cache sizes in bytes, features.

    >>> int(machines().logical_cpus["epyc-7763-2s"])
    256
    """
    return _table(list(load().machines.values()), "provenance", "missing", "features_off")


def machine(name: str) -> str:
    """The id of a machine by its marketing name, by a file of lscpu, lscpu -J, /proc/cpuinfo, cpuid -r or lstopo, or of
    `this` host; from then on `case()` and `machines()` know it. Raises UnknownName or BadInput.

    >>> machine("EPYC 9754")
    'epyc-9754-1s'
    >>> int(machines().domains["epyc-9754-1s"])
    16
    """
    return machine_input.told(name).id


def workloads() -> pandas.DataFrame:
    """Catalogued workloads, by id: the guest, the number of VMs, and the triggers that each pulls."""
    rows = [
        {
            "id": entry.id,
            "title": entry.title,
            "vcpus": int(entry.vcpus.value),
            "resident_bytes": entry.resident_bytes.value,
            "vms": entry.vms.value,
            "triggers": ", ".join(pulled.trigger for pulled in entry.triggers),
            "description": entry.description,
        }
        for entry in load().workloads.values()
    ]
    return pandas.DataFrame(rows).set_index("id")


def guests() -> pandas.DataFrame:
    """Guest types by id: vendor, the properties that decide about flushes, what the CPU needs."""
    from costmodel.kvm.catalog import GUESTS

    return _table(list(GUESTS.values()))


def triggers() -> pandas.DataFrame:
    """Events at which a flush may be due, by id, with the properties that decide about it."""
    from costmodel.kvm.catalog import TRIGGERS

    return _table(list(TRIGGERS.values()))


def strategies() -> pandas.DataFrame:
    """Ways to flush, or not to, by id: instruction, scope, where merged, source."""
    from costmodel.kvm.catalog import STRATEGIES

    return _table(list(STRATEGIES.values()))


def kernels() -> list[str]:
    """The catalogued kernel ranges, oldest first; `case(kernel=...)` takes any version inside them.

    >>> kernels()[-1] == case("sev", "epyc-7763-2s").scenario.kernel
    True
    """
    from costmodel.kvm.kernels import KERNELS

    return list(KERNELS)


FITS = {
    "line_time": "latency of one flush, CLFLUSHOPT",
    "line_time_clflush": "latency of one flush, CLFLUSH",
    "range_length": "range length, linear",
    "broadcast": "broadcast, linear",
    "broadcast_tree": "broadcast, tree (rival)",
    "broadcast_slowest": "broadcast, slowest of k late answers (rival)",
}


@_named
def calibrate(name: str) -> Calibration:
    """The least-squares fit called `name` (FITS) to the published rows. Raises UnknownName.

    >>> bool((calibrate("line_time").points.fitted > 0).all())
    True
    """
    from costmodel.calibration.calibrate import problems
    from costmodel.calibration.fit import fit

    if name not in FITS:
        raise UnknownName("fit", name, FITS)
    return Calibration(name, fit(problems(load())[FITS[name]]))


class Calibration:
    """A fit: `points` (observed, fitted, residual), `parameters`, `plot()`."""

    def __init__(self, name: str, result: Fit) -> None:
        self.name, self.title, self.fit = name, FITS[name], result

    @property
    def points(self) -> pandas.DataFrame:
        """By row of `measurements()`: observed and fitted in seconds, `low` and `high` of a new row where the
        diagnostics allow error bars, and the residual in natural logarithms (0.1 reads as about 10 %).
        """
        from costmodel.calibration.fit import prediction_factor

        problem, theta = self._problem, self.fit.theta
        fitted = problem.predict(theta)
        factor = numpy.full(len(fitted), math.nan)
        if self.fit.covariance is not None:
            factor = numpy.array([prediction_factor(self.fit, row) for row in problem.jacobian(theta)])
        return pandas.DataFrame(
            {
                "group": problem.groups,
                "observed": problem.observed,
                "fitted": fitted,
                "low": fitted / factor,
                "high": fitted * factor,
                "unit": "s",
                "residual": self.fit.residuals,
            },
            index=pandas.Index(problem.ids, name="id"),
        )

    @property
    def _problem(self) -> Problem:
        return cast("Problem", self.fit.problem)

    @property
    def parameters(self) -> pandas.DataFrame:
        """Fitted values by name, with the standard error of the logarithm where the diagnostics allow one."""
        values = self.fit.values
        errors = (
            numpy.full(len(values), math.nan)
            if self.fit.covariance is None
            else numpy.sqrt(numpy.diag(self.fit.covariance))
        )
        return pandas.DataFrame({"value": values.values(), "standard_error_of_log": errors}, index=list(values))

    @property
    def withheld(self) -> str | None:
        """Why there are no error bars, or None."""
        return self.fit.withheld

    def held_out(self) -> str:
        """What the fit says of rows that were left out, as a sentence."""
        from costmodel.calibration.holdout import leave_groups_out

        return leave_groups_out(self._problem).sentence()

    def plot(self, ax: Axes | None = None) -> Axes:
        """Fitted over observed, the line of equality from which residuals are read, and the 90 % interval of a new
        row.
        """
        from costmodel.report import plots

        return plots.calibration(self, ax=ax)

    def __repr__(self) -> str:
        spread = f"{100 * self.fit.root_mean_square:.0f} %"
        return f"<Calibration {self.name}: {len(self.fit.residuals)} rows, residual {spread}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calibration) and self.name == other.name and self.points.equals(other.points)

    __hash__ = None  # type: ignore[assignment]  # equal by content, so it has no hash

    def _repr_html_(self) -> str:
        return f"<p>{self.title}: {self.held_out()}</p>{self.parameters._repr_html_()}"


@_named
def parameters(machine: str) -> pandas.DataFrame:
    """Every cost parameter of a machine by name: `median`, `low`, `high` (90 %), `factor` (how far either way), `unit`,
    rule.

    `extrapolated` marks a prior by a named rule; a parameter that no rule gives has no median, and its `rule` is the
    gap. Raises UnknownName.

    >>> bool(parameters("epyc-7763-2s").extrapolated["line_valid_s"])
    True
    """
    known = parameters_of(load(), load().machine(machine).id)
    rows = [
        {
            "name": name,
            **{part: getattr(entry.distribution, part) for part in ("median", "low", "high")},
            "factor": math.sqrt(entry.distribution.high / entry.distribution.low)
            if entry.distribution.low > 0
            else math.nan,
            "unit": entry.unit,
            "extrapolated": entry.extrapolated,
            "rule": entry.rule,
            "sources": ", ".join(entry.sources),
        }
        for name, entry in known.parameters.items()
    ]
    rows += [{"name": name, "rule": f"missing: {gap}"} for name, gap in known.missing.items()]
    return pandas.DataFrame(rows).set_index("name").sort_index()


@_named
def host(name: str) -> Host:
    """A host that `costmodel measure` measured: data/hosts, and those under COSTMODEL_HOSTS. Raises UnknownName.

    >>> sorted(set(host("epyc-genoa-4cpu-vm").line_times(points=2).lines))
    ['absent', 'clean', 'dirty']
    """
    return Host(load().host(name))


class Host:
    """A measured host: its time per flushed line with intervals (`line_times`, `plot`) and what held-out data say."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    @_named
    def line_times(self, instruction: str = "CLFLUSHOPT", points: int = 41) -> pandas.DataFrame:
        """Seconds per line over the range, by the state of the lines: the 90 % interval of a new run's median.

        Columns `instruction`, `lines` (dirty, clean, absent), `range_bytes`, `median`, `low`, `high`, `unit`, on 4 KiB
        pages. Raises UnknownName for an instruction that was not measured.
        """
        from costmodel.calibration.host_flush import DEFAULT_PAGE, FlushModel, cells_of

        flushes = FlushModel(cells_of(self.profile))
        kinds = {kind: cells for kind, cells in flushes.by_kind.items() if kind[2] == DEFAULT_PAGE}
        if instruction not in {kind[0] for kind in kinds}:
            raise UnknownName("measured instruction", instruction, {kind[0] for kind in kinds})
        rows = []
        for (own, state, _), cells in sorted(kinds.items()):
            if own != instruction:
                continue
            for size in logspace(cells[0].range_bytes, cells[-1].range_bytes, points).clip(max=cells[-1].range_bytes):
                guess = flushes.predict(own, state, float(size))
                told = {"median": guess.line_s, "low": guess.low_s, "high": guess.high_s, "unit": "s"}
                rows.append({"instruction": own, "lines": state, "range_bytes": size, **told})
        return pandas.DataFrame(rows)

    @property
    def held_out(self) -> pandas.DataFrame:
        """How well times that were left out are predicted: errors as fractions, and how many lay in their interval."""
        from costmodel.calibration.holdout import held_out

        return pandas.DataFrame([vars(trial) for trial in held_out(self.profile)]).set_index("what")

    def plot(self, instruction: str = "CLFLUSHOPT", ax: Axes | None = None) -> Axes:
        """`line_times` with their bands, each state of the lines named at its end."""
        from costmodel.report import plots

        ax = plots.lines(self.line_times(instruction), "range_bytes", "lines", ax)
        ax.set(ylabel=f"{instruction}, time per line", title=self.profile.id)
        return ax

    def __repr__(self) -> str:
        return f"<Host {self.profile.id}, measured {self.profile.measured_on}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host) and self.profile.id == other.profile.id

    __hash__ = None  # type: ignore[assignment]  # equal by content, so it has no hash


def scoreboard(*sections: str) -> pandas.DataFrame:
    """Whether the model is right, row by row: `section`, `what`, `figure`, `verdict` and its details, by id.

    Where held-out values were predicted, `covered` of `n` lay in their 90 % interval. Sections are those of `costmodel
    validate`, all if none is named. Raises UnknownName.

    >>> set(scoreboard("formulas").verdict)
    {'pass'}
    """
    from costmodel.validation import scoreboard as board

    rows = [
        {"section": section.id, **row.model_dump(exclude={"details"}), "covered": None, "n": None, **row.details}
        for section in board.build(load(), sections).sections
        for row in section.rows
    ]
    return pandas.DataFrame(rows).set_index("id")


def simulations(*families: str) -> pandas.DataFrame:
    """Formula against discrete-event simulation, a row for each setting and output, as they were last compared.

    `simulated` with its 95 % interval, `formula`, their `ratio`, and the `finding`: agrees, beyond a stated limit, or
    wrong. `families` of settings are those of the column `family`, all if none is named. Raises UnknownName.
    """
    from costmodel.validation import simulation

    compared = simulation.read(load().root)
    for name in families:
        if name not in (known := {found.family for found in compared}):
            raise UnknownName("family of simulated settings", name, known)
    fields = ("family", "setting", "output", "simulated", "low", "high", "formula")
    rows = [
        {
            **{name: getattr(found, name) for name in fields},
            "ratio": found.formula / found.simulated,
            "finding": "agrees" if found.agrees else "beyond a stated limit" if found.limit else "wrong",
            "limit": found.limit,
        }
        for found in compared
        if not families or found.family in families
    ]
    return pandas.DataFrame(rows)
