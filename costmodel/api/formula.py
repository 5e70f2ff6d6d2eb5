"""A cost term in the hands of a user: maths to differentiate, a function to call, a line of LaTeX to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from costmodel.api.arguments import UnknownAttribute
from costmodel.errors import BadInput, UnknownName

if TYPE_CHECKING:
    import pandas
    import sympy


class Formula:
    """One cost term: `expr` (sympy), `symbols` (a frame), `source`, `validity`; a call gives numbers.

    Each symbol is an attribute: `f.expr.diff(f.lines)`.
    """

    def __init__(self, name: str) -> None:
        from costmodel.formulas.catalog import formula

        self._item = formula(name)
        self.id, self.title, self.unit = self._item.id, self._item.title, self._item.unit
        self.source, self.validity = self._item.source, self._item.validity

    @property
    def expr(self) -> sympy.Expr:
        """The expression, in symbols with long names."""
        return self._item.expression

    @property
    def symbols(self) -> pandas.DataFrame:
        """Letter in the printed formula, unit and meaning of each symbol, by its name."""
        import pandas

        from costmodel.formulas.formula import NOTATION

        rows = [(name, NOTATION[name], *quantity) for name, quantity in self._item.symbols.items()]
        return pandas.DataFrame(rows, columns=["symbol", "letter", "unit", "meaning"]).set_index("symbol")

    def __call__(self, **values: Any) -> numpy.ndarray:
        """The value in `unit`; numbers and arrays broadcast. Raises UnknownName, or BadInput for one left out.

        >>> float(formulas.range_lines(range_bytes=4096, offset_bytes=0, line_bytes=64))
        64.0
        """
        from costmodel.formulas.compiled import value

        known = self._item.symbols
        for name in values:
            if name not in known:
                raise UnknownName(f"symbol of {self.id}", name, known)
        if missing := [name for name in known if name not in values]:
            raise BadInput(f"no value for {', '.join(missing)}", field=self.id, remedy="give every symbol a value")
        return value(self.id, **values)

    def __getattr__(self, name: str) -> sympy.Symbol:
        item = self.__dict__.get("_item")
        if item is None or name not in item.symbols:
            raise UnknownAttribute("symbol", name, item.symbols if item else ())
        return next(symbol for symbol in item.expression.free_symbols if str(symbol) == name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._item.symbols]

    def __repr__(self) -> str:
        from costmodel.formulas import catalog

        text = catalog.text(self.id)
        shown = text if len(text) < 600 else f"of {', '.join(self._item.symbols)}"
        return f"{self.id}: {self.title} [{self.unit}]\n{shown}"

    def _repr_latex_(self) -> str:
        from costmodel.formulas import catalog

        return f"$\\displaystyle {catalog.latex(self.id)}$"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Formula) and self._item == other._item

    def __hash__(self) -> int:
        return hash(self.id)

    def __reduce__(self) -> tuple[Any, ...]:
        return Formula, (self.id,)


class Catalogue:
    """The formulas by id: as attributes, by `[]`, and as a frame when called.

    >>> formulas.range_flush == formulas["range_flush"]
    True
    """

    __name__ = "costmodel.formulas"

    def __getitem__(self, name: str) -> Formula:
        return Formula(name)

    def __getattr__(self, name: str) -> Any:
        """The formula; else the module of the subpackage, whose place on the package the catalogue has taken."""
        import sys

        from costmodel.formulas.catalog import FORMULAS

        if name in FORMULAS:
            return Formula(name)
        if (module := sys.modules.get(f"{self.__name__}.{name}")) is not None:
            return module
        raise UnknownAttribute("formula", name, FORMULAS)

    def __call__(self) -> pandas.DataFrame:
        """Title, unit, source and validity of each formula, by its id."""
        import pandas

        from costmodel.formulas.catalog import FORMULAS

        fields = ("id", "title", "unit", "source", "validity")
        return pandas.DataFrame([{name: getattr(f, name) for name in fields} for f in FORMULAS.values()]).set_index(
            "id"
        )

    def __dir__(self) -> list[str]:
        from costmodel.formulas.catalog import FORMULAS

        return list(FORMULAS)

    def __repr__(self) -> str:
        return f"<{len(dir(self))} formulas; formulas() lists them>"

    def __reduce__(self) -> str:
        return "formulas"


formulas = Catalogue()
