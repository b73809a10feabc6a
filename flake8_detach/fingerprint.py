"""What a report is about, whatever the lines above it do: its code, its statement, the functions around that.

Two reports have the same fingerprint if all three agree. The statement counts as Python reads it, so that comments,
quotes, line breaks and a reformatter change nothing; of a compound statement its head counts, without the blocks.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Sequence

BLOCKS = frozenset({"body", "orelse", "finalbody", "handlers", "cases"})
"""Fields that hold the blocks of a compound statement."""

UNSAID = frozenset({"ctx", "kind", "type_comment"})
"""Fields that say nothing about the meaning, or that only some versions of Python fill in."""


def fingerprint(code: str, tree: ast.Module, lines: Sequence[str], line: int, column: int) -> str:
    """16 hexadecimal digits for a report of `code` at `line` (from 1), `column` (from 0, in characters)."""
    text = lines[line - 1] if line <= len(lines) else ""
    place = line, len(text[:column].encode("utf-8", "surrogatepass"))  # `ast` counts in bytes
    path: list[str] = []
    statement: ast.stmt | None = None
    inside: ast.stmt | None = next(_around(tree, place), None)
    while inside is not None:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            path.append(statement.name)
        statement, inside = inside, next(_around(inside, place), None)
    parts = (code, ".".join(path), "" if statement is None else _meaning(statement, top=True))
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _around(node: ast.AST, place: tuple[int, int]) -> Iterator[ast.stmt]:
    """The statement right below `node` in which `place` lies."""
    for name in BLOCKS:
        block = getattr(node, name, ())
        for part in block if isinstance(block, list) else ():
            if not isinstance(part, ast.stmt):  # an except clause, a case of a match
                yield from _around(part, place)
            elif _start(part) <= place < (part.end_lineno or 0, (part.end_col_offset or 0) + 1):
                yield part


def _start(statement: ast.stmt) -> tuple[int, int]:
    """Where a statement begins, with its decorators."""
    first = min((d.lineno for d in getattr(statement, "decorator_list", ())), default=statement.lineno)
    return (first, 0) if first < statement.lineno else (statement.lineno, statement.col_offset)


def _meaning(part: object, top: bool = False) -> str:
    """A statement or a part of it, spelt out, without what is empty: newer versions of Python add such fields."""
    if isinstance(part, ast.AST):
        hidden = UNSAID | BLOCKS if top else UNSAID
        fields = [
            f"{name}={_meaning(value)}" for name, value in ast.iter_fields(part) if name not in hidden and _said(value)
        ]
        return f"{type(part).__name__}({','.join(fields)})"
    if isinstance(part, list):
        return f"[{','.join(map(_meaning, part))}]"
    return repr(part)


def _said(value: object) -> bool:
    return value is not None and value != []
