"""What options take: ids in any case with completion, sizes such as 16G, machines and kernels by many names."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import cast

import click
from click.shell_completion import CompletionItem

from costmodel.errors import BadInput, known_id
from costmodel.numbers import bytes_of


class Named(click.ParamType):
    """Text of which some values have names: they are offered for completion, and anything is taken."""

    def __init__(self, name: str, names: Callable[[], Iterable[str]], *, or_file: bool = False) -> None:
        self.name, self.names, self.or_file = name, names, or_file

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin with what was typed, in any case; files too where one may be given."""
        typed = incomplete.casefold()
        files = [CompletionItem(incomplete, type="file")] if self.or_file else []
        return files + [
            CompletionItem(one) for one in self.names() if one.casefold().startswith(typed) and " " not in one
        ]


class Id(Named):
    """An id of the catalogue, in any case."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The id as the catalogue spells it. Raises UnknownName."""
        return known_id(self.name, value, list(self.names()))


class Bytes(click.ParamType):
    """A size above zero: a number of bytes, or one with a unit."""

    name = "bytes"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The size in bytes."""
        size = bytes_of(value) if isinstance(value, str) else float(cast(float, value))
        if size is None or not size > 0:
            raise _refused(param, f"{value!r} is no size above zero")
        return size


class Shard(click.ParamType):
    """I/N: which part of how many."""

    name = "shard"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, int]:
        """Both numbers."""
        part, _, parts = str(value).partition("/")
        if part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts):
            return int(part), int(parts)
        raise BadInput(f"{value!r} is not I/N with I from 1 to N", field="--shard", remedy="write --shard 1/8")


def _refused(param: click.Parameter | None, problem: str) -> BadInput:
    field = param.opts[0] if param else None
    return BadInput(problem, field=field, remedy="write bytes, or 16G or 16GiB (2^34 bytes), or 16GB")


class WholeBytes(Bytes):
    """A size in whole bytes."""

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The size in bytes."""
        size = super().convert(value, param, ctx)
        if size != int(size):
            raise _refused(param, f"{value!r} is no whole number of bytes")
        return int(size)


def _guests() -> Iterable[str]:
    from costmodel.kvm.catalog import GUESTS

    return GUESTS


def _triggers() -> Iterable[str]:
    from costmodel.kvm.catalog import TRIGGERS

    return TRIGGERS


def _strategies() -> Iterable[str]:
    from costmodel.kvm.catalog import STRATEGIES

    return STRATEGIES


def _formulas() -> Iterable[str]:
    from costmodel.formulas.catalog import FORMULAS

    return FORMULAS


def _workloads() -> Iterable[str]:
    from costmodel.evidence.store import load

    return load().workloads


def _hosts() -> Iterable[str]:
    from costmodel.evidence.store import load

    return load().hosts


def _machines() -> Iterable[str]:
    from costmodel.evidence import machine_input, store

    return (*machine_input.named(store.load()), machine_input.THIS)


def _kernels() -> Iterable[str]:
    from costmodel.kvm.kernels import KERNELS
    from costmodel.kvm.releases import THIS, releases

    return ("newest", THIS, *KERNELS, *(release.name for release in releases()))


GUEST = Id("guest type", _guests)
TRIGGER = Id("trigger", _triggers)
STRATEGY = Id("strategy", _strategies)
FORMULA = Id("formula", _formulas)
WORKLOAD = Id("workload", _workloads)
NAMED_WORKLOAD = Named("workload", _workloads)
"""Checked by whoever takes it: where nothing is to be done, no data are read."""
HOST = Named("measured host", _hosts)
MACHINE = Named("machine", _machines, or_file=True)
KERNEL = Named("kernel", _kernels)
BYTES = Bytes()
WHOLE_BYTES = WholeBytes()
SHARD = Shard()
