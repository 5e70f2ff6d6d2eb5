"""What a strategy costs.

In come a scenario (guest, machine, workload, kernel, setup) and joint draws of its parameters; out go, per draw and
in SI units, the time of one event, the CPU time it takes, host CPUs lost, waits and break-even points, or a refusal
that names the gap. How a new instruction becomes time belongs in `event`, a new kind of load in `total`, a new wait
in `waits`, a new axis in `axes`.
"""
