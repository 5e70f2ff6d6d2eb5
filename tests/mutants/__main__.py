"""`python -m tests.mutants`: how many of a seeded sample of small faults do the tests notice?"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.mutants import runner
from tests.mutants.modules import GROUPS, all_mutants, group_of, told_apart
from tests.mutants.mutations import Mutant

CONFIDENCE = 0.95
GOAL = 0.90
"""Share of the mutants that the tests must kill."""


def sample(mutants: Sequence[Mutant], size: int, seed: int) -> list[Mutant]:
    """A simple random sample without replacement. The draw of a mutant hangs on the seed, its place and its change
    only, so that a change elsewhere in the sources, or one entry more in the list of equivalents, leaves the others
    drawn.
    """
    drawn = [(hashlib.sha256(repr((seed, mutant.key)).encode()).hexdigest(), mutant) for mutant in mutants]
    chosen = sorted(drawn, key=lambda pair: pair[0])[:size]
    return sorted((mutant for _, mutant in chosen), key=lambda mutant: (mutant.path, mutant.start, mutant.after))


def share(killed: int, total: int) -> str:
    """`killed/total = p % (95 % interval a to b %)`, the interval exact (Clopper and Pearson)."""
    from scipy.stats import binomtest

    interval = binomtest(killed, total).proportion_ci(CONFIDENCE, method="exact")
    return f"{killed}/{total} = {killed / total:.1%} (95 % interval {interval.low:.1%} to {interval.high:.1%})"


def main(words: Sequence[str] | None = None) -> int:
    """Exit code 0 where the goal is met, 1 where fewer were killed, 2 where the tests fail without a fault."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sample", type=int, default=400, help="mutants to run (all if there are fewer)")
    parser.add_argument("--module", default="*", metavar="GLOB", help="only sources whose path matches")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every outcome there")
    asked = parser.parse_args(words)
    mutants, equivalent = told_apart(all_mutants(asked.module))
    if not mutants:
        parser.error(f"no mutated source matches {asked.module!r}")
    chosen = sample(mutants, asked.sample, asked.seed)
    groups = [name for name in GROUPS if any(group_of(mutant.path) == name for mutant in chosen)]
    print(
        f"{len(mutants)} mutants, {len(equivalent)} more are listed as equivalent; {len(chosen)} drawn with seed {asked.seed}"
    )
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # children and copies go too
    begun = time.monotonic()
    try:
        with runner.prepared(groups) as bench:
            print(f"tests pass without a fault ({time.monotonic() - begun:.0f} s)", flush=True)
            outcomes = runner.run(bench, chosen, asked.jobs, _tell)
    except runner.NotGreen as error:
        print(error, file=sys.stderr)
        return 2
    took_s = time.monotonic() - begun
    for name in groups:
        of_group = [outcome for outcome in outcomes if group_of(outcome.mutant.path) == name]
        print(f"{name}: {share(sum(outcome.killed for outcome in of_group), len(of_group))}")
    killed = sum(outcome.killed for outcome in outcomes)
    print(f"killed {share(killed, len(outcomes))} in {took_s:.0f} s")
    if asked.json:
        rows = [asdict(outcome) | {"killed": outcome.killed} for outcome in outcomes]
        asked.json.write_text(json.dumps({"seed": asked.seed, "took_s": took_s, "outcomes": rows}, indent=1))
    return 1 if killed < GOAL * len(outcomes) else 0


def _tell(outcome: runner.Outcome) -> None:
    if not outcome.killed:
        print(f"survived: {outcome.mutant.place}: {outcome.mutant.change}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
