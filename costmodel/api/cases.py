"""A case and what can be asked about it: costs, waits, sweeps, break-evens, a recommendation, as frames of one schema.

Every frame of costs has the columns COLUMNS: those of the case, then trigger, strategy, quantity, median, low and high
(the central 90 % of the joint draws), the SI `unit`, whether a prior by rule went in (`extrapolated`), and the `state`:
admissible, undecided (a condition that you must check) or inadmissible (a flush can be lost). More columns follow them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy

from costmodel.api.arguments import event_rate, finite_number, named, size_bytes, whole_number
from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import CASE_DRAWS, Draws
from costmodel.cost.scenario import Scenario, not_applicable, scenario
from costmodel.decision import result as records
from costmodel.decision.choice import Study
from costmodel.decision.findings import picked, study_all
from costmodel.decision.tables import cost_rows
from costmodel.decision.waits import bill_rows
from costmodel.errors import BadInput, NotApplicable, UnknownName
from costmodel.evidence import machine_input
from costmodel.evidence.store import load
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.kvm.catalog import STRATEGIES
from costmodel.numbers import SWEEP_DRAWS
from costmodel.report.record import recommend as decide
from costmodel.report.tables import mask_rows
from costmodel.report.waits import contention_rows

if TYPE_CHECKING:
    import pandas
    import xarray

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
    "lock_busy_fraction": ("lock_busy", "1"),
    "in_progress_fraction": ("in_progress", "1"),
    "standstill_fraction": ("standstill", "1"),
    "fault_wait_mean_s": ("fault_wait_mean", "s"),
    "fault_wait_p99_s": ("fault_wait_p99", "s"),
    "faults_that_retry_fraction": ("faults_that_retry", "1"),
    "retry_mean_s": ("retry_mean", "s"),
    "memslot_wait_mean_s": ("memslot_wait_mean", "s"),
    "saturation_rate_per_s": ("saturation_rate", "1/s"),
}
"""Fields of a row of waits: the `quantity` that a frame calls them, and its unit."""
SECTIONS = ("answer", "change", "contention", "evidence")
"""The parts of a report page, in its order."""


@named
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
        vcpus=None if vcpus is None else whole_number(vcpus, "vcpus"),
        resident_bytes=None if resident_bytes is None else size_bytes(resident_bytes, "resident_bytes"),
        cpus_that_ran=None if cpus_that_ran is None else whole_number(cpus_that_ran, "cpus_that_ran"),
        event_fraction=None if event_fraction is None else finite_number(event_fraction, "event_fraction"),
        rates=tuple(sorted((name, event_rate(rate, f"rates[{name!r}]")) for name, rate in (rates or {}).items())),
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
        if reason := not_applicable(self.scenario):
            raise NotApplicable(reason)
        return study_all(load(), self.scenario, parameters_of(load(), self.machine))

    def _study(self, trigger: str | None) -> Study:
        """The study of `trigger`, by default that of the costliest flush."""
        found = picked(self._studies, self.guest, trigger)
        if found is None:
            raise BadInput("nothing flushes in this case", field="trigger", remedy="name one of triggers()")
        return found

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

    @named
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

    @named
    def waits(self, trigger: str | None = None, rate_per_s: Sequence[float] | None = None) -> pandas.DataFrame:
        """What waits for each flush, by the place of the hook: a frame of COLUMNS, `chosen`, `placement`, `here`,
        `note`.

        Quantities: those of WAITS, times in seconds, shares as fractions of 1. `chosen` and `here` mark the flush
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

    @named
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

    @named
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

    @named
    def draws(self, strategy: str, trigger: str | None = None) -> pandas.DataFrame:
        """The joint draws behind an interval: a row for each draw, a column for each parameter and each cost.

        Names of columns carry the SI unit: `cpu_time_s` is what the 5 %, 50 % and 95 % of `costs()` come from. At the
        costliest trigger unless one is named. Raises UnknownName, BadInput, or MissingNumber with the gap.

        >>> bool(case("sev", "epyc-7763-2s").draws("WBINVD_ALL").cpu_time_s.gt(0).all())
        True
        """
        import pandas

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
        return pandas.DataFrame({name: numpy.broadcast_to(v, (CASE_DRAWS,)) for name, v in columns.items()})

    def sweep(
        self,
        trigger: str | None = None,
        strategies: Sequence[str] | None = None,
        *,
        reduce: str | None = None,
        engine: str = "numpy",
        scheduler: str | None = None,
        draws: int = SWEEP_DRAWS,
        as_xarray: bool = False,
        **axes: Sequence[float] | float | str,
    ) -> pandas.DataFrame | xarray.Dataset:
        """Costs over all combinations of the axes: a frame of COLUMNS, one column for each axis, `chosen`, `refused`.

        Axes: `range_bytes`, `cpus` (that ran the guest), `rate_per_s`, `cache_bytes` (per last-level-cache domain),
        `vcpus`, `resident_bytes`, `event_fraction`, `l2_bytes_per_core` and every name of `parameters()`, each a number
        or a sequence. Quantities `cpu_time`, `event_time` and, where a rate is known, `host_cpus`. By default at the
        costliest trigger, for the strategies that have a number there.

        `chosen` is true of what the kernel uses there, if that is safe, `state` says whether a strategy can lose a flush,
        and `refused` why one has no number: which one no source gives.

        A point is one combination of the values of the axes; `draws` is the number of joint draws at each. With
        `reduce="cheapest"` only CPU time, from buckets 0.4 % wide, with the share of draws in which a strategy is the
        cheapest (`p_best`, never beyond 0.05 and 0.95 where a prior by rule went in), whether its median is
        (`cheapest`, by cost alone, whatever the state) and whether it is of those that are admissible
        (`cheapest_admissible`); by default of the strategies that can be used. With `reduce="breakeven"` the value of
        the first axis at which the two `strategies` cost the same, at each point of the others, the `share` of draws
        that have one there, and which is cheaper `always` in every draw where there is none; `state` is that of the
        first, the `strategy`, and `against_state` that of the second, which is `against`. `engine="numba"` is faster
        for large grids, `scheduler` is the address of a Dask scheduler, `as_xarray` gives a Dataset over the axes. The
        frame's `attrs` have version, hash of the data and draws. Raises UnknownName or BadInput.

        >>> frame = case("sev", "epyc-7763-2s").sweep(cpus=[8, 64])
        >>> sorted(set(frame.cpus))
        [8.0, 64.0]
        """
        from costmodel.decision import swept

        grids = {name: self._values(name, values) for name, values in axes.items()}
        chosen = None if strategies is None else [STRATEGIES[name].id for name in strategies]
        joint = whole_number(draws, "draws")
        frame = swept.sweep(
            self._study(trigger), grids, chosen, reduce=reduce, engine=engine, scheduler=scheduler, draws=joint
        )
        return swept.as_xarray(frame, list(grids)) if as_xarray else frame

    def _values(self, axis: str, values: Sequence[float] | float | str) -> list[float]:
        """The values of an axis as numbers, sizes as text among them."""
        several = isinstance(values, Iterable) and not isinstance(values, str)
        sequence = cast(Sequence[float], values if several else [values])
        return [(size_bytes if _is_size(axis) else finite_number)(value, axis) for value in sequence]

    def _grid(self, axis: str, values: Sequence[float] | float | str) -> list[float]:
        found = self._values(axis, values)
        top = self.scenario.machine.logical_cpus if axis == "cpus" else math.inf
        least = 1 if axis == "cpus" else self.scenario.machine.line_bytes if _is_size(axis) else 0
        if not found:
            raise BadInput("no value was given", field=axis, remedy="give one or more")
        if not all(least <= value <= top and value > 0 for value in found):
            raise BadInput(f"needs values from {least:g} to {top:g}", field=axis, remedy="correct the values")
        return found

    @named
    def breakeven(self, first: str, second: str, over: str, trigger: str | None = None) -> pandas.DataFrame:
        """Where one strategy becomes cheaper than the other along an axis of `sweep()`: COLUMNS and eight more.

        `state` is that of `first`, the `strategy`, and `against_state` that of `second`, which is `against`.
        `median`, `low`, `high` are the break-even (`quantity` is the axis) over all draws, of which a `share` has it
        inside the swept range; the others count as beyond its ends, and an end that lies there is empty (`swept_low`
        and `swept_high` are the ends of the range). `at_medians` is that of the median parameters. Without any, they
        are empty and `always` names the cheaper one. Over `rate_per_s`, rows give the rates at which each loses 1 % and
        10 % of the host. Compared is CPU time per event. Raises UnknownName, BadInput, or MissingNumber with the gap.

        >>> case("sev", "epyc-7763-2s").breakeven("WBNOINVD_MASK", "CLFLUSHOPT_UVA", over="range_bytes").quantity.item()
        'range_bytes'
        """
        from costmodel.cost.breakeven import break_even

        study = self._study(trigger)
        found = break_even(load(), self.scenario, study.trigger.id, (first, second), over)
        states = {c.strategy: c.verdict.state for c in study.candidates}
        known = {
            "trigger": study.trigger.id,
            "strategy": first,
            "against": second,
            "against_state": states[second],
            "quantity": over,
            "unit": found.unit,
            "extrapolated": found.extrapolated,
            "state": states[first],
            "always": found.always,
            "swept_low": found.low,
            "swept_high": found.high,
        }
        parts = [asdict(row) for row in found.rows] or [{"label": "no break-even", "share": 0.0}]
        rows = [{**known, **part} for part in parts]
        more = ("against", "against_state", "label", "at_medians", "share", "always", "swept_low", "swept_high")
        return self._frame(rows, *more)

    @named
    def compare(
        self, kernels: Sequence[str] | None = None, strategies: Sequence[str] | None = None
    ) -> pandas.DataFrame:
        """Two kernels or two strategies side by side, over the same draws: COLUMNS, `side`, `verdict`, `refused`.

        `side` is base, new or ratio (new over base, formed draw by draw); `verdict` says whether new is lower, higher,
        equal, or cannot be told apart (undecided). Raises UnknownName or BadInput.

        >>> set(case("sev", "epyc-7763-2s").compare(kernels=["6.6", "6.17"]).side) == {"base", "new", "ratio"}
        True
        """
        from costmodel.decision.versus import sides
        from costmodel.report.versus import compare

        asked = {**self._asked, "rates": dict(self.rates)}
        own = asked.pop("kernel")
        pair = tuple(kernels) if kernels is not None else (own,) if strategies else ()
        kind, base, new = sides(load(), **asked, kernel_names=pair, strategies=tuple(strategies or ()))
        rows = []
        for entry in compare(load(), kind, base, new).triggers:
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

    @named
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
        import pandas

        return pandas.DataFrame([self._columns() | row for row in rows], columns=[*COLUMNS, *more])


def _is_size(axis: str) -> bool:
    """Whether the axis is in bytes, so that it may be given as text such as 4MiB."""
    from costmodel.cost.grid import NUMBERS

    return axis in NUMBERS and NUMBERS[axis][0] == "B"


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
        for field, (name, unit) in WAITS.items():
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
        import pandas

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
        """A part of the report page (SECTIONS), which shows itself in a notebook. Raises UnknownName."""
        from costmodel.report import sections

        if name not in SECTIONS:
            raise UnknownName("section", name, SECTIONS)
        return Html(name, getattr(sections, name)(self.result))
