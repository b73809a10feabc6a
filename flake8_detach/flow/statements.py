"""Where each kind of statement registers how it is executed, and how a block of them runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import libcst as cst

from flake8_detach.flow.machine import MAX_DEPTH, Machine, OutOfBudget

S = TypeVar("S", bound=cst.CSTNode)
HANDLERS: dict[type[cst.CSTNode], Callable[[Machine, Any], bool]] = {}


def statement(kind: type[S]) -> Callable[[Callable[[Machine, S], bool]], Callable[[Machine, S], bool]]:
    """Decorator: the function executes nodes of that type and tells whether control goes on after it."""

    def add(handler: Callable[[Machine, S], bool]) -> Callable[[Machine, S], bool]:
        HANDLERS[kind] = handler
        return handler

    return add


def execute(m: Machine, node: cst.CSTNode) -> bool:
    """Run one statement. False if no path gets past it."""
    handler = HANDLERS.get(type(node))
    if handler is None:
        return True
    if m.depth > MAX_DEPTH:
        raise OutOfBudget
    m.step()
    if m.watch is not None:
        m.watch(m, node)
    around, m.at = m.at, node
    m.depth += 1
    try:
        return handler(m, node)
    finally:
        m.depth -= 1
        m.at = around


def execute_block(m: Machine, body: Sequence[cst.CSTNode]) -> bool:
    return all(execute(m, node) for node in body)


def execute_body(m: Machine, suite: cst.BaseSuite) -> bool:
    return execute_block(m, suite.body)
