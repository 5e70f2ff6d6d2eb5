"""Parameter sets with one row or one measured machine left out: a decision that flips on one of them is undecided."""

from __future__ import annotations

from costmodel.calibration import between_machines
from costmodel.calibration.cached import remembered
from costmodel.calibration.host import parameter_set
from costmodel.calibration.parameters import Calibration, ParameterSet
from costmodel.calibration.rendezvous import usable
from costmodel.evidence.store import Evidence

ANCHORS = ("W01", "W02", "W08", "W09", "W10", "S01")


def tightest(evidence: Evidence) -> list[str]:
    """The logs that bound an empty and a full cache most tightly: without them the posterior is another."""
    rows = usable(evidence.rendezvous.values())
    boots = [row for row in rows if row.method == "boot"]
    empty = min(rows, key=lambda row: row.flush_at_most_s / row.capacity_lines, default=None)
    full = min(boots, key=lambda row: row.longest_s / row.capacity_lines, default=None)
    return sorted({row.id for row in (empty, full) if row is not None})


def variations(evidence: Evidence, machine: str) -> dict[str, ParameterSet]:
    """By label ("without W01", "without epyc-genoa-4cpu-vm"). Kept in the user's cache per state of data and code."""
    host = evidence.machine(machine)

    def build() -> dict[str, ParameterSet]:
        slopes = [id for one in between_machines.of_rows(evidence) if one.vendor == host.vendor for id in one.sources]
        logs = tightest(evidence) if host.vendor == "amd" else []
        rows = [row for row in (*ANCHORS, *slopes) if row in evidence.measurements] + logs
        others = [name for name, other in evidence.hosts.items() if other.machine.vendor == host.vendor]
        return {f"without {row}": parameter_set(Calibration(evidence.without(row)), host) for row in rows} | {
            f"without {name}": parameter_set(Calibration(evidence, without_hosts=(name,)), host)
            for name in others
            if name != machine
        }

    return remembered("variations", [evidence.data_hash, machine], build)
