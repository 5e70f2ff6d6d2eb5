"""costmodel: what a CPU cache flush costs a KVM host, and which flush strategy each guest type should use.

>>> import costmodel as cm
>>> sev = cm.case("sev", "epyc-7763-2s", kernel="6.17", cpus_that_ran=8)
>>> sev.recommend().result.headline_strategy
'WBNOINVD_MASK'

`case` asks about one guest on one machine; `formulas`, `measurements`, `machines`, `workloads`, `guests`, `triggers`,
`strategies` and `kernels` show what is known, `calibrate`, `parameters` and `host` how it was fitted, `scoreboard`
and `simulations` whether it is right, `plot` draws. All of it is loaded when first used.

In come numbers with their sources (data/) and the user's guest, machine and kernel; out go costs with intervals and
the safe strategy that is cheapest, each number traceable to its source. Data flows one way, evidence -> calibration
-> cost -> decision -> report, and kvm and formulas hold the facts about KVM and the cost terms. CONTRIBUTING.md says
which file a machine, a workload, a strategy, a formula, a guest type or a measurement is added to; a name that users
shall have goes into `api` and `__all__`.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costmodel.api import (
        calibrate,
        case,
        formulas,
        guests,
        host,
        kernels,
        logspace,
        machine,
        machines,
        measurements,
        parameters,
        recommend,
        scoreboard,
        simulations,
        strategies,
        triggers,
        workloads,
    )
    from costmodel.report import plots as plot

__version__ = "0.2.0"
__all__ = [
    "calibrate",
    "case",
    "formulas",
    "guests",
    "host",
    "kernels",
    "logspace",
    "machine",
    "machines",
    "measurements",
    "parameters",
    "plot",
    "recommend",
    "scoreboard",
    "simulations",
    "strategies",
    "triggers",
    "workloads",
]


class _Face(ModuleType):
    """The package as a user sees it. `formulas` is the catalogue, also once the subpackage of that name is imported."""

    @property
    def formulas(self) -> object:
        return import_module("costmodel.api").formulas

    @formulas.setter
    def formulas(self, _: ModuleType) -> None:
        """Python binds each imported subpackage to its parent; the catalogue stays."""

    def __getattr__(self, name: str) -> object:
        if name == "plot":
            return import_module("costmodel.report.plots")
        if name in __all__:
            return getattr(import_module("costmodel.api"), name)
        raise AttributeError(f"module 'costmodel' has no attribute {name!r}", name=name, obj=self)

    def __dir__(self) -> list[str]:
        return sorted({*__all__, "__version__", "__doc__"})


sys.modules[__name__].__class__ = _Face
