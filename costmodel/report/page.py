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


def page(title: str, body: str, home: str) -> str:
    """`body` (trusted HTML of our own fragments) inside the page."""
    return fragment("page", title=title, body=Markup(body), style=style(), home=home, policy=POLICY)


def body_of(executed: dict) -> str:
    """The HTML outputs of the executed notebook, in order; code and text outputs stay in the notebook."""
    parts = []
    for cell in executed.cells:
        if cell.cell_type != "code":
            continue
        parts += [output.data["text/html"] for output in cell.outputs if "text/html" in output.get("data", {})]
    return "\n".join(parts)
