"""What the explaining notebooks show: each lesson gathers its inputs once and gives HTML, cell by cell."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from costmodel.calibration.cached import parameters_of
from costmodel.calibration.fit import Fit, fit
from costmodel.calibration.holdout import leave_groups_out
from costmodel.calibration.host_flush import cells_of
from costmodel.calibration.host_holdout import held_out, rivals
from costmodel.calibration.report import problems
from costmodel.cost.draws import Draws
from costmodel.cost.scenario import scenario
from costmodel.decision.contention import bill_rows
from costmodel.decision.mask import mask_rows
from costmodel.decision.policy import Study
from costmodel.decision.recommend import recommend, study_all
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence.store import load
from costmodel.kvm.strategies import STRATEGIES
from costmodel.report import blocks, plots_calibration, plots_contention, plots_validation, scoreboard
from costmodel.validation import scoreboard as board
from costmodel.validation import simulated
from costmodel.validation.row import Scoreboard, Section

PLOT_DRAWS = 512
WHOLE_RATES = (0.1, 1e3)
RANGE_RATES = (0.1, 1e5)
RANGED = "CLFLUSHOPT_UVA"
"""Shown for what the hook's place would do to a range flush, admissible or not."""


def paragraphs(texts: Iterable[str]) -> str:
    """One list item per text, escaped."""
    return blocks.fragment("list", texts=list(texts))


class ContentionLesson:
    """Waits and bills at one notifier event of a guest type. Raises UnknownName or BadInput."""

    def __init__(self, guest: str, machine: str, workload: str, kernel: str, trigger: str) -> None:
        self._asked = (guest, machine, workload, kernel)
        self._evidence = load()
        self._parameters = parameters_of(self._evidence, machine)
        self._case = scenario(self._evidence, guest, machine, workload, kernel)
        studies = {s.trigger.id: s for s in study_all(self._evidence, self._case, self._parameters)}
        if trigger not in studies:
            raise UnknownName(f"trigger of {guest}", trigger, studies)
        self._study: Study = studies[trigger]
        chosen = self._study.chosen
        if chosen is None or not STRATEGIES[chosen.strategy].whole_cache:
            raise BadInput(
                f"{guest} has no whole-cache flush at {trigger}",
                field="trigger",
                remedy="choose a guest type and a trigger whose kernel flushes whole caches",
            )

    def placements(self) -> str:
        """Waits over the event rate by the place of the hook: the kernel's flush, then a range flush."""
        draws = Draws(self._parameters, PLOT_DRAWS)
        trigger, whole = self._study.trigger.id, self._study.chosen.strategy
        return plots_contention.placements(self._case, trigger, whole, draws, WHOLE_RATES) + (
            plots_contention.placements(self._case, trigger, RANGED, draws, RANGE_RATES)
        )

    def sharing_and_mask(self) -> str:
        """One flush for all that wait, and the mask of CPUs that ran the guest."""
        return plots_contention.sharing() + plots_contention.mask(self._case, mask_rows(self._study))

    def bill(self) -> str:
        """Who pays for one event, then the tables of the recommendation."""
        rows = bill_rows(self._study, self._evidence)
        plot = plots_contention.bill({row.strategy: (row.own_s.median, row.others_s.median) for row in rows})
        return plot + blocks.contention(recommend(*self._asked))


class CalibrationLesson:
    """Fits to published rows, a measured host, the parameters of a machine. Raises UnknownName."""

    def __init__(self, machine: str, host: str) -> None:
        self._evidence = load()
        self._parameters = parameters_of(self._evidence, machine)
        self._profile = self._evidence.host(host)

    @cached_property
    def _fits(self) -> dict[str, Fit]:
        return {name: fit(problem) for name, problem in problems(self._evidence).items()}

    def fits(self) -> str:
        """Fitted against observed, and what groups left out say."""
        texts = []
        for name, result in self._fits.items():
            bars = f"; no error bars: {result.withheld}" if result.withheld else ""
            texts.append(f"{name}: {leave_groups_out(result.problem).sentence()}{bars}")
        return plots_calibration.fits(self._fits) + paragraphs(texts)

    def host(self) -> str:
        """Time per line of the host with its intervals, held-out errors, and the rival forms."""
        cells = cells_of(self._profile)
        names = {cell.kind[0] for cell in cells}
        instruction = "CLFLUSHOPT" if "CLFLUSHOPT" in names else "CLFLUSH"
        errors = sorted(rivals(self._profile).items(), key=lambda item: item[1])
        texts = [trial.sentence() for trial in held_out(self._profile)]
        texts += [
            f"{form}: median error {100 * error:.1f} % on ranges left out one at a time" for form, error in errors
        ]
        return plots_calibration.host_cells(cells, instruction) + paragraphs(texts)

    def priors(self) -> str:
        """Width and rule of every parameter, and what is missing."""
        known = [
            f"{name}: {entry.rule}" + (f" [{', '.join(entry.sources)}]" if entry.sources else "")
            for name, entry in sorted(self._parameters.parameters.items())
        ]
        missing = [f"{name} is missing: {gap}" for name, gap in sorted(self._parameters.missing.items())]
        return plots_calibration.priors(self._parameters) + paragraphs([*known, *missing])


class ValidationLesson:
    """The scoreboard with its plots; `sections` are comma-separated ids, empty for all. Raises UnknownName."""

    def __init__(self, sections: str) -> None:
        wanted = [name.strip() for name in sections.split(",") if name.strip()]
        self._board: Scoreboard = board.build(load(), wanted)

    def _section(self, id: str) -> Section | None:
        return next((section for section in self._board.sections if section.id == id), None)

    def simulation(self) -> str:
        """Formula against simulation; empty where that section was not asked for."""
        return plots_validation.simulation(simulated.results()) if self._section("simulation") else ""

    def regressions_and_coverage(self) -> str:
        """Digits of the certified regressions, and coverage of held-out intervals."""
        strd, terms = self._section("strd"), self._section("terms")
        return (plots_validation.digits(strd) if strd else "") + (plots_validation.coverage(terms) if terms else "")

    def scoreboard(self) -> str:
        """All rows."""
        return scoreboard.fragment(self._board)
