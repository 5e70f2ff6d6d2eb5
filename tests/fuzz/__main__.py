"""python -m tests.fuzz N [--seed S] [--only READER] [--keep FOLDER]: N hostile files, exit code 1 where a reader let
one through.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.harness import run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("number", type=int, help="inputs, over all readers")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same inputs")
    parser.add_argument("--only", help="one reader, by the name of its file")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that were let through")
    asked = parser.parse_args()
    if asked.keep:
        asked.keep.mkdir(parents=True, exist_ok=True)
    report = run(asked.number, asked.seed, asked.only, asked.keep)
    print(report.text())
    if asked.keep:
        for number, (finding, contents) in enumerate(report.kept.items()):
            for at, content in enumerate(contents):
                (asked.keep / f"{number}-{at}-{finding.partition(':')[0]}").write_bytes(content)
    return int(report.bad)


if __name__ == "__main__":
    sys.exit(main())
