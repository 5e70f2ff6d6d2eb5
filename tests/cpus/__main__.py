"""Calibrates all machines and runs `costmodel report --check` as if on other CPUs, in other places of the world and of
the file system.

    python -m tests.cpus                 every variant that this CPU can run
    python -m tests.cpus Haswell Prescott --jobs 2
    python -m tests.cpus --list

Each variant has an empty cache, so nothing that another kernel computed is found again. What is printed is what the
libraries really used, not what was asked for. Exit code 1 if a committed file differs under any variant.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
USED = """
import numpy, threadpoolctl, scipy.linalg
from numpy._core._multiarray_umath import __cpu_features__ as on
kernels = sorted({f"{lib['internal_api']} {lib.get('architecture')}" for lib in threadpoolctl.threadpool_info()})
wide = [name for name in ("X86_V4", "AVX512_SKX", "X86_V3", "AVX2", "FMA3", "SSE42") if on.get(name)]
print(f"{', '.join(kernels)}; numpy up to {wide[0] if wide else 'its baseline'}")
"""
CALIBRATED = """
import sys
from costmodel.calibration import calibrate, parameters
from costmodel.evidence.store import load
kept = parameters.SHIPPED.read_text(encoding="utf-8").splitlines()
found = calibrate.shipped_text(load()).splitlines()
other = [one[:60] for one, own in zip(kept, found, strict=True) if one != own]
sys.exit("\\n".join(f"{parameters.SHIPPED.name}: {line}... is calibrated otherwise" for line in other) or 0)
"""


@dataclass(frozen=True)
class Variant:
    """`environment` is added to the caller's; `needs` are flags of /proc/cpuinfo without which it cannot run here."""

    name: str
    environment: dict[str, str]
    needs: tuple[str, ...] = ()
    elsewhere: bool = field(default=False)


VARIANTS = (
    Variant("Haswell", {"OPENBLAS_CORETYPE": "Haswell"}, ("avx2", "fma")),
    Variant("SkylakeX", {"OPENBLAS_CORETYPE": "SkylakeX"}, ("avx512f", "avx512bw", "avx512dq", "avx512vl")),
    Variant("Zen", {"OPENBLAS_CORETYPE": "Zen"}, ("avx2", "fma")),
    Variant("Sandybridge", {"OPENBLAS_CORETYPE": "Sandybridge"}, ("avx",)),
    Variant("Prescott", {"OPENBLAS_CORETYPE": "Prescott"}, ("pni",)),
    Variant("numpy without AVX-512", {"NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}, ("avx512f",)),
    Variant("numpy without AVX2", {"NPY_DISABLE_CPU_FEATURES": "X86_V3"}, ("avx2",)),
    Variant("libm without AVX2 and FMA", {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA"}, ("avx2", "fma")),
    Variant("numba generic", {"NUMBA_CPU_NAME": "generic"}),
    Variant(
        "another place",
        {"LC_ALL": "C", "TZ": "Pacific/Chatham", "PYTHONHASHSEED": "4711"},
        elsewhere=True,
    ),
)


def flags() -> set[str]:
    """Flags of the first CPU in /proc/cpuinfo."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def check(variant: Variant) -> tuple[Variant, str, subprocess.CompletedProcess]:
    """What the libraries used, and how the check ended."""
    with tempfile.TemporaryDirectory(prefix="cpus") as scratch:
        place = ROOT
        if variant.elsewhere:
            place = Path(scratch) / "a longer path" / "checkout"
            for name in ("costmodel", "data", "notebooks", "reports"):
                shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
        environment |= {"XDG_CACHE_HOME": scratch, "PYTHONPATH": str(place), **variant.environment}

        def run(*words: str) -> subprocess.CompletedProcess:
            return subprocess.run(
                [sys.executable, *words], cwd=place, env=environment, capture_output=True, text=True, check=False
            )

        used, done = run("-c", USED), run("-c", CALIBRATED)
        if done.returncode == 0:
            done = run("-m", "costmodel", "report", "--check")
        return variant, (used.stdout or used.stderr).strip(), done


def chosen(names: list[str]) -> Iterator[Variant]:
    """The variants named (all if none is) that this CPU can run; the others are told."""
    have = flags()
    for variant in VARIANTS:
        if names and variant.name not in names:
            continue
        if lacking := [flag for flag in variant.needs if flag not in have]:
            print(f"{variant.name}: not run, this CPU has no {', '.join(lacking)}")
            continue
        yield variant


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cpus", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", choices=[[], *(variant.name for variant in VARIANTS)], metavar="VARIANT")
    parser.add_argument("--jobs", type=int, default=2, help="variants at a time")
    parser.add_argument("--list", action="store_true", help="print the names")
    asked = parser.parse_args()
    if asked.list:
        print("\n".join(variant.name for variant in VARIANTS))
        return 0
    failed = 0
    with ThreadPoolExecutor(asked.jobs) as pool:
        for variant, used, done in pool.map(check, list(chosen(asked.names))):
            lines = (done.stdout + done.stderr[-2000:] * bool(done.returncode)).strip().splitlines()
            failed += done.returncode != 0
            print(f"{variant.name} ({used}): {'same' if done.returncode == 0 else 'DIFFERENT'}", flush=True)
            for line in lines if done.returncode else lines[-1:]:
                print(f"  {line}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
