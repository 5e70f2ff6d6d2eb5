"""Settings of the grid about what a flush meets: dirty lines, CPUs that ran a guest, interrupts, addresses, scans."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from costmodel.simulation.address import UserAddress
from costmodel.simulation.cache import DirtyCache
from costmodel.simulation.mask import Migrations, RandomMask
from costmodel.simulation.numa import NumaScan
from costmodel.simulation.response import Broadcast
from costmodel.validation.simulated_design import Case, points


def dirty() -> Iterator[Case]:
    """Lines dirtied between two flushes, written at random or one after the other."""
    for index, (lines, gap_s, writes) in enumerate(points(21, 30, (256, 1024), (1e-3, 1.0), (0.03, 4.0))):
        random = index % 3 > 0
        setting = DirtyCache(int(lines), writes * int(lines) / gap_s, gap_s, random)
        output = "dirty_at_flush" if random else "dirty_at_flush_regular"
        yield Case(f"dirty-{index:02d}", "dirty", setting, {output: "dirty_fraction"})


def masks() -> Iterator[Case]:
    """Few vCPUs on many CPUs; each migration goes to another CPU."""
    names = {"poisson": "mask_cpus", "fixed": "mask_after_migrations", "geometric": "mask_between_flushes"}
    for index, (allowed, vcpus, fill) in enumerate(points(22, 36, (16, 160), (1, 8), (0.05, 2.5))):
        count = tuple(names)[index % 3]
        setting = Migrations(int(allowed), int(vcpus), round(fill * allowed), count)
        yield Case(f"mask-{index:02d}", "mask", setting, {names[count]: "mask_cpus"})


def domains() -> Iterator[Case]:
    """Cache domains that a random set of CPUs touches."""
    for index, (domains, per_domain, share) in enumerate(points(23, 16, (2, 16.99), (4, 16.99), (0.02, 0.9))):
        cpus = int(domains) * int(per_domain)
        setting = RandomMask(int(domains), int(per_domain), max(1, round(share * cpus)))
        yield Case(f"domains-{index:02d}", "domains", setting, {"domains_touched": "domains_touched"})


def broadcasts() -> Iterator[Case]:
    """Interrupt rounds: the slowest of independent responses."""
    outputs = {"slowest_response": "slowest_s", "slowest_response_quantile": "slowest_quantile_s"}
    for index, (cpus, share) in enumerate(product((1, 3, 8, 24, 72, 192), (0.01, 0.1))):
        setting = Broadcast(cpus, delay_s=1e-5 * (1 + index), share=share)
        yield Case(f"broadcast-{index:02d}", "broadcast", setting, outputs, share=share)


def addresses() -> Iterator[Case]:
    """Flushes through a user address whose PTE another event on the same page may have cleared."""
    for index, (rate, pages, same) in enumerate(points(24, 14, (10.0, 1e4), (1, 200), (0.02, 1.5))):
        setting = UserAddress(rate, int(pages), same * int(pages) / rate)
        yield Case(f"address-{index:02d}", "address", setting, {"missed_flushes": "missed_per_s"})


def numa() -> Iterator[Case]:
    """Scans bound by the limiter of few threads, or by the period of many; in between turns are lost."""
    settings = ((1, 1.0, 0.004), (1, 0.1, 0.02), (2, 0.1, 0.04), (4, 0.2, 0.1), (32, 0.1, 0.002), (24, 0.1, 0.004))
    for index, (vcpus, period_s, pass_s) in enumerate(settings):
        setting = NumaScan(vcpus, period_s, pass_s, tick_s=0.002)
        yield Case(f"numa-{index:02d}", "numa", setting, {"numa_rate": "passes_per_s"})
