"""CPUs that ran a guest: pre_sev_run() adds a vCPU's CPU to have_run_cpus when it enters there, nothing removes one.

The scheduler moves a vCPU from the CPU it is on to another one that it may run on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy

from costmodel.simulation.draws import streams
from costmodel.simulation.measure import Estimate
from costmodel.simulation.sampling import mean_of

GUESTS = 500


@dataclass(frozen=True)
class Migrations:
    """`vcpus` vCPUs, each on a CPU of its own at the start, migrate over `allowed_cpus` CPUs; on average `migrations`
    of them (a Poisson number, a fixed one, or a geometric one for a flush that comes at a random time).

    `to`: "other" moves to any CPU but the present one, "idle" to one that no vCPU of the guest is on, "near" to one of
    the two beside the present one. `cpus_per_domain` CPUs share a last-level cache; the CPUs are numbered domain by
    domain, and the guest may run on the first `allowed_cpus`.
    """

    allowed_cpus: int
    vcpus: int
    migrations: float
    count: str = "poisson"
    to: str = "other"
    cpus_per_domain: int = 1

    def masks(self, rng: numpy.random.Generator, guests: int) -> numpy.ndarray:
        """Masks (guests, allowed_cpus) of independent guests."""
        here = numpy.argsort(rng.random((guests, self.allowed_cpus)), axis=1)[:, : self.vcpus]
        mask = numpy.zeros((guests, self.allowed_cpus), dtype=bool)
        numpy.put_along_axis(mask, here, True, axis=1)
        left = self._counts(rng, guests)
        while left.any():
            (active,) = numpy.nonzero(left)
            vcpu = rng.integers(self.vcpus, size=len(active))
            target = self._targets(rng, here[active], vcpu)
            here[active, vcpu] = target
            mask[active, target] = True
            left[active] -= 1
        return mask

    def _counts(self, rng: numpy.random.Generator, guests: int) -> numpy.ndarray:
        if self.count == "fixed":
            return numpy.full(guests, int(self.migrations))
        mean = rng.exponential(self.migrations, guests) if self.count == "geometric" else self.migrations
        return rng.poisson(mean, guests)

    def _targets(self, rng: numpy.random.Generator, here: numpy.ndarray, vcpu: numpy.ndarray) -> numpy.ndarray:
        rows, cpus = len(here), self.allowed_cpus
        present = here[numpy.arange(rows), vcpu]
        if self.to == "near":
            return (present + rng.choice((-1, 1), size=rows)) % cpus
        if self.to == "other":
            return (present + rng.integers(1, cpus, size=rows)) % cpus
        preference = rng.random((rows, cpus))
        numpy.put_along_axis(preference, here, -1.0, axis=1)
        return preference.argmax(axis=1)


@dataclass(frozen=True)
class RandomMask:
    """A mask of `mask_cpus` CPUs at random places of `domains` domains of `cpus_per_domain` CPUs."""

    domains: int
    cpus_per_domain: int
    mask_cpus: int

    def touched(self, rng: numpy.random.Generator, guests: int) -> numpy.ndarray:
        """Domains that hold a CPU of the mask, for independent guests."""
        places = numpy.argsort(rng.random((guests, self.domains * self.cpus_per_domain)), axis=1)
        domain = numpy.sort(places[:, : self.mask_cpus] // self.cpus_per_domain, axis=1)
        return 1 + numpy.count_nonzero(numpy.diff(domain, axis=1), axis=1)


def simulate(setting: Migrations | RandomMask, seed: int) -> dict[str, Estimate]:
    """`mask_cpus`, or `domains_touched` of a mask at random places."""
    (rng,) = streams(seed, 1)
    if isinstance(setting, RandomMask):
        return {"domains_touched": mean_of(lambda: setting.touched(rng, GUESTS))}
    return {"mask_cpus": mean_of(lambda: setting.masks(rng, GUESTS).sum(axis=1))}
