"""Runs programs under torch, each in a process of its own (warnings that torch gives once per process, grad modes left
off and patched classes stay with it), forked from a server that has imported torch once.

A process of its own imports the module of the function that it runs: so this one imports nothing that takes time.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import multiprocessing
import os
import random
import runpy
import sys
import time
import traceback
import warnings
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import pytest

if not (importlib.util.find_spec("torch") and importlib.util.find_spec("numpy")):
    absent = 'the fixtures were not run: install torch and numpy (pip install "flake8-detach[oracle]")'
    if os.environ.get("AGD_REQUIRE_TORCH") == "1":
        pytest.fail(absent, pytrace=False)
    pytest.skip(absent, allow_module_level=True)

SEED = int(os.environ.get("AGD_TRUTH_SEED", "0"))
"""Programs that draw random numbers draw the same ones in every run; another seed shows which of them rely on luck."""

PATIENCE = 120.0
"""Seconds after which a program counts as hung."""

STAND_INS = str(Path(__file__).parent / "truth" / "stand_ins")
"""What programs for training frameworks import."""


class Warned(NamedTuple):
    """A warning: the names of its classes, its text, and its line if it points into the program."""

    categories: tuple[str, ...]
    message: str
    line: int | None


class Run(NamedTuple):
    """How a program ended: the names of the exception's classes, and the program's innermost line in the traceback."""

    raised: tuple[str, ...]
    message: str
    line: int | None
    trace: str
    warned: tuple[Warned, ...]
    cpu: float
    out: str


def execute(path: str, answer: Connection) -> None:
    """Run one program as `__main__` and send what happened; called in a process of its own."""
    import numpy
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    numpy.random.seed(SEED)
    random.seed(SEED)
    if "torch.func" in Path(path).read_text("utf-8") or "forward_ad" in Path(path).read_text("utf-8"):
        with warnings.catch_warnings():  # forward mode loads this when it is first used; it uses torch.jit, which warns
            warnings.simplefilter("ignore")
            importlib.import_module("torch._decomp.decompositions_for_jvp")
    sys.argv = [path]
    sys.path.insert(0, STAND_INS)
    error: BaseException | None = None
    start = time.process_time()
    warned: list[Warned] = []

    def note(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
        """The line is that of the program: where torch blames itself, the one that called it."""
        frame = sys._getframe(1)
        while frame is not None and frame.f_code.co_filename != path:
            frame = frame.f_back  # type: ignore[assignment]
        line = lineno if filename == path else None if frame is None else frame.f_lineno
        warned.append(Warned(tuple(cls.__name__ for cls in category.__mro__), str(message), line))

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()) as out:
        warnings.simplefilter("always")
        warnings.showwarning = note  # type: ignore[assignment]
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as stop:
            error = stop if stop.code else None
        except BaseException as problem:
            error = problem
    cpu = time.process_time() - start
    frames = traceback.extract_tb(error.__traceback__ if error else None)
    own = [frame.lineno for frame in frames if frame.filename == path]
    answer.send(
        Run(
            tuple(cls.__name__ for cls in type(error).__mro__) if error else (),
            str(error or ""),
            own[-1] if own else None,
            "".join(traceback.format_exception(error)) if error else "",
            tuple(warned),
            cpu,
            out.getvalue(),
        )
    )


def run(path: Path) -> Run:
    """Run one program in a fresh process. Fails the test when the process dies or hangs."""
    methods = multiprocessing.get_all_start_methods()
    if "forkserver" in methods:
        context: multiprocessing.context.BaseContext = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["torch", "torch._dynamo", "torch.distributions", "numpy", "pytest"])
    else:
        context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=execute, args=(str(path), sender))  # type: ignore[attr-defined]
    process.start()
    sender.close()
    try:
        if not receiver.poll(PATIENCE):
            pytest.fail(f"still running after {PATIENCE:.0f} s")
        answer: Run = receiver.recv()
    except EOFError:
        process.join()
        pytest.fail(f"the process died with exit code {process.exitcode}")
    finally:
        process.kill()
        process.join()
        receiver.close()
    return answer
