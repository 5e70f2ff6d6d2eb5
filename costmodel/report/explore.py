"""The explorer of notebooks/explore.ipynb: sliders on the left, the recommendation and its curves follow."""

from __future__ import annotations

from dataclasses import replace

from costmodel.calibration.cached import parameters_of
from costmodel.cost.scenario import Scenario, scenario
from costmodel.decision import headline
from costmodel.decision.policy import Study
from costmodel.decision.recommend import not_applicable, study_all
from costmodel.decision.views import DRAWN
from costmodel.evidence.store import load
from costmodel.kvm.guests import GUESTS, guest
from costmodel.kvm.strategies import STRATEGIES
from costmodel.numbers import interval
from costmodel.report import plots
from costmodel.report.blocks import fragment


def changed(case: Scenario, *, llc_mib: float, range_kib: float, cpus: int, rate_per_s: float) -> Scenario:
    """`case` with the sliders' values: cache per domain, range length, CPUs that ran the guest, invalidations per s."""
    machine = replace(case.machine, llc_bytes_per_domain=llc_mib * 2.0**20)
    return replace(
        case,
        machine=machine,
        range_bytes=range_kib * 2.0**10,
        rate_per_s=rate_per_s,
        cpus_that_ran=float(min(cpus, machine.logical_cpus)),
    )


def explain(case: Scenario, trigger: str | None = None) -> str:
    """HTML: the choice at the costliest (or the given) trigger, what each usable strategy costs, and curves."""
    reason = not_applicable(case, guest(case.guest))
    if reason:
        return fragment("nothing", text=f"Not applicable: {reason}.")
    evidence = load()
    parameters = parameters_of(evidence, case.machine.id)
    studies = study_all(evidence, case, parameters)
    lead = next((s for s in studies if s.trigger.id == trigger), None) or headline.headline_study(studies)
    if lead is None:
        return fragment("nothing", text="No trigger of this guest type needs a flush.")
    names = [
        c.strategy
        for c in lead.candidates
        if c.verdict.label != "no"
        and lead.cost(c.strategy).refused is None
        and STRATEGIES[c.strategy].instruction != "none"
    ][:DRAWN]
    rows = [(name, _loss(lead, name)) for name in names]
    drawn = _curves(lead, names) if names else ""
    return fragment(
        "explore",
        lead=lead,
        cost=headline.cost_text(lead, studies),
        sure=headline.confidence(lead),
        rows=rows,
        plot=drawn,
    )


def _loss(study: Study, strategy: str) -> str:
    import numpy

    lost = study.cost(strategy).host_cpu_s_per_s
    if lost is None:
        return "no rate"
    low, middle, high = numpy.quantile(lost, (0.05, 0.5, 0.95))
    return f"{interval(low, middle, high, '1')} host CPUs"


def _curves(study: Study, names: list[str]):
    from markupsafe import Markup

    from costmodel.cost.curves import sweep

    sweeps = [
        sweep(study.scenario, study.trigger.id, names, study.parameters, over)
        for over in ("range_bytes", "cpus", "cache_bytes", "rate_per_s")
    ]
    states = {c.strategy: c.verdict.state for c in study.candidates}
    labels = {n: n if states[n] == "admissible" else f"{n} ({states[n]})" for n in names}
    return Markup(plots.break_even(sweeps, labels))


def explorer(guest_id: str, machine_id: str, workload_id: str) -> object:
    """The widget: drop-downs for guest type and machine, sliders for the four quantities, and the answer below."""
    import ipywidgets as widgets

    evidence = load()
    start = evidence.machine(machine_id)
    layout, style = widgets.Layout(width="32rem"), {"description_width": "13rem"}
    shape = {"layout": layout, "style": style, "continuous_update": False}
    guests = widgets.Dropdown(
        options=list(GUESTS), value=guest_id, description="Guest type", layout=layout, style=style
    )
    machines = widgets.Dropdown(
        options=list(evidence.machines), value=machine_id, description="Machine", layout=layout, style=style
    )
    llc = widgets.FloatLogSlider(
        value=start.llc_bytes_per_domain / 2**20,
        base=2,
        min=0,
        max=10,
        step=0.25,
        description="Cache per domain (MiB)",
        **shape,
    )
    size = widgets.FloatLogSlider(value=4, base=2, min=-4, max=26, step=1, description="Range length (KiB)", **shape)
    cpus = widgets.IntSlider(
        value=start.logical_cpus, min=1, max=start.logical_cpus, description="CPUs that ran the guest", **shape
    )
    rate = widgets.FloatLogSlider(
        value=10, base=10, min=-2, max=5, step=0.25, description="Invalidations per second", **shape
    )
    answer = widgets.HTML()

    def follow_machine(change: dict) -> None:
        host = evidence.machine(change["new"])
        cpus.max = host.logical_cpus
        cpus.value = host.logical_cpus
        llc.value = host.llc_bytes_per_domain / 2**20

    def follow(_: object = None) -> None:
        case = scenario(evidence, guests.value, machines.value, workload_id)
        answer.value = explain(
            changed(case, llc_mib=llc.value, range_kib=size.value, cpus=cpus.value, rate_per_s=rate.value)
        )

    machines.observe(follow_machine, names="value")
    for control in (guests, machines, llc, size, cpus, rate):
        control.observe(follow, names="value")
    follow()
    return widgets.VBox([guests, machines, llc, size, cpus, rate, answer])
