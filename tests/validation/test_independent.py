"""Three headline numbers computed again from the files of data/, by plain Monte Carlo that shares no code with the
model, but its assumptions: a check of the arithmetic, no evidence for them.

The host CPUs that an SEV guest on 2 x EPYC 7763 loses to the NUMA scan, the time of a CLFLUSHOPT call over its 256 MiB,
and the range at which that costs as much as WBNOINVD on the eight CPUs that ran the guest. Nothing of costmodel is
imported: its answers come from the command line. The tolerance is the standard error of this sample, and of the tool's
4,096 draws.
"""

import csv
import json
import math
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy
import pytest
from scipy import optimize, stats

DATA = Path(__file__).parents[2] / "data"
N, TOOL_DRAWS = 200_000, 4096
LINE, PAGE, RANGE = 64.0, 4096.0, 256 * 2.0**20
LLC, L2, CORES, DOMAINS, SOCKETS, CPUS = 32 * 2.0**20, 512 * 2.0**10, 8, 8, 2, 256
"""2 x EPYC 7763: per domain, per core, cores of a domain, domains of a socket; 256 logical CPUs."""
RESIDENT, VCPUS, PERIOD_S, LIMITER = 16e9, 8, 0.1, 32
"""The guest, and the kernel's defaults: 256 MB a pass at 2560 MB/s, and 32 passes of rest for one of work."""
RANDOM = numpy.random.default_rng(20230818)


def rows(name):
    with (DATA / name).open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


ROWS = {row["id"]: row for row in rows("measurements.csv")}
LOOPS = {"k loops/s": 1e3, "M loops/s": 1e6}
SECONDS = {"ms": 1e-3, "us": 1e-6, "s": 1.0}


def si(id):
    return float(ROWS[id]["value"]) * SECONDS[ROWS[id]["unit"]]


def normal():
    return RANDOM.standard_normal(N)


def unit():
    return RANDOM.random(N)


def student(level, sd, freedom, machines):
    """A machine more: log-normal whose 95 % point is that of the Student t, as the tool states it."""
    factor = stats.t.ppf(0.95, freedom) * sd * math.sqrt(1 + 1 / machines)
    return numpy.exp(level + factor / stats.norm.ppf(0.95) * normal())


def host_levels():
    """Logarithms of start, slopes and read bandwidth of each measured AMD guest: medians of its run medians."""
    found = {}
    for folder in sorted((DATA / "hosts").iterdir()):
        host = tomllib.loads((folder / "host.toml").read_text(encoding="utf-8"))["host"]
        largest = max(c["bytes"] for c in host["caches"] if c["kind"] != "Instruction")
        cells, levels = {}, {}
        for row in rows(f"hosts/{folder.name}/flush.csv"):
            size = float(row["range_bytes"])
            if row["instruction"] == "CLFLUSHOPT" and size >= PAGE and (row["state"] == "absent" or size <= largest):
                key = (row["state"], row["page"], size, row["run"])
                cells.setdefault(key, []).append((float(row["measured_line_s"]), float(row["measured_total_s"])))
        for (state, _, size, _), values in cells.items():
            line_s, total_s = numpy.median(values, axis=0)
            if line_s > 0:
                levels.setdefault(state, []).append(math.log(line_s))
                if size == PAGE and state != "absent" and total_s > line_s * size / LINE:
                    levels.setdefault("start", []).append(math.log(total_s - line_s * size / LINE))
        read = {}
        for row in rows(f"hosts/{folder.name}/refill.csv"):
            if row["pattern"] == "sequential" and row["level"] == "memory":
                read.setdefault(row["run"], []).append(LINE / float(row["measured_cold_line_s"]))
        levels["read"] = [math.log(numpy.median(values)) for values in read.values()]
        written = {}
        for row in rows(f"hosts/{folder.name}/bandwidth.csv"):
            if row["kind"] == "write_back":
                written.setdefault(float(row["threads"]), {}).setdefault(row["run"], []).append(
                    float(row["measured_bytes_per_s"])
                )
        fewer, most = (written[count] for count in sorted(written)[-2:])
        every = [numpy.median(sum(part.values(), [])) for part in (fewer, most)]
        if every[1] < 1.1 * every[0]:
            levels["written"] = [math.log(numpy.median(values)) for values in most.values()]
        found[folder.name] = {name: float(numpy.median(logs)) for name, logs in levels.items()}
    return found


LEVELS = host_levels()
MILAN = LEVELS["epyc-milan-2cpu-vm"]


def spread(name):
    """Standard deviation between the AMD guests, and its degrees of freedom."""
    levels = [own[name] for own in LEVELS.values() if name in own]
    return float(numpy.std(levels, ddof=1)), len(levels) - 1


def slope(name):
    """A Milan more: one machine of the generation was measured. Three published Intel machines have a slope of absent
    lines too, so that these add to the scatter between machines of one vendor.
    """
    deviation, freedom = spread(name)
    if name == "absent":
        machines = {}
        for row in ROWS.values():
            if row["use"] == "fit" and row["instruction"] == "CLFLUSHOPT" and row["line_state"] == "absent":
                if row["observable"] == "range_flush.slope_s":
                    machines.setdefault(row["hardware"], []).append(math.log(float(row["value"]) * 1e-9))
                if row["observable"] == "range_flush.bandwidth_bytes_per_s":
                    unit_bytes = {"GiB/s": 2.0**30, "MiB/s": 2.0**20}[row["unit"]]
                    machines.setdefault(row["hardware"], []).append(math.log(LINE / float(row["value"]) / unit_bytes))
        levels = [float(numpy.mean(logs)) for logs in machines.values()]
        squares = deviation**2 * freedom + float(numpy.var(levels)) * len(levels)
        freedom += len(levels) - 1
        deviation = math.sqrt(squares / freedom)
    return student(MILAN[name], deviation, freedom, 1)


def two_bandwidths():
    """Of a domain and of a CPU; what two saturated domains leave open of their scatter they share with the reads."""
    read = student(MILAN["read"], *spread("read"), 1)
    domains = [own["written"] for own in LEVELS.values() if "written" in own]
    squares = sum(float(numpy.var(x)) * len(x) for x in (domains, [own["read"] for own in LEVELS.values()]))
    freedom = len(domains) - 1 + len(LEVELS) - 1
    return student(float(numpy.mean(domains)), math.sqrt(squares / freedom), freedom, len(domains)), read


def walk():
    """Cost of an empty and of a valid line: the log-uniform prior weighed by every boot and resume, then a machine
    more.
    """
    dumps = [row for row in rows("cpuid_features.csv") if row["signature"] == "00050654"]
    sizes = [float(row["l3_kib"]) * 1024 for row in dumps if float(row["l3_kib"]) >= 32 * 1024]
    flush_s = (si("W01") - si("W02")) / (2 * float(ROWS["W01"]["cpus"]))
    each = [flush_s / ((size + float(dumps[0]["l2_kib"]) * 1024) / LINE) for size in (min(sizes), max(sizes))]
    anchor_s = math.sqrt(each[0] * each[1])
    low, high = math.log(anchor_s / 1000), math.log(anchor_s * 9)
    deviation, freedom = spread("clean")
    empty, valid = (low + (high - low) * RANDOM.random(4 * N) for _ in range(2))
    weight = numpy.ones(4 * N)
    for row in rows("kvm/amd_rendezvous.csv"):
        if not row["generation"].startswith("zen") or not row["lost_s"] or not row["llc_bytes_per_domain"]:
            continue
        lines = (float(row["llc_bytes_per_domain"]) + float(row["l2_bytes_per_core"])) / LINE
        tick_s = 1 / float(row["hz"] or 100)
        longest_s = float(row["gap_s"]) + float(row["lost_s"]) - float(row["deferred_init_s"] or 0)
        longest_s += tick_s * ((row["clock"] == "stepped") + (float(row["deferred_init_s"] or 0) > 0))
        share = numpy.ceil(8 * RANDOM.random(4 * N)) / 8 - 1 / 16
        once = share * numpy.exp(valid) if row["method"] == "boot" else 0.0
        total_s = lines * (2 * float(row["logical_cpus"]) * numpy.exp(empty) + once)
        weight *= stats.t.cdf(numpy.log(longest_s / total_s) / deviation, freedom)
    chosen = [RANDOM.choice(4 * N, N, p=weight / weight.sum()) for _ in range(2)]
    return tuple(
        numpy.exp(level[take] + deviation * RANDOM.standard_t(freedom, N))
        for level, take in zip((empty, valid), chosen, strict=True)
    )


def broadcast():
    """Straight line through the shoot-down loop, by least squares of the logarithm; a factor of 3 either way."""
    used = [r for r in ROWS.values() if r["observable"] == "broadcast.loops_per_s" and r["use"] == "fit"]
    threads = numpy.array([float(row["cpus"]) for row in used])
    seen = threads / numpy.array([float(row["value"]) * LOOPS[row["unit"]] for row in used])
    fit = optimize.least_squares(
        lambda x: numpy.log((math.exp(x[0]) + math.exp(x[1]) * (threads - 1)) / seen), numpy.log([2e-6, 1e-6])
    )
    wide = math.log(3) / stats.norm.ppf(0.95)
    return tuple(numpy.exp(level + wide * normal()) for level in fit.x)


def draws():
    empty, valid = walk()
    domain, read = two_bandwidths()
    start, per_cpu = broadcast()
    practice = min(float(r["value"]) / float(r["high"]) for r in ROWS.values() if practice_row(r))
    latency = 1 + unit() * (dearest_on_two_sockets() - 1)
    return {
        "start": student(MILAN["start"], *spread("start"), 1),
        **{name: slope(name) for name in ("dirty", "clean", "absent")},
        "remote": latency,
        "empty": empty,
        "valid": valid,
        "domain": domain,
        "read": read,
        "ipi_start": start,
        "ipi": per_cpu,
        "socket": 204.8e9 * practice * (0.5 + 0.5 * unit()),
        "s": unit(),
        "sigma": 1 + unit() * (float(ROWS["W10"]["value"]) - 1),
        **{name: unit() for name in ("v", "d", "x", "rho", "beta")},
    }


def practice_row(row):
    return row["observable"] == "bandwidth.dram_practice_bytes_per_s"


def dearest_on_two_sockets():
    """Latency of one CLFLUSHOPT on AMD's slowest part with two sockets, over the mean of the parts with one."""
    latency = {"1": [], "2": []}
    wanted = ("range_flush.same_line_s", "CLFLUSHOPT", "amd", "fit")
    for row in ROWS.values():
        if tuple(row[name] for name in ("observable", "instruction", "vendor", "use")) == wanted:
            latency[row["sockets"]].append(math.log(float(row["value"])))
    return math.exp(max(latency["2"]) - numpy.mean(latency["1"]))


def tool(*words):
    command = [sys.executable, "-m", "costmodel", *words, "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def whole_cache(p, cpus, cores, both, domains, sockets, invalidates):
    """Time, CPU time from the host."""
    walk_s = (LLC + L2) / LINE * (p["empty"] * cores ** p["s"] * p["sigma"] ** both + p["v"] * p["valid"])
    written = p["v"] * p["d"] * (LLC + cores * L2)
    flush_s = numpy.maximum(walk_s + written / numpy.minimum(p["domain"], p["socket"]), domains * written / p["socket"])
    round_s = p["ipi_start"] + p["ipi"] * (cpus - 1)
    outside = max(0, sockets * CPUS / SOCKETS - cpus)
    refill_s = invalidates * p["rho"] * sockets * domains * p["v"] * (LLC + cores * L2) / p["read"]
    return flush_s + round_s, cpus * flush_s + round_s + outside * p["beta"] * domains * written / p[
        "socket"
    ] + refill_s


def ranged(p, size):
    """Time of a call over `size` bytes, which a scan picks, and CPU time from the host."""
    held = SOCKETS * DOMAINS * (LLC + CORES * L2)
    present = numpy.minimum(held / RESIDENT * p["x"], held / size)
    lines = numpy.ceil(size / LINE)
    line_s = present * (p["d"] * p["dirty"] + (1 - p["d"]) * p["clean"]) + (1 - present) * p["absent"]
    floor_s = lines * LINE * present * p["d"] / p["socket"]
    time_s = p["remote"] * p["start"] + numpy.maximum(p["remote"] * lines * line_s, floor_s)
    return time_s, time_s + p["rho"] * present * size / p["read"]


@pytest.fixture(scope="module")
def sample():
    return draws()


def compare(values, found, names=("low", "median", "high")):
    """Each quantile of the tool inside four standard errors, both samples' together, and 1 % for its table."""
    logs = numpy.log(values)
    for share, name in zip((0.05, 0.5, 0.95), names, strict=True):
        around = numpy.quantile(logs, numpy.clip([share - 0.01, share + 0.01], 0, 1))
        density = 0.02 / (around[1] - around[0])
        error = math.sqrt(share * (1 - share) * (1 / N + 1 / TOOL_DRAWS)) / density
        assert math.log(found[name]) == pytest.approx(float(numpy.quantile(logs, share)), abs=4 * error + 0.01), name


def test_host_cpus_lost_to_the_numa_scan(sample):
    """WBINVD on all 256 CPUs, ten times a second or as often as the scanner's limiter lets it."""
    answer = tool("recommend", "--guest", "sev", "--machine", "epyc-7763-2s", "--kernel", "6.12")
    (row,) = [r for r in answer["costs"] if (r["trigger"], r["strategy"]) == ("autonuma_prot_none_scan", "WBINVD_ALL")]
    p = dict(sample)
    undisturbed = p["d"]
    changing = traffic_lines(p) / (undisturbed * (1 - undisturbed))
    rate = numpy.full(N, 0.0)
    for _ in range(4):  # the flushes themselves leave a little less to write
        p["d"] = undisturbed * changing / (changing + rate * (LLC + L2) / LINE)
        time_s, stolen_s = whole_cache(p, CPUS, CORES, 1, DOMAINS, SOCKETS, 1)
        rate = 1 / numpy.maximum(PERIOD_S, (PERIOD_S + LIMITER * time_s) / VCPUS)
    compare(numpy.minimum(rate * stolen_s, CPUS), row["host_cpu_s_per_s"])


def traffic_lines(p):
    """Lines per second that the software of a domain writes back between flushes."""
    return unit() * numpy.minimum(p["domain"], p["socket"]) / LINE


def test_a_call_over_256_mib(sample):
    answer = tool("recommend", "--guest", "sev", "--machine", "epyc-7763-2s", "--kernel", "6.12")
    (row,) = [
        r for r in answer["costs"] if (r["trigger"], r["strategy"]) == ("autonuma_prot_none_scan", "CLFLUSHOPT_UVA")
    ]
    compare(ranged(sample, RANGE)[0], row["event_time_s"])


def test_the_break_even_against_the_mask(sample):
    """Draw by draw, by bisection over the logarithm of the range; draws without a crossing on the axis are left out."""
    words = ["breakeven", "--guest", "sev", "--machine", "epyc-7763-2s", "--between", "CLFLUSHOPT_UVA", "WBNOINVD_MASK"]
    words += ["--trigger", "autonuma_prot_none_scan", "--over", "range_bytes", "--cpus-that-ran", "8"]
    answer = tool(*words)
    (row,) = answer["rows"]
    _, whole_s = whole_cache(sample, 8, CORES, 0, 1, 1, 0)
    low, high = numpy.full(N, math.log(LINE)), numpy.full(N, math.log(64 * 2.0**30))
    for _ in range(60):
        middle = (low + high) / 2
        cheaper = ranged(sample, numpy.exp(middle))[1] < whole_s
        low, high = numpy.where(cheaper, middle, low), numpy.where(cheaper, high, middle)
    found = numpy.exp(middle)
    inside = (found > LINE * 1.01) & (found < 64 * 2.0**30 * 0.99)
    assert inside.mean() == pytest.approx(row["share"], abs=0.01)
    compare(found[inside], row)
