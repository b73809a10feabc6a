"""`try`: handlers run on what the body may have done before it raised."""

from __future__ import annotations

import libcst as cst

from flake8_detach.flow.machine import Machine
from flake8_detach.flow.slots import ABSENT, CELL, Delta
from flake8_detach.flow.statements import execute_body, statement
from flake8_detach.flow.values import UNKNOWN, Mapping_, Sequence, Tensor


@statement(cst.Try)
def try_(m: Machine, node: cst.Try) -> bool:
    catches = any(catches_torch_errors(h) for h in node.handlers)
    handled = bool(node.handlers)
    mark = m.state.mark()
    left = len(m.frame.returns)
    outermost = m.state.log is None
    m.state.log = m.state.log or []
    begun = len(m.state.log)
    m.guards += catches
    m.handlers += handled
    caught = m.caught
    alive = execute_body(m, node.body)
    m.handlers -= handled
    m.guards -= catches
    partial = [{}, m.state.delta(mark), *m.state.between(mark, begun)]
    if outermost:
        m.state.log = None
    if alive and node.orelse is not None:
        skipped = m.caught > caught  # torch raises in the body: `else` is run for the state behind it only
        m.quiet += skipped
        alive = execute_body(m, node.orelse.body)
        m.quiet -= skipped
    paths = [m.state.delta(mark)] if alive else []
    m.state.undo(mark)
    idle = m.caught == caught  # nothing is known to raise: what is wrong in a handler is so if it is ever run
    m.presumed += idle
    for handler in node.handlers:
        interrupted(m, partial)
        if handler.name is not None and isinstance(handler.name.name, cst.Name):
            m.bind(handler.name.name.value, UNKNOWN)
        if execute_body(m, handler.body):
            paths.append(m.state.delta(mark))
        m.state.undo(mark)
    m.presumed -= idle
    if node.finalbody is not None:
        if m.handlers:  # it also runs on the way to a handler around this statement: see the log
            interrupted(m, partial)
            m.quiet += 1
            execute_body(m, node.finalbody.body)
            m.quiet -= 1
            m.state.undo(mark)
        finish(m, node.finalbody, left)
    if paths:
        m.state.join(paths)
    elif node.finalbody is not None:
        interrupted(m, partial)
        execute_body(m, node.finalbody.body)
        return False
    if node.finalbody is not None:
        return execute_body(m, node.finalbody.body) and bool(paths)
    return bool(paths)


def interrupted(m: Machine, partial: list[Delta]) -> None:
    """Go on where the body may have stopped at any statement. The paths say what each slot may hold, and not together
    with what: a variable may lead to a tensor that is not yet, or no longer, what it is on the path that bound it. So
    tensors meet first, then what holds them, then what leads to these."""
    kinds: dict[int, int] = {}
    for slot in dict.fromkeys(slot for path in partial for slot in path):
        if slot[0] not in kinds:
            cells = [path.get((slot[0], CELL)) for path in partial] + [m.state.get((slot[0], CELL))]
            cell = next((c for c in cells if c is not None and c is not ABSENT), None)
            kinds[slot[0]] = 0 if isinstance(cell, Tensor) else 1 if isinstance(cell, (Sequence, Mapping_)) else 2
    since = m.state.address()  # what the body has made it need not have used yet
    for kind in range(3):
        paths = [{slot: content for slot, content in path.items() if kinds[slot[0]] == kind} for path in partial]
        if any(paths):
            m.state.join(paths, since=since)


def finish(m: Machine, node: cst.Finally, left: int) -> None:
    """`finally` also runs on the paths that return from within the `try`, the ones from `left` on."""
    frame = m.frame
    returned = (frame.id, "*return")
    for i in range(left, len(frame.returns)):
        mark = m.state.mark()
        m.state.apply(frame.returns[i])
        value = m.state.get(returned)
        if execute_body(m, node.body):
            m.state.set(returned, value)
            frame.returns[i] = m.state.delta(frame.mark)
        m.state.undo(mark)


@statement(cst.TryStar)
def try_star(m: Machine, node: cst.TryStar) -> bool:
    return try_(m, node)  # type: ignore[arg-type]


def catches_torch_errors(handler: cst.ExceptHandler | cst.ExceptStarHandler) -> bool:
    """Does the handler catch what autograd raises (RuntimeError, TypeError, AttributeError)?"""
    if handler.type is None:
        return True
    kinds = [e.value for e in handler.type.elements] if isinstance(handler.type, cst.Tuple) else [handler.type]
    names = {
        k.value if isinstance(k, cst.Name) else k.attr.value if isinstance(k, cst.Attribute) else "" for k in kinds
    }
    return bool(names & CAUGHT)


CAUGHT = {"RuntimeError", "TypeError", "AttributeError", "ValueError", "AssertionError", "Exception", "BaseException"}
"""What torch and Python raise for autograd misuse, and the bases of these."""
