"""What a whole-cache flush costs under rival priors: nobody has timed one on an EPYC, so the headline shows them too."""

from __future__ import annotations

import numpy

from costmodel.cost.totals import total
from costmodel.decision.intervals import interval_of
from costmodel.decision.model import RivalPrior
from costmodel.decision.policy import Study
from costmodel.kvm.strategies import STRATEGIES

PRIORS: dict[str, dict[str, float | str]] = {
    "each core of a cache domain walks its valid lines": {"valid_exponent": 1.0},
    "only the logs of EPYC tell, not those of desktops": {
        "line_empty_s": "line_empty_servers_s",
        "line_valid_s": "line_valid_servers_s",
    },
    "cores of a cache domain flush one after another": {"serial_exponent": 1.0},
    "only the write-back of dirty lines takes time": {"line_empty_s": 0.0, "line_valid_s": 0.0},
}
"""What each prior takes for certain: a number, or another parameter; all the rest keep their distributions."""


def rival_rows(study: Study | None) -> list[RivalPrior]:
    """One row per prior, for the chosen flush at the study's trigger; none where it flushes no whole cache.

    The host CPUs lost where the trigger has a rate, else the CPU time of one event.
    """
    if study is None or study.chosen is None or not STRATEGIES[study.chosen.strategy].whole_cache:
        return []
    stated = study.cost(study.chosen.strategy)
    if stated.refused or stated.never:
        return []
    return [
        _row(prior, study, {name: _values(study, instead) for name, instead in taken.items()})
        for prior, taken in PRIORS.items()
        if all(isinstance(instead, float) or instead in study.parameters.parameters for instead in taken.values())
    ]


def _values(study: Study, instead: float | str) -> numpy.ndarray:
    return study.draws[instead] if isinstance(instead, str) else numpy.full(study.draws.n, instead)


def _row(prior: str, study: Study, taken: dict[str, numpy.ndarray]) -> RivalPrior:
    found = total(study.trigger.id, study.chosen.strategy, study.scenario, study.draws.with_values(**taken))
    per_event = found.host_cpu_s_per_s is None
    return RivalPrior(
        prior=prior,
        host_cpu_s_per_s=interval_of(
            found.host_cpu_s_per_s, "1", found.extrapolated, found.logical_cpus, found.at_most
        ),
        stolen_cpu_s_per_event=interval_of(found.event.stolen_s if per_event else None, "s", found.extrapolated),
    )
