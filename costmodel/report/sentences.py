"""The sentences of a recommendation: what to do, what it gains, how sure that is, what was assumed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy

from costmodel.cost.breakeven import LOSSES
from costmodel.cost.draws import Case
from costmodel.cost.event import cpus_flushed, executed, leaves_rmp
from costmodel.cost.scenario import Scenario
from costmodel.cost.total import Total, distances, ranges_per_pass, stock, total
from costmodel.decision.advice import Gain, Step
from costmodel.decision.choice import Study
from costmodel.decision.estimates import interval_of
from costmodel.decision.findings import Opening, Plan, between_guests, costliest_study
from costmodel.errors import stated
from costmodel.evidence.records import PAGE_BYTES, SHUTDOWNS, Measurement
from costmodel.evidence.store import Evidence
from costmodel.evidence.workloads import Residency
from costmodel.formulas.compiled import value
from costmodel.kvm import kernels
from costmodel.kvm.catalog import GAPS, GUESTS, STRATEGIES, TRIGGERS
from costmodel.kvm.kernels import BLASTED
from costmodel.kvm.setup import contradictions
from costmodel.numbers import ceiling, factor, interval, probability, quantity, significant
from costmodel.report import advice
from costmodel.report.names import NO_WBNOINVD, title_on
from costmodel.report.tables import p_best_note

COUNT_COMMAND = "perf stat -e kvm:kvm_unmap_hva_range -p PID_OF_THE_VMM -- sleep 300"
CAUSES_COMMAND = "perf record -g -e kvm:kvm_unmap_hva_range -a -- sleep 300"
_MEASURE = (
    f"{COUNT_COMMAND}, and give it back as --rate all=COUNT/300; "
    "it counts every cause in the threads of the VMM, and events that meet no memory slot and flush nothing; what "
    "ksmd, khugepaged, kcompactd, kswapd and numad do to the guest is counted with -a in place of -p only, for every "
    "VM at once"
)
"""How a user gets the rate of his own guest: longer than the slowest scan period."""
_TELL_CAUSES_APART = (
    f"what was counted has no cause yet: {CAUSES_COMMAND}, then perf script: "
    "task and call chain of an event name its cause (task_numa_work: NUMA balancing scan; do_numa_page, compact_zone "
    "or kernel_migrate_pages: migration; ksmd; khugepaged; kswapd or shrink_folio_list: swap-out; do_mprotect_pkey; "
    "unmap_vmas or madvise: munmap or discard); give each back as --rate TRIGGER=COUNT/300"
)
"""How to split a count of all events by what caused them."""
MEASURE_RATE: dict[Opening, str] = {"rate": _MEASURE, "causes": _TELL_CAUSES_APART}
"""How to learn what is open about the rate that decides."""
UNKNOWN_CAUSE = "events of unknown cause at the hook"
SCANNER_GOES_ON = (
    "pinned memory: a NUMA balancing pass raises its notifier, then skips the pinned pages, and as nothing was "
    "updated goes on to the next range, up to 8 in a pass (v6.19 on; before, for 4 KiB pages only); a ceiling that "
    "holds for the first two scans of the memory: later it is scanned only where it was accessed or is forced "
    "(vma_is_accessed()), an area a pass"
)
GUEST_WBINVD = " WBINVD that the guest executes is executed on the host as well, at a rate that nobody published."
KSM_WORKLOAD = "ksm-default"
"""The workload that tells what merging costs where the one that was asked for merges nothing."""


def events_of(study: Study) -> str:
    """What the events of a trigger are called: where a count of all stands for them, their cause is not known."""
    return UNKNOWN_CAUSE if study.scenario.stands_for_all(study.trigger.id) else study.trigger.title


def headline(plan: Plan, case: Scenario, lead: Study | None, reason: str | None) -> str:
    """What to do now, in one or two sentences."""
    if plan.kind == "not applicable":
        return f"Not applicable: {reason}."
    if lead is None:
        return "No trigger of this guest type needs a flush."
    step = _title(plan.step)
    if plan.kind == "can lose":
        title = step or "Move to a guest type and kernel with a safe strategy"
        return f"{title}: {case.version} can lose a flush at {lead.trigger.title}."
    chosen = lead.picked
    if plan.kind == "flush":
        return _first(plan, step or f"Keep {title_on(chosen.strategy, case)} (what {case.version} does)", lead)
    match plan.kind:
        case "unencrypted":
            return (
                f"No flush: {chosen.verdict.reason}. The zaps and TLB shoot-downs of invalidations are not modelled; NUMA "
                "balancing off stops those of its scans for this guest too."
            ) + (GUEST_WBINVD if case.noncoherent_dma else "")
        case "cannot happen":
            return f"Nothing to do under this workload: {lead.trigger.title} cannot happen here: {lead.firing.why}."
        case "none counted":
            return f"Nothing to do at the rate that was counted: {_none_counted(lead)}."
        case "outside workload":
            return "Nothing to do under this workload: none of its events flushes memory of this guest."
        case "between guests":
            return (
                "Nothing to do: under this workload nothing flushes memory of this guest while it runs. "
                f"{lead.trigger.title}, once for all guests that ended since the last one, takes "
                f"{title_on(chosen.strategy, case)}, the only safe strategy there."
            )
    return f"Nothing to do under this workload: {chosen.verdict.reason}."


def _title(step: Step | None) -> str:
    return next((one.title for one in advice.step(step)), "")


def _first(plan: Plan, first: str, lead: Study) -> str:
    """What to do and what that saves; of a step without a remedy only where it saves almost all."""
    if plan.remedy is not None:
        return f"{first}, and {_lower_first(plan.remedy.remedy.title)}: that saves {_saved(plan.remedy.gain, lead)}."
    if plan.step is not None and plan.enough:
        return f"{first}: that saves {_saved(plan.step.gain, lead)}."
    return f"{first}."


def _none_counted(lead: Study) -> str:
    """How long none was counted, and how many there can have been all the same."""
    _, seconds = stated(lead.scenario.count(lead.trigger.id), f"a count of {lead.trigger.id}")
    high = float(numpy.quantile(_rate(lead.cost(lead.picked.strategy)), 0.95))
    return f"no event in {quantity(seconds, 's')}, which leaves at most {significant(high, 1)} per second (95 %)"


def _saved(gain: Gain, lead: Study) -> str:
    """What is saved: no more than a ceiling where the loss that it takes away is one."""
    saved = stated(gain.saved, "what is saved")
    shown = interval(saved.low, saved.median, saved.high, "1", saved.most)
    return f"{ceiling(shown, lead.cost(lead.picked.strategy).at_most)} host CPUs"


def _lower_first(text: str) -> str:
    """Lower the first letter unless the first word is an acronym."""
    return text if text[1:2].isupper() else text[:1].lower() + text[1:]


def cost_text(lead: Study | None, studies: Sequence[Study]) -> str:
    """The cost of the headline trigger, and of all triggers that have a rate, with their intervals."""
    if lead is None or lead.chosen is None:
        return "no cost: nothing is recommended"
    cost = lead.cost(lead.chosen.strategy)
    if between_guests(lead):
        return f"0 while the guest runs; at {events_of(lead)}: total refused: {cost.refused}"
    if cost.refused and lead.scenario.pulls(lead.trigger.id):
        return f"total refused: {cost.refused}"
    if cost.never:
        return f"0: no {lead.trigger.title} can happen here"
    if not lead.scenario.pulls(lead.trigger.id) or float(numpy.median(cost.priced.stolen_s)) == 0:
        other = costliest_study(studies)
        if other is None or other.chosen is None:
            return "0 (no flush)"
        return f"0 (no flush) under this workload; outside it {_event_text(other, studies)}"
    return _flush_text(lead, studies)


def _event_text(lead: Study, studies: Sequence[Study]) -> str:
    """What one event of a trigger takes, and how much of that is RMPUPDATE, which is due whatever is flushed."""
    cost = lead.cost(lead.picked.strategy)
    done = title_on(lead.picked.strategy, lead.scenario)
    if cost.refused or cost.never or cost.host_cpu_s_per_s is not None:
        return f"{done} costs most: {_flush_text(lead, studies)}"
    parts = [f"one {lead.trigger.title} takes {_spent(cost.priced.stolen_s)} of CPU time with {done}"]
    if leaves_rmp(lead.trigger.id, lead.scenario) and not lead.cost("NO_FLUSH").refused:
        parts.append(f"{_spent(lead.cost('NO_FLUSH').priced.stolen_s)} of it in RMPUPDATE")
    return ", ".join([*parts, *(["EXTRAPOLATED"] if cost.extrapolated else [])])


def _spent(time_s: numpy.ndarray) -> str:
    low, middle, high = numpy.quantile(time_s, (0.05, 0.5, 0.95))
    return interval(low, middle, high, "s")


def _flush_text(lead: Study, studies: Sequence[Study]) -> str:
    """What the flush of a trigger costs, by event and by second."""
    cost = lead.cost(lead.picked.strategy)
    if cost.refused:
        return f"total refused: {cost.refused}"
    mark = ", EXTRAPOLATED" if cost.extrapolated else ""
    if cost.never:
        return f"0: no {lead.trigger.title} can happen here"
    if float(numpy.median(cost.priced.stolen_s)) == 0:
        return "0 (no flush)"
    low, middle, high = numpy.quantile(cost.priced.stolen_s, (0.05, 0.5, 0.95))
    event = f"{interval(low, middle, high, 's')} CPU time per event"
    lost = cost.host_cpu_s_per_s
    if lost is None:
        return f"{event} at {events_of(lead)}{mark}; no rate is published"
    low, middle, high = numpy.quantile(lost, (0.05, 0.5, 0.95))
    cpus = lead.scenario.machine.logical_cpus
    text = (
        f"{ceiling(interval(low, middle, high, '1', cpus), cost.at_most)} of {cpus} host CPUs{_floor(cost)}, lost to "
        f"{events_of(lead)}, {event}{mark}"
    )
    if left := stock_text(lead):
        text += f"; {left}"
    unrated = [s.trigger.title for s in studies if s.trigger.id != lead.trigger.id and open_rates(s)]
    if unrated:
        text += f"; on top comes {' and '.join(unrated)}, of which no rate is published"
    costs = [s.cost(s.chosen.strategy) for s in studies if s.chosen]
    losing = [c for c in costs if c.host_cpu_s_per_s is not None and numpy.median(c.host_cpu_s_per_s) > 0]
    lost_by = [c.host_cpu_s_per_s for c in losing if c.host_cpu_s_per_s is not None]
    if len(losing) < 2:
        return text
    whole = numpy.minimum(sum(lost_by, start=numpy.zeros(())), cpus)
    low, middle, high = numpy.quantile(whole, (0.05, 0.5, 0.95))
    everywhere = ceiling(interval(low, middle, high, "1", cpus), any(c.at_most for c in losing))
    return f"{text}; {everywhere} host CPUs at all {len(losing)} triggers of the workload"


def _floor(cost: Total) -> str:
    """The other end of a ceiling."""
    lost = cost.host_cpu_s_per_s
    if cost.least_host_cpu_s_per_s is None or lost is None or not lost.any():
        return ""
    low, middle, high = numpy.quantile(cost.least_host_cpu_s_per_s, (0.05, 0.5, 0.95))
    return f", at least {interval(low, middle, high, '1', cost.logical_cpus)}"


def _rate(cost: Total) -> numpy.ndarray:
    """Events per second. Raises MissingNumber where nobody published a rate."""
    return stated(cost.rate_per_s, f"rate of {cost.trigger}")


def stock_text(study: Study) -> str:
    """For how long events that use up a piece of the guest each can come as fast as their ceiling; empty for others."""
    left, cost = stock(study.scenario, study.trigger.id), study.cost(study.picked.strategy)
    if left is None or not cost.at_most or not float(numpy.median(_rate(cost))) > 0:
        return ""
    lasts_s = left / float(numpy.median(_rate(cost)))
    return (
        f"the guest has pages for {significant(left, 2)} of these events, which at that rate end after "
        f"{quantity(lasts_s, 's')}"
    )


def confidence(lead: Study | None) -> str:
    """How sure the choice is: by rule, by dominance, or with a probability and its condition. Not how sure its cost
    is.
    """
    if lead is None or lead.basis is None:
        return "no choice to be made" if lead is None else "not a question of cost: a flush can be lost"
    if lead.basis == "forced":
        return "needs no numbers: the only safe strategy that this kernel offers here"
    if lead.basis == "dominated":
        return "needs no numbers: it is a subset of every other safe flush of this kernel"
    text, chosen = p_best_note(lead), lead.picked.strategy
    if (chance := lead.p_best(chosen)) is not None and lead.comparison is not None:
        text = f"P(best) {probability(chance, extrapolated=lead.comparison.extrapolated)} ({text})"
    rival = lead.comparison.winner if lead.comparison else chosen
    if rival != chosen and STRATEGIES[rival].whole_cache:
        event = lead.cost(rival).priced
        stopped = cpus_flushed(STRATEGIES[rival], lead.scenario)
        text += (
            f"; {rival} takes less CPU time but stops {int(stopped)} CPUs for "
            f"{quantity(float(numpy.median(event.irq_off_s)), 's')} at once, so every guest pays"
        )
    return text


def size_confidence(lead: Study | None) -> str:
    """How sure the cost of the choice is: how far its interval reaches, and whether anybody has timed it."""
    if lead is None or lead.chosen is None:
        return "no cost to be known"
    cost = lead.cost(lead.chosen.strategy)
    if cost.refused:
        return "no total: a part of it has no source"
    size = cost.priced.stolen_s if cost.host_cpu_s_per_s is None else cost.host_cpu_s_per_s
    low, middle, high = (float(x) for x in numpy.quantile(size, (0.05, 0.5, 0.95)))
    if middle == 0:
        return "nothing is flushed here"
    wide = factor(max(middle / max(low, 1e-30), high / middle))
    if not cost.extrapolated:
        return f"a factor {wide} either way, from measurements on this machine"
    return f"a factor {wide} either way: nobody has timed this flush on this machine (EXTRAPOLATED)"


def saturation(study: Study) -> list[str]:
    """Whether the flush saturates the trigger, and the rates at which 1 % and 10 % of the host are lost.

    Covers the strategy of this kernel and the WBINVD on all CPUs of the kernels up to v6.16 (the 2023 thread).
    """
    load = study.scenario.workload.load(study.trigger.id)
    if load is None or load.loop == "once" or not study.firing.fires:
        return []
    names = [study.chosen.strategy] if study.chosen else []
    if any(c.strategy == BLASTED and c.verdict.label != "no" and c.verdict.needed for c in study.candidates):
        names.append(BLASTED)
    return [text for name in dict.fromkeys(names) if (text := _saturation(study, name))]


def _ends(values: numpy.ndarray | None) -> tuple[float, float, float]:
    low, median, high = numpy.quantile(stated(values, "a rate of events"), (0.05, 0.5, 0.95))
    return low, median, high


def _saturation(study: Study, strategy: str) -> str | None:
    cost = study.cost(strategy)
    if cost.refused or float(numpy.median(cost.priced.stolen_s)) == 0:
        return None
    low, middle, high = _ends(cost.saturation_rate_per_s)
    losses = [
        numpy.median(
            value(
                "rate_at_loss",
                lost_fraction=share,
                logical_cpus=study.scenario.machine.logical_cpus,
                stolen_cpu_s_per_event=cost.priced.stolen_s,
            )
        )
        for share in LOSSES
    ]
    who = f"{events_of(study)}, {title_on(strategy, study.scenario)}"
    tail = (
        f"at {interval(low, middle, high, '1')} per second of events that do not wait, one flush would follow the "
        f"other without a pause; 1 % of the host is lost at {quantity(losses[0], '1')} per second, 10 % at "
        f"{quantity(losses[1], '1')}"
    )
    if cost.closed:
        low, middle, high = _ends(cost.rate_per_s)
        mean = ceiling(interval(low, middle, high, "1"), cost.at_most)
        low, middle, high = (100 * share for share in _ends(cost.in_progress_fraction))
        running = interval(low, middle, high, "1", 100.0)
        return (
            f"{who}: the thread behind the events waits for its own flush, so there are {mean} per second, and a flush "
            f"runs {running} % of the time; {tail}"
        )
    return f"{who}: {tail}"


def open_rates(study: Study) -> list[str]:
    """Gap of a trigger whose rate nobody published."""
    load = study.scenario.workload.load(study.trigger.id)
    given = study.scenario.rate(study.trigger.id) is not None
    if load is None or load.loop != "axis" or given or study.chosen is None or not study.firing.fires:
        return []
    if STRATEGIES[study.chosen.strategy].instruction == "none":
        return []
    return [f"rate of {study.trigger.title}: nobody published one; see the break-even rates"]


CACHED: dict[Residency, str] = {
    "cold": "almost nothing of a range is in a cache",
    "hot": "all of a range is in a cache",
    "unknown": "anything from nothing to all of a range is in a cache",
}
"""What the residency of a load means for the lines of a range."""


def assumptions(case: Scenario, studies: Sequence[Study]) -> list[str]:
    """What the numbers rest on, one line each."""
    lines = [
        f"{case.vcpus} vCPUs, {quantity(case.resident_bytes, 'B')} resident; {int(case.cpus_that_ran)} of "
        f"{case.machine.logical_cpus} CPUs ran the guest since it was created"
        + (" (unpinned: the mask only grows)" if case.cpus_that_ran == case.machine.logical_cpus else ""),
    ]
    lines.append(setup_text(case))
    if case.folio_bytes != PAGE_BYTES:
        lines.append(
            f"guest_memfd gives folios of {quantity(case.folio_bytes, 'B')}: no kernel that was read does that"
        )
    if any(s.chosen and s.cost(s.chosen.strategy).at_most for s in studies):
        lines.append(
            "rates are ceilings from the kernel's tunables (shortest scan period, no work but the flush slows the "
            "trigger); the floor takes the longest scan period, and of a scanner that need not change a page nothing"
        )
    if case.trigger_of_all is not None and any(case.stands_for_all(study.trigger.id) for study in studies):
        lines.append(
            "the measured rate counts every event at the hook, whatever caused it: all are costed with the ranges of "
            f"{TRIGGERS[case.trigger_of_all].title} and stand at that trigger, the other triggers of the hook have none"
        )
    lines += [SCANNER_GOES_ON for study in studies if _goes_on(study)]
    for study in studies:
        load = case.load(study.trigger.id)
        if load is None or study.chosen is None or not study.firing.fires:
            continue
        if STRATEGIES[study.chosen.strategy].instruction != "none":
            lines.append(
                f"{events_of(study)}: "
                + (f"event fraction {load.event_fraction.si:g}, " if load.event_fraction else "")
                + f"assumed that {CACHED[load.residency]} ({load.residency_reason})"
            )
    assumed = [s.trigger.title for s in studies if s.chosen and s.chosen.flushes and case.range_note(s.trigger.id)]
    if assumed:
        lines.append(f"{', '.join(assumed)}: {GAPS['range'].text}")
    if kernels.KERNELS[case.kernel] >= kernels.KERNELS[kernels.MASK_KERNEL]:
        lines.append("CPUs that flush are packed: they fill one last-level-cache domain after the other")
    return lines


def _goes_on(study: Study) -> bool:
    load = study.scenario.load(study.trigger.id)
    return load is not None and load.loop == "autonuma" and ranges_per_pass(load, study.scenario) > 1


def setup_text(case: Scenario) -> str:
    """How the guest's memory is set up, and which of it nobody told."""
    where = case.setup
    text = (
        f"memory under {where.vmm}: {'pinned' if where.pinned else 'not pinned'}, backed by {where.backing}, policy "
        f"{where.mempolicy}, {'mergeable' if where.mergeable else 'not mergeable'}"
    )
    return text + (f" (assumed: {', '.join(where.assumed)})" if where.assumed else "")


def impossible(case: Scenario) -> list[str]:
    """What no guest of this type under this VMM can have, with what the VMM does in its place and where that was
    read.
    """
    return [
        f"the guest is said to be {_property(one.name, one.value)}, but under {case.setup.vmm} every {case.guest} guest "
        f"is {_property(one.name, one.default.value)} ({one.default.source}): no such guest exists; for another VMM say "
        "--vmm other"
        for one in contradictions(case.guest, case.setup)
    ]


def _property(name: str, value: str | bool) -> str:
    return f"{'' if value else 'not '}{name}" if isinstance(value, bool) else f"{name} {value}"


def merging_error(case: Scenario, studies: Sequence[Study], evidence: Evidence) -> list[str]:
    """That merging the memory of an encrypted guest is a mistake, and what it costs: under this workload where that
    scans for pages to merge, else under the defaults of KSM.
    """
    if not (case.setup.mergeable and GUESTS[case.guest].has("encrypted")):
        return []
    scanned = [s for s in studies if s.chosen and any("mergeable" in cause.before for cause in s.trigger.causes)]
    own = any(case.pulls(study.trigger.id) for study in scanned)
    there = case if own else replace(case, workload=evidence.workload(KSM_WORKLOAD))
    costs = [total(Case(s.trigger.id, there, s.draws), s.picked.strategy) for s in scanned]
    lost = [cost.host_cpu_s_per_s for cost in costs if cost.host_cpu_s_per_s is not None]
    price = "what that costs is not known here"
    if lost:
        cpus = case.machine.logical_cpus
        low, middle, high = numpy.quantile(numpy.minimum(sum(lost), cpus), (0.05, 0.5, 0.95))
        shown = ceiling(interval(low, middle, high, "1", cpus), any(cost.at_most for cost in costs))
        price = f"{'' if own else 'once ksmd scans with its defaults '}that costs {shown} host CPUs"
        if high == 0:
            price = f"that costs nothing here, as {costs[0].never or 'this kernel flushes nothing at it'}"
    return [
        "configuration error: the memory is marked MADV_MERGEABLE although it is encrypted: ciphertext differs by "
        "physical address, so merges gain nothing, yet shared and untouched pages compare equal and are flushed for; "
        f"{price}"
    ]


def irq_off_lines(evidence: Evidence, lead: Study | None) -> list[str]:
    """Longest time with interrupts off of the headline flush, and how many times it fits into each limit."""
    if lead is None or lead.chosen is None:
        return []
    cost = lead.cost(lead.chosen.strategy)
    if cost.refused or not float(numpy.median(cost.priced.irq_off_s)) > 0:
        return []
    low, middle, high = numpy.quantile(cost.priced.irq_off_s, (0.05, 0.5, 0.95))
    fits = ", ".join(
        f"{significant(d.ratio, 1)}x below {quantity(d.limit_s, 's')} ({d.limit}, row {d.id})"
        for d in distances(evidence, float(high))
    )
    return [
        f"interrupts are off on each CPU for {interval(low, middle, high, 's')} per flush; the upper end lies {fits}"
    ]


def warnings(case: Scenario, studies: Sequence[Study], evidence: Evidence) -> list[str]:
    """Inputs outside what was measured, bits that the dump shows off, features that must be checked."""
    found = [*case.machine.notes, *impossible(case), *merging_error(case, studies, evidence)]
    flushes = [STRATEGIES[s.chosen.strategy] for s in studies if s.chosen]
    if any(executed(strategy, case) is not strategy for strategy in flushes):
        found.append(f"{NO_WBNOINVD}: the kernel executes WBINVD wherever WBNOINVD stands here")
    if case.noncoherent_dma:
        found.append(
            "KVM executes the guest's WBINVD on the CPUs that its vCPU ran on since its last one: at most those that "
            "ran the guest, all of which are counted"
        )
    elif not GUESTS[case.guest].has("encrypted"):
        found.append(
            "no device does DMA that bypasses the caches; with one KVM executes the guest's WBINVD: --noncoherent-dma"
        )
    if case.noncoherent_dma:
        found.append(
            "the mask of a guest's WBINVD is that of one vCPU, and each WBINVD empties it: --cpus-that-ran is on how "
            "many CPUs the vCPU ran since its last one, and all CPUs is the most"
        )
    if not GUESTS[case.guest].has("upstream"):
        found.append(f"{GUESTS[case.guest].title}: {GUESTS[case.guest].note}")
    if case.machine.features_off:
        found.append(
            f"{', '.join(case.machine.features_off)}: switched off in what was read of this machine, though another "
            "of the same silicon has it: look into /proc/cpuinfo of your host; if it is off there, the BIOS turns it "
            "on, and in a virtual machine its hypervisor hides it"
        )
    lost: dict[str, list[str]] = {}
    for study in studies:
        for candidate in study.unsafe_running:
            lost.setdefault(candidate.verdict.reason, []).append(study.trigger.title)
    found += [f"{case.version} can lose a flush at {', '.join(where)}: {reason}" for reason, where in lost.items()]
    if any(s.cost(s.chosen.strategy).extrapolated for s in studies if s.chosen):
        found.append("no whole-cache flush was ever timed in public on this machine: the prior decides (EXTRAPOLATED)")
    return found


# Bounds where a total is refused: what a part of it takes at least, and what was measured that contains it.

SHUTDOWN_WORDS = ("page by page while the guest still holds its KeyID", "after the release of its KeyID")


def bound(study: Study, evidence: Evidence) -> str:
    """What is known of the flush that the kernel does at the trigger although its total is refused; empty where
    nothing.
    """
    if study.chosen is None or not study.cost(study.chosen.strategy).refused:
        return ""
    entry = STRATEGIES[study.chosen.strategy]
    if entry.contains:
        return _at_least(study, entry.contains)
    return shutdowns(entry.id, study.trigger.id, study.scenario, evidence)


def _at_least(study: Study, part: str) -> str:
    cost = study.cost(part)
    if cost.refused:
        return ""
    texts = []
    for values, what in (
        (cost.priced.stolen_s, "CPU time"),
        (cost.priced.irq_off_s, "with interrupts off on each CPU"),
    ):
        found = interval_of(values, "s", cost.extrapolated)
        texts.append(f"{interval(found.low, found.median, found.high, found.unit)} {what}")
    mark = ", EXTRAPOLATED" if cost.extrapolated else ""
    return f"at least {' and '.join(texts)} per event, which its part {part} takes{mark}"


def shutdowns(strategy: str, trigger: str, case: Scenario, evidence: Evidence) -> str:
    """The measured shutdowns of the guest size next above, or of the largest: upper bounds of the write-back in
    them. Empty where the flush is none of the TDX module, or not of a whole guest.
    """
    shape = case.shape(trigger)
    if STRATEGIES[strategy].instruction != "seamcall" or shape is None or not shape.whole_vm:
        return ""
    texts = []
    for name, how in zip(SHUTDOWNS, SHUTDOWN_WORDS, strict=True):
        rows = [row for row in evidence.measurements.values() if row.observable == name and row.range_bytes]
        row = _next(rows, case.resident_bytes)
        texts.append(f"{quantity(row.si, 's')} {how} (row {row.id})")
    size = quantity(stated(row.range_bytes, f"guest size of row {row.id}"), "B")
    return f"whole shutdowns of a guest of {size}, of which the write-back is a part, took {' and '.join(texts)}"


def _next(rows: list[Measurement], resident_bytes: float) -> Measurement:
    ordered = sorted(rows, key=lambda row: row.range_bytes or 0.0)
    return next((row for row in ordered if (row.range_bytes or 0.0) >= resident_bytes), ordered[-1])
