"""One Python file as the analysis sees it: text, top-level statements parsed on demand, positions on demand.

libcst parses about 11,000 lines a second and resolving positions doubles that, so both are lazy: a top-level
statement becomes a libcst tree when the engine first asks for it, and positions are resolved for a statement
only when a finding needs one.
"""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from flake8_detach import trees

if TYPE_CHECKING:  # loading libcst takes longer than linting most files; only what passes the gate needs it
    import libcst as cst

MAX_DEPTH = 400
"""libcst recurses in native code and takes the whole process down on trees that are much deeper."""


class Span(NamedTuple):
    """A stretch of text: lines count from 1, columns (in characters) from 0, the end is exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Lines:
    """Lines and columns of a text as offsets and back. Lines end at \\n, \\r\\n and \\r alone, as for Python."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._ends = [match.span() for match in re.finditer(r"\r\n|\r|\n", text)]
        self._starts = [0, *(end for _, end in self._ends)]

    def offset(self, line: int, column: int) -> int:
        """The offset of a position. Raises ValueError when the text has no such position."""
        if 1 <= line <= len(self._starts) and column >= 0:
            offset = self._starts[line - 1] + column
            if offset <= (self._ends[line - 1][0] if line <= len(self._ends) else len(self.text)):
                return offset
        raise ValueError(f"the text has no line {line}, column {column}")

    def position(self, offset: int) -> tuple[int, int]:
        """The line (from 1) and column (from 0) at `offset`."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1]

    def newline(self, line: int) -> str:
        """How `line` ends; for a last line without an end, how the first line does."""
        ends = self._ends[line - 1 : line] or self._ends[:1]
        return self.text[slice(*ends[0])] if ends else "\n"


class Parsed:
    """A libcst tree, and of its nodes, by `id(node)`: where each stands in the text, and what it is a part of."""

    def __init__(self, text: str) -> None:
        """Raises libcst.ParserSyntaxError where libcst's grammar differs from Python's."""
        import libcst as cst

        self.module = cst.parse_module(text)

    @cached_property
    def spans(self) -> dict[int, Span]:
        from libcst.metadata import MetadataWrapper, PositionProvider

        wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)
        return {
            id(node): Span(r.start.line, r.start.column, r.end.line, r.end.column)
            for node, r in wrapper.resolve(PositionProvider).items()
        }

    @cached_property
    def parents(self) -> dict[int, cst.CSTNode | None]:
        """None for the module."""
        found: dict[int, cst.CSTNode | None] = {id(self.module): None}
        todo: list[cst.CSTNode] = [self.module]
        while todo:
            node = todo.pop()
            inner = trees.children(node)
            found.update((id(child), node) for child in inner)
            todo += inner
        return found


@dataclass(eq=False)
class Chunk:
    """The text of one or more top-level statements that share lines, with its libcst tree once parsed."""

    first_line: int
    last_line: int
    text: str
    tree: ast.Module
    """The statements of this chunk as `ast` has them (positions are those of the whole file)."""

    @cached_property
    def parsed(self) -> Parsed:
        """Raises what `Parsed` does, and RecursionError for a tree that is too deep for libcst."""
        if _depth(self.tree) > MAX_DEPTH:
            raise RecursionError("nested too deeply for libcst")
        return Parsed(self.text)

    @property
    def module(self) -> cst.Module:
        """The libcst tree. Raises what `parsed` does."""
        return self.parsed.module

    @property
    def looked_at(self) -> bool:
        """Has it been parsed?"""
        return "parsed" in self.__dict__

    def span(self, node: cst.CSTNode) -> Span:
        """Where a node of this chunk stands in the file."""
        span, shift = self.parsed.spans[id(node)], self.first_line - 1
        return Span(span.line + shift, span.column, span.end_line + shift, span.end_column)


class Source:
    """The file under analysis.

    `tree` is the `ast` that flake8 has parsed already; it is parsed here when absent (SyntaxError passes through).
    """

    def __init__(self, text: str, tree: ast.Module | None = None) -> None:
        # `ast` and libcst know \n, \r\n and \r as line ends; str.splitlines() would also split at \f and \x1c.
        self.text = text.removeprefix("\ufeff")
        self.lines = self.text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self.tree = ast.parse(self.text) if tree is None else tree
        self.chunks = _cut(self.tree, self.lines)
        self._owners: dict[int, Chunk] = {}
        self._unseen = list(reversed(self.chunks))

    @cached_property
    def positions(self) -> Lines:
        """Offsets in the text whose lines all end in \\n."""
        return Lines("\n".join(self.lines))

    def span(self, node: cst.CSTNode) -> Span:
        """Where `node` stands in the file. Raises KeyError for a node that is not of this file."""
        return self._owner(node).span(node)

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """What `node` is a part of; None for a module. Raises KeyError for a node that is not of this file."""
        return self._owner(node).parsed.parents[id(node)]

    @cached_property
    def imports(self) -> dict[str, tuple[str, int]]:
        """Local name -> the dotted name that a top-level import gives it, and the line of that import.

        Only names that nothing else in the file binds: what such a name stands for is certain from that line on.
        """
        found: dict[str, tuple[str, int]] = {}
        for statement in self.tree.body:
            if isinstance(statement, ast.Import):
                for alias in statement.names:
                    first = alias.name.partition(".")[0]
                    found.setdefault(alias.asname or first, (alias.name if alias.asname else first, statement.lineno))
            elif isinstance(statement, ast.ImportFrom) and not statement.level:
                for alias in statement.names:
                    found.setdefault(alias.asname or alias.name, (f"{statement.module}.{alias.name}", statement.lineno))
        bound = _bound(self.tree)
        return {name: what for name, what in found.items() if bound.get(name, set()) <= {what[0]}}

    def _owner(self, node: cst.CSTNode) -> Chunk:
        """The chunk that `node` is part of; what has been parsed is gone through once for all nodes together."""
        if id(node) not in self._owners:
            waiting = []
            while self._unseen and id(node) not in self._owners:
                chunk = self._unseen.pop()
                if chunk.looked_at:
                    self._owners.update(dict.fromkeys(chunk.parsed.parents, chunk))
                else:
                    waiting.append(chunk)
            self._unseen.extend(reversed(waiting))
        return self._owners[id(node)]

    def line(self, node: cst.CSTNode) -> int:
        """The line on which `node` begins."""
        return self.span(node).line


def code(node: cst.CSTNode) -> str:
    """The source text of one node, on one line."""
    import libcst as cst

    return " ".join(cst.Module([]).code_for_node(node).split())


def _bound(tree: ast.Module) -> dict[str, set[str]]:
    """Every name that is bound anywhere in the file, and to what: the dotted names of imports, else "" """
    bound: dict[str, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
            for alias in node.names:
                first = alias.name if module else alias.name.partition(".")[0]
                bound.setdefault(alias.asname or first, set()).add(module + (alias.name if alias.asname else first))
            continue
        if isinstance(node, ast.Name):
            names = [] if isinstance(node.ctx, ast.Load) else [node.id]
        else:  # parameters, definitions, `except ... as`, patterns, `global`
            fields = [getattr(node, field, None) for field in ("arg", "name", "rest", "names")]
            names = [name for field in fields for name in (field if isinstance(field, list) else [field]) if name]
            if isinstance(node, (ast.keyword, ast.alias)):
                names = []
        for name in names:
            bound.setdefault(name, set()).add("")
    return bound


def _depth(tree: ast.AST) -> int:
    """How deep libcst nests the tree: `a and b and c` is one node of `ast`, but two levels of libcst."""
    deepest = 0
    todo = [(tree, 0)]
    while todo:
        node, depth = todo.pop()
        if isinstance(node, ast.BoolOp):
            depth += len(node.values)
        if depth > deepest:
            deepest = depth
        depth += 1
        for name in node._fields:  # ast.iter_child_nodes takes twice as long; pyflakes hangs attributes on the nodes
            field = getattr(node, name, None)
            if field.__class__ is list:
                todo += [(child, depth) for child in field if isinstance(child, ast.AST)]
            elif isinstance(field, ast.AST):
                todo.append((field, depth))
    return deepest


def _cut(tree: ast.Module, lines: list[str]) -> list[Chunk]:
    """Group the top-level statements by the lines that they stand on (`a = 1; b = 2` is one chunk)."""
    chunks: list[Chunk] = []
    for statement in tree.body:
        decorators = getattr(statement, "decorator_list", [])
        first = min([statement.lineno, *(d.lineno for d in decorators)])
        last = statement.end_lineno or statement.lineno
        if chunks and first <= chunks[-1].last_line:
            previous = chunks.pop()
            first, last = previous.first_line, max(last, previous.last_line)
            body = [*previous.tree.body, statement]
        else:
            body = [statement]
        text = "\n".join(lines[first - 1 : last]) + "\n"
        chunks.append(Chunk(first, last, text, ast.Module(body=body, type_ignores=[])))
    return chunks
