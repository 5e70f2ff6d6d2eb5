"""Every axis has a name, and a strategy that the CPU cannot carry out is called what it then is."""

from costmodel.cost.axes import AXES
from costmodel.cost.scenario import scenario
from costmodel.report.names import AXIS_NAMES, title_on


def test_every_axis_has_a_name():
    assert set(AXIS_NAMES) == set(AXES)


def test_a_strategy_without_its_instruction_is_called_what_the_kernel_then_executes(evidence):
    new, old = (scenario(evidence, "sev", machine, "ksm-default") for machine in ("epyc-7763-2s", "epyc-7601-2s"))
    assert "(" not in title_on("WBNOINVD_ALL", new)
    assert title_on("WBNOINVD_ALL", old) == f"{title_on('WBINVD_ALL', old)} (this CPU has no WBNOINVD)"
