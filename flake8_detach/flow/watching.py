"""Looking at one line of a file while the machine runs it: what it computes or backwards, each time it is run.

Just before a statement of the line is run, it is run once on trial: the values are looked at, and the state is put
back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import statements
from flake8_detach.flow.drawing import Drawing
from flake8_detach.flow.evaluate import evaluate
from flake8_detach.flow.events import Backward, Event
from flake8_detach.flow.program import follow
from flake8_detach.flow.tracing import draw
from flake8_detach.flow.values import UNKNOWN, Value
from flake8_detach.source import Source, code

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

SMALL = (cst.Assign, cst.AnnAssign, cst.AugAssign, cst.Expr, cst.Return)
"""Statements that compute something. A line in the middle of one counts as its line; a line with several shows the last
that has a graph."""

MOST = 100
"""So many runs of the line are looked at."""


@dataclass
class Watch:
    """What is seen of the statements `small` of one line. visits: how often they are run. unknown: why nothing was
    drawn, if that is because a value was not known."""

    file: Source
    small: dict[int, cst.CSTNode]
    drawings: list[Drawing] = field(default_factory=list)
    visits: int = 0
    unknown: str = ""
    _machine: Machine | None = None
    _backwarded: Drawing | None = None

    def __post_init__(self) -> None:
        self._parts = {id(part) for node in self.small.values() for part in trees.walk(node)}

    def __call__(self, m: Machine, node: cst.CSTNode) -> None:
        """A statement is about to be run: run it on trial, look, and put the state back."""
        if self._machine is not None or id(node) not in self.small or self.visits >= MOST:
            return
        self.visits += 1
        contexts, mark = dict(m.contexts), m.state.mark()
        self._machine, self._backwarded = m, None
        try:
            drawing = self._look(m, node)
        finally:
            self._machine = None
            m.state.undo(mark)
            m.contexts = contexts
        if drawing is not None:
            self.drawings.append(replace(drawing, visit=self.visits))

    def take(self, event: Event) -> None:
        """The sink of the machine. A backward on the line tells what it starts from just before it frees it."""
        m = self._machine
        if m is not None and isinstance(event, Backward) and id(event.node) in self._parts and not self._backwarded:
            self._backwarded = draw(m, self.file, event.value, str(event.subject))

    def _look(self, m: Machine, node: cst.CSTNode) -> Drawing | None:
        """What the statement backwards, or computes, or is given."""
        for value, name in self._values(m, node):
            found = self._backwarded or draw(m, self.file, value, name)
            if found is not None:
                return found
            if value == UNKNOWN:
                self.unknown = self.unknown or name
        return None

    def _values(self, m: Machine, node: Any) -> Iterator[tuple[Value, str]]:
        if isinstance(node, cst.AugAssign):
            statements.HANDLERS[cst.AugAssign](m, node)
            yield evaluate(m, node.target), code(node.target)
            return
        if node.value is None:
            return
        name = code(node.targets[0].target) if isinstance(node, cst.Assign) else ""
        name = code(node.target) if isinstance(node, cst.AnnAssign) else name
        yield evaluate(m, node.value), name or (code(node.value) if not isinstance(node, cst.Return) else "")
        if isinstance(node, cst.Expr) and isinstance(node.value, cst.Call):  # `losses.append(loss)`, `print(loss)`
            for given in node.value.args:
                yield evaluate(m, given.value), code(given.value)
            if isinstance(node.value.func, cst.Attribute):
                yield evaluate(m, node.value.func.value), code(node.value.func.value)


def watch(source: Source, line: int) -> Watch:
    """Run the whole file, and look at what the statements on that line do. Raises what `follow` raises."""
    watch = Watch(source, {id(node): node for node in _small(source, line)})
    if watch.small:
        follow(source, range(len(source.chunks)), watch.take, watch=watch)
    return watch


def _small(source: Source, line: int) -> Iterator[cst.CSTNode]:
    for chunk in source.chunks:
        if chunk.first_line <= line <= chunk.last_line:
            for node in trees.walk(chunk.module):
                if isinstance(node, SMALL):
                    span = source.span(node)
                    if span.line <= line <= span.end_line:
                        yield node
