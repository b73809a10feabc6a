"""`for x in f(...)` over a generator function of the file: the body of the loop is run where the function yields.

So what the function keeps between two yields goes on from where it was, and what the body changes is seen by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import assignments, functions, managers, statements
from flake8_detach.flow.evaluate import evaluate
from flake8_detach.flow.machine import Loop
from flake8_detach.flow.memo import per_file
from flake8_detach.flow.values import Function, Thing, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

MOST = 3
"""A function with more places that yield is run before the loop: each of them would run the body."""


class _Left(Exception):
    """No path gets to the end of the body."""


def called(m: Machine, node: cst.For) -> Value:
    """What the loop goes through; a call that waits to be run where the function of the file suits."""
    call = node.iter
    if not isinstance(call, cst.Call) or (
        isinstance(call.func, cst.Name) and not isinstance(m.lookup(call.func.value), Function)
    ):
        return evaluate(m, call)  # `range`, `zip`: nothing of the file is to be run
    if node.asynchronous is not None or not _falls_through(node):
        return evaluate(m, call)
    before, m.ledger.awaited = m.ledger.awaited, node.iter
    try:
        return evaluate(m, node.iter)
    finally:
        m.ledger.awaited = before


def waits(m: Machine, value: Value) -> Thing | None:
    """Is it such a call?"""
    cell = m.cell(value)
    return cell if isinstance(cell, Thing) and cell.kind == functions.WAITING else None


def interleaved(m: Machine, node: cst.For, cell: Thing) -> bool:
    """Run the function, and the body of the loop with each value that it yields; False if no path gets past it."""
    function = cell.part("function")
    assert isinstance(function, Function)
    start, frames, depth, guards = m.state.mark(), len(m.frames), m.depth, m.guards
    loop = Loop(start, len(m.frame.withs))

    from flake8_detach.flow import loops

    def resume(value: Value) -> None:
        suspended, inner = m.frames[frames:], m.depth
        del m.frames[frames:]
        m.depth = depth
        m.frame.loops.append(loop)
        loop.mark = m.state.mark()
        try:
            assignments.assign(m, node.target, value)
            alive = loops.meet(m, loop, statements.execute_body(m, node.body))
        finally:
            m.frame.loops.pop()
            m.frames.extend(suspended)
            m.depth = inner
        if not alive:
            raise _Left

    try:
        functions.run(m, function, managers.arguments(cell), node.iter, resume=resume)
    except _Left:
        return False
    finally:
        m.depth, m.guards = depth, guards
    return statements.execute_body(m, node.orelse.body) if node.orelse is not None else True


@per_file
def suits(definition: cst.CSTNode) -> bool:
    """Is it a generator function whose yields the body of a loop can stand at? One that is in a `with` yields in
    another mode."""
    parts = list(trees.run_by(definition))
    yields = [part for part in parts if isinstance(part, cst.Yield)]
    return 0 < len(yields) <= MOST and not any(
        isinstance(part, (cst.With, cst.Try, cst.From, cst.NamedExpr)) for part in parts
    )


@per_file
def _falls_through(node: cst.For) -> bool:
    """Does each iteration end at the end of the body, or with `continue`?"""
    return not any(isinstance(part, (cst.Return, cst.Break, cst.Yield, cst.Raise)) for part in trees.run_by(node.body))
