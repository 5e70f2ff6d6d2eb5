"""What a user types: `import costmodel as cm`, then `cm.case(...)`; all answers are pandas frames of one schema.

In come ids and numbers as they were typed; out go frames, formulas and recommendations that show themselves in a
notebook. A question about a case goes into `cases`, a table of what is known, or what a formula can do, into `facts`, a fit into `calibrations`;
a name that users shall have is also listed here and in `costmodel.__all__`.
"""

from costmodel.api.arguments import logspace
from costmodel.api.calibrations import Calibration, Host, calibrate, host, parameters
from costmodel.api.cases import COLUMNS, PARTS, SECTIONS, WAITS, Case, Recommendation, case, recommend
from costmodel.api.facts import (
    Catalogue,
    Formula,
    formulas,
    guests,
    kernels,
    machine,
    machines,
    measurements,
    scoreboard,
    simulations,
    strategies,
    triggers,
    workloads,
)
from costmodel.calibration.calibrate import REGRESSIONS
from costmodel.numbers import SWEEP_DRAWS

__all__ = [
    "COLUMNS",
    "PARTS",
    "REGRESSIONS",
    "SECTIONS",
    "SWEEP_DRAWS",
    "WAITS",
    "Calibration",
    "Case",
    "Catalogue",
    "Formula",
    "Host",
    "Recommendation",
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
    "recommend",
    "scoreboard",
    "simulations",
    "strategies",
    "triggers",
    "workloads",
]
