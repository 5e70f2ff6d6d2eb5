"""From an executed notebook to one self-contained HTML page: inline style, inline SVG, MathML, nothing loaded."""

from __future__ import annotations

from importlib.resources import files

from markupsafe import Markup

from costmodel.report.blocks import fragment

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


def body_of(executed: dict) -> str:
    """The HTML outputs of the executed notebook, in order; code and text outputs stay in the notebook."""
    parts = []
    before, after = _scope()
    for cell in executed.cells:
        if cell.cell_type != "code":
            continue
        shown = [output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})]
        parts += [html.removeprefix(before).removesuffix(after) if html.startswith(before) else html for html in shown]
    return "\n".join(parts)
