"""The command line on a whole tree, as processes of their own: the progress that is shown, Ctrl-C, two runs at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flake8_detach.batch import ctrl_c_noted

if sys.platform == "win32":
    pytest.skip("terminals and signals are those of POSIX", allow_module_level=True)

import pty

BAD = """\
import torch

weights = torch.ones(3, requires_grad=True)
print((weights * 2).numpy())
"""
FIXED = BAD.replace("(weights * 2)", "(weights * 2).detach()")
FIX = (sys.executable, "-m", "flake8_detach", "fix", "--isolated", "src")


@pytest.fixture
def tree(place: Path) -> Path:
    """A folder with room for many files."""
    (place / "src").mkdir()
    return place / "src"


def fill(tree: Path, count: int) -> list[Path]:
    paths = [tree / f"module{number:03}.py" for number in range(count)]
    for path in paths:
        path.write_text(BAD)
    return paths


class Terminal:
    """A run whose stderr is a terminal."""

    def __init__(self, *command: str) -> None:
        self._ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=theirs, env=environment, start_new_session=True
        )
        os.close(theirs)
        self.shown = ""

    def read(self) -> bool:
        """Read on. False when the other side is closed."""
        try:
            found = os.read(self._ours, 4096)
        except OSError:
            found = b""
        self.shown += found.decode(errors="replace")
        return bool(found)

    def finish(self) -> tuple[int, str]:
        """The exit code and stdout."""
        while self.read():
            pass
        os.close(self._ours)
        out, _ = self.process.communicate(timeout=60)
        return self.process.returncode, out.decode()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_terminal_sees_how_far_the_run_is(tree: Path, jobs: str) -> None:
    fill(tree, 24)
    run = Terminal(*FIX, "--jobs", jobs)
    code, out = run.finish()
    assert code == 1
    assert "linting" in run.shown
    assert "24/24" in run.shown
    assert "linting" not in out
    assert out.splitlines()[-1].startswith("24 fixed")


def test_no_progress_is_shown_where_nobody_watches(tree: Path) -> None:
    fill(tree, 24)
    done = subprocess.run(FIX, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_leaves_every_file_whole(tree: Path, jobs: str) -> None:
    paths = fill(tree, 600)
    run = Terminal(*FIX, "--jobs", jobs)
    while "linting" not in run.shown and run.read():
        pass
    os.killpg(run.process.pid, signal.SIGINT)  # a terminal sends it to all processes of the run
    code, _ = run.finish()
    assert code == 130
    assert "Traceback" not in run.shown
    assert {path.read_text() for path in paths} == {BAD}, "nothing is written before all has been linted"
    assert sorted(tree.iterdir()) == paths, "no temporary file is left"


BETWEEN_LOCKS = """\
import os, signal, sys, threading

made, first = threading.Condition.__init__, os.getpid()

def make(condition, lock=None):
    made(condition, lock)
    release = condition._release_save

    def released():
        state = release()
        if os.getpid() == first and threading.current_thread() is threading.main_thread():
            signal.raise_signal(signal.SIGINT)
        return state

    condition._release_save = released

threading.Condition.__init__ = make
from flake8_detach.cli import main

sys.exit(main(["fix", "--isolated", "--jobs", "2", "src"]))
"""
"""A run that Ctrl-C meets while it waits for a worker, when the lock has just been let go."""


def test_ctrl_c_between_two_locks_is_ctrl_c(tree: Path) -> None:
    paths = fill(tree, 60)
    done = subprocess.run([sys.executable, "-c", BETWEEN_LOCKS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert {path.read_text() for path in paths} == {BAD}


def test_ctrl_c_is_raised_at_the_end_of_what_it_must_not_break() -> None:
    seen = []

    def work() -> None:
        with ctrl_c_noted() as noted:
            seen.append(noted())
            signal.raise_signal(signal.SIGINT)
            seen.append(noted())

    with pytest.raises(KeyboardInterrupt):
        work()
    assert seen == [False, True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("delay", [0.0, 0.3])
def test_ctrl_c_while_files_are_written_leaves_every_file_whole(tree: Path, delay: float) -> None:
    paths = fill(tree, 200)
    run = Terminal(*FIX, "--jobs", "2")
    while "200/200" not in run.shown and run.read():
        pass
    time.sleep(delay)
    os.killpg(run.process.pid, signal.SIGINT)
    code, _ = run.finish()
    assert code in (130, 1, -signal.SIGINT), "1: it was done already, or Python itself was about to leave"
    assert "Traceback" not in run.shown
    assert {path.read_text() for path in paths} <= {BAD, FIXED}
    assert sorted(tree.iterdir()) == paths, "no temporary file is left"


def test_two_runs_on_one_tree_do_not_spoil_a_file(tree: Path) -> None:
    paths = fill(tree, 40)
    runs = [subprocess.Popen(FIX, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    results = [(run, *run.communicate(timeout=120)) for run in runs]
    for run, _, err in results:
        assert run.returncode in (0, 1, 2)
        assert "Traceback" not in err
    assert {path.read_text() for path in paths} == {FIXED}
    assert sorted(tree.iterdir()) == paths, "no temporary file is left"
