"""A formula as text, LaTeX, MathML, Python or C, all printed from the one expression."""

from __future__ import annotations

import sympy
from sympy.codegen.cfunctions import expm1
from sympy.printing.mathml import mathml as sympy_mathml
from sympy.printing.numpy import NumPyPrinter

from costmodel.formulas.notation import NOTATION
from costmodel.formulas.registry import formula


class _Numpy(NumPyPrinter):
    """numpy code that broadcasts: sympy prints Max as a reduction over a ragged tuple."""

    def _fold(self, function: str, arguments: tuple[sympy.Expr, ...]) -> str:
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
    return _Numpy({"fully_qualified_modules": True}).doprint(expression)


def text(name: str) -> str:
    """Plain ASCII, two-dimensional, in short notation (see `notation`)."""
    return sympy.pretty(_short(formula(name).expression), use_unicode=False, wrap_line=False)


def latex(name: str) -> str:
    """LaTeX of the expression in short notation (see `notation`)."""
    return sympy.latex(_short(formula(name).expression))


def mathml(name: str) -> str:
    """Presentation MathML in short notation; a browser shows it without any script."""
    body = sympy_mathml(_short(formula(name).expression), printer="presentation")
    return f'<math xmlns="http://www.w3.org/1998/Math/MathML" display="block">{body}</math>'


def python(name: str) -> str:
    """A numpy function with the formula's arguments."""
    item = formula(name)
    arguments = ", ".join(item.symbols)
    return f"def {item.id}({arguments}):\n    return {numpy_code(item.expression)}\n"


def c(name: str) -> str:
    """A C99 function with the formula's arguments."""
    item = formula(name)
    arguments = ", ".join(f"double {argument}" for argument in item.symbols)
    return f"double {item.id}({arguments})\n{{\n    return {sympy.ccode(item.expression, math_macros={})};\n}}\n"


def _short(expression: sympy.Expr) -> sympy.Expr:
    """The expression with the short names of `notation`, and exp(x) - 1 for what is computed as expm1(x)."""
    plain = expression.replace(expm1, lambda x: sympy.exp(x) - 1)
    return plain.subs({s: sympy.Symbol(NOTATION[str(s)], nonnegative=True) for s in plain.free_symbols})
