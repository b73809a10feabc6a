"""Run the tests on every Python that we support, with the lowest and the latest versions of what we depend on.

    python tools/matrix.py                  # everything: 3.10 to 3.13, lowest and latest
    python tools/matrix.py 3.10-lowest 3.13-latest

Each combination has a virtual environment of its own in the git-ignored `.venv-matrix/`, made anew. An interpreter that
this machine does not have is named and left out; the exit code is 1 when a combination that could run has failed.
The tests that ask PyTorch do not run here: what torch does depends on neither.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from itertools import product
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venv-matrix"

PYTHONS = ("3.10", "3.11", "3.12", "3.13")
VERSIONS = {"lowest": ("libcst==1.5.0", "flake8==6.0.0", "rich==13.0.0"), "latest": ("--upgrade",)}
"""What pip is told beside the project itself; `lowest` is what pyproject.toml promises."""


class Combination(NamedTuple):
    """One environment: "3.10" and "lowest"."""

    python: str
    versions: str

    @property
    def name(self) -> str:
        return f"{self.python}-{self.versions}"


COMBINATIONS = {c.name: c for c in (Combination(*pair) for pair in product(PYTHONS, VERSIONS))}


def interpreter(version: str) -> str | None:
    """A Python of this version: the one that runs us, one on the PATH, or one of pyenv's."""
    found = [sys.executable, shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found += [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python"))]
    return next((path for path in found if path and _version(path) == version), None)


def _version(path: str) -> str:
    """ "3.10"; "" for what does not run, such as a pyenv shim of a version that is not switched on."""
    asked = subprocess.run(
        [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()


def run(combination: Combination, python: str) -> bool:
    """Make the environment, install, test. The output of pytest is shown."""
    home = VENVS / combination.name
    inside = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    commands = (
        [python, "-m", "venv", "--clear", str(home)],
        [str(inside), "-m", "pip", "install", "-q", "-e", f"{ROOT}[test]", *VERSIONS[combination.versions]],
        [str(inside), "-m", "pytest", "-n", "auto", "-m", "not truth", "-p", "no:cacheprovider"],
    )
    return all(subprocess.run(command, cwd=ROOT, check=False).returncode == 0 for command in commands)


def main() -> int:
    """Run what the command line names; returns the exit code."""
    parser = argparse.ArgumentParser(description="Run the tests on several Pythons and versions of the dependencies.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(COMBINATIONS)}; all by default")
    names = parser.parse_args().names or list(COMBINATIONS)
    if unknown := set(names) - set(COMBINATIONS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    results = {}
    for name in names:
        start = time.monotonic()
        python = interpreter(COMBINATIONS[name].python)
        print(f"== {name}", flush=True)
        passed = None if python is None else run(COMBINATIONS[name], python)
        results[name] = passed
        verdict = {None: "left out: no such Python here", True: "passed", False: "FAILED"}[passed]
        print(f"== {name}: {verdict} ({time.monotonic() - start:.0f} s)", flush=True)
    return int(False in results.values())


if __name__ == "__main__":
    sys.exit(main())
