"""`with`: contexts that are entered and left."""

from __future__ import annotations

import libcst as cst

from flake8_detach.flow import (
    assignments,
    autograd,
    calls,
    contexts,
    forward_ad,
    lingering,
)
from flake8_detach.flow.evaluate import evaluate
from flake8_detach.flow.machine import Machine
from flake8_detach.flow.statements import execute_body, statement
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    UNKNOWN,
    Foreign,
    Function,
    Mode,
    Ref,
    Sequence,
    Thing,
    Value,
)


def leave_withs(m: Machine, count: int) -> None:
    """Leaving early runs the `__exit__` of the `with` statements inside: grad mode is what it was before them."""
    if len(m.frame.withs) > count:
        m.go_back(m.frame.withs[count])


@statement(cst.With)
def with_(m: Machine, node: cst.With) -> bool:
    modes = m.modes()
    guards = m.guards
    block = m.block
    for item in node.items:
        value = evaluate(m, item.item)
        contexts.entered(m, item.item, value)
        before = lingering.entered(m, value)
        if before is not None:
            modes = (before, modes[1])
        entered = enter_context(m, item.item, value)
        if item.asname is not None:
            contexts.bound(m, item, node.body, value)
            assignments.assign(m, item.asname.name, entered)
    m.frame.withs.append(modes)
    alive = execute_body(m, node.body)
    m.frame.withs.pop()
    m.guards = guards
    m.block = block
    if alive:
        m.go_back(modes)
    return alive


def enter_context(m: Machine, node: cst.BaseExpression, value: Value) -> Value:
    """What `with value as x` binds to x; switches grad mode where the context does."""
    from flake8_detach.flow import hooks, saved_hooks

    cell = m.cell(value)
    if isinstance(cell, Thing):
        if cell.kind in ("pytest.raises", "contextlib.suppress", "unittest.assertRaises"):
            m.guards += 1
        if cell.kind == hooks.HANDLE:
            hooks.doubt(m)  # it is removed when the block ends
        if isinstance(value, Ref):
            saved_hooks.entered(m, node, value.addresses[0], cell)
        if cell.kind == forward_ad.LEVEL:
            forward_ad.enter(m, node)
        autograd.enter(m, cell.kind, cell.part("mode"), node)
        return NONE if cell.kind in contexts.SILENT else cell.part("enters") or value
    if (
        isinstance(node, cst.Call)
        and isinstance(node.func, cst.Attribute)
        and node.func.attr.value.startswith("assertRaises")
    ):
        m.guards += 1
        return UNKNOWN
    if isinstance(cell, Sequence) and cell.kind == "generator":  # a @contextmanager of the file
        modes: Mode | None = m.state.get((value.addresses[0], "*mode")) if isinstance(value, Ref) else None
        if modes is not None:
            m.set_mode(modes)
        return cell.element
    if isinstance(value, Foreign):
        return value
    if value == UNKNOWN:
        # an unknown context manager may well switch grad mode off (`with self.ema_scope():`)
        m.set_mode(Mode(MAYBE if m.mode.grad.yes else m.mode.grad, MAYBE, m.mode.why))
        return UNKNOWN
    from flake8_detach.flow import modules

    entered = modules.find(m, value, "__enter__")
    if isinstance(entered, Function):
        return calls.call(m, entered, calls.Args([]), node)
    return value
