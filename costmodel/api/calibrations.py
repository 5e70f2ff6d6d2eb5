"""How parameters came about: the least-squares fits to published rows, what a machine was given, hosts that were
measured."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy

from costmodel.api.arguments import logspace, named
from costmodel.calibration.calibrate import REGRESSIONS
from costmodel.calibration.parameters import parameters_of
from costmodel.errors import UnknownName
from costmodel.evidence.store import load

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

    from costmodel.calibration.fit import Fit, Problem
    from costmodel.evidence.hosts import Profile


@named
def calibrate(name: str) -> Calibration:
    """The least-squares fit called `name` (REGRESSIONS) to the published rows. Raises UnknownName.

    >>> bool((calibrate("line_time").points.fitted > 0).all())
    True
    """
    from costmodel.calibration.fit import fit

    if name not in REGRESSIONS:
        raise UnknownName("fit", name, REGRESSIONS)
    return Calibration(name, fit(REGRESSIONS[name].problem(load())))


class Calibration:
    """A fit: `points` (observed, fitted, residual), `parameters`, `plot()`."""

    def __init__(self, name: str, result: Fit) -> None:
        self.name, self.title, self.fit = name, REGRESSIONS[name].title, result

    @property
    def points(self) -> pandas.DataFrame:
        """By row of `measurements()`: observed and fitted in seconds, `low` and `high` of a new row where the
        diagnostics allow error bars, and the residual in natural logarithms (0.1 reads as about 10 %).
        """
        import pandas

        from costmodel.calibration.fit import prediction_factor

        problem, theta = self._problem, self.fit.theta
        fitted = problem.predict(theta)
        factor = numpy.full(len(fitted), math.nan)
        if self.fit.covariance is not None:
            factor = numpy.array([prediction_factor(self.fit, row) for row in problem.jacobian(theta)])
        return pandas.DataFrame(
            {
                "group": problem.groups,
                "observed": problem.observed,
                "fitted": fitted,
                "low": fitted / factor,
                "high": fitted * factor,
                "unit": "s",
                "residual": self.fit.residuals,
            },
            index=pandas.Index(problem.ids, name="id"),
        )

    @property
    def _problem(self) -> Problem:
        return cast("Problem", self.fit.problem)

    @property
    def parameters(self) -> pandas.DataFrame:
        """Fitted values by name, with the standard error of the logarithm where the diagnostics allow one."""
        import pandas

        values = self.fit.values
        errors = (
            numpy.full(len(values), math.nan)
            if self.fit.covariance is None
            else numpy.sqrt(numpy.diag(self.fit.covariance))
        )
        return pandas.DataFrame({"value": values.values(), "standard_error_of_log": errors}, index=list(values))

    @property
    def withheld(self) -> str | None:
        """Why there are no error bars, or None."""
        return self.fit.withheld

    def held_out(self) -> str:
        """What the fit says of rows that were left out, as a sentence."""
        from costmodel.calibration.holdout import leave_groups_out

        return leave_groups_out(self._problem).sentence()

    def bootstrap(self, refits: int = 1000) -> pandas.DataFrame:
        """Fitted values by name with the central 90 % over refits to resampled groups of rows; `refits` counts those
        whose rows tell the parameters apart. Interval and count say what the standard errors take for granted.

        >>> float(calibrate("line_time").bootstrap(100).refits.max()) <= 100
        True
        """
        import pandas

        from costmodel.calibration.fit import bootstrap

        found = bootstrap(self.fit, refits)
        found = found[~numpy.isnan(found).any(axis=1)]
        logs = numpy.array([unknown.log for unknown in self._problem.unknowns])
        values = numpy.where(logs, numpy.exp(found), found)
        low, high = (
            numpy.quantile(values, (0.05, 0.95), axis=0) if len(values) else numpy.full((2, len(logs)), math.nan)
        )
        own = self.fit.values
        return pandas.DataFrame(
            {"value": own.values(), "low": low, "high": high, "refits": len(values)}, index=list(own)
        )

    def plot(self, ax: Axes | None = None) -> Axes:
        """Fitted over observed, the line of equality from which residuals are read, and the 90 % interval of a new
        row.
        """
        from costmodel.report import plots

        return plots.calibration(self, ax=ax)

    def __repr__(self) -> str:
        spread = f"{100 * self.fit.root_mean_square:.0f} %"
        return f"<Calibration {self.name}: {len(self.fit.residuals)} rows, residual {spread}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calibration) and self.name == other.name and self.points.equals(other.points)

    __hash__ = None  # type: ignore[assignment]  # equal by content, so it has no hash

    def _repr_html_(self) -> str:
        return f"<p>{self.title}: {self.held_out()}</p>{self.parameters._repr_html_()}"


@named
def parameters(machine: str) -> pandas.DataFrame:
    """Every cost parameter of a machine by name: `median`, `low`, `high` (90 %), `factor` (how far either way), `unit`,
    rule.

    `extrapolated` marks a prior by a named rule; a parameter that no rule gives has no median, and its `rule` is the
    gap. Raises UnknownName.

    >>> bool(parameters("epyc-7763-2s").extrapolated["line_valid_s"])
    True
    """
    import pandas

    known = parameters_of(load(), load().machine(machine).id)
    rows = [
        {
            "name": name,
            **{part: getattr(entry.distribution, part) for part in ("median", "low", "high")},
            "factor": math.sqrt(entry.distribution.high / entry.distribution.low)
            if entry.distribution.low > 0
            else math.nan,
            "unit": entry.unit,
            "extrapolated": entry.extrapolated,
            "rule": entry.rule,
            "sources": ", ".join(entry.sources),
        }
        for name, entry in known.parameters.items()
    ]
    rows += [{"name": name, "rule": f"missing: {gap}"} for name, gap in known.missing.items()]
    return pandas.DataFrame(rows).set_index("name").sort_index()


@named
def host(name: str) -> Host:
    """A host that `costmodel measure` measured: data/hosts, and those under COSTMODEL_HOSTS. Raises UnknownName.

    >>> sorted(set(host("epyc-genoa-4cpu-vm").line_times(points=2).lines))
    ['absent', 'clean', 'dirty']
    """
    return Host(load().host(name))


class Host:
    """A measured host: its time per flushed line with intervals (`line_times`, `plot`) and what held-out data say."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile

    @named
    def line_times(self, instruction: str = "CLFLUSHOPT", points: int = 41) -> pandas.DataFrame:
        """Seconds per line over the range, by the state of the lines: the 90 % interval of a new run's median.

        Columns `instruction`, `lines` (dirty, clean, absent), `range_bytes`, `median`, `low`, `high`, `unit`, on 4 KiB
        pages. Raises UnknownName for an instruction that was not measured.
        """
        import pandas

        from costmodel.calibration.host_flush import DEFAULT_PAGE, FlushModel, cells_of

        flushes = FlushModel(cells_of(self.profile))
        kinds = {kind: cells for kind, cells in flushes.by_kind.items() if kind[2] == DEFAULT_PAGE}
        if instruction not in {kind[0] for kind in kinds}:
            raise UnknownName("measured instruction", instruction, {kind[0] for kind in kinds})
        rows = []
        for (own, state, _), cells in sorted(kinds.items()):
            if own != instruction:
                continue
            for size in logspace(cells[0].range_bytes, cells[-1].range_bytes, points).clip(max=cells[-1].range_bytes):
                guess = flushes.predict(own, state, float(size))
                told = {"median": guess.line_s, "low": guess.low_s, "high": guess.high_s, "unit": "s"}
                rows.append({"instruction": own, "lines": state, "range_bytes": size, **told})
        return pandas.DataFrame(rows)

    @property
    def held_out(self) -> pandas.DataFrame:
        """How well times that were left out are predicted: errors as fractions, and how many lay in their interval."""
        import pandas

        from costmodel.calibration.holdout import held_out

        return pandas.DataFrame([vars(trial) for trial in held_out(self.profile)]).set_index("what")

    def plot(self, instruction: str = "CLFLUSHOPT", ax: Axes | None = None) -> Axes:
        """`line_times` with their bands, each state of the lines named at its end."""
        from costmodel.report import plots

        ax = plots.lines(self.line_times(instruction), "range_bytes", "lines", ax)
        ax.set(ylabel=f"{instruction}, time per line", title=self.profile.id)
        return ax

    def __repr__(self) -> str:
        return f"<Host {self.profile.id}, measured {self.profile.measured_on}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Host) and self.profile.id == other.profile.id

    __hash__ = None  # type: ignore[assignment]  # equal by content, so it has no hash
