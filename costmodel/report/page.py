"""From an executed notebook to one self-contained HTML page, and the parts of it, each from one template with
autoescape: text from data never is markup.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Any

from markupsafe import Markup

from costmodel.decision.result import Advice, Interval, Recommendation
from costmodel.decision.views import view as view_of
from costmodel.numbers import probability, quantity
from costmodel.plain import UNSEEN
from costmodel.report import layout, plots, recommendation, waits

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
"""What a browser may do on our pages: inline style and images that the page itself holds; no script, nothing loaded."""


def style() -> Markup:
    """The style sheet of all pages."""
    return Markup(files("costmodel.report").joinpath("templates/style.css").read_text())


def _scope() -> tuple[str, str]:
    """What stands before and after a fragment outside a page: the same style, for what lies in it only.

    The class is named three times, so that it outweighs the rules of JupyterLab for tables.
    """
    own = str(style()).replace(":root", "&").replace("body {", "& {")  # a Markup would escape the &
    return f'<div class="costmodel"><style>.costmodel.costmodel.costmodel {{\n{own}}}</style>\n', "\n</div>"


def scoped(fragment: str) -> str:
    """A fragment (trusted HTML of our own) as a notebook, an editor or nbconvert shows it."""
    before, after = _scope()
    return f"{before}{fragment}{after}"


def page(title: str, body: str, home: str) -> str:
    """`body` (trusted HTML of our own fragments) inside the page."""
    return fragment("page", title=title, body=Markup(body), style=style(), home=home, policy=POLICY)


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
    """Text without characters that act unseen: autoescape leaves them, and HTML forbids some and obeys others."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return type(value)(UNSEEN.sub("\N{REPLACEMENT CHARACTER}", value))


@lru_cache(maxsize=1)
def _environment():
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("costmodel.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_printable,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["interval"] = cell
    environment.filters["short"] = waits.cell
    environment.filters["quantity"] = quantity
    return environment


def cell(value: Interval | None) -> str:
    """An interval with its unit, marked where a prior by rule went in."""
    return layout.cell(value, marked=True, none="\N{EN DASH}")


def fragment(name: str, **values: Any) -> str:
    """The rendered template `name`.html.j2."""
    return _environment().get_template(f"{name}.html.j2").render(**values)


def answer(result: Recommendation) -> str:
    """First screen: what to do, what it gains, how sure it is."""

    def effect(item: Advice) -> str:
        return recommendation.effect(result, item, cell)

    return fragment(
        "answer",
        r=result,
        kernel=recommendation.kernel_text(result),
        rival_cost=recommendation.rival_cost,
        effect=effect,
        ends=recommendation.headline_ends(result),
    )


def policy(result: Recommendation) -> str:
    """Strategy, basis, P(best), regret and flips for each trigger."""
    return fragment(
        "policy",
        r=result,
        groups=layout.policies(result.policy),
        probability=probability,
        no_regret=recommendation.NO_REGRET,
    )


def costs(result: Recommendation) -> str:
    """Cost table and plot at the costliest flush."""
    rows = [row for row in result.costs if row.trigger == result.costliest_trigger]
    return fragment(
        "costs",
        r=result,
        rows=rows,
        needs=recommendation.NEEDS,
        plot=Markup(plots.cost_figure(rows, result.costliest_strategy)),
    )


def contention(result: Recommendation) -> str:
    """What waits, who pays, what the mask, the proposals of the thread and a teardown come to."""
    return fragment(
        "contention",
        r=result,
        blocks=waits.blocks(result.contention),
        ceilings=waits.ceilings(result.contention),
        bills=waits.bills(result.bills),
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
        sweeps=sweeps,
        plot=Markup(plots.curves_figure(sweeps, view.states, result.costliest_strategy)),
        map=Markup(plots.map_figure(heat)),
        everywhere=heat.strategies[heat.winner.flat[0]],
    )


def admissibility(result: Recommendation) -> str:
    """Every strategy that is not ruled out at each trigger, with predicates and reason."""
    return fragment("admissibility", r=result, groups=layout.verdicts(result.costs))


def uncertainty(result: Recommendation) -> str:
    """Objectives, corners of the prior, sensitivities, what to measure next."""
    return fragment("uncertainty", r=result)


def upstream(result: Recommendation) -> str:
    """What each kernel range does, beside the model's choice."""
    return fragment("upstream", r=result)


@lru_cache(maxsize=1)
def formulas() -> str:
    """The cost terms as MathML with symbols, source and validity."""
    from costmodel.formulas import catalog
    from costmodel.formulas.catalog import FORMULAS
    from costmodel.formulas.formula import NOTATION

    items = [(item, Markup(catalog.mathml(name))) for name, item in FORMULAS.items()]
    return fragment("formulas", items=items, notation=NOTATION)


def provenance(result: Recommendation) -> str:
    """Source of every number used, and the hashes."""
    return fragment("provenance", r=result)
