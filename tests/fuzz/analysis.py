"""What the linter says about a program: its findings, and the state of the engine at every statement."""

from __future__ import annotations

import ast
import functools
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import libcst as cst

from flake8_detach import rules
from flake8_detach.flow import graph_walk, statements
from flake8_detach.flow.events import Event
from flake8_detach.flow.machine import MAX_CONTEXTS, Machine
from flake8_detach.flow.program import follow
from flake8_detach.flow.values import Mode, Ref, Tensor, Truth
from flake8_detach.rules._base import Finding, Rule
from flake8_detach.rules._collect import Collector
from flake8_detach.source import Chunk, Parsed, Source


class Reported(NamedTuple):
    """A finding, as far as torch can judge it. text: the source of what is reported. through: the lines of the calls
    by which the engine came there, and its own."""

    code: str
    line: int
    confidence: str
    text: str
    message: str
    through: tuple[int, ...] = ()


@dataclass(frozen=True)
class Visit:
    """The engine's state when it came to a statement. frame: where the variables of the function are."""

    frame: int
    slots: dict[tuple[int, str], Any]
    escaped: frozenset[int]
    module_level: bool

    @property
    def mode(self) -> Mode:
        mode: Mode = self.slots[0, "mode"]
        return mode

    def in_turn(self) -> frozenset[int]:
        """The objects that a variable stands for in turn: `p` in `for p in net.parameters()`."""
        values = [value for (owner, _), value in self.slots.items() if owner == self.frame and isinstance(value, Ref)]
        return frozenset(a for value in values if len(value.addresses) > 1 for a in value.addresses)


@dataclass
class Analysis:
    """findings: what is reported. told: rule and line of what is not, as another rule has told of the same cause.
    visits: by line. freed: of the variables that hold a graph tensor at the end of the program, has backward used up
    their graph? complete: did the engine go everywhere?"""

    findings: list[Reported] = field(default_factory=list)
    told: set[tuple[str, int]] = field(default_factory=set)
    visits: dict[int, list[Visit]] = field(default_factory=dict)
    freed: dict[str, Truth] = field(default_factory=dict)
    complete: bool = True

    def reported(self, code: str) -> list[Reported]:
        return [f for f in self.findings if f.code == code]


def analyse(text: str) -> Analysis:
    """Lint `text`, whose last statement is `pass`, and record what the engine knew."""
    source = Source(text)
    times: Counter[str] = Counter()
    for chunk in source.chunks:
        chunk.parsed = parsed(chunk.text, times[chunk.text])
        times[chunk.text] += 1
    result = Analysis()
    with observed() as record:
        collector = Listening(rules.load().values(), source, record)
        follow(source, range(len(source.chunks)), collector.take)
    lines = {}
    for chunk in source.chunks:
        for line, node in lines_of(chunk):
            lines[id(node)] = line
            if id(node) in record.visits:
                result.visits[line] = record.visits[id(node)]
    for finding in collector.findings:
        span = finding.span
        text_of = source.lines[span.line - 1][span.column : span.end_column if span.end_line == span.line else None]
        through = tuple(lines[n] for n in collector.stacks.get(id(finding), ()) if n in lines)
        result.findings.append(Reported(finding.code, span.line, finding.confidence, text_of, finding.message, through))
    result.told = {(finding.code, finding.span.line) for finding in collector.told}
    machine = record.machine
    if machine is not None:
        bounded = machine.budget < 0 or max(machine.contexts.values(), default=0) >= MAX_CONTEXTS
        result.complete = not bounded and not machine.shortened
    result.freed = record.freed
    return result


@functools.lru_cache(maxsize=200)
def parsed(text: str, time: int) -> Parsed:
    """The tree of a chunk with its positions, and another one if the same text stands in the program a second `time`. A
    program that was repaired and runs again shares most of its text with the first one."""
    return Parsed(text)


class Listening(Collector):
    """Also keeps what is not reported, as another rule has told of the same cause, and by which statements, one in
    each function that was called, the engine came to what is (stacks: by id of the finding)."""

    def __init__(self, rules: Iterable[Rule], source: Source, record: Record) -> None:
        super().__init__(rules, source)
        self.told: list[Finding] = []
        self.record = record
        self.stacks: dict[int, list[int]] = {}

    def take(self, event: Event) -> None:
        super().take(event)
        for finding in list(self._findings.values())[len(self.stacks) :]:
            self.stacks[id(finding)] = self.record.stack()

    def _told_already(self, finding: Finding) -> bool:
        already = super()._told_already(finding)
        if already:
            self.told.append(finding)
        return already


def nested(tree: ast.AST) -> Iterator[ast.AST]:
    """The statements of a tree, without the expressions in them."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                todo.extend(block)


def lines_of(chunk: Chunk) -> Iterator[tuple[int, cst.SimpleStatementLine]]:
    """The simple statements of a chunk with their lines. Resolving positions costs more than linting; but in a
    generated program every simple statement has a line of its own, so the order tells which is which."""
    lines = sorted(n.lineno for n in nested(chunk.tree) if isinstance(n, ast.stmt) and not hasattr(n, "body"))
    nodes = []
    todo: list[Any] = [chunk.module]
    while todo:
        node = todo.pop()
        if isinstance(node, cst.SimpleStatementLine):
            nodes.append(node)
        elif isinstance(node, (list, tuple)):
            todo.extend(reversed(node))
        else:  # what statements stand in, in the order of the text; `children` takes long
            blocks = [getattr(node, name, None) for name in ("body", "handlers", "cases", "orelse", "finalbody")]
            todo.extend(block for block in reversed(blocks) if block is not None)
    # `match` has no body of its own in `ast`, and stands on a line of its own
    subjects = {n.lineno for n in nested(chunk.tree) if isinstance(n, ast.Match)}
    return zip([line for line in lines if line not in subjects], nodes, strict=True)


@dataclass
class Record:
    """What `observed` sees. visits: by id of the statement. current: the statement that a frame has come to."""

    visits: dict[int, list[Visit]] = field(default_factory=lambda: defaultdict(list))
    freed: dict[str, Truth] = field(default_factory=dict)
    machine: Machine | None = None
    current: dict[int, int] = field(default_factory=dict)

    def stack(self) -> list[int]:
        """The ids of the statements of the functions that are running."""
        frames = self.machine.frames if self.machine is not None else ()
        return [self.current[frame.id] for frame in frames if frame.id in self.current]


@contextmanager
def observed() -> Iterator[Record]:
    """While it lasts, note the engine's state before every simple statement."""
    record = Record()
    original = statements.HANDLERS[cst.SimpleStatementLine]

    def note(m: Machine, node: cst.SimpleStatementLine) -> bool:
        record.machine = m
        record.current[m.frame.id] = id(node)
        # a class body is a frame of its own in the engine and in Python, but its names do not matter here
        state = Visit(m.frame.id, dict(m.state.slots), frozenset(m.escaped), len(m.frames) == 1)
        record.visits[id(node)].append(state)
        if len(m.frames) == 1 and isinstance(node.body[0], cst.Pass):
            record.freed = used_up(m)
        return original(m, node)

    statements.HANDLERS[cst.SimpleStatementLine] = note
    try:
        yield record
    finally:
        statements.HANDLERS[cst.SimpleStatementLine] = original


def used_up(m: Machine) -> dict[str, Truth]:
    """For the variables of the module that hold a tensor with a graph: would another backward find it freed?"""
    found = {}
    for (owner, name), value in m.state.slots.items():
        if owner == m.frame.id and isinstance(value, Ref) and len(value.addresses) == 1:
            cell = m.state.cell(value.addresses[0])
            if isinstance(cell, Tensor) and cell.node is not None and cell.grad is Truth.YES:
                found[name] = graph_walk.freed(m, cell.node)[0]
    return found
