"""Studies made of given candidates and costs, so that a test says everything on which a choice hangs."""

from __future__ import annotations

import numpy

from costmodel.calibration.parameters import parameters_of
from costmodel.cost.draws import Draws
from costmodel.cost.event import EventCost
from costmodel.cost.scenario import scenario
from costmodel.cost.total import Total
from costmodel.decision.choice import Candidate, Study
from costmodel.evidence.store import load
from costmodel.kvm.admissibility import Verdict
from costmodel.kvm.catalog import TRIGGERS

MACHINE = "epyc-7763-2s"


def candidate(strategy, *, state="admissible", running=False, offered=True):
    verdict = Verdict("yes", "true", f"why {strategy}", f"where {strategy}", "rule", True, False, state, (), ())
    return Candidate(strategy, verdict, offered=offered or running, running=running)


def cost(strategy, stolen_s, *, time_s=1.0, p99_s=None, guest_s=1.0, refused=None, extrapolated=False):
    """A total of four draws; each number may be an array of them."""
    stolen, time, guest, p99 = (
        numpy.broadcast_to(numpy.asarray(x, float), (4,)) for x in (stolen_s, time_s, guest_s, p99_s or time_s)
    )
    event = None if refused else EventCost(time, stolen, numpy.zeros(4), guest, numpy.zeros(4))
    return Total("trigger", strategy, event, p99, None, False, 256, (), extrapolated, refused)


def study_of(candidates, costs=(), trigger="munmap_or_discard", guest="sev", kernel="newest"):
    """A study of the trigger in which only these candidates and these costs are known."""
    evidence = load()
    case = scenario(evidence, guest, MACHINE, "autonuma-default", kernel)
    parameters = parameters_of(evidence, MACHINE)
    found = Study(TRIGGERS[trigger], case, Draws(parameters, 4))
    found.candidates = list(candidates)
    found._costs.update({one.strategy: one for one in costs})
    return found
