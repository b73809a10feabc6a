"""Hooks that change nothing although they were meant to: the new gradient is not returned, or no backward comes after.
Asked of a hook that has run and returned None: is something computed from the gradient that nobody looks at? That is a
question about the text of the hook: an assignment whose name is not read after it, a lambda without any side effect.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow.afterwards import Reached
from flake8_detach.flow.events import HookIdle
from flake8_detach.flow.values import External, Function, Tensor
from flake8_detach.knowledge import ops
from flake8_detach.knowledge.hooks import CONTRACTS, REPLACED

if TYPE_CHECKING:
    from flake8_detach.flow.hooks import Hook
    from flake8_detach.flow.machine import Machine


def forgotten(m: Machine, hook: Hook) -> None:
    """The hook has returned None: tell of what it has computed for nothing."""
    function, given = hook.function, REPLACED.get(hook.kind)
    if not isinstance(function, Function) or given is None or id(hook.site) in m.hooks_told:
        return
    m.hooks_told.add(id(hook.site))
    params = function.definition.params
    names = [p.name.value for p in (*params.posonly_params, *params.params)][function.bound is not None :]
    places = [CONTRACTS[hook.kind].takes.index(name) for name in given]
    tainted = {names[i] for i in places if i < len(names)}
    body = function.definition.body
    lost = _of_lambda(m, body, tainted) if isinstance(body, cst.BaseExpression) else _unread(m, body, tainted)
    if lost is not None:
        m.emit(HookIdle, lost, what="unreturned", subject=m.text(lost), at=hook.site)


def _of_lambda(m: Machine, body: cst.BaseExpression, tainted: set[str]) -> cst.CSTNode | None:
    """A lambda that only computes: whatever it does is for nothing, as it gives None."""
    computed = [n for n in trees.walk(body) if _computes(m, n, tainted)]
    harmless = all(not isinstance(n, (cst.Call, cst.NamedExpr)) or _computes(m, n, tainted) for n in trees.walk(body))
    return computed[0] if computed and harmless else None


_READERS = frozenset({"locals", "vars", "eval", "exec"})
"""Functions that may read any variable."""


def _unread(m: Machine, body: cst.BaseSuite, tainted: set[str]) -> cst.CSTNode | None:
    """The first assignment of something computed from the gradient to a name that is not read after it."""
    statements = list(body.body)
    if any(
        isinstance(n, cst.Call) and isinstance(n.func, cst.Name) and n.func.value in _READERS for n in trees.walk(body)
    ):
        return None
    outer = {n.name.value for n in trees.walk(body) if isinstance(n, cst.NameItem)}  # global, nonlocal
    for index, line in enumerate(statements):
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            if not (isinstance(small, cst.Assign) and len(small.targets) == 1):
                continue
            target = small.targets[0].target
            if not isinstance(target, cst.Name) or not _mentions(small.value, tainted):
                continue
            if _computes(m, small.value, tainted) and target.value not in outer:
                later = (n for s in statements[index:] for n in trees.walk(s) if n is not line and n is not target)
                inside = {id(n) for n in trees.walk(small.value)}
                if not any(isinstance(n, cst.Name) and n.value == target.value and id(n) not in inside for n in later):
                    return small.value
            tainted = tainted | {target.value}
    return None


def _computes(m: Machine, node: cst.CSTNode, tainted: set[str]) -> bool:
    """Is it an operation on the gradient that leaves everything else as it is?"""
    if isinstance(node, (cst.BinaryOperation, cst.UnaryOperation)):
        return _mentions(node, tainted) and _pure(m, node)
    return isinstance(node, cst.Call) and _mentions(node, tainted) and _pure(m, node)


def _pure(m: Machine, node: cst.CSTNode) -> bool:
    return all(_is_op(m, n) for n in trees.walk(node) if isinstance(n, cst.Call)) and not any(
        isinstance(n, (cst.NamedExpr, cst.Await, cst.Yield, cst.Lambda)) for n in trees.walk(node)
    )


def _is_op(m: Machine, call: cst.Call) -> bool:
    if not isinstance(call.func, cst.Attribute):
        return False
    name = call.func.attr.value
    root: cst.BaseExpression = call.func
    while isinstance(root, cst.Attribute):
        root = root.value
    owner = m.lookup(root.value) if isinstance(root, cst.Name) else None
    if isinstance(owner, External):
        value = m.evaluate(call.func)
        op = ops.function(value.name) if isinstance(value, External) else None
    else:
        op = ops.method(name)
    return op is not None and not op.inplace and not op.writes and op.graph != "python"


def _mentions(node: cst.CSTNode, names: set[str]) -> bool:
    return any(isinstance(n, cst.Name) and n.value in names for n in trees.walk(node))


def late(m: Machine, node: cst.CSTNode, address: int, tensor: Tensor, method: str) -> None:
    """A hook is registered on a tensor that a backward has come by: will another one come?"""
    number, before = tensor.node, m.retention.passes.get(tensor.node or 0)
    if m.quiet or (number is None and m.visit is not None) or address in m.escaped:
        return
    if number is None:
        filled = m.cell(m.state.get((address, "grad")))
        if not (isinstance(filled, Tensor) and filled.made == "grad"):
            return
    elif before is None:
        return
    event = m.event(HookIdle, node, what="late", subject=method, at=node)

    def tell(reached: Reached) -> None:
        handed = reached.leaf_outside(address) if number is None else reached.outside(number)
        again = handed or m.retention.passes.get(number or 0) != before
        if id(node) not in m.hooks_run and not again and address not in m.escaped:
            m.sink(event)

    m.afterwards.ask(tell)
