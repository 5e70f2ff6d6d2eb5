"""Where the formulas hold: arguments drawn at random are moved inside, so that a test meets no pole."""

from costmodel.formulas.catalog import FORMULAS
from costmodel.formulas.formula import symbol

SHARES = ("share", "merged_fraction", "cold_fraction", "presence_position", "untouched_fraction")
SWITCHES = ("both_siblings", "two_sockets", "queueing", "invalidates", "under_lock")
QUEUES = ("serial_s", "hold_s", "end_hold_s", "flush_s")
"""Times for which events wait in line: together with the rate they must stay below saturation."""
MOST_LOAD = 0.9
MOST_OVERLAP = 10.0


def inside(arguments):
    """`arguments` (name -> positive number) with shares below 1, switches 0 or 1, and queues that do not saturate."""
    moved = dict(arguments)
    for name in moved:
        if name in SHARES:
            moved[name] = moved[name] / (1 + moved[name])
        if name in SWITCHES:
            moved[name] = float(moved[name] > 1)
    for name in ("serial_exponent", "valid_exponent"):
        if name in moved:
            moved[name] = min(1.0, moved[name])
    rate = moved.get("rate_per_s")
    if rate is not None:
        load = rate * sum(moved[name] for name in QUEUES if name in moved)
        for name in QUEUES:
            if name in moved:
                moved[name] *= min(1.0, MOST_LOAD / load)
        if "parallel_s" in moved:
            moved["parallel_s"] = min(moved["parallel_s"], MOST_OVERLAP / rate)
    return moved


def exact(formula_id, **arguments):
    """The expression itself at these numbers, evaluated by sympy: no compiled form is needed."""
    values = {symbol(name): value for name, value in arguments.items()}
    return float(FORMULAS[formula_id].expression.subs(values).evalf())
