"""Recommendations for a kernel of which no source tells what was backported to it: one for each that it may behave as."""

from __future__ import annotations

from dataclasses import dataclass

from costmodel.decision.recommend import recommend
from costmodel.decision.result import Recommendation
from costmodel.kvm.kernels import LOOK, LOOKED, Candidate, SeveralKernels


@dataclass(frozen=True)
class ByKernel:
    """The answers for the `kernel` that was asked for, oldest behaviour first: one, or several where `why` says why."""

    kernel: str
    answers: tuple[tuple[Candidate, Recommendation], ...]
    why: str = ""

    @property
    def several(self) -> bool:
        return bool(self.why)

    def as_json(self) -> dict[str, object]:
        """The recommendation itself, or all of them with what tells the kernels apart."""
        shown = [
            {"kernel": one.kernel, "if": one.why, "recommendation": answer.model_dump(mode="json")}
            for one, answer in self.answers
        ]
        if not self.several:
            return shown[0]["recommendation"]
        return {"kernel": self.kernel, "why_several": self.why, "tell_apart": f"{LOOK}: {LOOKED}", "answers": shown}


def recommend_by_kernel(guest: str, machine: str, workload: str, kernel: str, **numbers: object) -> ByKernel:
    """What `recommend` gives, for each kernel that `kernel` may behave as. Raises as `recommend` does."""
    try:
        return ByKernel(kernel, ((Candidate(kernel), recommend(guest, machine, workload, kernel, **numbers)),))
    except SeveralKernels as several:
        answers = [(one, recommend(guest, machine, workload, one.kernel, **numbers)) for one in several.candidates]
        return ByKernel(kernel, tuple(answers), several.problem)
