"""How Sphinx builds the site: offline, without a script or a font of somebody else, every warning an error."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from docutils import nodes
from latex2mathml.converter import convert
from sphinx.application import Sphinx

import costmodel

WORD = r"(?<![\\a-zA-Z{_])([a-z]{3,})"
"""A word in LaTeX that is no command."""
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

project = "costmodel"
author = "The costmodel authors"
copyright = "The costmodel authors, Apache-2.0"
version = release = costmodel.__version__
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx_click", "sphinx_copybutton"]
exclude_patterns = ["_build", "**/.ipynb_checkpoints"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(?!costmodel\.).*"),  # names of other libraries: the build asks no network
    ("py:class", r"costmodel\.(cost\.scenario\.Scenario|api\.cases\.Html)"),  # not for users
]
smartquotes = False
highlight_language = "none"

html_theme = "furo"
html_title = f"costmodel {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
html_math_renderer = "mathml"
templates_path: list[str] = []

myst_enable_extensions = ["deflist", "dollarmath", "substitution"]
myst_heading_anchors = 4
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 300
nb_merge_streams = True
nb_output_stderr = "remove"
nb_ipywidgets_js: dict[str, dict[str, str]] = {}

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
default_role = "literal"  # docstrings write `name` for code
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def _write_facts(app: Sphinx) -> None:
    import facts

    facts.write(Path(app.srcdir) / "generated")


def _examples_as_code(app: Sphinx, ctx: object, lines: list[str]) -> None:
    """Turn the lines below "Examples:" of a command's help, which keep their breaks, into a block of code."""
    for at, line in enumerate(lines):
        if line.strip() == "| Examples:":
            lines[at:] = [
                "Examples:",
                "",
                "::",
                "",
                *(f"   {more.removeprefix('| ').strip()}" for more in lines[at + 1 :]),
            ]
            lines.append("")
            return


def _words(latex: str) -> str:
    """LaTeX in which symbols of several letters, as `line_{absent s}`, are words and no products of letters."""
    latex = re.sub(
        rf"{WORD}_\{{([a-z0-9 ]+)\}}", lambda found: f"\\text{{{found[1]}_{found[2].replace(' ', '_')}}}\\,", latex
    )
    return re.sub(rf"{WORD}(?![a-zA-Z_}}])", r"\\text{\1}\\,", latex)


def _mathml(display: str) -> tuple[Callable[[Any, nodes.Element], None], None]:
    """What writes maths as MathML, which every browser shows without a script."""

    def visit(translator: Any, node: nodes.Element) -> None:
        shown = convert(_words(node.astext()), display=display)
        translator.body.append(f'<div class="math">{shown}</div>' if display == "block" else shown)
        raise nodes.SkipNode

    return visit, None


def setup(app: Sphinx) -> None:
    """Write the pages that are made of the package, show examples as code and maths as MathML."""
    app.connect("builder-inited", _write_facts)
    for part in ("description", "epilog"):
        app.connect(f"sphinx-click-process-{part}", _examples_as_code)
    app.add_html_math_renderer("mathml", _mathml("inline"), _mathml("block"))
