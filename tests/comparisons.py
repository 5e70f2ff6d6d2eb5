"""A comparison as a test asks for it."""

from costmodel.decision.versus import sides
from costmodel.evidence.store import load
from costmodel.report.versus import compare


def between(*pair, guest, machine="epyc-7763-2s", **asked):
    """Two kernels (versions) or two strategies (ids in capitals) side by side."""
    kind = "strategies" if pair[0].isupper() else "kernel_names"
    evidence = load()
    return compare(evidence, *sides(evidence, guest, machine, **{kind: pair}, **asked))
