"""CPU time of one step of the explorer, by control.

    python benchmarks/explore_step.py [--runs N] [--out FILE]

A step is what happens between the move of a control and the new answer, costs and figure; drawing in the browser is not
in it. Another trigger, axis, guest or machine draws the figure anew and may take longer.
"""

from __future__ import annotations

from bench import WARM, Row, arguments, timed, write

from costmodel.report.explore import OWN, Explorer


def main() -> None:
    """One row for each slider, each run at another value."""
    asked = arguments(__doc__)
    explorer = Explorer("sev", "epyc-7763-2s", "autonuma-default")
    rows = []
    for control in (explorer.vcpus, explorer.cpus, explorer.range, explorer.rate, explorer.cache):
        values = [pair[1] for pair in control.options][1 : asked.runs + 1]
        following = iter(values)

        def move(control=control, following=following) -> None:
            control.value = next(following)

        name = str(control.description)
        rows.append(Row(f"explorer, {name}", f"move {name} of Explorer(sev, ...)", WARM, *timed(move, len(values))))
        control.value = OWN
    write(rows, asked.out, "matplotlib", "seaborn", "ipywidgets")


if __name__ == "__main__":
    main()
