"""What was and is done about one trigger, kernel by kernel, with what that costs: the rows of a mail's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from costmodel import __version__
from costmodel.calibration.parameters import ParameterSet, parameters_of
from costmodel.cost.draws import Case, Draws, medians
from costmodel.cost.event import executed
from costmodel.cost.scenario import Scenario, not_applicable, scenario
from costmodel.cost.total import Total, ranges_per_pass
from costmodel.decision.choice import Study, needs
from costmodel.decision.estimates import CPU_TIME, interval_of, paired
from costmodel.decision.findings import headline_study
from costmodel.decision.result import Alternatives, Interval, ModelRow, Upstreamed
from costmodel.decision.sensitivity import sensitivities
from costmodel.decision.versus import Span, asked_for, introduced, spans_of
from costmodel.errors import BadInput, NotApplicable, stated
from costmodel.evidence.store import Evidence, load
from costmodel.evidence.workloads import DEFAULT as DEFAULT_WORKLOAD
from costmodel.hashing import value_hash
from costmodel.kvm import kernels
from costmodel.kvm.catalog import GUESTS, STRATEGIES, TRIGGERS, triggers_of
from costmodel.plain import shell_line
from costmodel.report.measured import observed
from costmodel.report.names import NO_WBNOINVD, title_on

INFLUENTIAL = 0.05
"""A prior is named if its total Sobol index for the first row's cost is above this."""
NAMED = 3
"""Triggers outside the workload that are named; of more the number is told."""


def alternatives(
    guests: Sequence[str],
    machine: str,
    workload: str = DEFAULT_WORKLOAD,
    *,
    trigger: str | None = None,
    kernel_names: Sequence[str] = (),
    strategies: Sequence[str] = (),
    measured: Sequence[str] = (),
    evidence: Evidence | None = None,
    **numbers: Any,
) -> Alternatives:
    """One row per kernel behaviour of each guest type, then one per strategy asked for, at `trigger`.

    Without `trigger` it is the costliest of the first guest type. A strategy that flushes the CPUs that ran the guest
    has a row for all CPUs and one for pinned vCPUs, unless `cpus_that_ran` is given. `measured` adds host profiles.
    Raises BadInput or UnknownName.
    """
    evidence = evidence or load()
    cases = {name: scenario(evidence, name, machine, workload, "newest", **numbers) for name in with_successors(guests)}
    for name in guests:
        first = next(kernel for kernel in kernels.KERNELS if kernels.hosts(name, kernel))
        if reason := not_applicable(cases[name].on(first)):
            raise NotApplicable(reason, "choose a machine and a guest type that fit")
    case = cases[guests[0]]
    parameters = parameters_of(evidence, machine)
    draws = Draws(parameters)
    trigger = _trigger(case, trigger, draws, kernel_names)
    spans = [span for name in cases for span in spans_of(cases[name], trigger, draws, kernel_names)]
    spans += [asked_for(cases[guests[0]], trigger, draws, name) for name in strategies]
    if not spans:
        raise BadInput(f"nothing is catalogued at {trigger} there", field="--kernel", remedy="leave --kernel out")
    rows, used = _rows(spans, cases, trigger, draws, asked_cpus=numbers.get("cpus_that_ran") is not None)
    influences = sensitivities(Case(trigger, case, medians(parameters)), rows[0].strategy)
    load_ = case.load(trigger)
    command = _command(guests, case, trigger, kernel_names, strategies, measured)
    return Alternatives(
        costmodel_version=__version__,
        trigger=trigger,
        trigger_title=TRIGGERS[trigger].title,
        machine=machine,
        machine_title=case.machine.title,
        logical_cpus=case.machine.logical_cpus,
        workload=workload,
        workload_title=case.workload.title,
        vcpus=case.vcpus,
        resident_bytes=case.resident_bytes,
        range_bytes=[size for size, _ in case.ranges(trigger)],
        range_note=case.range_note(trigger),
        command=command,
        rows=rows,
        measured=[observed(evidence, name) for name in measured],
        model_lines=_model_lines(parameters) if measured else {},
        upstream=_upstream(spans, trigger),
        draws=draws.n,
        extrapolated=any(parameters[name].extrapolated for name in used),
        rate_is=load_.event_fraction.note if load_ and load_.event_fraction else "",
        priors=[
            f"{parameters[one.parameter].description}: {parameters[one.parameter].rule}"
            for one in influences
            if one.sobol_total > INFLUENTIAL and parameters[one.parameter].extrapolated
        ],
        not_covered=_not_covered(case, trigger),
        sources=sorted({row for name in used for row in parameters[name].sources}),
        data_hash=evidence.data_hash,
        asked_hash=value_hash(command),
    )


def with_successors(guests: Sequence[str]) -> list[str]:
    """The guest types, each followed by the one that mainline has in its place."""
    if not guests:
        raise BadInput("no guest type is given", field="--guest", remedy="see `costmodel list guests`")
    found = [name for guest in guests for name in (guest, GUESTS[guest].successor) if name]
    return list(dict.fromkeys(found))


def _trigger(case: Scenario, asked: str | None, draws: Draws, versions: Sequence[str]) -> str:
    if asked is not None:
        if not TRIGGERS[asked].occurs_with(GUESTS[case.guest]):
            remedy = "see `costmodel list triggers`"
            raise BadInput(f"{case.guest} has no trigger {asked}", field="--trigger", remedy=remedy)
        return asked
    first = (
        versions[0] if versions else next(k for k in reversed([*kernels.KERNELS][:-1]) if kernels.hosts(case.guest, k))
    )
    at = case.on(first)
    studies = [Study(one, at, draws) for one in triggers_of(case.guest)]
    lead = headline_study([s for s in studies if case.load(s.trigger.id)] or studies)
    return stated(lead, f"a trigger of {case.guest}").trigger.id


def _rows(
    spans: Sequence[Span], cases: dict[str, Scenario], trigger: str, draws: Draws, *, asked_cpus: bool
) -> tuple[list[ModelRow], set[str]]:
    """Rows of the spans and the names of the parameters that went in."""
    rows: list[ModelRow] = []
    used: set[str] = set()
    base: Total | None = None
    for span in spans:
        case = cases[span.guest].on(span.pieces[-1].version)
        masked = STRATEGIES[span.strategy].scope == "mask" and not asked_cpus and case.vcpus < case.machine.logical_cpus
        sizes = [(case.cpus_that_ran, False)] + ([(float(case.vcpus), True)] if masked else [])
        for cpus, pinned in sizes:
            study = Study(TRIGGERS[trigger], replace(case, cpus_that_ran=cpus), draws)
            cost = study.cost(span.strategy)
            used.update(name for name in cost.parameters if name in draws.parameters.parameters)
            rows.append(_row(span, case, cost, base, cpus, pinned=pinned))
            base = base or (cost if cost.refused is None else None)
    return rows, used


def _row(span: Span, case: Scenario, cost: Total, base: Total | None, cpus: float, *, pinned: bool) -> ModelRow:
    scope = STRATEGIES[span.strategy].scope
    done = executed(STRATEGIES[span.strategy], case)
    known = cost.refused is None
    change = None
    if known and base is not None:
        marks = (base.extrapolated, cost.extrapolated)
        change = paired(CPU_TIME, base.priced.stolen_s, cost.priced.stolen_s, marks)
    return ModelRow(
        guest=span.guest,
        guest_title=GUESTS[span.guest].title,
        where=span.where,
        strategy=span.strategy,
        strategy_title=title_on(span.strategy, case),
        instruction=done.instruction,
        scope=scope,
        cpus={"mask": int(cpus), "all_cpus": case.machine.logical_cpus}.get(scope, 0),
        pinned=pinned,
        asked=span.asked,
        needs=needs(case, cost.trigger, span.strategy) if span.asked else "nothing",
        state=span.state,
        note="; ".join(filter(None, [span.note, NO_WBNOINVD if done.id != span.strategy else "", _walk(case, cost)])),
        cpu_time_per_event_s=interval_of(cost.priced.stolen_s, "s", cost.extrapolated) if known else None,
        host_cpus_lost=interval_of(cost.host_cpu_s_per_s, "1", cost.extrapolated, at_most=cost.at_most),
        latency_s=interval_of(cost.priced.time_s, "s", cost.extrapolated) if known else None,
        change=change,
        refused=cost.refused,
    )


def _walk(case: Scenario, cost: Total) -> str:
    """Why a scanner that had to change a page in earlier kernels flushes more often in this one; empty where it does
    not.
    """
    load = case.workload.load(cost.trigger)
    ranges = ranges_per_pass(load, case) if load is not None and load.loop == "autonuma" else 1.0
    if ranges <= 1 or case.rate(cost.trigger) is not None:
        return ""
    return (
        f"from v6.19 on a pass over pinned memory, of which it can change nothing, flushes for each of {ranges:.0f} "
        "ranges"
    )


# What upstream decided between the rows, in words.


def decided(guest: str, trigger: str, first: str, last: str) -> list[Upstreamed]:
    """Every decision that changed the flush between two catalogued ranges, oldest first, each with what it replaced.

    What was before is what the range just before the release does, not what `first` does.
    """
    found = []
    for before, after in pairwise(kernels.mainline(first, last)):
        was, now = (kernels.upstream(guest, trigger, name) for name in (before, after))
        new = now.strategies if now else ()
        current = [name for name in was.strategies if name not in new] if was else []
        for decision in kernels.changes(guest, trigger, before, after):
            brought = [name for name in decision.strategies if name in new] or list(decision.strategies)
            change, more = told(current, brought)
            found.append(
                Upstreamed(
                    number=decision.number,
                    version=decision.version_in(after),
                    before=_titles(current),
                    after=_titles(brought),
                    guest_title=GUESTS[guest].title,
                    change=change,
                    more=more,
                    commit=decision.commit,
                    date=decision.date,
                )
            )
            current = brought
    return found


def told(before: Sequence[str], after: Sequence[str]) -> tuple[str, str]:
    """What the step from strategies to strategies is: a verb phrase, and the rest that goes behind the guest type.

    >>> told(["WBINVD_ALL"], ["WBNOINVD_ALL"]), told(["WBNOINVD_ALL"], ["WBNOINVD_MASK"])
    (('replaced WBINVD by WBNOINVD', ''), ('flushes only the CPUs that ran the guest', ''))
    >>> told(["NO_FLUSH"], ["WBINVD_ALL"])
    ('began to flush here', 'with WBINVD on all online CPUs')
    """
    old, new = STRATEGIES[before[0]] if before else None, STRATEGIES[after[0]]
    if new.instruction == "none":
        flushed = old is not None and old.instruction != "none"
        return ("no longer flushes here" if flushed else "does not flush here"), _reason(after)
    if old is None or old.instruction == "none":
        why = f", where it did not {reason}" if (reason := _reason(before)) else ""
        return ("flushes here" if old is None else "began to flush here"), f"with {_titles(after)}{why}"
    if old.whole_cache and new.whole_cache:
        if old.scope == new.scope:
            return f"replaced {old.instruction.upper()} by {new.instruction.upper()}", ""
        if old.instruction == new.instruction and new.scope == "mask":
            return "flushes only the CPUs that ran the guest", ""
    return f"replaced {_titles(before)} by {_titles(after)}", ""


def _titles(names: Sequence[str]) -> str:
    return " or ".join(STRATEGIES[name].title for name in names)


def _reason(names: Sequence[str]) -> str:
    """Why there is no flush: `because ...`."""
    return " or ".join(filter(None, (STRATEGIES[name].why for name in names)))


def _upstream(spans: Sequence[Span], trigger: str) -> list[Upstreamed]:
    """The decisions between the rows of a guest type; of a successor in mainline also those that it came with."""
    ranges: dict[str, list[str]] = {}
    for span in spans:
        if not span.asked:
            ranges.setdefault(span.guest, []).extend(span.ranges)
    found = []
    for guest, names in ranges.items():
        if any(GUESTS[other].successor == guest for other in ranges):
            names = [introduced(guest), *names]
        names.sort(key=kernels.KERNELS.__getitem__)
        found += decided(guest, trigger, names[0], names[-1])
    return found


def _model_lines(parameters: ParameterSet) -> dict[str, Interval]:
    """Seconds per line of CLFLUSHOPT in the model, by state; empty where no rule gives them."""
    names = {"dirty": "line_dirty_s", "clean": "line_clean_s", "absent": "line_absent_s"}
    known = {state: parameters.parameters[name] for state, name in names.items() if name in parameters.parameters}
    return {
        state: Interval(
            low=entry.distribution.low,
            median=entry.distribution.median,
            high=entry.distribution.high,
            unit=entry.unit,
            extrapolated=entry.extrapolated,
        )
        for state, entry in known.items()
    }


def _not_covered(case: Scenario, trigger: str) -> list[str]:
    """What the table leaves out, most important first."""
    unrated = [TRIGGERS[one.trigger].title for one in case.workload.triggers if one.loop == "axis"]
    others = [one for one in triggers_of(case.guest) if case.load(one.id) is None]
    texts = [f"{title} (no rate is published)" for title in unrated if title != TRIGGERS[trigger].title]
    if others:
        named = ", ".join(one.title for one in others[:NAMED])
        more = f" and {len(others) - NAMED} more triggers" if len(others) > NAMED else ""
        texts.append(f"{named}{more} (not in this workload)")
    return [
        *texts,
        "several VMs that flush at once",
        "cache refill of the guest and its neighbours after the flush, beyond a floor",
    ]


def _command(
    guests: Sequence[str],
    case: Scenario,
    trigger: str,
    kernel_names: Sequence[str],
    strategies: Sequence[str],
    measured: Sequence[str],
) -> str:
    """The command line that gives this table again."""
    words = ["costmodel", "block"]
    words += [word for name in guests for word in ("--guest", name)]
    words += ["--machine", case.machine.word, "--workload", case.workload.id, "--trigger", trigger]
    words += [word for name in kernel_names for word in ("--kernel", name)]
    words += [word for name in strategies for word in ("--strategy", name)]
    words += [word for name in measured for word in ("--measured", name)]
    return shell_line(words + case.number_words)
