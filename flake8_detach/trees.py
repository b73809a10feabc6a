"""Ways through libcst trees. `CSTNode.children` visits the node to find them and takes ten times as long as these."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # see source.py
    import libcst as cst

BLANK = frozenset(
    ["leading_lines", "lines_after_decorators", "header", "footer", "leading_whitespace", "trailing_whitespace"]
)
"""Fields of nodes with nothing in them but space and comments; so are those named whitespace_..."""


def children(node: cst.CSTNode) -> list[cst.CSTNode]:
    """What the node is made of, without space and comments; in the order of its fields, mostly that of the text."""
    return _within(node, _fields(type(node)))


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """The node and all that is in it, without space and comments; what stands first comes first."""
    todo = [node]
    while todo:
        current = todo.pop()
        yield current
        todo += children(current)[::-1]


def run_by(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Like `walk`, but nothing below the functions and classes that are defined in the node: those run at their
    calls."""
    import libcst as cst

    todo = [node]
    while todo:
        current = todo.pop()
        yield current
        if current is node or not isinstance(current, (cst.FunctionDef, cst.Lambda, cst.ClassDef)):
            todo += children(current)[::-1]


def comments(node: cst.CSTNode) -> int:
    """How many comments stand in the node."""
    import libcst as cst

    found, todo = 0, [node]
    while todo:
        current = todo.pop()
        found += isinstance(current, cst.Comment)
        todo += _within(current, tuple(_all(type(current))))
    return found


def _within(node: cst.CSTNode, fields: tuple[str, ...]) -> list[cst.CSTNode]:
    found: list[Any] = []
    for name in fields:
        part = getattr(node, name)
        kind = part.__class__
        if kind is list or kind is tuple:
            found += [inner for inner in part if hasattr(inner, "__dataclass_fields__")]
        elif hasattr(part, "__dataclass_fields__"):  # a node; isinstance of an abstract class takes three times as long
            found.append(part)
    return found


def _all(kind: type[cst.CSTNode]) -> dict[str, Any]:
    fields: dict[str, Any] = kind.__dataclass_fields__
    return fields


@cache
def _fields(kind: type[cst.CSTNode]) -> tuple[str, ...]:
    return tuple(name for name in _all(kind) if not name.startswith("whitespace") and name not in BLANK)
