"""Runs a program under torch, in this process, and tells what happened and on which line."""

from __future__ import annotations

import builtins
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import CO_OPTIMIZED
from types import CodeType, FrameType, TracebackType
from typing import Any

import torch
import torch._dynamo  # an optimizer would import it later, in the middle of a timed run

FILE = "<fuzz>"
STEPS = 4000
"""Lines after which a program counts as endless."""


class Endless(BaseException):
    """The program does not end; its handlers of exceptions are not for this one."""


@dataclass
class Outcome:
    """error: what ended the program. where: the program's lines in its traceback, outermost first. raised: all lines
    that raised, caught or not. ran: the lines that were begun, and how often. warned: what torch warned of, by line.
    names: the module's variables."""

    error: BaseException | None = None
    where: tuple[int, ...] = ()
    raised: set[int] = field(default_factory=set)
    ran: dict[int, int] = field(default_factory=dict)
    warned: dict[int, list[str]] = field(default_factory=dict)
    names: dict[str, Any] = field(default_factory=dict)

    @property
    def message(self) -> str:
        return "" if self.error is None else f"{type(self.error).__name__}: {self.error}"

    @property
    def nonleaf(self) -> set[int]:
        """The lines on which torch warned about the `.grad` of a non-leaf."""
        return {n for n, told in self.warned.items() if any("not a leaf Tensor is being accessed" in t for t in told)}

    @property
    def line(self) -> int | None:
        return self.where[-1] if self.where else None


def run(text: str, look: Callable[[FrameType], None] | None = None) -> Outcome:
    """Run the program; `look` is called before every line with the frame that is about to run it."""
    outcome = Outcome()
    outcome.names = {"__name__": "__main__", "__builtins__": {**vars(builtins), "print": lambda *args: None}}
    steps = 0

    def local(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal steps
        if event == "exception":
            outcome.raised.add(frame.f_lineno)
        elif event == "line":
            steps += 1
            if steps > STEPS:
                raise Endless
            outcome.ran[frame.f_lineno] = outcome.ran.get(frame.f_lineno, 0) + 1
            if look is not None:
                look(frame)
        return local

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        return local if belongs(frame.f_code) else None

    torch.manual_seed(0)
    before, threads = sys.gettrace(), torch.is_grad_enabled()

    def warned(message: Warning | str, *rest: Any, **more: Any) -> None:
        frame: FrameType | None = sys._getframe()
        while frame is not None and frame.f_code.co_filename != FILE:
            if frame.f_code is local.__code__:
                return  # `look` has read an attribute, not the program
            frame = frame.f_back
        if frame is not None:
            outcome.warned.setdefault(frame.f_lineno, []).append(str(message))

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = warned
        code = compile(text, FILE, "exec")
        sys.settrace(trace)
        try:
            exec(code, outcome.names)
        except (Exception, Endless) as error:
            sys.settrace(before)
            outcome.error = error
            outcome.where = lines_of(error.__traceback__)
        finally:
            sys.settrace(before)
            torch.set_grad_enabled(threads)
    return outcome


def belongs(code: CodeType) -> bool:
    """Is it the module or a function of the program? Comprehensions and lambdas have no statements, and the engine runs
    a class body when it first needs the class."""
    if code.co_filename != FILE:
        return False
    return code.co_name == "<module>" or (not code.co_name.startswith("<") and bool(code.co_flags & CO_OPTIMIZED))


def lines_of(trace: TracebackType | None) -> tuple[int, ...]:
    found = []
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == FILE:
            found.append(trace.tb_lineno)
        trace = trace.tb_next
    return tuple(found)
