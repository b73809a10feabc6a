"""Runs many random programs under torch and through the linter, and writes down where they disagree.

    python tools/fuzz.py 20000              seeds 0 to 19999, in two processes
    python tools/fuzz.py 5000 --start 70000 --jobs 1 --each 5

Every kind of disagreement is shrunk a few times and written to `.fuzz/` (ignored by git). The exit code is 1 if there
was a false alarm, a contradiction or a crash. See docs/truth.md, Fuzzing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from fuzz.campaign import Campaign, Failure, shrunk, summary  # noqa: E402

OUTPUT = ROOT / ".fuzz"
BATCH = 50


def batch(seeds: range) -> Campaign:
    """The programs of a few seeds; runs in a process of its own."""
    import torch

    torch.set_num_threads(1)
    return Campaign().run(seeds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=int, help="how many programs to run")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="processes")
    parser.add_argument("--each", type=int, default=2, help="how many failures of every kind to shrink")
    options = parser.parse_args()

    stop = options.start + options.programs
    batches = [range(first, min(first + BATCH, stop)) for first in range(options.start, stop, BATCH)]
    counts: Counter[str] = Counter()
    groups: dict[tuple[str, str, bool], list[Failure]] = {}
    started = time.monotonic()
    # "spawn": torch's threads do not survive a fork; a worker ends now and then, so that its memory is given back
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=20) as pool:
        for number, campaign in enumerate(pool.imap_unordered(batch, batches), 1):
            counts.update(campaign.counts)
            for failure in campaign.failures:
                groups.setdefault(failure.group, []).append(failure)
            if sys.stderr.isatty():
                print(f"\r{number * BATCH} programs, {len(groups)} kinds of failure", end="", file=sys.stderr)
    seconds = time.monotonic() - started
    print(f"\n{summary(counts)}\n{seconds:.0f} s")
    write(groups, options.each)
    return int(any(kind in ("false alarm", "contradiction", "crash") for kind, _, _ in groups))


def write(groups: dict[tuple[str, str, bool], list[Failure]], each: int) -> None:
    """Shrink some failures of every group, from the smallest program up, and write them to OUTPUT."""
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / ".gitignore").write_text("*\n", encoding="utf-8")
    for old in OUTPUT.glob("*.py"):
        old.unlink()
    for (kind, key, excused), failures in groups.items():
        known: set[str] = set()
        for failure in sorted(failures, key=lambda f: len(f.text))[:each]:
            small = shrunk(failure)
            if small.text in known:
                continue
            known.add(small.text)
            name = re.sub(r"\W+", "-", f"{kind} {key}{' excused' * excused} {failure.seed}").strip("-")
            path = OUTPUT / f"{name}.py"
            d = small.disagreement
            path.write_text(
                f"# {kind} {key}, line {d.line}: {' '.join(d.detail.split())}\n{small.text}", encoding="utf-8"
            )
            print(path.relative_to(ROOT))


if __name__ == "__main__":
    sys.exit(main())
