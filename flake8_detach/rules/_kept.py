"""How the rules about memory tell what is held and for how long."""

from __future__ import annotations

from typing import Any

from flake8_detach import fixes
from flake8_detach.fixes.edits import Applicability, Fix
from flake8_detach.flow.events import Retained
from flake8_detach.rules._base import Note
from flake8_detach.source import Source, code


def held(event: Retained, source: Source) -> str:
    """What every iteration leaves behind."""
    if event.freed.yes and event.freed_at is not None:
        return f"every iteration's graph, freed by the backward on line {source.line(event.freed_at)}, stays in memory"
    whole = " with all of its activations" if event.freed.no else ""
    return f"every iteration's graph stays in memory{whole}"


def trail(event: Retained, source: Source) -> tuple[Note, ...]:
    """Where the graph was used up."""
    return (Note(source.span(event.freed_at), "frees the graph"),) if event.freed_at is not None else ()


def cause(event: Retained) -> Any:
    """A loop that never backwards keeps a graph because it builds one: what is told of that loop is told once."""
    return event.loop if event.freed.no else None


PLACES = {"append": 0, "add": 0, "appendleft": 0, "put": 0, "insert": 1}
"""Methods that put one thing into a container, and which of their arguments it is."""


def detached(event: Retained, source: Source, kind: Applicability) -> Fix | None:
    """Detach what is kept, in the statement that stores it."""
    import libcst as cst

    line = fixes.place.statement(source, event.node)
    if not event.whole or line is None:
        return None
    value: cst.BaseExpression | None = None
    small = line.body[0]
    if event.how == "container":
        node = event.node
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in PLACES:
            value = fixes.place.argument(node, PLACES[node.func.attr.value])
        elif isinstance(small, cst.Assign) and [t.target for t in small.targets] == [node]:
            value = small.value
    elif isinstance(small, cst.AugAssign):
        value = small.value
    elif isinstance(small, cst.Assign) and len(small.targets) == 1:
        target, value = code(small.targets[0].target), small.value
        if target.rpartition(".")[2] != str(event.subject):
            return None
        plus = isinstance(value, cst.BinaryOperation) and isinstance(value.operator, cst.Add) and not value.lpar
        if isinstance(value, cst.BinaryOperation) and plus and code(value.left) == target:
            value = value.right
    return (
        None
        if value is None
        else fixes.build.offer("insert `.detach()`", kind, fixes.build.postfix(source, value, ".detach()"))
    )
