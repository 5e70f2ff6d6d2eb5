"""From an executed notebook to one self-contained HTML page, and the parts of it, each from one template with
autoescape: text from data never is markup.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from importlib.resources import files
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from markupsafe import Markup, escape

from costmodel import cache
from costmodel.calibration.calibrate import fits_of
from costmodel.calibration.parameters import parameters_of
from costmodel.decision.result import Advice, Interval, Recommendation, UpstreamRow
from costmodel.decision.views import view as view_of
from costmodel.decision.views import worth_drawing
from costmodel.evidence.store import load
from costmodel.hashing import value_hash
from costmodel.kvm.catalog import PLACEMENTS, TRIGGERS
from costmodel.numbers import probability, quantity, significant
from costmodel.plain import UNSEEN
from costmodel.report import layout, plots, recommendation, series, waits
from costmodel.report.links import linked
from costmodel.report.names import AXIS_NAMES, capitalised
from costmodel.report.sentences import CAUSES_COMMAND, COUNT_COMMAND

if TYPE_CHECKING:
    from jinja2.bccache import Bucket

    from costmodel.report.live import Live

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a browser may do on our pages: inline style and images that the page itself holds; nothing loaded, and no script
but the one that `page` names by its hash.
"""
HEADING = re.compile(r'<h2 id="([^"]+)">(.*?)</h2>', re.DOTALL)
COMMAND = re.compile(r"`([^`]+)`")
NAME = re.compile(r"\b[a-z]+(?:_[a-z]+)+\b")
MOST_TEMPLATES = 128
"""Compiled templates that the cache keeps: a few versions of each."""
INTERVAL = re.compile(r"[\d.]+ \[[\d.]+, [\d.]+\]\*?(?: (?:[num]?s|[KMGT]?i?B|1/s)\b\*?)?")
"""An interval as the pages write it, which no line breaks."""


def style() -> Markup:
    """The style sheet of all pages."""
    return Markup(files("costmodel.report").joinpath("templates/style.css").read_text())


NOT_LIGHT = "body:not([data-jp-theme-light=true])"


def _scope() -> tuple[str, str]:
    """What stands before and after a fragment outside a page: the same style, for what lies in it only.

    The class is named three times, so that it outweighs the rules of JupyterLab for tables. Where JupyterLab or Voila shows
    a light theme, the fragment is light whatever the system prefers.
    """
    own = (
        str(style()).replace("  :root", f"  {NOT_LIGHT} &").replace(":root", "&").replace("body {", "& {")
    )  # a Markup would escape the &
    return f'<div class="costmodel"><style>.costmodel.costmodel.costmodel {{\n{own}}}</style>\n', "\n</div>"


def scoped(fragment: str) -> str:
    """A fragment (trusted HTML of our own) as a notebook, an editor or nbconvert shows it."""
    before, after = _scope()
    return f"{before}{fragment}{after}"


def page(title: str, body: str, home: str, live: Live | None = None) -> str:
    """`body` (trusted HTML of our own fragments) inside the page, with a link to each of its parts at the top.

    Only the script of the `live` part may run there, by its hash; without one, none.
    """
    contents = [(id, Markup(Markup(heading).striptags())) for id, heading in HEADING.findall(body)]
    return fragment(
        "page",
        title=Markup(escape(title)),
        body=Markup(body),
        style=style(),
        home=home,
        policy=f"{POLICY}; script-src {live.source}" if live else POLICY,
        live=live,
        contents=contents,
    )


def body_of(executed: Any) -> str:
    """The HTML outputs of the executed notebook, in order; code and text outputs stay in the notebook."""
    parts = []
    before, after = _scope()
    for cell in executed.cells:
        if cell.cell_type != "code":
            continue
        shown = [output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})]
        parts += [html.removeprefix(before).removesuffix(after) if html.startswith(before) else html for html in shown]
    return "\n".join(parts)


def _printable(value: object) -> object:
    """Text without characters that act unseen (autoescape leaves them, and HTML forbids some and obeys others), its
    intervals each on one line.
    """
    if not isinstance(value, str):
        return value
    if not value.isprintable():
        value = type(value)(UNSEEN.sub("\N{REPLACEMENT CHARACTER}", value))
    if isinstance(value, Markup) or "[" not in value:
        return value
    return Markup(INTERVAL.sub(r'<span class="iv">\g<0></span>', str(escape(value))))


def _title(known: Mapping[str, Any], id: str) -> str:
    """Title of a record; what the catalogue does not hold, as in a result of another version, is shown as it is."""
    return known[id].title if id in known else id


@lru_cache(maxsize=1)
def _environment():
    import jinja2
    from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined

    class Compiled(BytecodeCache):
        """Templates as jinja2 compiled them before, in the user's cache; it looks itself whether it can read them."""

        def load_bytecode(self, bucket: Bucket) -> None:
            if found := cache.stored("template", self._key(bucket)):
                bucket.bytecode_from_string(found)

        def dump_bytecode(self, bucket: Bucket) -> None:
            cache.store("template", self._key(bucket), bucket.bytecode_to_string(), most=MOST_TEMPLATES)

        def _key(self, bucket: Bucket) -> str:
            return value_hash([bucket.key, bucket.checksum, sys.version, jinja2.__version__])

    environment = Environment(
        loader=PackageLoader("costmodel.report"),
        bytecode_cache=Compiled(),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = cell
    environment.filters["linked"] = linked
    environment.filters["short"] = waits.cell
    environment.filters["quantity"] = quantity
    environment.filters["event"] = partial(_title, TRIGGERS)
    environment.filters["significant"] = significant
    environment.filters["hook"] = partial(_title, PLACEMENTS)
    environment.filters["commands"] = commands
    environment.filters["coded"] = coded
    return environment


def commands(text: str) -> Markup:
    """A sentence in which what stands between backticks is code."""
    return Markup(COMMAND.sub(r"<code>\g<1></code>", str(escape(_printable(text)))))


def coded(text: str) -> Markup:
    """A sentence in which the names of parameters are code."""
    return Markup(NAME.sub(r"<code>\g<0></code>", str(escape(_printable(text)))))


def cell(value: Interval | None) -> str:
    """An interval with its unit, marked where a prior by rule went in."""
    return layout.cell(value, marked=True, none="\N{EN DASH}")


def fragment(name: str, **values: Any) -> str:
    """The rendered template `name`.html.j2."""
    return _environment().get_template(f"{name}.html.j2").render(**values)


def compile_templates() -> None:
    """Compile all templates, which a process that is forked from this one then has."""
    for name in _environment().list_templates(extensions=["j2"]):
        _environment().get_template(name)


def data(title: str, csv: str) -> Markup:
    """The numbers of a figure, folded."""
    return Markup(fragment("data", title=title, csv=Markup(escape(csv))))


def answer(result: Recommendation) -> str:
    """Part 1, the first screen: what to do, what it gains, how sure it is, and one picture."""
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    drawn = worth_drawing(rows, result.costliest_strategy)
    here = [item for item in result.do_now if item.kind == "kernel"]
    best = next((item for item in result.do_now if item.kind != "kernel" and item.saves_cpu_s_per_s), None)
    return fragment(
        "answer",
        r=result,
        kernel=recommendation.kernel_text(result),
        does=here,
        best=best if best and best.saves_cpu_s_per_s and best.saves_cpu_s_per_s.high > 0 else None,
        floor=recommendation.least_gain(result, best) if best else None,
        effect=lambda item: recommendation.effect(result, item, cell),
        plot=Markup(plots.cost_figure(drawn, result.costliest_strategy)),
        data=data("CPU time of one flush by strategy", series.costs(drawn)),
        left_out=_left_out(result),
        ends=recommendation.headline_ends(result),
    )


def _left_out(result: Recommendation) -> list[str]:
    """Strategies with a cost at the costliest flush that no figure shows."""
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger and row.stolen_cpu_s_per_event]
    drawn = worth_drawing(rows, result.costliest_strategy)
    return [row.strategy for row in rows if row not in drawn]


def change(result: Recommendation) -> str:
    """Part 2: break-even curves, flips, remedies by what they leave, the reader's own rate, and each trigger."""
    flips: dict[str, list[str]] = defaultdict(list)
    for entry in result.policy:
        for flip in entry.flips:
            flips[flip.sentence].append(entry.trigger_title)

    def saved(item: Advice) -> str:
        if item.saves_cpu_s_per_s is None:
            return "not known"
        return layout.cell(item.saves_cpu_s_per_s, marked=True)

    return fragment(
        "change",
        r=result,
        curves=Markup(curves(result)),
        flips=flips,
        ranked=recommendation.ranked(result),
        saved=saved,
        left=lambda item: recommendation.left(item, cell),
        rate=result.measure_rate.replace(COUNT_COMMAND, f"`{COUNT_COMMAND}`").replace(
            CAUSES_COMMAND, f"`{CAUSES_COMMAND}`"
        ),
        rival_cost=recommendation.rival_cost,
        policy=Markup(policy(result)),
    )


def evidence(result: Recommendation) -> str:
    """Part 4, folded: what may be used and why, how sure that is, what kernels do, formulas, sources."""
    parts = [admissibility(result), upstream(result), uncertainty(result), fits(), provenance(result), formulas()]
    return fragment("evidence", parts=[Markup(part) for part in parts])


def policy(result: Recommendation) -> str:
    """Strategy, basis, P(best), regret and flips for each trigger."""
    return fragment(
        "policy",
        r=result,
        groups=layout.policies(result.policy),
        probability=probability,
        parameters=_corner_parameters(result),
        no_regret=recommendation.NO_REGRET,
    )


def _corner_parameters(result: Recommendation) -> dict[str, str]:
    """What the parameters are that the corners name, by name."""
    corners = [entry.regret.worst_corner for entry in result.policy if entry.regret]
    named = {name for corner in [*corners, *(one.corner for one in result.corners)] for name in NAME.findall(corner)}
    known = parameters_of(load(), result.machine).parameters if named else {}
    return {name: known[name].description for name in sorted(named & known.keys())}


def costs(result: Recommendation) -> str:
    """Cost table at the costliest flush."""
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    return fragment(
        "costs",
        r=result,
        rows=rows,
        needs=recommendation.NEEDS,
    )


def contention(result: Recommendation) -> str:
    """Part 3, folded: cost, what waits, who pays, what the mask, the proposals of the thread and a teardown come to."""
    return fragment(
        "contention",
        r=result,
        costs=Markup(costs(result)),
        blocks=waits.blocks(result.contention),
        ceilings=waits.ceilings(result.contention),
        bills=waits.bills(result.bills),
        hybrid=waits.hybrid(result),
        hybrids=waits.hybrids(result.hybrids),
        names=waits.thread_names(),
        vms=waits.vms,
    )


def curves(result: Recommendation) -> str:
    """Break-even curves at the costliest flush, and the map of the cheapest strategy where there is more than one."""
    view = view_of(result)
    if view is None:
        return fragment("nothing", text="No flush at any trigger: there is no curve to draw.")
    sweeps, heat = view.sweeps(), view.map()
    return fragment(
        "curves",
        view=view,
        left_out=_left_out(result),
        sweeps=sweeps,
        names=AXIS_NAMES,
        plot=Markup(plots.curves_figure(sweeps, view.states, result.costliest_strategy)),
        data=[data(capitalised(AXIS_NAMES[sweep.over]), series.curve(sweep)) for sweep in sweeps],
        map=Markup(plots.map_figure(heat)),
        map_data=data("Cheapest strategy", series.winners(heat)),
        everywhere=heat.strategies[heat.winner.flat[0]],
    )


def admissibility(result: Recommendation) -> str:
    """Every strategy that is not ruled out at each trigger, with predicates and reason."""
    return fragment("admissibility", r=result, groups=layout.verdicts(result.costs))


def uncertainty(result: Recommendation) -> str:
    """Objectives, corners of the prior, sensitivities, what to measure next."""
    return fragment("uncertainty", r=result)


class Did(NamedTuple):
    """What `span` successive kernel ranges do alike at a trigger; no strategy where nothing is catalogued."""

    span: int
    strategy: str = ""
    agrees: str = ""
    why: str = ""


class History(NamedTuple):
    """Triggers at which every kernel range does the same."""

    triggers: tuple[str, ...]
    cells: tuple[Did, ...]


def history(rows: Iterable[UpstreamRow], kernels: Iterable[str]) -> list[History]:
    """Triggers by what each of the `kernels` does there; equal neighbours are one cell, equal triggers one row."""
    did: dict[str, dict[str, tuple[str, str, str]]] = defaultdict(dict)
    for row in rows:
        did[row.trigger][row.kernel] = (row.strategy, row.agrees, row.why)
    merged: dict[tuple[Did, ...], list[str]] = defaultdict(list)
    for trigger, by_kernel in did.items():
        runs = groupby(by_kernel.get(kernel) for kernel in kernels)
        merged[tuple(Did(len(list(same)), *(cell or ())) for cell, same in runs)].append(trigger)
    return [History(tuple(names), cells) for cells, names in merged.items()]


def upstream(result: Recommendation) -> str:
    """What each kernel range does, by trigger and version, beside the model's choice."""
    kernels = list(dict.fromkeys(row.kernel for row in result.upstream))
    read_in: dict[str, dict[str, None]] = defaultdict(dict)
    for row in result.upstream:
        read_in[row.locator][row.trigger] = None
    return fragment("upstream", kernels=kernels, history=history(result.upstream, kernels), read_in=read_in)


def fits() -> str:
    """What the calibration fitted to which rows, how well, and what it makes of rows that it has not seen."""
    return fragment("fits", fits=fits_of(load()))


@lru_cache(maxsize=1)
def formulas() -> Markup:
    """The cost terms as MathML with symbols, source and validity. It is kept in the user's cache: to print it takes sympy."""
    return Markup(cache.recall("formulas", cache.key_of([], ["formulas", "report"]), _formulas).decode())


def _formulas() -> bytes:
    from costmodel.formulas import catalog
    from costmodel.formulas.catalog import FORMULAS
    from costmodel.formulas.formula import NOTATION

    items = [(item, Markup(catalog.mathml(name))) for name, item in FORMULAS.items()]
    return fragment("formulas", items=items, notation=NOTATION).encode()


def provenance(result: Recommendation) -> str:
    """Source of every number used, and the hashes."""
    return fragment("provenance", r=result)
