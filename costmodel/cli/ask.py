"""Commands that answer: recommend, cost, contention, compare, breakeven, predict.

What is heavy is imported when a command is called.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from costmodel.cli import options
from costmodel.errors import BadInput, CostModelError, ExitCode, NotApplicable, UnknownName
from costmodel.numbers import MOST_PER_S, interval, quantity

if TYPE_CHECKING:
    import numpy

    from costmodel.cost.breakeven import BreakEven, Row
    from costmodel.cost.draws import Draws
    from costmodel.decision.result import Recommendation, Versus
    from costmodel.evidence.hosts import Profile


@click.command(
    name="recommend",
    epilog="""\b
Examples:
  costmodel recommend --guest sev --machine epyc-7763-2s --workload ksm-default
  costmodel recommend --guest sev-snp-gmem --machine epyc-9654-2s --kernel 6.12 --json
""",
)
@options.guest
@options.machine
@options.workload
@options.kernel
@options.scenario_numbers
@click.option(
    "--vms",
    multiple=True,
    metavar="N | GUEST=N",
    help="Guests that share the host: of this type, or again for each type; tells what they take together.",
)
@click.option("--full", is_flag=True, help="Print all of it: every trigger, intervals, waits, assumptions, sources.")
@options.table_forms
def recommend_command(
    guest: str,
    machine: str,
    workload: str,
    kernel: str,
    vms: tuple[str, ...],
    full: bool,
    form: str,
    **numbers: Any,
) -> None:
    """Recommend a flush strategy for each trigger of a guest type on a machine.

    Says on one screen what to do now, what it gains, how sure that is, what one flush takes, and how to measure your
    own rate; with --full also each trigger, what would be worth patching, who waits, and the sources. Of a kernel that
    may behave as one of several, it says what to do on each and how to tell them apart, with --full a short answer for
    each. CSV and Markdown have one row for each trigger.
    """
    from costmodel.report.names import kernel_ground
    from costmodel.report.record import recommend_by_kernel

    found = recommend_by_kernel(guest, machine, workload, kernel, vms=_counts(guest, vms), **numbers)
    if form == "json":
        options.print_json(found.as_json())
    elif form != "text":
        rows = [
            row
            for one, answer in found.answers
            for row in _policy_rows(answer, kernel_ground(one) if found.several else "")
        ]
        options.print_table(form, rows)
    elif full:
        from costmodel.report.recommendation import render_by_kernel

        click.echo(render_by_kernel(found), nl=False)
    else:
        from costmodel.report.answer import screens

        click.echo(screens(found, options.paint), nl=False)
    if not any(one.applicable for _, one in found.found):
        click.get_current_context().exit(ExitCode.NOT_APPLICABLE)


def _policy_rows(result: Recommendation, kernel_may_be: str) -> list[dict[str, Any]]:
    """What to run at each trigger and what that costs, with fields of the JSON's `policy` and `costs`."""
    costs = {(row.trigger, row.strategy): row for row in result.costs}
    rows = []
    for entry in result.policy:
        row: dict[str, Any] = {
            "trigger": entry.trigger,
            "strategy": entry.strategy,
            "basis": entry.basis,
            "placement": entry.placement,
        }
        row |= {"fires": entry.fires, "p_best": entry.p_best, "cheapest": entry.cheapest, "gap": entry.gap}
        cost = costs.get((entry.trigger, str(entry.strategy)))
        for name in POLICY_COSTS:
            value = getattr(cost, name, None)
            row[name] = value.model_dump(mode="json") if value is not None else None
        rows.append(({"kernel_may_be": kernel_may_be} if kernel_may_be else {}) | row)
    return rows


POLICY_COSTS = ("event_time_s", "stolen_cpu_s_per_event", "host_cpu_s_per_s", "least_host_cpu_s_per_s")


def _counts(guest: str, vms: tuple[str, ...]) -> dict[str, int]:
    """N and GUEST=N of `--vms` as numbers by guest type. Raises BadInput."""
    found: dict[str, int] = {}
    for item in vms:
        name, separator, text = item.rpartition("=")
        try:
            found[name if separator else guest] = int(text)
        except ValueError:
            raise BadInput(f"{item!r} is neither N nor GUEST=N", field="--vms", remedy="write --vms sev=4") from None
    return found


@click.command(
    name="cost",
    epilog="""\b
Examples:
  costmodel cost --guest sev --machine epyc-7763-2s --trigger ksm_write_protect --workload ksm-default
  costmodel cost --guest sev-snp-gmem --machine epyc-7763-2s --trigger gmem_punch_hole --json
""",
)
@options.guest
@options.machine
@options.workload
@options.kernel
@click.option("--trigger", type=options.TRIGGER, help="One trigger only (see `costmodel list triggers`).")
@options.scenario_numbers
@options.table_forms
def cost_command(
    guest: str,
    machine: str,
    workload: str,
    kernel: str,
    trigger: str | None,
    form: str,
    **numbers: Any,
) -> None:
    """What each strategy costs at each trigger: time per event, CPU time taken, host CPUs lost (median [90 %]).

    All numbers are for one guest: several wait for each other's flushes, so that theirs do not just add up; `costmodel
    recommend --vms N` tells what they take together.
    """
    from costmodel.report.record import recommend

    result = recommend(guest, machine, workload, kernel, **numbers)
    names = list(dict.fromkeys(row.trigger for row in result.costs))
    if result.applicable and trigger is not None and trigger not in names:
        raise UnknownName(f"trigger of {guest}", trigger, names)
    rows = [row for row in result.costs if trigger in (None, row.trigger)]
    if not result.applicable:
        raise NotApplicable(str(result.not_applicable_reason))
    records = [row.model_dump(mode="json") for row in rows]
    if form == "json":
        options.print_json(records)
        return
    if form != "text":
        options.print_table(form, records, COST_COLUMNS)
        return
    if not rows:
        click.echo(result.headline)
        return
    from costmodel.report.layout import aligned, cell, widths_of
    from costmodel.report.recommendation import NEEDS, ends, loss_cell

    for name in (trigger,) if trigger else names:
        click.echo(f"\n{name}  ({guest} on {machine}, {workload}, {result.kernel_version})")
        own = [row for row in rows if row.trigger == name]
        if why := next((row.why for row in own if not row.fires), ""):
            click.echo(f"  cannot happen here, costs 0: {why}")
        lines = [HEAD]
        for row in own:
            costs = cell(row.event_time_s), cell(row.stolen_cpu_s_per_event), loss_cell(row)
            limits = [
                row.refused or ("EXTRAPOLATED" if row.extrapolated else ""),
                "" if row.state == "admissible" else row.state,
                NEEDS.get(row.needs, ""),
            ]
            lines.append((row.strategy, *costs, ", ".join(filter(None, limits))))
        widths = widths_of(lines)
        for line in lines:
            click.echo("\n".join(aligned(line, widths, indent="  ", room=None)))
    if held := ends(rows):
        click.echo(f"\nthe interval {held}")


COST_COLUMNS = ("trigger", "strategy", *POLICY_COSTS, "state", "needs", "refused")
HEAD = ("strategy", "per event", "CPU time per event", "host CPUs lost", "note")

PARTS = ("contention", "bills", "hybrids", "masks", "variants")
"""Keys of the JSON."""
CONTENTION_COLUMNS = (
    "strategy",
    "state",
    "placement",
    "here",
    "lock_busy_fraction",
    "in_progress_fraction",
    "faults_that_retry_fraction",
    "retry_mean_s",
    "fault_wait_mean_s",
    "fault_wait_p99_s",
    "memslot_wait_mean_s",
    "note",
)


@click.command(
    name="contention",
    epilog="""\b
Examples:
  costmodel contention --guest sev --machine epyc-7763-2s --trigger autonuma_prot_none_scan
  costmodel contention --guest sev --machine epyc-9654-2s --trigger numa_or_compaction_migrate --rate-per-s 100
  costmodel contention --guest sev-snp-gmem --machine epyc-7763-2s --trigger gmem_punch_hole --json
""",
)
@options.guest
@options.machine
@options.workload
@options.kernel
@click.option("--trigger", type=options.TRIGGER, help="Trigger [default: the costliest of the workload].")
@click.option(
    "--rate-per-s",
    type=click.FloatRange(0, MOST_PER_S, min_open=True),
    help="Events per second, where nobody published a rate.",
)
@options.scenario_numbers
@options.table_forms
def contention_command(
    guest: str,
    machine: str,
    workload: str,
    kernel: str,
    trigger: str | None,
    rate_per_s: float | None,
    form: str,
    **numbers: Any,
) -> None:
    """What waits for each flush by the place of the hook, who pays for it, and what one tenant can force.

    A fault's wait is counted while its vCPU could run; a vCPU whose CPU flushes a whole cache stands still. An open
    trigger (--rate-per-s) fires independently of its flushes; without it the workload's own loop counts. CSV and
    Markdown hold the waits, one row for each strategy and place; JSON holds all parts.

    All numbers are for one guest: several wait for each other's flushes, so that theirs do not just add up; `costmodel
    recommend --vms N` tells what they take together.
    """
    from costmodel.calibration.parameters import parameters_of
    from costmodel.cost.scenario import not_applicable, scenario
    from costmodel.decision.findings import picked, study_all
    from costmodel.decision.waits import bill_rows, hybrid_rows
    from costmodel.evidence.store import load
    from costmodel.report.tables import mask_rows, variant_rows
    from costmodel.report.waits import contention_rows, silence

    if rate_per_s is not None and not math.isfinite(rate_per_s):
        raise BadInput("must be a finite number", field="--rate-per-s", remedy="give events per second")
    evidence = load()
    case = scenario(evidence, guest, machine, workload, kernel, **numbers)
    if reason := not_applicable(case):
        raise NotApplicable(reason)
    studies = study_all(evidence, replace(case, rate_per_s=rate_per_s), parameters_of(evidence, machine))
    study = picked(studies, guest, trigger)
    if study is None and form == "text":
        click.echo("No trigger of this guest type needs a flush.")
        return
    if study is None:
        options.print_json({name: [] for name in PARTS}) if form == "json" else options.print_table(form, [])
        return
    rows = contention_rows(study)
    bills = bill_rows(study, evidence)
    hybrids = hybrid_rows([study])
    masks, variants = mask_rows(study), variant_rows(study, evidence)
    if form in ("csv", "markdown"):
        options.print_table(form, [row.model_dump(mode="json") for row in rows], CONTENTION_COLUMNS)
        return
    if form == "json":
        parts: dict[str, Sequence[Any]] = dict(zip(PARTS, (rows, bills, hybrids, masks, variants), strict=True))
        options.print_json({name: [row.model_dump(mode="json") for row in part] for name, part in parts.items()})
        return
    _print(
        study.trigger.id,
        f"{guest} on {machine}, {workload}, {case.version}",
        silence(study, rows),
        rows,
        bills,
        hybrids,
        masks,
        variants,
    )


def _print(
    trigger: str, about: str, why: str, rows: list, bills: list, hybrids: list, masks: list, variants: list
) -> None:
    from costmodel.kvm.catalog import STRATEGIES
    from costmodel.report import waits

    click.echo(f"{trigger}  ({about})")
    click.echo(
        "Median [90 %]; this trigger alone, only what its flush adds. * marks what this kernel does, - has no bound."
    )
    for text in filter(None, (why, waits.ceilings(rows))):
        click.echo(click.wrap_text(text, 110))
    blocks = waits.blocks(rows)
    table = [WAITS, *(line.cells for block in blocks for line in block.lines)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for block in blocks:
        click.echo(f"\n{', '.join(block.strategies)}{_state(block.state)}")
        click.echo(f"  each vCPU stands still {block.standstill} of the time")
        click.echo("  " + _columns("hook", WAITS, widths))
        for line in block.lines:
            for hook in line.hooks:
                last = hook == line.hooks[-1]
                mark = "*" if hook == line.own else " "
                click.echo(f"{mark} {_columns(hook, line.cells, widths) if last else hook + ','}")
            if line.note:
                click.echo(f"    {line.note}")
    if rows:
        click.echo("\nA hook after range_end is inadmissible: the page can be in use again before its flush.")
        click.echo("In the thread's words:")
        for text in waits.thread_names():
            click.echo(f"  {text}")
    if bills:
        click.echo("\nWho pays for one event, and what one thread of a tenant or its VMM can take:")
    for names, bill in waits.bills(bills):
        click.echo(f"\n{', '.join(names)}{_state(bill.state)}")
        share = f"{bill.others_fraction:.0%} of it from CPUs that do not run the guest"
        click.echo(f"  guest {waits.cell(bill.own_s)}, everyone else {waits.cell(bill.others_s)}: {share}")
        if bill.neighbour_fraction is not None and STRATEGIES[names[0]].whole_cache:
            click.echo(f"  a neighbour on one of these CPUs loses {waits.told(bill.neighbour_fraction)} of its time")
        if bill.forced_cpus is not None:
            click.echo(f"  one attacking thread takes {waits.cell(bill.forced_cpus)} host CPUs at most")
        for text in waits.shares(bill):
            click.echo(f"  {text}")
        if bill.late_answer_s is not None:
            late = waits.cell(bill.late_answer_s)
            click.echo(f"  CPUs that answer {late} late on average make the slowest wait as long as the flush takes")
        for text in waits.limits(bill):
            click.echo(f"  {text}")
    for names, hybrid in waits.hybrids(hybrids):
        click.echo(f"\nHYBRID{_state(hybrid.state)}: {', '.join(names)}, beyond the cap {hybrid.whole}")
        latency = waits.cell(hybrid.latency_cap_bytes)
        click.echo(f"  cap by CPU time {waits.cell(hybrid.cap_bytes)}, by latency of the event {latency}")
    if masks:
        click.echo(f"\nThe mask of {masks[0].strategy}:")
    for mask in masks:
        click.echo(
            f"{' ' if mask.admissible else '-'} {mask.label:<44}{mask.cpus:>5.0f} CPUs, {mask.domains:>4.1f} domains: "
            f"{waits.cell(mask.stolen_cpu_s_per_event)} CPU time"
        )
        click.echo(f"    {mask.note}")
    if variants:
        click.echo("\nProposed around the flush (- loses a flush or was rejected):")
    for variant in variants:
        click.echo(f"{' ' if variant.admissible else '-'} {variant.title} [{variant.strategy}]")
        before = f"{waits.cell(variant.kernel)} as the kernel is, " if variant.kernel else ""
        click.echo(f"    {variant.quantity}: {before}{waits.cell(variant.variant)}{' so' if before else ''}")
        click.echo(f"    {variant.note}")


WAITS = (
    "lock held",
    "in progress",
    "faults that retry",
    "each goes round",
    "fault waits, mean",
    "p99",
    "memslot update",
)


def _columns(first: str, rest: tuple[str, ...], widths: Sequence[int]) -> str:
    from costmodel.report.layout import aligned

    return aligned((first, *rest), (25, *widths), room=None)[0]


def _state(state: str) -> str:
    return "" if state == "admissible" else f"  ({state})"


EXISTING = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    name="compare",
    epilog="""\b
Examples:
  costmodel compare --kernel 6.6 --kernel 6.17 --guest sev --machine epyc-7763-2s --cpus-that-ran 8
  costmodel compare --strategy WBNOINVD_MASK --strategy CLFLUSHOPT_UVA --guest sev --machine epyc-7763-2s
  costmodel compare --kernel 6.8 --kernel newest --guest sev-es --machine epyc-9654-2s --json
  costmodel compare --kernel 6.6 --kernel 6.17 --guest sev --machine epyc-7763-2s --trace host1.parquet
""",
)
@click.option(
    "--kernel",
    "kernel_names",
    multiple=True,
    type=options.KERNEL,
    help="Host kernel version; twice to compare two kernels.",
)
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    type=options.STRATEGY,
    help="Strategy id, twice (see `costmodel list strategies`).",
)
@options.guest
@options.machine
@options.workload
@click.option("--trace", type=EXISTING, help="Trace of `costmodel trace import`: compare on its events.")
@click.option("--memslots", type=EXISTING, help="With --trace: CSV with the columns start,end of the memory slots.")
@options.scenario_numbers
@options.table_forms
def compare_command(trace: Path | None, memslots: Path | None, form: str, **asked: Any) -> None:
    """Two kernels or two strategies side by side: base, new, change with its 90 % interval, ~ where it cannot be told.

    Both sides are computed over the same draws of the parameters, so what they share cancels. For kernels it also says
    what each does at each trigger, and which commits changed it. With two strategies, one --kernel may be given.

    All numbers are for one guest: several wait for each other's flushes, so that theirs do not just add up; `costmodel
    recommend --vms N` tells what they take together.
    """
    result = compared(trace, memslots, **asked)
    if form == "json":
        options.print_json(result.model_dump(mode="json"))
        return
    if form != "text":
        options.print_table(form, _sides(result))
        return
    from costmodel.report.versus import render_comparison

    click.echo(render_comparison(result), nl=False)


def _sides(result: Versus) -> list[dict[str, Any]]:
    """One row for each quantity of each trigger, and the total."""
    rows = []
    for one in result.triggers:
        sides = {"trigger": one.trigger, "base_strategy": one.base.strategy, "new_strategy": one.new.strategy}
        rows += [sides | row.model_dump(mode="json") for row in one.rows]
    return [*rows, {"trigger": "total", **result.total.model_dump(mode="json")}]


def compared(trace: Path | None, memslots: Path | None, **asked: Any) -> Versus:
    """The comparison that the options ask for: at every trigger, or on the events of a trace."""
    from costmodel.decision.versus import sides
    from costmodel.evidence.store import load
    from costmodel.report.versus import compare

    evidence = load()
    pair = sides(evidence, **asked)
    if trace is None:
        return compare(evidence, *pair)
    from costmodel.report import replayed

    return replayed.compared(evidence, *pair, trace, memslots)


@click.command(
    name="breakeven",
    epilog="""\b
Examples:
  costmodel breakeven --machine epyc-7763-2s --guest sev --trigger unreg_region \\
    --between WBNOINVD_MASK CLFLUSHOPT_DM_PINNED --over range_bytes
  costmodel breakeven --machine epyc-9654-2s --guest sev --trigger ksm_replace_page \\
    --between WBNOINVD_MASK CLFLUSHOPT_UVA --over cpus --json
""",
)
@options.machine
@click.option("--between", nargs=2, type=options.STRATEGY, required=True, metavar="S1 S2", help="Two strategies.")
@click.option(
    "--over",
    required=True,
    type=click.Choice(["range_bytes", "cpus", "rate_per_s", "cache_bytes"]),
    help="Axis along which the cheaper one changes.",
)
@click.option("--guest", type=options.GUEST, default="sev-snp-gmem", show_default=True, help="Guest type.")
@click.option(
    "--trigger",
    type=options.TRIGGER,
    default="gmem_punch_hole",
    show_default=True,
    help="Trigger (sets which lines are cached).",
)
@options.workload
@options.kernel
@options.scenario_numbers
@options.table_forms
def breakeven_command(
    machine: str,
    between: tuple[str, str],
    over: str,
    guest: str,
    trigger: str,
    workload: str,
    kernel: str,
    form: str,
    **numbers: Any,
) -> None:
    """Where one strategy becomes cheaper than the other, with the 90 % interval of the break-even.

    Compared is the CPU time that one event takes from the host. Over rate_per_s both costs grow alike, so it gives the
    rates at which each strategy loses 1 % and 10 % of the host. The kernel decides which of the two may be used there,
    and how often the events come; it does not change what one flush takes.
    """
    from costmodel.cost.breakeven import break_even
    from costmodel.cost.scenario import scenario
    from costmodel.evidence.store import load
    from costmodel.kvm.admissibility import judge
    from costmodel.kvm.catalog import GUESTS, TRIGGERS

    evidence = load()
    case = scenario(evidence, guest, machine, workload, kernel, **numbers)
    if not TRIGGERS[trigger].occurs_with(GUESTS[guest]):
        raise BadInput(f"{guest} has no trigger {trigger}", field="--trigger", remedy="see `costmodel list triggers`")
    result = break_even(evidence, case, trigger, between, over)
    known = case.known(trigger)
    states = {name: judge(guest, trigger, name, known) for name in between}
    if form == "json":
        options.print_json(result.as_dict())
        return
    if form != "text":
        asked = {"over": over, "first": between[0], "second": between[1], "always_cheaper": result.always}
        options.print_table(form, [asked | asdict(row) for row in result.rows] or [asked])
        return
    click.echo(f"{between[0]} against {between[1]} at {trigger} on {machine}, kernel {case.version}, over {over}:")
    for name in between:
        state = states[name]
        if state.state == "inadmissible":
            click.echo(f"  {name} is inadmissible there ({state.reason}): this is only what it would cost")
    for row in result.rows:
        click.echo(f"  {row.label}: {_spread(row, result)}")
        if row.share < 1:
            click.echo(
                f"    in {row.share:.0%} of the draws inside the swept range; the others count as beyond its ends"
            )
    if not result.rows:
        click.echo(
            f"  no break-even between {quantity(result.low, result.unit)} and {quantity(result.high, result.unit)}: "
            f"{result.always} is cheaper throughout"
        )
    if result.extrapolated:
        click.echo("  EXTRAPOLATED: rests on a prior by rule")


def _spread(row: Row, found: BreakEven) -> str:
    """Median and interval; an end outside the swept range as `> 64 GiB`."""
    low, median, high = row.low, row.median, row.high
    points = (low, median, high, row.at_medians)
    sign = {"below": "<", "above": ">"}
    texts = [
        quantity(point, row.unit) if point is not None else f"{sign[side]} {quantity(found.ends[side], row.unit)}"
        for point, side in zip(points, row.beyond, strict=True)
    ]
    spread = f"{texts[1]} [{texts[0]}, {texts[2]}]"
    if low is not None and median is not None and high is not None:
        spread = interval(low, median, high, row.unit)
    return f"{spread}  (at the medians {texts[3]})"


PREDICTED_COLUMNS = ("instruction", "state", "range_bytes")
PREDICTED_OUTPUT = ("predicted_ns", "low_ns", "high_ns", "slope_ns_per_line", "note")
STATES = {"dirty": (1.0, 1.0), "clean": (1.0, 0.0), "absent": (0.0, 0.0)}
"""Cached and dirty share of a range in each state."""


@dataclass(frozen=True)
class Call:
    """One call of the kernel's loop: seconds with the fences, their 90 % interval (None: too little was measured), and
    the slope per further line.
    """

    time_s: float
    low_s: float | None
    high_s: float | None
    slope_s: float
    note: str


Predictor = Callable[[str, str, float, str], Call]
"""A call from instruction, state, range in bytes and page size."""


@click.command(
    name="predict",
    epilog="""\b
Example:
  printf 'instruction,state,range_bytes\\nCLFLUSHOPT,dirty,65536\\n' | costmodel predict --machine my-host --cells -
""",
)
@options.machine
@click.option(
    "--cells",
    required=True,
    type=click.File(encoding="utf-8-sig"),
    metavar="FILE.csv",
    help="Columns instruction,state,range_bytes and, if wanted, page (4KiB or 2MiB); - reads standard input.",
)
def predict_command(machine: str, cells: TextIO) -> None:
    """Predicted time of each range flush and its 90 % interval for a new run, as CSV: the same columns and order.

    The time is that of a whole call as the kernel's loop takes it, both fences included; the slope, the mean per line
    without them, has a column of its own. States are dirty, clean and absent: how one CPU left the range before the
    call. A catalogued machine that nobody measured takes CLFLUSHOPT only, from the measured machines of its core
    generation or vendor, with the wide interval of one machine more; what its caches do not hold of a range is absent,
    and the note says of which lines the slope is.
    """
    from costmodel.evidence.store import load

    evidence = load()
    measured = machine in evidence.hosts and evidence.hosts[machine].has("flush")
    predictor = of_host(evidence.hosts[machine]) if measured else of_catalogue(machine)
    click.echo(predicted(predictor, cells), nl=False)


def of_host(profile: Profile) -> Predictor:
    """From the host's own sweep: interpolation between measured ranges."""
    from costmodel.calibration.host_flush import LINE_BYTES, FlushModel, cells_of

    calls, slopes = FlushModel(cells_of(profile, whole=True)), FlushModel(cells_of(profile))

    def predict(instruction: str, state: str, size: float, page: str) -> Call:
        lines = max(1.0, size / LINE_BYTES)
        each = calls.predict(instruction, state, size, page)
        low, high = (None if end is None else end * lines for end in (each.low_s, each.high_s))
        return Call(each.line_s * lines, low, high, slopes.predict(instruction, state, size, page).line_s, each.note)

    return predict


def of_catalogue(machine: str) -> Predictor:
    """From the parameters of a machine: joint draws of start, slopes and the other socket's factor.

    One CPU prepared the range: its second level and the last level of its domain hold at most what they can, and the
    other lines are absent, as in the probe of a measured host.
    """
    import numpy

    from costmodel.calibration.parameters import parameters_of
    from costmodel.cost.draws import Draws
    from costmodel.evidence.store import load
    from costmodel.formulas.compiled import value

    evidence = load()
    asked = evidence.machine(machine)
    line_bytes, held_bytes = asked.line_bytes, asked.llc_bytes_per_domain + asked.l2_bytes_per_core
    parameters = parameters_of(evidence, machine)
    names = ("range_start_s", "line_dirty_s", "line_clean_s", "line_absent_s", "remote_factor")
    draws = Draws(parameters)

    def predict(instruction: str, state: str, size: float, page: str) -> Call:
        if instruction != "CLFLUSHOPT":
            raise UnknownName("instruction of a machine that nobody measured", instruction, ["CLFLUSHOPT"])
        if state not in STATES:
            raise UnknownName("line state", state, STATES)
        if not line_bytes <= size <= 2**32:
            raise BadInput(f"{size:g} is no range of a single call", remedy="give 64 bytes to 4 GiB")
        cached, dirty = STATES[state]
        present = cached * min(1.0, held_bytes / size)
        shares = {"present_fraction": present, "dirty_fraction": dirty, "line_bytes": line_bytes}
        known = {name: draws[name] for name in names} | shares | {"writeback_bytes_per_s": _writeback(draws)}
        times = value("range_flush", lines=size / line_bytes, **known)
        slope = value("range_flush", lines=1.0, **known) - value("range_flush", lines=0.0, **known)
        low, middle, high = numpy.quantile(times, (0.05, 0.5, 0.95))
        note = f"EXTRAPOLATED: not measured; slope of {_lines(state, cached, present)} lines"
        return Call(float(middle), float(low), float(high), float(numpy.median(slope)), note)

    return predict


def _lines(state: str, cached: float, present: float) -> str:
    """The state of the lines; of both kinds with their shares where the caches do not hold all."""
    return state if present == cached else f"{100 * present:.2g} % {state} and {100 * (1 - present):.2g} % absent"


def _writeback(draws: Draws) -> numpy.ndarray | float:
    """Draws of the write-back bandwidth; no bound where nobody published it."""
    import numpy

    try:
        return draws["writeback_bytes_per_s"]
    except CostModelError:
        return numpy.inf


def predicted(predictor: Predictor, cells: TextIO) -> str:
    """The file `cells` with the predictions beside each row, as CSV. Raises BadInput; a bad row is no row."""
    from costmodel.calibration.host_flush import DEFAULT_PAGE
    from costmodel.evidence.tables import csv_text

    name, columns, rows = options.read_cells(cells, PREDICTED_COLUMNS)
    out = []
    for number, row in rows:
        try:
            size = float(row["range_bytes"])
            call = predictor(row["instruction"].upper(), row["state"].lower(), size, row.get("page") or DEFAULT_PAGE)
        except (TypeError, ValueError, AttributeError):
            problem = f"{row['range_bytes'][:40]!r} is no size"
            raise BadInput(problem, file=name, row=number, field="range_bytes", remedy="give bytes") from None
        except CostModelError as error:
            remedy = "see the profile's flush.csv"
            raise BadInput(str(error)[:500], file=name, row=number, remedy=remedy) from None
        ends = ("" if end is None else f"{end * 1e9:.6g}" for end in (call.low_s, call.high_s))
        times = f"{call.time_s * 1e9:.6g}", *ends, f"{call.slope_s * 1e9:.6g}"
        out.append([*(row[column] for column in columns), *times, call.note])
    return csv_text([*columns, *PREDICTED_OUTPUT], out)
