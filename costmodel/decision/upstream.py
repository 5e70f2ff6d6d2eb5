"""What each kernel range does at each trigger, beside what the model would choose."""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.decision.model import UpstreamRow
from costmodel.decision.policy import Study
from costmodel.kvm import kernels
from costmodel.kvm.admissibility import judge


def upstream_rows(studies: Sequence[Study]) -> list[UpstreamRow]:
    """One row per trigger and catalogued kernel range; `agrees` compares with the recommended strategy."""
    rows = []
    for study in studies:
        guest, trigger = study.scenario.guest, study.trigger.id
        for kernel in kernels.KERNEL_RANGES:
            done = kernels.upstream(guest, trigger, kernel)
            if done is None or not done.strategies:
                continue
            agrees, why = _agreement(study, kernel, done.strategies)
            rows.append(
                UpstreamRow(
                    trigger=trigger,
                    kernel=kernel,
                    strategy="|".join(done.strategies),
                    locator=done.locator,
                    agrees=agrees,
                    why=why,
                )
            )
    return rows


def _agreement(study: Study, kernel: str, strategies: Sequence[str]) -> tuple[str, str]:
    case = study.scenario
    facts = case.on(kernel).known(study.trigger.id)
    states = [judge(case.guest, study.trigger.id, name, facts).state for name in strategies]
    if "admissible" not in states and "inadmissible" in states:
        return "no", "can lose a flush"
    if study.chosen is None:
        return "n/a", "no safe strategy is known of the kernel asked for"
    if study.chosen.strategy in strategies:
        return "yes", "same strategy"
    return "no", f"model: {study.chosen.strategy} ({study.basis})"
