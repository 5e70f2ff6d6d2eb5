"""Everything that the evidence moves, in one comparable value: the audit changes one number and looks whether this changes."""

from __future__ import annotations

from dataclasses import asdict

import numpy

from costmodel.calibration.parameters import Calibration, ParameterSet, parameter_set
from costmodel.calibration.published import checks
from costmodel.cost.draws import medians
from costmodel.cost.limits import distances
from costmodel.cost.scenario import Scenario
from costmodel.cost.totals import Total, total
from costmodel.evidence.records import Machine, Workload
from costmodel.evidence.store import Evidence
from costmodel.kvm.strategies import STRATEGIES

CPUS_OF_A_GUEST = 8.0


class AuditOutputs:
    """Callable for `evidence.audit.unused_rows`; keeps what an unchanged part of the evidence gave before."""

    def __init__(self) -> None:
        self._kept: dict[tuple[int, ...], tuple[object, ...]] = {}

    def __call__(self, evidence: Evidence) -> tuple[object, ...]:
        """Checks against published numbers, parameters of each machine, costs of each workload on each machine."""
        calibration = Calibration(evidence)
        published = self._keep((evidence.measurements, evidence.dumps), lambda: repr(checks(calibration)))
        parts: list[object] = [published, distances(evidence, 1.0)]
        for machine in evidence.machines.values():
            parameters = self._keep(
                (evidence.measurements, machine), lambda machine=machine: parameter_set(calibration, machine)
            )
            parts.append(parameters)
            parts += [
                self._keep((machine, parameters, load), lambda m=machine, p=parameters, w=load: _costs(m, p, w))
                for load in evidence.workloads.values()
            ]
        return tuple(parts)

    def _keep(self, inputs: tuple[object, ...], make) -> object:
        """The value made from `inputs` before (by identity), or made now; the inputs stay alive with it."""
        key = tuple(id(part) for part in inputs)
        if key not in self._kept:
            self._kept[key] = (inputs, make())
        return self._kept[key][1]


def _costs(machine: Machine, parameters: ParameterSet, load: Workload) -> list[object]:
    """Costs and rates at the medians of every strategy at every trigger, and the workload's own numbers."""
    found: list[object] = [asdict(load)["vms"]]
    for entry in load.triggers:
        for ran in (CPUS_OF_A_GUEST, float(machine.logical_cpus)):
            case = Scenario(machine, "sev", load, "v6.17-v7.2", int(load.vcpus.value), load.resident_bytes.value, ran)
            found += [_numbers(total(entry.trigger, name, case, medians(parameters))) for name in STRATEGIES]
    return found


def _numbers(cost: Total) -> tuple[object, ...]:
    if cost.event is None:
        return (cost.refused,)
    parts = (cost.event.time_s, cost.event.stolen_s, cost.event.guest_s, cost.rate_per_s)
    return tuple(None if part is None else numpy.asarray(part).tobytes() for part in parts)


audit_outputs = AuditOutputs()
