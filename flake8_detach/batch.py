"""The files of one run of the command line: which they are, all cores at work on them, and how far it has come."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from importlib import import_module
from typing import TypeVar

from flake8_detach import rules
from flake8_detach.plugin import AnalysisError
from flake8_detach.report.as_flake8 import AsFlake8

T = TypeVar("T")
Work = Callable[[AsFlake8, str], T]
"""What is done to one file: a function of a module (or a partial of one), whose result can be pickled."""

FILES_A_WORKER = 4
"""A worker takes as long to start as four files take to be linted."""

A_MOMENT = 0.1
"""Seconds from Ctrl-C to the end of waiting for a result, at most."""

MANY = 8
"""From so many files on, the progress is shown."""

_flake8: AsFlake8 | None = None
"""In a worker: flake8 with the options of the run."""


class Trouble(Exception):
    """A file that cannot be worked on. `failed`: is it for the user to mend?"""

    def __init__(self, text: str, failed: bool = True) -> None:
        super().__init__(text)
        self.failed = failed


@contextmanager
def trouble(name: str) -> Iterator[None]:
    """Turn whatever reading and linting the file `name` raises into Trouble with a line for the user."""
    try:
        yield
    except OSError as error:
        raise Trouble(f"{name}: {error.strerror or error}") from error
    except AnalysisError as failure:  # flake8 is silent about such a file: the user has nothing to mend in it
        raise Trouble(f"{name}: passed over, the analysis failed: {failure}", failed=False) from failure
    except SyntaxError as error:
        raise Trouble(f"{name}:{error.lineno or 1}: not valid Python: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise Trouble(f"{name}: cannot be read as Python: {error or type(error).__name__}") from error


def files(flake8: AsFlake8, path: str) -> list[str]:
    """What flake8 would lint under `path`. Raises Trouble for a path that leads nowhere."""
    if not os.path.exists(path):
        raise Trouble(f"{path}: no such file or directory")
    names = flake8.files(path)
    if not names and os.path.isdir(path) and not flake8.has_python(path):
        raise Trouble(f"{path}: no Python files in this directory")
    return names


def distinct(names: Iterable[str], seen: set[str]) -> list[str]:
    """`names` without those that lead to a file in `seen`, which all of them join."""
    found = []
    for name in names:
        target = os.path.realpath(name)
        if target not in seen:
            seen.add(target)
            found.append(name)
    return found


def each(flake8: AsFlake8, work: Work[T], names: Sequence[str]) -> list[T]:
    """The results of `work` on every file, in the order of `names`, by as many processes as flake8's `--jobs` allows.

    Raises what `work` raises, and BrokenProcessPool if a worker is killed. Ctrl-C ends the workers, too.
    """
    workers = min(flake8.jobs, len(names) // FILES_A_WORKER)
    with ctrl_c_noted() as noted:  # before workers start: they have it from here
        pool = _pool(workers, flake8) if workers > 1 else None
        if pool is not None:
            try:
                futures = [pool.submit(_in_worker, work, name) for name in names]  # before the display starts anything
                return _watched(_in_order(futures, noted), len(names))
            finally:
                pool.shutdown(cancel_futures=True)
    _import_all()
    return _watched((work(flake8, name) for name in names), len(names))


@contextmanager
def ctrl_c_noted() -> Iterator[Callable[[], bool]]:
    """Has Ctrl-C come? Meanwhile it raises nothing; KeyboardInterrupt is raised at the end, if it came.

    Raised wherever the main thread happens to be, it may meet a lock between its release and the `try` that takes it
    again: `Condition.wait` then ends in a RuntimeError (Python's documentation, signal, "Note on Signal Handlers and
    Exceptions"). Only what Python itself would do about Ctrl-C is put off, and only in the main thread.
    """
    came = False

    def note(number: int, frame: object) -> None:
        nonlocal came
        came = True

    def noted() -> bool:
        return came

    if threading.current_thread() is not threading.main_thread() or (
        signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield noted
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        if came:
            raise KeyboardInterrupt


def _in_order(futures: Sequence[Future[T]], stop: Callable[[], bool]) -> Iterator[T]:
    """The results of `futures`, up to the moment when `stop` says so: KeyboardInterrupt is raised then."""
    for future in futures:
        while not (stop() or future.done()):
            wait([future], timeout=A_MOMENT)
        if stop():
            raise KeyboardInterrupt
        yield future.result()


def _import_all() -> None:
    """Import what linting and fixing import when they first need it.

    Ctrl-C may come at any time from here on. In the midst of an import it would cost the exit code: dataclasses are
    made by `exec`, and CPython ends a run by SIGINT if a KeyboardInterrupt has met it there, whatever the run returns.
    """
    rules.load()
    for name in ("flow.program", "rules._collect", "fixes.build", "fixes.blocks", "fixes.place"):
        import_module(f"flake8_detach.{name}")


def _pool(workers: int, flake8: AsFlake8) -> ProcessPoolExecutor | None:
    """Workers; None where the system has none to give (no semaphores, as in some containers)."""
    global _flake8
    _flake8 = flake8  # workers that are forked have it from the start
    try:
        return ProcessPoolExecutor(workers, initializer=_start, initargs=(flake8.argv,))
    except (OSError, NotImplementedError, ImportError):
        return None


def _start(argv: Sequence[str]) -> None:
    global _flake8
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the first one sees to it
    if _flake8 is None:
        _flake8 = AsFlake8(argv)


def _in_worker(work: Work[T], name: str) -> T:
    assert _flake8 is not None
    return work(_flake8, name)


def _watched(results: Iterable[T], total: int) -> list[T]:
    """All `results`; on a terminal, a bar on stderr shows how many there are, and goes away at the end."""
    if total < MANY or not sys.stderr.isatty():
        return list(results)
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    found: list[T] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("files"))
    console = Console(stderr=True)
    shown = 0.0
    with Progress(*columns, console=console, transient=True, auto_refresh=False, redirect_stdout=False) as bar:
        task = bar.add_task("linting", total=total)
        for result in results:
            found.append(result)
            bar.advance(task)
            if time.monotonic() - shown > 0.1 or len(found) == total:
                bar.refresh()
                shown = time.monotonic()
    return found
