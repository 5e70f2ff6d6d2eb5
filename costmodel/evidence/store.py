"""All evidence in one frozen object, with copies that differ in one number."""

from __future__ import annotations

import json
import logging
import os
from collections import defaultdict
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from costmodel.errors import BadInput, UnknownName, known_id
from costmodel.evidence import hosts, machines, paths, workloads
from costmodel.evidence.hosts import Profile
from costmodel.evidence.machines import CpuidRow
from costmodel.evidence.paths import data_files
from costmodel.evidence.records import (
    MEASUREMENTS,
    PARAMETERS,
    RENDEZVOUS,
    Machine,
    Measurement,
    Number,
    ParameterEntry,
    Rendezvous,
    read_measurements,
    read_parameters,
    read_rendezvous,
)
from costmodel.evidence.workloads import Workload
from costmodel.hashing import files_hash, value_hash
from costmodel.plain import visible

WARNINGS = logging.getLogger("costmodel")
"""Without a handler of the caller's a warning is one line on standard error."""

SCALED = ("llc_bytes_per_domain", "l2_bytes_per_core", "dram_peak_bytes_per_s_per_socket")
"""Numbers of a machine that follow a scaled row; counts do not."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """Everything under `root` (data/). Compared by identity; `data_hash` names the content, changed copies included.

    `machines` holds the catalogued machines and the measured hosts, `hosts` the profiles of the latter; `left_out`
    says of each profile that cannot be read why.
    """

    measurements: dict[str, Measurement]
    dumps: dict[str, CpuidRow]
    machines: dict[str, Machine]
    workloads: dict[str, Workload]
    hosts: dict[str, Profile]
    rendezvous: dict[str, Rendezvous]
    parameters: dict[str, ParameterEntry]
    data_hash: str
    root: Path
    left_out: dict[str, BadInput] = field(default_factory=dict)

    def one(self, id: str) -> Measurement:
        """The measurement `id`. Raises UnknownName."""
        if id not in self.measurements:
            raise UnknownName("measurement", id, self.measurements)
        return self.measurements[id]

    def parameter(self, id: str) -> ParameterEntry:
        """What the parameter `id` is. Raises BadInput where data/ does not say it."""
        if id not in self.parameters:
            raise BadInput("has no row", file=PARAMETERS, row=id, remedy="restore the row")
        return self.parameters[id]

    def rows(self, observable: str | None = None, **covariates: object) -> list[Measurement]:
        """Measurements of `observable` whose fields equal `covariates`, in the order of the file."""
        found = self.measurements.values() if observable is None else self._by_observable.get(observable, [])
        return [row for row in found if all(getattr(row, field) == value for field, value in covariates.items())]

    @cached_property
    def _by_observable(self) -> dict[str, list[Measurement]]:
        found: defaultdict[str, list[Measurement]] = defaultdict(list)
        for row in self.measurements.values():
            found[row.observable].append(row)
        return found

    def geometry(self, signature: str) -> list[CpuidRow]:
        """CPUID dumps of the signature. Raises UnknownName."""
        found = [row for row in self.dumps.values() if row.signature == signature]
        if not found:
            raise UnknownName("signature", signature, sorted({row.signature for row in self.dumps.values()}))
        return found

    def machine(self, id: str) -> Machine:
        """The catalogued machine `id`, in any case. Raises UnknownName, or BadInput where it is a profile that was left
        out.
        """
        self._refuse_left_out(id)
        return self.machines[known_id("machine", id, self.machines)]

    def host(self, id: str) -> Profile:
        """The profile of the measured host `id`, in any case. Raises UnknownName, or BadInput where it was left out."""
        self._refuse_left_out(id)
        return self.hosts[known_id("measured host", id, self.hosts)]

    def _refuse_left_out(self, id: str) -> None:
        if id in self.left_out and id not in self.machines:
            why = self.left_out[id]
            problem = f"this profile was left out: {why.problem}"
            raise BadInput(problem, file=why.file, row=why.row, field=why.field, remedy=why.remedy)

    def workload(self, id: str) -> Workload:
        """The catalogued workload `id`, in any case. Raises UnknownName."""
        return self.workloads[known_id("workload", id, self.workloads)]

    def with_value(self, id: str, si_factor: float) -> Evidence:
        """A copy with measurement `id` times `si_factor`, and so the numbers of machines and workloads that name it."""
        rows = {**self.measurements, id: self.one(id).scaled(si_factor)}

        def follow(_: str, number: Number) -> Number:
            return replace(number, value=number.value * si_factor) if id in number.sources else number

        return self._copy(
            ("value", id, si_factor),
            measurements=rows,
            machines={name: _scaled(machine, id, si_factor) for name, machine in self.machines.items()},
            workloads={name: load.with_numbers(follow) for name, load in self.workloads.items()},
        )

    def without(self, id: str) -> Evidence:
        """A copy that lacks measurement or rendezvous `id`; machines and workloads keep their numbers."""
        if id in self.rendezvous:
            kept = {name: row for name, row in self.rendezvous.items() if name != id}
            return self._copy(("without", id), rendezvous=kept)
        self.one(id)
        return self._copy(
            ("without", id), measurements={name: row for name, row in self.measurements.items() if name != id}
        )

    def with_machine(self, machine: Machine) -> Evidence:
        """A copy in which `machine` takes the place of the one with its id."""
        return self._copy(("machine", repr(machine)), machines={**self.machines, machine.id: machine})

    def with_workload(self, workload: Workload) -> Evidence:
        """A copy in which `workload` takes the place of the one with its id."""
        return self._copy(("workload", repr(workload)), workloads={**self.workloads, workload.id: workload})

    def _copy(self, change: tuple[object, ...], **fields: Any) -> Evidence:
        return replace(self, data_hash=value_hash([self.data_hash, *change]), **fields)


def _scaled(machine: Machine, id: str, factor: float) -> Machine:
    changed = {field: getattr(machine, field) * factor for field in SCALED if id in machine.provenance.get(field, ())}
    return replace(machine, **changed) if changed else machine


TOLD = "COSTMODEL_TOLD"
"""Environment variable with the machines that a user described, as JSON: the kernels of notebooks and every other
process that this one starts know them too.
"""


def tell(machine: Machine) -> None:
    """From now on `load` has this machine too, here and in processes that this one starts."""
    known = json.loads(os.environ.get(TOLD, "{}"))
    os.environ[TOLD] = json.dumps({**known, machine.id: asdict(machine)}, sort_keys=True)


def load(data_dir: Path | None = None) -> Evidence:
    """The evidence under `data_dir` (default: paths.data_dir()), read once per process, with the machines that this
    process was told of. Raises BadInput.
    """
    root = (data_dir or paths.data_dir()).resolve()
    told = os.environ.get(TOLD, "")
    return _with_told(root, told) if told else _load(root)


@lru_cache(maxsize=8)
def _with_told(root: Path, told: str) -> Evidence:
    from pydantic import TypeAdapter, ValidationError

    try:
        machines = TypeAdapter(dict[str, Machine]).validate_json(told)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(f"{first['msg'].lower()}", file=TOLD, remedy=f"unset {TOLD}") from None
    found = _load(root)
    for machine in machines.values():
        found = found.with_machine(machine)
    return found


@lru_cache(maxsize=8)
def _load(root: Path) -> Evidence:
    found = read(root)
    for name, why in found.left_out.items():
        WARNINGS.warning("costmodel: warning: host profile %s is left out: %s", visible(name), why)
    return found


def read(root: Path) -> Evidence:
    """The evidence under `root` as it stands on disk now; a host profile that cannot be read is left out.

    Raises BadInput for everything else.
    """
    if not root.is_dir():
        raise BadInput("is no directory", file=root, remedy="point --data or COSTMODEL_DATA at the data package")
    dumps = machines.read_dumps(root / machines.FILE)
    catalogued = {
        path.stem: machines.read_machine(path, dumps) for path in sorted((root / machines.FOLDER).glob("*.toml"))
    }
    places = hosts.folders(root)
    profiles: dict[str, Profile] = {}
    left_out: dict[str, BadInput] = {}
    for folder in places:
        try:
            if folder.name in profiles:
                raise BadInput("is the id of another profile", file=folder, remedy="rename the profile")
            profiles[folder.name] = hosts.read(folder, dumps, catalogued)
        except BadInput as error:
            left_out[folder.name] = error
    outside = [folder for folder in places if root not in folder.parents]
    return Evidence(
        measurements=read_measurements(root / MEASUREMENTS),
        dumps=dumps,
        machines={**catalogued, **{name: profile.machine for name, profile in profiles.items()}},
        workloads={path.stem: workloads.read(path) for path in sorted((root / workloads.FOLDER).glob("*.toml"))},
        hosts=profiles,
        rendezvous=read_rendezvous(root / RENDEZVOUS),
        parameters=read_parameters(root / PARAMETERS),
        data_hash=value_hash(
            [files_hash(data_files(root), root), *(files_hash(sorted(folder.iterdir()), folder) for folder in outside)]
        ),
        root=root,
        left_out=left_out,
    )
