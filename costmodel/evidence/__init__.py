"""Every number with its source, as records.

In come the files of data/ (published measurements, CPUID dumps, machines, workloads, profiles of measured hosts) and
what a user says about a machine; `store.load()` gives them out as one `Evidence` in SI units, or refuses with file,
row and field. A number is added as a row or file under data/, never here; a new column or field is a field of its
record (`tables` says what it may hold), a new unit a line of `records.UNITS`, another way to describe a machine goes
into `described` and `machine_input`.
"""
