"""The hooks as pre-commit runs them: from a repository, in an environment that it makes itself.

That needs pip and its packages, so these tests are marked `network`, and skip where nothing can be fetched. All share
one environment, made from a snapshot of the working tree; `try-repo`, which shares none, makes another.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from conftest import ROOT, Run

pytest.importorskip("pre_commit", reason='pre-commit is not installed (pip install -e ".[dev]")')
pytestmark = pytest.mark.network

OFFLINE = re.compile("NewConnectionError|ConnectTimeout|NameResolutionError|name resolution|ProxyError")
SOURCES = ("flake8_detach", ".pre-commit-hooks.yaml", "pyproject.toml", "README.md", "LICENSE")

BAD = """\
import torch

weights = torch.ones(3, requires_grad=True)
print((weights * 2).numpy())
"""
FIXED = BAD.replace("(weights * 2)", "(weights * 2).detach()")


def command(*args: str, cwd: Path, home: Path) -> Run:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "PYTHON"))}
    environment["PRE_COMMIT_HOME"] = str(home)
    done = subprocess.run(args, capture_output=True, text=True, check=False, cwd=cwd, env=environment)
    if done.returncode and OFFLINE.search(done.stdout + done.stderr):
        pytest.skip("pip has no network")
    return Run(done.returncode, done.stdout, done.stderr)


def git(folder: Path, *args: str) -> str:
    who = ("-c", "user.name=test", "-c", "user.email=test@example.invalid", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *who, *args], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


class Hooks(NamedTuple):
    """A snapshot of this project that pre-commit can clone, its revision, and where pre-commit keeps what it makes."""

    snapshot: Path
    revision: str
    home: Path


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> Hooks:
    if shutil.which("git") is None:
        pytest.skip("git is not installed")
    snapshot = tmp_path_factory.mktemp("snapshot")
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, snapshot / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, snapshot / name)
    git(snapshot, "init", "-q")
    git(snapshot, "add", "-A")
    git(snapshot, "commit", "-qm", "snapshot")
    return Hooks(snapshot, git(snapshot, "rev-parse", "HEAD"), tmp_path_factory.mktemp("home"))


@pytest.fixture
def project(tmp_path: Path, hooks: Hooks) -> Path:
    """A repository of a user, with both hooks."""
    git(tmp_path, "init", "-q")
    (tmp_path / ".pre-commit-config.yaml").write_text(
        f"repos:\n- repo: {hooks.snapshot}\n  rev: {hooks.revision}\n"
        "  hooks:\n  - id: flake8-detach\n  - id: flake8-detach-fix\n"
    )
    git(tmp_path, "add", "-A")
    return tmp_path


def run(project: Path, hooks: Hooks, hook: str) -> Run:
    git(project, "add", "-A")
    return command(sys.executable, "-m", "pre_commit", "run", hook, "--all-files", cwd=project, home=hooks.home)


def test_without_python_files_nothing_is_run(project: Path, hooks: Hooks) -> None:
    (project / "notes.txt").write_text("loss.numpy()\n")
    for hook in ("flake8-detach", "flake8-detach-fix"):
        done = run(project, hooks, hook)
        assert done.code == 0, done
        assert "no files to check" in done.out


def test_a_clean_file_passes(project: Path, hooks: Hooks) -> None:
    (project / "train.py").write_text(FIXED)
    for hook in ("flake8-detach", "flake8-detach-fix"):
        done = run(project, hooks, hook)
        assert done.code == 0, done
        assert "Passed" in done.out


def test_the_lint_hook_reports_our_codes_only_and_changes_nothing(project: Path, hooks: Hooks) -> None:
    (project / "train.py").write_text(BAD.replace("import torch\n", "import os, torch\n"))  # what flake8 calls E401
    done = run(project, hooks, "flake8-detach")
    assert done.code == 1
    assert re.findall(r"train\.py:\d+:\d+: (\w+)", done.out) == ["AGD102"]
    assert git(project, "diff", "--name-only") == ""


def test_the_fix_hook_fixes_and_stops_the_commit_once(project: Path, hooks: Hooks) -> None:
    (project / "train.py").write_text(BAD)
    done = run(project, hooks, "flake8-detach-fix")
    assert done.code == 1
    assert (project / "train.py").read_text() == FIXED
    assert run(project, hooks, "flake8-detach-fix").code == 0


@pytest.mark.parametrize("name", [".flake8", "setup.cfg", "tox.ini"])
def test_the_configuration_of_the_project_counts(project: Path, hooks: Hooks, name: str) -> None:
    (project / "train.py").write_text(BAD)
    (project / name).write_text("[flake8]\nper-file-ignores =\n    train.py: AGD102\n")
    for hook in ("flake8-detach", "flake8-detach-fix"):
        assert run(project, hooks, hook).code == 0
    assert (project / "train.py").read_text() == BAD


def test_try_repo_runs_both_hooks(tmp_path: Path, hooks: Hooks) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text(BAD)
    git(tmp_path, "add", "-A")
    done = command(
        *(sys.executable, "-m", "pre_commit", "try-repo", str(hooks.snapshot), "--all-files"),
        cwd=tmp_path,
        home=hooks.home,
    )
    assert done.code == 1
    assert "AGD102" in done.out
    assert (tmp_path / "train.py").read_text() == FIXED
