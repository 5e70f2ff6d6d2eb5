"""What the answers rest on: measurements, machines, workloads, guests, triggers, strategies and whether the model is
right, as frames; and the cost terms, in the hands of a user.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from costmodel.api.arguments import UnknownAttribute
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence import machine_input
from costmodel.evidence.store import load

if TYPE_CHECKING:
    import pandas
    import sympy


def _table(records: Sequence[object], *left_out: str) -> pandas.DataFrame:
    """Dataclass records as a frame by id; sets and tuples as texts."""
    import pandas

    rows = [{name: value for name, value in vars(record).items() if name not in left_out} for record in records]
    plain = [{name: _cell(value) for name, value in row.items()} for row in rows]
    return pandas.DataFrame(plain).set_index("id")


def _cell(value: object) -> object:
    if isinstance(value, dict):
        value = [name for name, holds in value.items() if holds]
    return (
        ", ".join(map(str, sorted(value) if isinstance(value, frozenset) else value))
        if isinstance(value, frozenset | tuple | list)
        else value
    )


def measurements() -> pandas.DataFrame:
    """Every published number, by its id: value as written and in SI (`si`, `si_unit`), conditions, source, quote.

    >>> bool((measurements().query("term == 'whole_cache'").si > 0).all())
    True
    """
    rows = load().measurements.values()
    frame = _table(list(rows), "low", "high", "uncertainty")
    for name in ("si", "si_unit", "low_si", "high_si", "uncertainty_si"):
        frame[name] = [getattr(row, name) for row in rows]
    return frame


def machines() -> pandas.DataFrame:
    """Catalogued machines and measured hosts, by id: topology, cache sizes in bytes, features.

    >>> int(machines().logical_cpus["epyc-7763-2s"])
    256
    """
    return _table(list(load().machines.values()), "provenance", "missing", "features_off")


def machine(name: str) -> str:
    """The id of a machine by its marketing name, by a file of lscpu, lscpu -J, /proc/cpuinfo, cpuid -r or lstopo, or of
    `this` host; from then on `case()` and `machines()` know it. Raises UnknownName or BadInput.

    >>> machine("EPYC 9754")
    'epyc-9754-1s'
    >>> int(machines().domains["epyc-9754-1s"])
    16
    """
    return machine_input.told(name).id


def workloads() -> pandas.DataFrame:
    """Catalogued workloads, by id: the guest, the number of VMs, and the triggers that each pulls."""
    import pandas

    rows = [
        {
            "id": entry.id,
            "title": entry.title,
            "vcpus": int(entry.vcpus.si),
            "resident_bytes": entry.resident_bytes.si,
            "vms": entry.vms.si,
            "triggers": ", ".join(pulled.trigger for pulled in entry.triggers),
            "description": entry.description,
        }
        for entry in load().workloads.values()
    ]
    return pandas.DataFrame(rows).set_index("id")


def guests() -> pandas.DataFrame:
    """Guest types by id: vendor, the properties that decide about flushes, what the CPU needs."""
    from costmodel.kvm.catalog import GUESTS

    return _table(list(GUESTS.values()))


def triggers() -> pandas.DataFrame:
    """Events at which a flush may be due, by id, with the properties that decide about it."""
    from costmodel.kvm.catalog import TRIGGERS

    return _table(list(TRIGGERS.values()))


def strategies() -> pandas.DataFrame:
    """Ways to flush, or not to, by id: instruction, scope, where merged, source."""
    from costmodel.kvm.catalog import STRATEGIES

    return _table(list(STRATEGIES.values()))


def kernels() -> list[str]:
    """The catalogued kernel ranges, oldest first; `case(kernel=...)` takes any version inside them.

    >>> kernels()[-1] == case("sev", "epyc-7763-2s").scenario.kernel
    True
    """
    from costmodel.kvm.kernels import KERNELS

    return list(KERNELS)


def scoreboard(*sections: str) -> pandas.DataFrame:
    """Whether the model is right, row by row: `section`, `what`, `figure`, `verdict` and its details, by id.

    Where held-out values were predicted, `covered` of `n` lay in their 90 % interval. Sections are those of `costmodel
    validate`, all if none is named. Raises UnknownName.

    >>> set(scoreboard("formulas").verdict)
    {'pass'}
    """
    import pandas

    from costmodel.report import scoreboard as board

    rows = [
        {"section": section.id, **row.model_dump(exclude={"details"}), "covered": None, "n": None, **row.details}
        for section in board.build(load(), sections).sections
        for row in section.rows
    ]
    return pandas.DataFrame(rows).set_index("id")


def simulations(*families: str) -> pandas.DataFrame:
    """Formula against discrete-event simulation, a row for each setting and output, as they were last compared.

    `simulated` with its 95 % interval, `formula`, their `ratio`, and the `finding`: agrees, beyond a stated limit, or
    wrong. `families` of settings are those of the column `family`, all if none is named. Raises UnknownName.
    """
    import pandas

    from costmodel.report.scoreboard import FINDINGS
    from costmodel.validation import simulation

    compared = simulation.read(load().root)
    for name in families:
        if name not in (known := {found.family for found in compared}):
            raise UnknownName("family of simulated settings", name, known)
    fields = ("family", "setting", "output", "simulated", "low", "high", "formula")
    rows = [
        {
            **{name: getattr(found, name) for name in fields},
            "ratio": found.formula / found.simulated,
            "finding": FINDINGS[found.finding],
            "limit": found.limit,
        }
        for found in compared
        if not families or found.family in families
    ]
    return pandas.DataFrame(rows)


# Formulas: maths to differentiate, a function to call, a line of LaTeX to look at.


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

        from costmodel.formulas.formula import letter

        rows = [(name, letter(name), *quantity) for name, quantity in self._item.symbols.items()]
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
