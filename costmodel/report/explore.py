"""The explorer of notebooks/explore.ipynb: controls that start as the workload has it, the answer, and curves that
follow.

`answer` and `curves` say what is shown, without a widget. A step costs every trigger once and the drawn strategies over
the whole axis at once; the lines of the figure are moved, not drawn anew.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple, cast

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Case, Draws
from costmodel.cost.event import at_rate, mixed_cost
from costmodel.cost.scenario import AXES, Scenario, not_applicable, scenario
from costmodel.cost.total import event_of
from costmodel.decision.choice import Study
from costmodel.decision.estimates import interval_of
from costmodel.decision.findings import costliest_study, headline_study
from costmodel.decision.result import Interval
from costmodel.decision.views import CURVE_DRAWS, CURVE_POINTS, Band
from costmodel.decision.waits import compared
from costmodel.errors import BadInput, MissingNumber, UnknownName
from costmodel.evidence.store import load
from costmodel.formulas.compiled import value
from costmodel.kvm.catalog import GUESTS, STRATEGIES, triggers_of
from costmodel.kvm.kernels import KERNELS
from costmodel.numbers import quantity
from costmodel.report import drawing, page, plots
from costmodel.report.names import AXIS_NAMES, COST_NAMES, title_on
from costmodel.report.sentences import cost_text, events_of

Pinning = Literal["unpinned", "packed", "spread"]
PINNINGS: dict[str, Pinning] = {
    "as the workload has it: on any CPU": "unpinned",
    "pinned: one cache domain after the other": "packed",
    "pinned: dealt out over all cache domains": "spread",
}
BASES = {
    "forced": "the only safe strategy that this kernel offers here",
    "dominated": "it is a subset of every other safe flush of this kernel, so no number is needed",
    "cost": "numbers decide between the safe strategies",
    None: "what this kernel does here can lose a flush, or is not catalogued",
}
OWN = "own"
"""Value of a control that is left as the workload, the machine or the pinning has it."""
SIZES = tuple(4096.0 * 2**power for power in range(25))
RATES_PER_S = tuple(step * 10.0**power for power in range(-2, 5) for step in (1, 2, 5))
CACHES = tuple(2.0 ** (20 + power) for power in range(11))


@dataclass(frozen=True)
class Question:
    """What the controls ask; None is "as the workload has it" (the trigger: the costliest flush).

    Range and rate are those of the trigger alone; cache size, vCPUs and pinning concern the whole host.
    """

    guest: str
    machine: str
    workload: str
    kernel: str = "newest"
    trigger: str | None = None
    vcpus: int | None = None
    pinning: Pinning = "unpinned"
    cpus_that_ran: int | None = None
    range_bytes: float | None = None
    rate_per_s: float | None = None
    cache_bytes: float | None = None


class Line(NamedTuple):
    """One strategy that rules leave open: what the report's table of costs says of it, or why its total is
    `refused`.
    """

    strategy: str
    state: str
    cpu_time_s: Interval | None
    host_cpus: Interval | None
    refused: str | None


@dataclass(frozen=True)
class Answer:
    """The study of the asked trigger, and the cost of all triggers together in the words of the report."""

    study: Study
    headline_cost: str

    @property
    def lines(self) -> list[Line]:
        """Cheapest event first, refused totals last."""
        found = []
        for candidate in self.study.candidates:
            if candidate.verdict.label == "no":
                continue
            cost = self.study.cost(candidate.strategy)
            stolen_s = cost.event.stolen_s if cost.event else None
            each = interval_of(stolen_s, "s", cost.extrapolated)
            lost = interval_of(cost.host_cpu_s_per_s, "1", cost.extrapolated, at_most=cost.at_most)
            found.append(Line(candidate.strategy, candidate.verdict.state, each, lost, cost.refused))
        return sorted(
            found, key=lambda line: (line.refused is not None, line.cpu_time_s.median if line.cpu_time_s else 0.0)
        )


@lru_cache(maxsize=8)
def _drawn(machine: str, data_hash: str) -> tuple[Draws, Draws]:
    parameters = parameters_of(load(), machine)
    return Draws(parameters), Draws(parameters, CURVE_DRAWS)


def _draws(machine: str) -> tuple[Draws, Draws]:
    """The draws of a machine, made once: those of the numbers, as in the report, and fewer for curves."""
    return _drawn(machine, load().data_hash)


def possible_guests(machine: str, kernel: str) -> list[str]:
    """Guest types that machine and kernel can host."""
    evidence = load()
    some = next(iter(evidence.workloads))
    return [name for name in GUESTS if not not_applicable(scenario(evidence, name, machine, some, kernel))]


def answer(asked: Question) -> Answer | None:
    """The answer; None where nothing flushes at any trigger. Raises UnknownName, or BadInput where the guest cannot
    run.
    """
    host = replace(asked, trigger=None, range_bytes=None, rate_per_s=None)
    studies = dict(_studies(host, load().data_hash))
    if asked.trigger is not None and asked.trigger not in studies:
        raise UnknownName(f"trigger of {asked.guest}", asked.trigger, studies)
    costliest = costliest_study(list(studies.values()))
    study = studies[asked.trigger] if asked.trigger else costliest
    if study is None:
        return None
    own = _at_trigger(study.scenario, study.trigger.id, asked)
    if own != study.scenario:
        study = studies[study.trigger.id] = Study(study.trigger, own, study.draws)
    every = list(studies.values())
    return Answer(study, cost_text(headline_study(every), every))


@lru_cache(maxsize=4)
def _studies(host: Question, data_hash: str) -> dict[str, Study]:
    """The studies of all triggers, kept while only a trigger's range or rate moves."""
    case, draws = _case(host), _draws(host.machine)[0]
    if reason := not_applicable(case):
        raise BadInput(reason, field="guest", remedy="choose one that the machine and the kernel can host")
    return {trigger.id: Study(trigger, case, draws) for trigger in triggers_of(host.guest)}


def _case(asked: Question) -> Scenario:
    """The scenario of the whole host."""
    evidence = load()
    ids = (asked.guest, asked.machine, asked.workload, asked.kernel)
    case = scenario(evidence, *ids, vcpus=asked.vcpus, cpus_that_ran=asked.cpus_that_ran)
    if asked.cpus_that_ran is None and asked.pinning != "unpinned":
        case = replace(case, cpus_that_ran=float(min(case.vcpus, case.machine.logical_cpus)))
    case = replace(case, packed=asked.pinning != "spread")
    return case if asked.cache_bytes is None else AXES["cache_bytes"].at(case, asked.cache_bytes)


def _at_trigger(case: Scenario, trigger: str, asked: Question) -> Scenario:
    """The scenario with the range and the rate of one trigger."""
    if asked.range_bytes is not None:
        case = replace(case, range_bytes=asked.range_bytes)
    return case if asked.rate_per_s is None else replace(case, rates=((trigger, asked.rate_per_s),))


def curves(study: Study, strategies: Sequence[str], over: str, x: numpy.ndarray, draws: Draws) -> dict[str, Band]:
    """Cost of each strategy over the axis, all values at once: CPU time per event, or over a rate the host CPUs
    lost.
    """
    axis, column, found = AXES[over], x[:, None], {}
    for name in strategies:
        there = study.scenario if over == "rate_per_s" else axis.at(study.scenario, cast(Any, column))
        try:
            if over == "rate_per_s":
                entry = STRATEGIES[name]
                at = at_rate(draws, there.machine, column) if entry.whole_cache else draws
                cost = mixed_cost(Case(study.trigger.id, there, at), entry)[0].stolen_s
            else:
                cost = event_of(Case(study.trigger.id, there, draws), STRATEGIES[name])[0].stolen_s
        except MissingNumber:
            continue
        if over == "rate_per_s":
            cpus = study.scenario.machine.logical_cpus
            cost = value("host_loss", rate_per_s=column, stolen_cpu_s_per_event=cost, logical_cpus=cpus)
        found[name] = Band(*numpy.quantile(numpy.broadcast_to(cost, (len(x), draws.n)), (0.05, 0.5, 0.95), axis=1))
    return found


class Picture:
    """The figure: cost curves of one trigger over one axis. `show` moves its lines while trigger, axis and names stay;
    what does not move is kept as it was drawn.
    """

    def __init__(self) -> None:
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        self.figure, grid = drawing.new_figure(9.6, 4.2)
        self.canvas, self.ax = FigureCanvasAgg(self.figure), grid[0][0]
        self.limits: tuple[float, float]
        self._key: object = None
        self._kept: object = None

    def show(self, study: Study, over: str) -> None:
        """Draw or move the curves of `study`; an upright line marks the case."""
        axis, case, trigger = AXES[over], study.scenario, study.trigger.id
        states = {c.strategy: c.verdict.state for c in compared(study)}
        own = study.chosen.strategy if study.chosen else None
        key = (case.guest, case.kernel, case.machine.id, trigger, over, own, tuple(states))
        started = key != self._key
        if started:
            self._start(states, own, over)
            self._key = key
        x = axis.values(case, CURVE_POINTS)
        bands = curves(study, self.lines.names, over, x, _draws(case.machine.id)[1])
        wanted = self.lines.limits(bands)
        if started or not self.limits[0] <= wanted[0] <= wanted[1] <= self.limits[1]:
            self.limits = 10.0 ** numpy.floor(numpy.log10(wanted[0])), 10.0 ** numpy.ceil(numpy.log10(wanted[1]))
            self._kept = None
        self.lines.move(x, bands, self.limits)
        self.here.set_xdata([axis.here(case, trigger)] * 2)

    def _start(self, states: Mapping[str, str], own: str | None, over: str) -> None:
        axis, rate = AXES[over], over == "rate_per_s"
        self.ax.clear()
        drawing.axes(self.ax, dark=False)
        drawing.log_axis(self.ax, axis.unit)
        notes = {name: state for name, state in states.items() if state != "admissible"}
        self.lines = plots.Lines(
            self.ax, list(states), thick={own} if own else (), notes=notes, unit="1" if rate else "s"
        )
        self.here = self.ax.axvline(1.0, color=drawing.INKS[False], linewidth=1, alpha=0.6)
        y_label = "host CPUs lost" if rate else COST_NAMES["s"]
        self.ax.set(xlabel=drawing.label(AXIS_NAMES[over], axis.unit), ylabel=y_label)
        self.figure.set_layout_engine("constrained")

    def png(self) -> bytes:
        """The figure as it is: what moves, on what was kept of the last full drawing."""
        from PIL import Image

        moving = [self.here, *self.lines.artists]
        if self._kept is None:
            self.canvas.draw()  # with the names at the lines' ends, so that the layout leaves room for them
            self.figure.set_layout_engine("none")
            for artist in moving:
                artist.set_animated(True)
            self.canvas.draw()
            self._kept = self.canvas.copy_from_bbox(self.figure.bbox)
        self.canvas.restore_region(self._kept)
        for artist in sorted(moving, key=lambda artist: artist.zorder):
            self.ax.draw_artist(artist)
            artist.set_animated(False)
        buffer = io.BytesIO()
        Image.fromarray(numpy.asarray(self.canvas.buffer_rgba())[..., :3]).save(buffer, "png", compress_level=1)
        return buffer.getvalue()


class Explorer:
    """Controls, answer and figure; `box` is the widget. Every control starts as the workload has it."""

    def __init__(self, guest_id: str, machine_id: str, workload_id: str) -> None:
        import ipywidgets

        evidence = load()
        evidence.machine(machine_id)
        evidence.workload(workload_id)
        GUESTS[guest_id]
        self._still, self.picture = True, Picture()
        shape = {
            "layout": ipywidgets.Layout(width="auto", max_width="46rem"),
            "style": {"description_width": "min(13rem, 40vw)"},
        }

        def menu(title: str, options: object, **more: Any) -> Any:
            return ipywidgets.Dropdown(description=title, options=options, **shape, **more)

        def slider(title: str) -> Any:
            return ipywidgets.SelectionSlider(description=title, options=[("-", OWN)], **shape)

        self.machine = menu("Machine", list(evidence.machines), value=machine_id)
        self.kernel = menu("Host kernel", ["newest", *reversed([*KERNELS])])
        self.guest = menu("Guest type", [guest_id])
        self.workload = menu("Workload", list(evidence.workloads), value=workload_id)
        self.trigger = menu("Event", [("the costliest flush", OWN)])
        self.vcpus, self.pinning = slider("vCPUs"), menu("Pinning", PINNINGS)
        self.cpus, self.range = slider("CPUs that ran the guest"), slider("Range length")
        self.rate, self.cache = slider("Events per second"), slider("Cache per domain")
        self.over = menu("Curves over", {title: name for name, title in AXIS_NAMES.items()})
        self.busy, self.told, self.drawn = ipywidgets.HTML(), ipywidgets.HTML(), ipywidgets.HTML()
        self.controls: tuple[Any, ...] = (
            self.machine,
            self.kernel,
            self.guest,
            self.workload,
            self.trigger,
            self.vcpus,
            self.pinning,
        )
        self.controls += (self.cpus, self.range, self.rate, self.cache, self.over)
        for control in self.controls:
            control.observe(self._follow, names="value")
        self.box = ipywidgets.VBox([*self.controls, self.busy, self.told, self.drawn])
        self._still = False
        self._follow()

    @property
    def asked(self) -> Question:
        """What the controls ask now."""
        numbers = {"vcpus": self.vcpus, "cpus_that_ran": self.cpus, "range_bytes": self.range, "rate_per_s": self.rate}
        numbers |= {"cache_bytes": self.cache, "trigger": self.trigger}
        given: dict[str, Any] = {
            name: None if control.value == OWN else control.value for name, control in numbers.items()
        }
        ids: dict[str, Any] = {
            "guest": self.guest.value,
            "machine": self.machine.value,
            "workload": self.workload.value,
        }
        return Question(**ids, kernel=self.kernel.value, pinning=self.pinning.value, **given)

    def _follow(self, change: dict | None = None) -> None:
        """Answer what the controls ask now, and say so meanwhile."""
        if self._still:
            return
        self._still = True
        self.busy.value = page.fragment("nothing", text="Computing ...")
        try:
            if change is None or change["owner"] in (self.machine, self.kernel):
                self._offer(self.guest, possible_guests(self.machine.value, self.kernel.value))
            if change is None or change["owner"] in (self.machine, self.kernel, self.guest):
                named = [(trigger.title, trigger.id) for trigger in triggers_of(self.guest.value)]
                self._offer(self.trigger, [("the costliest flush", OWN), *named])
            found = answer(self.asked)
            self._offer_numbers(found)
            self.told.value = page.scoped(told(found))
            self.drawn.value = self._curves(found)
        finally:
            self.busy.value = ""
            self._still = False

    def _curves(self, found: Answer | None) -> str:
        if found is None or not compared(found.study):
            return ""
        self.picture.show(found.study, self.over.value)
        axis = AXES[self.over.value]
        here = axis.here(found.study.scenario, found.study.trigger.id)
        where = quantity(here, axis.unit, 3) if numpy.isfinite(here) else "unknown"
        alt = f"Cost of each strategy over the {AXIS_NAMES[axis.id]}; this case lies at {where}"
        return page.fragment("picture", data=base64.b64encode(self.picture.png()).decode(), alt=alt)

    def _offer_numbers(self, found: Answer | None) -> None:
        """The choices of the sliders, the first of which says what the workload, the machine or the pinning has."""
        case = found.study.scenario if found else _case(self.asked)
        trigger = found.study.trigger.id if found else None
        own = _case(replace(self.asked, cpus_that_ran=None, cache_bytes=None, vcpus=None))
        bare = _case(replace(self.asked, cpus_that_ran=None))
        cpus = [2**power for power in range(case.machine.logical_cpus.bit_length())]
        built, workload = load().machine(case.machine.id).llc_bytes_per_domain, "workload"
        size = f"{workload}: {size_text(sum(s * w for s, w in bare.ranges(trigger)))}" if trigger else workload
        self._offer(self.vcpus, [(f"{workload}: {own.vcpus}", OWN), *((str(n), n) for n in cpus)])
        self._offer(self.cpus, [(f"pinning: {bare.cpus_that_ran:g}", OWN), *((str(n), n) for n in cpus)])
        self._offer(self.range, [(size, OWN), *((size_text(s), s) for s in SIZES)])
        self._offer(self.rate, [(workload, OWN), *((f"{drawing.tick(r, '1/s')} per second", r) for r in RATES_PER_S)])
        self._offer(self.cache, [(f"built: {size_text(built)}", OWN), *((size_text(c), c) for c in CACHES)])

    @staticmethod
    def _offer(control: Any, options: Sequence[object]) -> None:
        """Other choices for a control, which keeps its value where that is still one of them, and else takes the
        first.
        """
        if list(control.options) == list(options):
            return
        kept, values = control.value, [one[1] if isinstance(one, tuple) else one for one in options]
        control.options = options
        control.value = kept if kept in values else values[0]


def size_text(size_bytes: float) -> str:
    """`size_bytes` as a read-out says it: whole where it is a power of two."""
    return drawing.tick(size_bytes, "B") if size_bytes % 1024 == 0 else quantity(size_bytes, "B", 3)


def told(found: Answer | None) -> str:
    """What the explorer says of `found`, as HTML."""
    if found is None:
        return page.fragment("nothing", text="No trigger of this guest type needs a flush.")
    own = found.study.chosen.strategy if found.study.chosen else None
    rows = [
        line
        for line in found.lines
        if line.strategy == own or line.refused or (line.cpu_time_s and line.cpu_time_s.median > 0)
    ]
    does = title_on(own, found.study.scenario) if own else "no safe strategy in this kernel"
    events, basis = events_of(found.study), BASES[found.study.basis]
    return page.fragment("explore", found=found, events=events, rows=rows, own=own, does=does, basis=basis)


def explorer(guest: str, machine: str, workload: str) -> object:
    """The widget for a guest type, a machine and a workload to start from. Raises UnknownName."""
    return Explorer(guest, machine, workload).box
