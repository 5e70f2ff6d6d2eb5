"""The parameters of the report notebook: names, types and ranges, checked before a kernel starts."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from costmodel.cost.scenario import MOST_VCPUS, check_dma
from costmodel.errors import BadInput, UnknownName
from costmodel.evidence import machine_input
from costmodel.evidence.store import load
from costmodel.kvm import kernels
from costmodel.kvm.setup import setup


class ReportParameters(BaseModel):
    """What a report is about. None means: the workload's own number, for `cpus_that_ran` all CPUs, the mask of an
    unpinned guest, and for the setup of the memory (`vmm` to `mergeable`) what the VMM does. `data_hash` names the data that text and JSON of the report were made from; where it is given, other
    data are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    guest: str
    machine: str
    workload: str
    kernel: str
    vcpus: int | None = Field(default=None, ge=1, le=MOST_VCPUS)
    cpus_that_ran: int | None = Field(default=None, ge=1)
    event_fraction: float | None = Field(default=None, ge=0.0, le=1.0)
    vmm: str | None = None
    pinned: bool | None = None
    backing: str | None = None
    mempolicy: str | None = None
    mergeable: bool | None = None
    noncoherent_dma: bool = False
    data_hash: str | None = None


def check(values: Mapping[str, object]) -> ReportParameters:
    """Validate `values`. Raises UnknownName or BadInput naming the parameter."""
    for name in values:
        if name not in ReportParameters.model_fields:
            raise UnknownName("report parameter", name, ReportParameters.model_fields)
    try:
        parameters = ReportParameters(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            f"{first['msg'].lower()}, got {first.get('input')!r}",
            field=str(first["loc"][0]),
            remedy="see `costmodel report --help`",
        ) from None
    evidence = load()
    if parameters.data_hash not in (None, evidence.data_hash):
        raise BadInput(
            f"the data changed while the report was built: {parameters.data_hash} became {evidence.data_hash}",
            field="data_hash",
            remedy="build it again when nothing writes to data/",
        )
    setup(
        parameters.guest,
        parameters.vmm,
        pinned=parameters.pinned,
        backing=parameters.backing,
        mempolicy=parameters.mempolicy,
        mergeable=parameters.mergeable,
    )
    check_dma(parameters.guest, parameters.noncoherent_dma)
    host = machine_input.told(parameters.machine)
    if host.given:
        parameters = parameters.model_copy(update={"machine": host.id})
    evidence.workload(parameters.workload)
    kernels.settled(parameters.kernel, parameters.guest)
    if (parameters.cpus_that_ran or 0) > host.logical_cpus:
        raise BadInput(
            f"{parameters.cpus_that_ran} exceeds the {host.logical_cpus} CPUs of {host.id}",
            field="cpus_that_ran",
            remedy="give at most the CPUs of the machine",
        )
    return parameters


def arguments(parameters: ReportParameters) -> dict[str, object]:
    """Keyword arguments for `recommend` and `costmodel.case`."""
    return parameters.model_dump(exclude={"data_hash"})
