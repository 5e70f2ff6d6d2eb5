"""Access to SimPy, which only a simulation needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy


class SimulationUnavailable(ImportError):
    """SimPy is not installed."""


def environment() -> simpy.Environment:
    """A new simulated world at time 0. Raises SimulationUnavailable."""
    try:
        import simpy
    except ImportError as error:
        raise SimulationUnavailable(
            "simpy is not installed: pip install '.[sim]' in a checkout, or pip install 'kvm-costmodel[sim]'"
        ) from error
    return simpy.Environment()
