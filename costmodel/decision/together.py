"""Several guests on one host: what each type takes of its CPUs, and all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy

from costmodel.cost.draws import Draws
from costmodel.cost.rates import event_rate, is_ceiling, least_rate
from costmodel.cost.scenario import Scenario
from costmodel.cost.together import Part, losses
from costmodel.decision.intervals import interval_of
from costmodel.decision.model import TogetherRow
from costmodel.decision.policy import Study
from costmodel.errors import BadInput
from costmodel.kvm.triggers import triggers_of

ALL_GUESTS = "all"
MOST_VMS = 2**16
"""More guests than a host has ever run: a slip of the pen."""


def check_vms(vms: Mapping[str, int]) -> None:
    """Raise BadInput for a number of guests that cannot be."""
    for guest, count in vms.items():
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_VMS:
            problem = f"{guest}: {count!r} is no whole number from 1 to {MOST_VMS}"
            raise BadInput(problem, field="vms", remedy="give the number of guests of each type")


def together_rows(cases: Mapping[str, Scenario], vms: Mapping[str, int], draws: Draws) -> list[TogetherRow]:
    """A row for each guest type and one for all: every trigger of the workload under what the kernel does there."""
    parts = [part for guest, count in vms.items() for part in _parts(cases[guest], count, draws)]
    most, ceiling = losses(parts, draws, event_rate), any(is_ceiling(p.scenario, p.trigger) for p in parts)
    least = losses(parts, draws, least_rate) if ceiling else []
    rows = [_row(guest, count, parts, most, least, draws) for guest, count in vms.items()]
    return [*rows, _row(ALL_GUESTS, sum(vms.values()), parts, most, least, draws)] if len(vms) > 1 else rows


def _parts(case: Scenario, count: int, draws: Draws) -> list[Part]:
    found = []
    for trigger in triggers_of(case.guest):
        study = Study(trigger, case, draws.parameters, draws, {})
        if (
            case.pulls(trigger.id)
            and study.chosen
            and study.chosen.flushes
            and not study.cost(study.chosen.strategy).refused
        ):
            found.append(Part(count, case, trigger.id, study.chosen.strategy))
    return found


def _row(
    guest: str,
    count: int,
    parts: Sequence[Part],
    most: Sequence[numpy.ndarray],
    least: Sequence[numpy.ndarray],
    draws: Draws,
) -> TogetherRow:
    own = [at for at, part in enumerate(parts) if guest in (ALL_GUESTS, part.scenario.guest)]
    cpus = parts[0].scenario.machine.logical_cpus if parts else None
    ceiling = any(is_ceiling(parts[at].scenario, parts[at].trigger) for at in own)

    def shown(values: Sequence[numpy.ndarray], at_most: bool) -> object:
        taken = sum((values[at] for at in own), start=numpy.zeros(draws.n))
        return interval_of(taken, "1", draws.extrapolated, cpus, at_most)

    return TogetherRow(
        guest=guest,
        vms=count,
        host_cpu_s_per_s=shown(most, ceiling),
        least_host_cpu_s_per_s=shown(least, False) if ceiling else None,
    )
