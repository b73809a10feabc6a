"""How much time the plugin adds to flake8.

    python tools/bench.py timm       # flake8 alone, with this plugin, with TorchFix, on timm (tools/corpus.py download)
    python tools/bench.py synthetic  # files that grow in lines, calls, branches, nesting: how do time and memory grow?

Absolute times mean little on a shared machine, so the contenders take turns within one run and what counts are the
ratios of each round. Time is processor time of the whole process (flake8 with `--jobs 1`), the start-up included.
Each contender has a virtual environment of its own in the git-ignored `.corpus/`, so that no plugin sees another.
"""

from __future__ import annotations

import argparse
import ast
import gc
import math
import os
import subprocess
import sys
import time
import tracemalloc
import venv
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

import growing

from flake8_detach.config import Settings
from flake8_detach.plugin import lint

ROOT = Path(__file__).resolve().parent.parent
CORPUS = ROOT / ".corpus"

CONTENDERS: dict[str, tuple[str, ...]] = {
    "flake8": (),
    "flake8-detach": ("--editable", str(ROOT)),
    "torchfix": ("torchfix==0.7.0",),
}
"""What is installed beside flake8."""

FLAKE8 = "flake8==7.5.0"
"""The same for all."""


class Run(NamedTuple):
    """One run of flake8: processor seconds, elapsed seconds, and how many lines it printed with the plugin's codes."""

    cpu: float
    wall: float
    reports: int


def environment(name: str, packages: Sequence[str]) -> Path:
    """The Python of a contender's environment, made if need be. Raises subprocess.CalledProcessError."""
    folder = CORPUS / "bench" / name
    python = folder / "bin" / "python"
    done = folder / "installed.txt"
    wanted = " ".join([FLAKE8, *packages])
    if not done.is_file() or done.read_text(encoding="utf-8") != wanted:
        venv.create(folder, with_pip=True, clear=True)
        command = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", FLAKE8, *packages]
        subprocess.run(command, check=True)
        done.write_text(wanted, encoding="utf-8")
    return python


def run(python: Path, folder: Path) -> Run:
    """Lint `folder` once. Raises RuntimeError when flake8 itself fails."""
    output = CORPUS / "bench" / "output.txt"
    command = [str(python), "-m", "flake8", "--isolated", "--jobs", "1", "--exit-zero", "."]
    with output.open("wb") as stream:
        start = time.perf_counter()
        # -B: no bytecode is written, so the first run does not differ from the others.
        process = subprocess.Popen(command, cwd=folder, stdout=stream, stderr=subprocess.STDOUT)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    text = output.read_text(encoding="utf-8", errors="replace")
    if process.returncode != 0 or "Traceback" in text:
        raise RuntimeError(f"{' '.join(command)} failed:\n{text[-2000:]}")
    return Run(usage.ru_utime + usage.ru_stime, wall, text.count(": AGD") + text.count(": TOR"))


def packages(name: str, repeat: int, contenders: Sequence[str]) -> None:
    """Lint one package of the corpus with every contender, `repeat` rounds, and print medians and ratios."""
    folders = sorted((CORPUS / "src").glob(f"{name}-[0-9]*"))
    if not folders:
        sys.exit(f"{name} is not there: run tools/corpus.py download {name}")
    files = sorted(folders[0].rglob("*.py"))
    lines = sum(path.read_bytes().count(b"\n") for path in files)
    print(f"{folders[0].name}: {len(files)} files, {lines} lines; {repeat} rounds after one warm-up; seconds")
    pythons = {contender: environment(contender, CONTENDERS[contender]) for contender in contenders}
    run(pythons["flake8"], folders[0])  # fills the page cache
    rounds = []
    for number in range(repeat):
        rounds.append({contender: run(python, folders[0]) for contender, python in pythons.items()})
        print(f"  round {number + 1}: " + ", ".join(f"{c} {r.cpu:.2f}" for c, r in rounds[-1].items()), flush=True)
    alone = [results["flake8"].cpu for results in rounds]
    print(f"{'':<16}{'cpu':>9}{'wall':>9}{'reports':>9}  times flake8 alone: median (min to max)")
    for contender in contenders:
        ratios = [results[contender].cpu / results["flake8"].cpu for results in rounds]
        cpu = median(results[contender].cpu for results in rounds)
        wall = median(results[contender].wall for results in rounds)
        reports = rounds[0][contender].reports
        spread = f"{median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        print(f"{contender:<16}{cpu:>9.2f}{wall:>9.2f}{reports:>9}  {spread}")
    if repeat == 1:
        return
    noise = (max(alone) - min(alone)) / median(alone)
    waiting = median(results["flake8"].wall / results["flake8"].cpu for results in rounds)
    print(f"noise: flake8 alone varied by {noise:.1%}; it waited for the processor {1 - 1 / waiting:.0%} of the time")


def synthetic(sizes: Sequence[int]) -> None:
    """Time programs that grow in one direction, in this process: seconds, peak memory, and the powers of growth."""
    files = growing.LINES._replace(name="file", sizes=tuple(size // growing.UNIT.count("\n") for size in sizes))
    print(f"{'':<32}{'sizes':>12}{'lines':>8}{'seconds':>9}{'lines/s':>8}{'MB':>7}  power of time and of memory")
    for direction in (files, *growing.DIRECTIONS):
        times, peaks = [], []
        for size in direction.sizes:
            text = direction.program(size)
            times.append(timed(text))
            peaks.append(memory(text))
        count = text.count("\n")
        span = f"{direction.sizes[0]}-{direction.sizes[-1]}"
        powers = [growing.power(direction.sizes, measured) for measured in (times, peaks)]
        print(
            f"{direction.name:<32}{span:>12}{count:>8}{times[-1]:>9.3f}{count / times[-1]:>8.0f}{peaks[-1] / 1e6:>7.1f}"
            f"  {powers[0]:.2f} {powers[1]:.2f} {'' if direction.power == 1 else direction.why}",
            flush=True,
        )


def timed(text: str) -> float:
    """The processor seconds that the plugin takes for a file: the least of three runs."""
    least = math.inf
    for _ in range(3):
        tree = ast.parse(text)
        gc.collect()
        start = time.process_time()
        lint(text, tree, Settings())
        least = min(least, time.process_time() - start)
        if least > 5:
            break
    return least


def memory(text: str) -> int:
    """The most bytes that are in use while the file is analysed."""
    tracemalloc.start()
    lint(text, ast.parse(text), Settings())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", help="a package of the corpus, or `synthetic`")
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds (default 5)")
    parser.add_argument("--without-torchfix", action="store_true", help="leave out the slowest contender")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[1_000, 3_000, 10_000, 30_000, 100_000], metavar="LINES"
    )
    options = parser.parse_args(arguments)
    if options.what == "synthetic":
        synthetic(options.sizes)
    else:
        contenders = [name for name in CONTENDERS if name != "torchfix" or not options.without_torchfix]
        packages(options.what, options.repeat, contenders)
    return 0


if __name__ == "__main__":
    sys.exit(main())
