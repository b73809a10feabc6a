"""`@contextmanager` functions of the file: the block of a `with` statement is run where their `yield` stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import calls, functions
from flake8_detach.flow.calls import Args
from flake8_detach.flow.values import MAYBE, UNKNOWN, Const, Function, Mode, Ref, Thing, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

KIND = functions.MANAGER
KEYWORD = "keyword "


class _Left(Exception):
    """No path gets past the block: the function does not go on behind its `yield`."""


def arguments(cell: Thing) -> Args:
    """What the function was called with."""
    pos, is_open = cell.part("pos"), cell.part("open")
    keywords = {name.removeprefix(KEYWORD): value for name, value in cell.parts if name.startswith(KEYWORD)}
    return Args(list(pos.items) if isinstance(pos, Tuple) else [], keywords, is_open == Const(True))


def within(m: Machine, manager: Ref, cell: Thing, place: cst.CSTNode, block: Callable[[Value], bool]) -> bool:
    """Run the function, and `block` with what it yields; False if no path gets past the block."""
    function = cell.part("function")
    if not isinstance(function, Function) or _yields(function.definition) != 1:
        return block(entered(m, cell))  # which of them it comes to, and in what mode, may depend on anything
    depth, guards, saved = m.depth, m.guards, m.block
    frames = len(m.frames)
    reached = False

    def resume(value: Value) -> None:
        nonlocal reached
        reached = True
        suspended = m.frames[frames:]
        inner = m.depth
        del m.frames[frames:]
        m.depth = depth
        try:
            alive = block(value)
        finally:
            m.frames.extend(suspended)
            m.depth = inner
        if not alive:
            raise _Left

    try:
        functions.run(m, function, arguments(cell), m.makers.get(manager.addresses[0], place), resume=resume)
    except _Left:
        return False
    finally:
        m.depth, m.guards, m.block = depth, guards, saved
    return block(entered(m, cell)) if not reached else True


def _yields(definition: cst.CSTNode) -> int:
    """The number of `yield` in the function, apart from those of functions in it."""
    return sum(isinstance(part, cst.Yield) for part in trees.run_by(definition))


def entered(m: Machine, cell: Thing) -> Value:
    """It is entered in a way that does not show where its block ends."""
    left(m, cell)
    m.set_mode(Mode(MAYBE if m.mode.grad.yes else m.mode.grad, MAYBE, m.mode.why))
    return UNKNOWN


def left(m: Machine, cell: Thing) -> None:
    """The block is left by `return` or `break`: what stands behind `yield` runs, and may undo what was done before."""
    calls.escape(m, arguments(cell).values())
