"""What the evidence moves, as comparable values: the audit changes one number and looks whether one of them changes."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy

from costmodel.calibration.host import parameter_set
from costmodel.calibration.parameters import Calibration, ParameterSet
from costmodel.calibration.published import checks
from costmodel.cost.draws import medians
from costmodel.cost.limits import distances
from costmodel.cost.scenario import MASK_KERNEL, Scenario
from costmodel.cost.totals import Total, total
from costmodel.evidence.records import Machine, Workload
from costmodel.evidence.store import Evidence
from costmodel.kvm import kernels
from costmodel.kvm.setup import setup
from costmodel.kvm.strategies import STRATEGIES

RELEASE = kernels.release(MASK_KERNEL)
SMALL_GUEST_FRACTION = 1 / 16
"""A guest of this part of the workload's memory is looked at too: some tunables count only for small guests."""


def published(evidence: Evidence) -> object:
    """The checks against published numbers and the lock-up limits."""
    return repr(checks(Calibration(evidence))), distances(evidence, 1.0)


def parameters(evidence: Evidence) -> list[ParameterSet]:
    """The parameter set of every machine."""
    calibration = Calibration(evidence)
    return [parameter_set(calibration, machine) for machine in evidence.machines.values()]


def costs(evidence: Evidence) -> list[object]:
    """Costs of every workload on every machine, at the medians of the parameters."""
    found: list[object] = []
    calibration = Calibration(evidence)
    for machine in (_whole(machine, evidence) for machine in evidence.machines.values()):
        own = parameter_set(calibration, machine)
        text = own.model_dump_json()
        found += [_costs(_Key(_whole(machine, evidence), text, own, load)) for load in evidence.workloads.values()]
    return found


OUTPUTS = (parameters, published, costs)
"""The cheapest first: most numbers move it, and then no other is asked."""


def _whole(machine: Machine, evidence: Evidence) -> Machine:
    """The machine with the memory bandwidth of another where its own is unknown.

    Its totals are refused as it is, and then none of its other numbers could show that it counts.
    """
    if machine.dram_peak_bytes_per_s_per_socket is not None:
        return machine
    if machine.id in evidence.hosts:
        return machine
    known = (other.dram_peak_bytes_per_s_per_socket for other in evidence.machines.values())
    return replace(machine, dram_peak_bytes_per_s_per_socket=next(value for value in known if value is not None))


class _Key:
    """Inputs of `_costs`, equal where machine, parameters and workload are."""

    def __init__(self, machine: Machine, text: str, own: ParameterSet, load: Workload) -> None:
        self.machine, self.own, self.load = machine, own, load
        self._text = f"{machine!r}{text}{load!r}"

    def __hash__(self) -> int:
        return hash(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Key) and other._text == self._text


@cache
def _costs(key: _Key) -> tuple[object, ...]:
    """Costs and rates of every strategy at every trigger, and the number of VMs."""
    load, machine = key.load, key.machine
    draws = medians(key.own)
    vcpus = math.ceil(load.vcpus.value)
    found: list[object] = [load.vms.value]
    found += [entry.events_per_cycle.value for entry in load.triggers if entry.events_per_cycle is not None]
    for entry in load.triggers:
        for ran, share, pinned in ((vcpus, 1.0, True), (machine.logical_cpus, SMALL_GUEST_FRACTION, False)):
            resident = load.resident_bytes.value * share
            where = setup("sev", pinned=pinned, mergeable=True)
            case = Scenario(machine, "sev", load, MASK_KERNEL, vcpus, resident, float(ran), where, release=RELEASE)
            found += [_numbers(total(entry.trigger, name, case, draws)) for name in STRATEGIES]
    return tuple(found)


def _numbers(cost: Total) -> tuple[object, ...]:
    if cost.event is None:
        return (cost.refused,)
    parts = (cost.event.time_s, cost.event.stolen_s, cost.event.guest_s, cost.rate_per_s, cost.least_per_s)
    return tuple(None if part is None else numpy.asarray(part).tobytes() for part in parts)
