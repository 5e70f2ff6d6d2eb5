"""Simulations without a queue: addresses, dirty lines, masks of CPUs, NUMA scans, answers to interrupts, whole
caches.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy

from tests.simulation.statistics import Estimate, half_width, mean_of, ratio, streams

# Flushes through a user address, whose mapping another invalidation may have removed before they run.
#
# mmu_notifier_invalidate_range_start() calls are not serialised: while one event waits to flush, another that covers
# the same page may clear its PTE.

EVENTS = 20_000
"""Events per sample; samples are independent."""


@dataclass(frozen=True)
class UserAddress:
    """Independent events at `rate_per_s`, each on one of `pages` pages at random; each flushes `window_s` after its
    range_start and clears its PTE just after that."""

    rate_per_s: float
    pages: int
    window_s: float

    def missed_per_s(self, rng: numpy.random.Generator) -> float:
        """Rate of the flushes that find the mapping gone, over one sample of events."""
        begun_s = numpy.cumsum(rng.exponential(1 / self.rate_per_s, EVENTS))
        page = rng.integers(self.pages, size=EVENTS)
        order = numpy.lexsort((begun_s, page))
        # An earlier event of the page clears its PTE at its own begun_s + window_s, before this one flushes.
        before = numpy.diff(begun_s[order], prepend=-numpy.inf)
        same = numpy.diff(page[order], prepend=-1) == 0
        return float(numpy.count_nonzero(same & (before < self.window_s)) / begun_s[-1])


def simulate_address(setting: UserAddress, seed: int) -> dict[str, Estimate]:
    """`missed_per_s`: flushes per second whose user mapping is already gone."""
    (rng,) = streams(seed, 1)
    return {"missed_per_s": mean_of(lambda: numpy.array([setting.missed_per_s(rng) for _ in range(4)]))}


# Dirty lines of one cache domain: writes make lines dirty one by one, a flush leaves all of them clean.
#
# WBINVD and WBNOINVD write back every dirty line. Between two flushes a line may also be evicted, which cleans it.

FLUSHES = 1000


@dataclass(frozen=True)
class DirtyCache:
    """Writes to random lines at `writes_per_s`, evictions of random lines at `evictions_per_s`, flushes every `gap_s`
    (exponential if `gap_random`)."""

    lines: int
    writes_per_s: float
    gap_s: float
    gap_random: bool
    evictions_per_s: float = 0.0

    def dirty_lines(self, rng: numpy.random.Generator, flushes: int) -> numpy.ndarray:
        """Dirty lines that each of `flushes` flushes in a row finds."""
        gaps_s = rng.exponential(self.gap_s, flushes) if self.gap_random else numpy.full(flushes, self.gap_s)
        total_per_s = self.writes_per_s + self.evictions_per_s
        gap_of = numpy.repeat(numpy.arange(flushes), rng.poisson(total_per_s * gaps_s))
        line_of = rng.integers(self.lines, size=len(gap_of))
        writes = rng.random(len(gap_of)) * total_per_s < self.writes_per_s
        dirty = numpy.zeros((flushes, self.lines), dtype=bool)
        dirty[gap_of, line_of] = writes
        return dirty.sum(axis=1)


def simulate_cache(setting: DirtyCache, seed: int) -> dict[str, Estimate]:
    """`dirty_fraction`: share of the lines that a flush finds dirty."""
    (rng,) = streams(seed, 1)
    return {"dirty_fraction": mean_of(lambda: setting.dirty_lines(rng, FLUSHES) / setting.lines)}


# CPUs that ran a guest: pre_sev_run() adds a vCPU's CPU to have_run_cpus when it enters there, nothing removes one.
#
# The scheduler moves a vCPU from the CPU it is on to another one that it may run on.

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


def simulate_mask(setting: Migrations | RandomMask, seed: int) -> dict[str, Estimate]:
    """`mask_cpus`, or `domains_touched` of a mask at random places."""
    (rng,) = streams(seed, 1)
    if isinstance(setting, RandomMask):
        return {"domains_touched": mean_of(lambda: setting.touched(rng, GUESTS))}
    return {"mask_cpus": mean_of(lambda: setting.masks(rng, GUESTS).sum(axis=1))}


# NUMA balancing of one VM: task_tick_numa() and task_numa_work(), per vCPU thread and per mm.
#
# Every tick of a running thread compares its run time with node_stamp + period. Where it is past, node_stamp moves on
# by the period, and if the mm's numa_next_scan is due, the thread scans: it moves numa_next_scan (one winner by
# cmpxchg), puts its node_stamp off by two ticks, makes the invalidation and waits for its flush, and puts node_stamp
# off by 32 times the run time that took.

BATCHES = 12
PASSES_PER_BATCH = 48
LIMITER = 32


@dataclass(frozen=True)
class NumaScan:
    """`vcpus` threads that run all the time; a pass takes `pass_s`."""

    vcpus: int
    period_s: float
    pass_s: float
    tick_s: float = 0.004


def simulate_numa(setting: NumaScan, seed: int) -> dict[str, Estimate]:
    """`passes_per_s`: scan passes per second, each of them one invalidation."""
    (rng,) = streams(seed, 1)
    stamps_s = (-setting.period_s * rng.random(setting.vcpus)).tolist()
    ticks = [(tick_s, thread) for thread, tick_s in enumerate((setting.tick_s * rng.random(setting.vcpus)).tolist())]
    heapq.heapify(ticks)
    next_scan_s, passes_s = 0.0, []
    while len(passes_s) <= (BATCHES + 1) * PASSES_PER_BATCH:
        now_s, thread = heapq.heappop(ticks)
        if now_s > stamps_s[thread] + setting.period_s:
            stamps_s[thread] += setting.period_s
            if now_s >= next_scan_s:
                next_scan_s = now_s + setting.period_s
                stamps_s[thread] += 2 * setting.tick_s + LIMITER * setting.pass_s
                passes_s.append(now_s)
                now_s += setting.pass_s
        heapq.heappush(ticks, (now_s + setting.tick_s, thread))
    edges_s = numpy.array(passes_s[PASSES_PER_BATCH::PASSES_PER_BATCH])
    return {"passes_per_s": ratio(numpy.full(BATCHES, float(PASSES_PER_BATCH)), numpy.diff(edges_s)[:BATCHES])}


# Answers to a broadcast: each CPU takes the interrupt when it lets interrupts in, and csd_lock_wait() waits for each.
#
# The CPUs answer independently; the initiator goes on when the last of them has.

ROUNDS = 4000
QUANTILE_BATCHES = 40


@dataclass(frozen=True)
class Broadcast:
    """`cpus` CPUs answer after exponential delays of mean `delay_s`, or gamma ones of the same mean and of `shape`."""

    cpus: int
    delay_s: float
    shape: float = 1.0
    share: float = 0.01

    def waits_s(self, rng: numpy.random.Generator, rounds: int) -> numpy.ndarray:
        """Time until the last CPU has answered, per round."""
        delays_s = rng.gamma(self.shape, self.delay_s / self.shape, (rounds, self.cpus))
        return delays_s.max(axis=1)


def simulate_response(setting: Broadcast, seed: int) -> dict[str, Estimate]:
    """`slowest_s`: mean wait for the last answer; `slowest_quantile_s`: the wait that a share of the rounds exceeds."""
    (rng,) = streams(seed, 1)
    batches = setting.waits_s(rng, QUANTILE_BATCHES * ROUNDS).reshape(QUANTILE_BATCHES, -1)
    quantiles = numpy.quantile(batches, 1 - setting.share, axis=1)
    return {
        "slowest_s": mean_of(lambda: setting.waits_s(rng, ROUNDS)),
        "slowest_quantile_s": Estimate(float(quantiles.mean()), half_width(quantiles - quantiles.mean())),
    }


# Whole-cache flushes of one last-level-cache domain, line by line: every core walks the lines, whoever asked for it.
#
# on_each_cpu() queues a request on every CPU, and a CPU executes all that it finds queued in one interrupt. WBINVD
# drops the lines that it meets, WBNOINVD leaves them valid and clean. A core that meets a dirty line waits until
# memory, which all cores share, has taken it. How cores of one domain walk at the same time is not published: `walk`
# says it.

RUNS = 12
IN_TURN, AT_ONCE, SHARES = "in_turn", "at_once", "shares"
"""One core after the other; all over all lines; each over its share of them."""


@dataclass(frozen=True)
class WholeCache:
    """`initiators` ask all `cores` at the same moment. `valid` and `dirty` are shares of the lines and of the valid
    ones.

    A line takes `line_s` whatever it holds and `valid_s` more where it is valid; memory takes `write_s` per dirty line.
    `limit_s` is the time in line that `initiators_in_line` is asked about.
    """

    cores: int
    lines: int
    valid: float
    dirty: float
    line_s: float
    valid_s: float
    write_s: float
    walk: str
    invalidates: bool = True
    initiators: int = 1
    limit_s: float = 0.0

    def ends_s(self, rng: numpy.random.Generator) -> numpy.ndarray:
        """When each core is done with each initiator's flush, (initiators, cores)."""
        valid = (rng.random(self.lines) < self.valid).tolist()
        dirty = [held and changed for held, changed in zip(valid, rng.random(self.lines) < self.dirty, strict=True)]
        ends_s = numpy.zeros((self.initiators, self.cores))
        share = self.cores if self.walk == SHARES else 1
        memory_free_s = free_s = 0.0
        ready = [(0.0, core, 0, core if share > 1 else 0) for core in range(self.cores)]
        turn = self.walk == IN_TURN
        while ready:
            now_s, core, flush, line = heapq.heappop(ready)
            if turn and line == 0:
                now_s = max(now_s, free_s)
            while line < self.lines:
                now_s += self.line_s
                if valid[line]:
                    now_s += self.valid_s
                    if dirty[line]:
                        memory_free_s = now_s = max(now_s, memory_free_s) + self.write_s
                        dirty[line] = False
                    valid[line] = not self.invalidates
                line += share
                if not turn:
                    break
            if line < self.lines:
                heapq.heappush(ready, (now_s, core, flush, line))
                continue
            ends_s[flush, core] = free_s = now_s
            if flush + 1 < self.initiators:
                heapq.heappush(ready, (now_s, core, flush + 1, core if share > 1 else 0))
        return ends_s


def _in_line(ends_s: numpy.ndarray, limit_s: float) -> float:
    """Flushes in line after which the slowest core has had interrupts off for `limit_s`."""
    last_s = numpy.concatenate([[0.0], ends_s.max(axis=1)])
    return float(numpy.interp(limit_s, last_s, numpy.arange(len(last_s)), right=numpy.nan))


def simulate_whole(setting: WholeCache, seed: int) -> dict[str, Estimate]:
    """`flush_s`: until the last core is done with the last flush. `stolen_s`: CPU time that the cores stand still, per
    initiator. `initiators_in_line`: how many keep a core busy for the limit.
    """
    (rng,) = streams(seed, 1)

    def block(of) -> Estimate:
        return mean_of(lambda: numpy.array([of(setting.ends_s(rng)) for _ in range(RUNS)]))

    found = {
        "flush_s": block(lambda ends_s: ends_s.max()),
        "stolen_s": block(lambda ends_s: ends_s[-1].sum() / setting.initiators),
    }
    if setting.limit_s:
        found["initiators_in_line"] = block(lambda ends_s: _in_line(ends_s, setting.limit_s))
    return found
