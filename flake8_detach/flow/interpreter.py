"""The interpreter: simple statements here, all others in rooms that register themselves when they are imported."""

from __future__ import annotations

import libcst as cst

from flake8_detach.flow import (
    anomalies,
    assignments,
    autograd,
    branches,
    definitions,
    idle,
    library,
    loops,
    narrowing,
    operators,
    tries,
    withs,
)
from flake8_detach.flow.evaluate import evaluate
from flake8_detach.flow.machine import Machine
from flake8_detach.flow.statements import execute_block, statement
from flake8_detach.flow.values import (
    NO,
    UNKNOWN,
    Const,
    External,
    Thing,
    Value,
)
from flake8_detach.imports import bindings, canonical

ROOMS = (assignments, branches, definitions, loops, tries, withs)
"""Where the statements are executed that are not simple; `statements.HANDLERS` leads there."""


@statement(cst.SimpleStatementLine)
def line(m: Machine, node: cst.SimpleStatementLine) -> bool:
    return execute_block(m, node.body)


@statement(cst.SimpleStatementSuite)
def suite(m: Machine, node: cst.SimpleStatementSuite) -> bool:
    return execute_block(m, node.body)


@statement(cst.IndentedBlock)
def block(m: Machine, node: cst.IndentedBlock) -> bool:
    return execute_block(m, node.body)


@statement(cst.Expr)
def expr(m: Machine, node: cst.Expr) -> bool:
    if idle.unrun(m, node.value):
        return True
    value = evaluate(m, node.value)
    idle.dropped(m, node.value, value)
    anomalies.switched(m, node.value, value)
    # `torch.set_grad_enabled(False)` as a statement takes effect; the other modes do not
    cell = m.cell(value)
    if isinstance(cell, Thing) and cell.kind == "torch.set_grad_enabled":
        autograd.enter(m, cell.kind, cell.part("mode"), node.value)
    return not (isinstance(node.value, cst.Call) and value == External("builtins.exit"))


@statement(cst.Import)
def import_(m: Machine, node: cst.Import) -> bool:
    for name, qualified in bindings(node).items():
        m.bind(name, External(canonical(qualified)))
    return True


@statement(cst.ImportFrom)
def import_from(m: Machine, node: cst.ImportFrom) -> bool:
    for name, qualified in bindings(node).items():
        if name == "*":
            star_import(m, qualified)
        else:
            m.bind(name, External(canonical(qualified)) if not qualified.startswith(".") else UNKNOWN)
    return True


def star_import(m: Machine, module: str) -> None:
    """`from torch import *`: names that nothing in the file binds come from there if the library has them."""
    outer = m.lookup_global

    def look(name: str) -> Value | None:
        return library.star(module, name) or outer(name)

    m.lookup_global = look


@statement(cst.Global)
def global_(m: Machine, node: cst.Global) -> bool:
    for item in node.names:
        m.state.set((m.frame.id, f"*scope {item.name.value}"), m.frames[0].id)
    return True


@statement(cst.Nonlocal)
def nonlocal_(m: Machine, node: cst.Nonlocal) -> bool:
    for item in node.names:
        name = item.name.value
        owner = next((f for f in m.frame.scope[1:] if (f, name) in m.state.slots), None)
        if owner is not None:
            m.state.set((m.frame.id, f"*scope {name}"), owner)
    return True


@statement(cst.Return)
def return_(m: Machine, node: cst.Return) -> bool:
    value = evaluate(m, node.value) if node.value is not None else Const(None)
    m.state.set((m.frame.id, "*return"), value)
    frame = m.frame
    if frame.watch is not None:
        frame.watch(node, value)
    withs.leave_withs(m, 0)
    frame.returns.append(m.state.delta(frame.mark))
    return False


@statement(cst.Raise)
def raise_(m: Machine, node: cst.Raise) -> bool:
    if node.exc is not None:
        evaluate(m, node.exc)
    return False


@statement(cst.Assert)
def assert_(m: Machine, node: cst.Assert) -> bool:
    known = operators.truth_of(m, node.test, evaluate(m, node.test))
    narrowing.narrow(m, node.test, True)
    return known is not NO


__all__ = ["ROOMS", "execute_block"]
