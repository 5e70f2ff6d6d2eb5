"""CPU time of one step of the explorer, by control: the best of five, in milliseconds.

    python benchmarks/explore_step.py [guest] [machine]

A step is what happens between the move of a control and the new answer, costs and figure; drawing in the browser is not
in it. Another trigger, axis, guest or machine draws the figure anew and may take longer.
"""

from __future__ import annotations

import sys
import time

from costmodel.report.explore import OWN, Explorer

ROUNDS = 5


def main(guest: str = "sev", machine: str = "epyc-7763-2s") -> None:
    """Print one line for each slider."""
    explorer = Explorer(guest, machine, "autonuma-default")
    for control in (explorer.vcpus, explorer.cpus, explorer.range, explorer.rate, explorer.cache):
        values = [pair[1] for pair in control.options][1 : ROUNDS + 1]
        taken = []
        for value in values:
            start = time.process_time()
            control.value = value
            taken.append(time.process_time() - start)
        control.value = OWN
        print(f"{control.description:<24} {1e3 * min(taken):6.0f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
