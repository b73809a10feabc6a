"""How much time the plugin adds to flake8.

    python tools/bench.py timm       # flake8 alone, with this plugin, with TorchFix, on timm (tools/corpus.py download)
    python tools/bench.py synthetic  # one file of 1,000 to 100,000 lines: how does the time grow?

Absolute times mean little on a shared machine, so the contenders take turns within one run and what counts are the
ratios of each round. Time is processor time of the whole process (flake8 with `--jobs 1`), the start-up included.
Each contender has a virtual environment of its own in the git-ignored `.corpus/`, so that no plugin sees another.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

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


UNIT = """
class Net{n}(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, 1)
        self.total = 0.0

    def forward(self, x):
        hidden = torch.relu(self.first(x))
        if hidden.mean() > 0:
            hidden = hidden * 2
        return self.second(hidden)


def train{n}(batches, width={n}):
    net = Net{n}(width)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for x, y in batches:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(net(x), y)
        detached = loss.detach()
        loss.backward()
        optimizer.step()
        net.total += detached.item()
    return np.asarray(net.total), net.first.weight.numpy()


train{n}([(torch.rand(2, {n}), torch.rand(2, 1))])
"""
"""Code that the gate lets through whole: a class, a loop, calls, attributes, and one thing to report."""


def synthetic(sizes: Sequence[int]) -> None:
    """Time one file of each size, in this process, and fit the exponent of growth."""
    from flake8_detach import rules
    from flake8_detach.source import Source

    points = []
    print(f"{'lines':>8}{'seconds':>10}{'lines/s':>10}{'findings':>10}")
    for size in sizes:
        units = size // UNIT.count("\n")
        text = "import numpy as np\nimport torch\nfrom torch import nn\n" + "".join(
            UNIT.format(n=number) for number in range(1, units + 1)
        )
        start = time.process_time()
        found = len(rules.check(Source(text)))
        seconds = time.process_time() - start
        lines = text.count("\n")
        points.append((math.log(lines), math.log(seconds)))
        print(f"{lines:>8}{seconds:>10.2f}{lines / seconds:>10.0f}{found:>10}", flush=True)
    x_mean = sum(x for x, _ in points) / len(points)
    y_mean = sum(y for _, y in points) / len(points)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in points) / sum((x - x_mean) ** 2 for x, _ in points)
    print(f"time grows with the power {slope:.2f} of the number of lines (1 is linear)")


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
