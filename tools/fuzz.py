"""Runs many random programs under torch and through the linter, and writes down where they disagree.

    python tools/fuzz.py 20000              seeds 0 to 19999, in two processes
    python tools/fuzz.py 5000 --start 70000 --jobs 1 --each 5

Every disagreement is written to `.fuzz/` (ignored by git) at once, a few of every kind are shrunk at the end; the
figures so far are in `.fuzz/summary.txt`, so that a long run can be watched and ended at any time. The exit code is 1
if there was a false alarm, a contradiction or a crash. See docs/truth.md, Fuzzing.
"""

from __future__ import annotations

import argparse
import gc
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
    gc.set_threshold(50_000, 20, 50)  # syntax trees are many objects without cycles
    return Campaign().run(seeds)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("programs", type=int, help="how many programs to run")
    parser.add_argument("--start", type=int, default=0, help="the first seed")
    parser.add_argument("--jobs", type=int, choices=(1, 2), default=2, help="processes")
    parser.add_argument("--each", type=int, default=2, help="how many failures of every kind to shrink")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="how long to go on")
    options = parser.parse_args()

    stop = options.start + options.programs
    batches = [range(first, min(first + BATCH, stop)) for first in range(options.start, stop, BATCH)]
    counts: Counter[str] = Counter()
    groups: dict[tuple[str, str, bool], list[Failure]] = {}
    OUTPUT.mkdir(exist_ok=True)
    (OUTPUT / ".gitignore").write_text("*\n", encoding="utf-8")
    for old in OUTPUT.glob("*.py"):
        old.unlink()
    started = time.monotonic()
    # "spawn": torch's threads do not survive a fork; a worker ends now and then, so that its memory is given back
    with multiprocessing.get_context("spawn").Pool(options.jobs, maxtasksperchild=20) as pool:
        for campaign in pool.imap_unordered(batch, batches):
            counts.update(campaign.counts)
            for failure in campaign.failures:
                groups.setdefault(failure.group, []).append(failure)
                if not failure.disagreement.excused:
                    put(failure)
            seconds = time.monotonic() - started
            report = f"{summary(counts)}\n{seconds:.0f} s, {counts['programs'] / seconds:.1f} programs a second\n"
            (OUTPUT / "summary.txt").write_text(report, encoding="utf-8")
            if seconds > options.seconds:
                pool.terminate()
                break
    print(report, end="")
    for failures in groups.values():
        for failure in sorted(failures, key=lambda f: len(f.text))[: options.each]:
            print(put(shrunk(failure)).relative_to(ROOT))
    return int(any(kind in ("false alarm", "contradiction", "crash") for kind, _, _ in groups))


def put(failure: Failure) -> Path:
    """Write the failure to OUTPUT; a shrunk one takes the place of the one that it was made of."""
    d = failure.disagreement
    name = re.sub(r"\W+", "-", f"{d.kind} {d.key}{' excused' * d.excused} {failure.seed}").strip("-")
    path = OUTPUT / f"{name}.py"
    head = f"# {d.kind} {d.key}, line {d.line}: {' '.join(d.detail.split())}"
    path.write_text(f"{head}\n{failure.text}", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main())
