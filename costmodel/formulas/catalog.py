"""All formulas by id, and each as text, LaTeX, MathML, C, JavaScript or numpy source, all printed from the one expression.

Importing this imports sympy; the compiled forms do not.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy
from sympy.codegen.cfunctions import expm1
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.mathml import mathml as sympy_mathml
from sympy.printing.numpy import NumPyPrinter

from costmodel.errors import known_id
from costmodel.formulas import caches, event, flush, rates, waits
from costmodel.formulas.formula import Formula, letter

FORMULAS: dict[str, Formula] = {
    item.id: item
    for module in (flush, caches, waits, rates, event)
    for item in vars(module).values()
    if isinstance(item, Formula)
}


def formula(name: str) -> Formula:
    """The formula called `name`, in any case; raises UnknownName."""
    return FORMULAS[known_id("formula", name, FORMULAS)]


class _Numpy(NumPyPrinter):  # type: ignore[misc]  # sympy has no types
    """numpy code that broadcasts: sympy prints Max as a reduction over a ragged tuple."""

    def _fold(self, function: str, arguments: tuple[sympy.Expr, ...]) -> str:
        head: str
        head, *rest = [self._print(argument) for argument in arguments]
        for argument in rest:
            head = f"{self._module_format('numpy.' + function)}({head}, {argument})"
        return head

    def _print_Max(self, expr: sympy.Expr) -> str:
        return self._fold("maximum", expr.args)

    def _print_Min(self, expr: sympy.Expr) -> str:
        return self._fold("minimum", expr.args)


def numpy_code(expression: sympy.Expr) -> str:
    """`expression` as a numpy expression (fully qualified `numpy.` names)."""
    return str(_Numpy({"fully_qualified_modules": True}).doprint(expression))


def text(name: str) -> str:
    """Plain ASCII, two-dimensional, in short notation (see `notation`)."""
    return str(sympy.pretty(_short(formula(name).expression), use_unicode=False, wrap_line=False))


def latex(name: str) -> str:
    """LaTeX of the expression in short notation (see `notation`)."""
    return str(sympy.latex(_short(formula(name).expression)))


def mathml(name: str) -> str:
    """Presentation MathML in short notation; a browser shows it without any script."""
    body = sympy_mathml(_short(formula(name).expression), printer="presentation")
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{body}</math>'


def python(name: str) -> str:
    """A numpy function with the formula's arguments."""
    item = formula(name)
    return f"def {item.id}({', '.join(item.symbols)}):\n    return {numpy_code(item.expression)}\n"


def c(name: str) -> str:
    """A C99 function with the formula's arguments."""
    item = formula(name)
    arguments = ", ".join(f"double {argument}" for argument in item.symbols)
    return f"double {item.id}({arguments})\n{{\n    return {sympy.ccode(item.expression, math_macros={})};\n}}\n"


class _JavaScript(JavascriptCodePrinter):  # type: ignore[misc]  # sympy has no types
    def _print_expm1(self, expr: sympy.Expr) -> str:
        return f"Math.expm1({self._print(expr.args[0])})"


def javascript(name: str) -> str:
    """A JavaScript function with the formula's arguments."""
    item = formula(name)
    body = _JavaScript({"strict": True}).doprint(item.expression)
    return f"function {item.id}({', '.join(item.symbols)}) {{\n  return {body};\n}}\n"


def _short(expression: sympy.Expr) -> sympy.Expr:
    """The expression with the short names of `notation`, and exp(x) - 1 for what is computed as expm1(x)."""
    plain = expression.replace(expm1, lambda x: sympy.exp(x) - 1)
    return plain.xreplace({s: sympy.Symbol(letter(str(s)), nonnegative=True) for s in plain.free_symbols})


def numpy_function(name: str, item: Formula, expression: sympy.Expr) -> str:
    """Source of one function of numpy arrays with the arguments of `item`; what `expression` repeats is computed once."""
    temporaries, (reduced,) = sympy.cse(expression, symbols=sympy.numbered_symbols("_x"))
    lines = [f"def {name}({', '.join(item.symbols)}):"]
    lines += [f"    {symbol} = {numpy_code(part)}" for symbol, part in temporaries]
    lines.append(f"    return {numpy_code(reduced)}")
    return "\n".join(lines)


def numpy_source() -> str:
    """Python source with one function per formula."""
    return _source(numpy_function(item.id, item, item.expression) for item in FORMULAS.values())


def slopes_source() -> str:
    """Python source with one function per formula and differentiable argument, NAME__by__SYMBOL."""
    return _source(
        numpy_function(f"{item.id}__by__{symbol}", item, sympy.diff(item.expression, symbol))
        for item in FORMULAS.values()
        if not item.expression.has(sympy.ceiling)
        for symbol in sorted(item.expression.free_symbols, key=str)
    )


def _source(functions: Iterable[str]) -> str:
    return "\n\n\n".join(["import numpy\n", *functions]) + "\n"
