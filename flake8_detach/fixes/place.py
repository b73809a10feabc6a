"""Where a node of the text stands: its statement, its scope, what names mean there. Builders and rules ask this.

What cannot be told for certain is answered by None or "", and no fix is offered then.
"""

from __future__ import annotations

from collections.abc import Sequence

import libcst as cst

from flake8_detach.source import Source, Span


def statement(source: Source, node: cst.CSTNode) -> cst.SimpleStatementLine | None:
    """The statement that `node` is a part of, if it is the only one of its line and what it does, it does once.

    None for what stands in the head of a compound statement, in a lambda or in a comprehension.
    """
    place: cst.CSTNode | None = node
    while place is not None and not isinstance(place, cst.SimpleStatementLine):
        if isinstance(place, (cst.BaseCompoundStatement, cst.Lambda, cst.BaseComp, cst.SimpleStatementSuite)):
            return None
        place = source.parent(place)
    return place if place is not None and len(place.body) == 1 else None


def alone(source: Source, node: cst.CSTNode) -> bool:
    """Is the expression a whole statement, whose value nobody takes?"""
    parent = source.parent(node)
    return isinstance(parent, cst.Expr) and statement(source, node) is not None


def scope(source: Source, node: cst.CSTNode) -> cst.CSTNode:
    """The function, class, lambda or comprehension that `node` stands in, or the module."""
    kinds = (cst.FunctionDef, cst.ClassDef, cst.Lambda, cst.BaseComp, cst.Module)
    place = source.parent(node)
    while not isinstance(place, kinds):
        assert place is not None
        place = source.parent(place)
    return place


def same_scope(source: Source, node: cst.CSTNode, other: cst.CSTNode) -> bool:
    """Do both stand in the same function, or both outside of any, so that names mean the same to them?"""
    one, two = scope(source, node), scope(source, other)
    return one is two or (isinstance(one, cst.Module) and isinstance(two, cst.Module))


def spelling(source: Source, name: str, node: cst.CSTNode) -> str:
    """How `torch.no_grad` is spelt at `node` by the imports of the file; "" unless that is certain."""
    line = source.line(node)
    for local, (dotted, imported) in sorted(source.imports.items(), key=lambda item: -len(item[1][0])):
        if imported < line and (name == dotted or name.startswith(f"{dotted}.")):
            return local + name[len(dotted) :]
    return ""


def argument(call: cst.BaseExpression, place: int, keyword: str = "") -> cst.BaseExpression | None:
    """What the call is given for its parameter at `place`, or under its name; None if that cannot be told."""
    if not isinstance(call, cst.Call) or any(arg.star for arg in call.args):
        return None
    named = [arg.value for arg in call.args if arg.keyword and arg.keyword.value == keyword]
    plain = [arg.value for arg in call.args if not arg.keyword]
    return named[0] if named else plain[place] if 0 <= place < len(plain) else None


def indent(source: Source, statement: cst.BaseStatement | cst.BaseSmallStatement) -> str | None:
    """The whitespace before a statement; None if it does not have its lines for itself."""
    span = source.span(statement)
    first = source.lines[span.line - 1]
    before, rest = first[: span.column], first[span.column :]
    return None if before.strip(" \t") or not rest[:1].strip() or _neighbours(source, statement, span) else before


def _neighbours(source: Source, statement: cst.CSTNode, span: Span) -> bool:
    """Whether another statement stands on the first or last line of `statement`."""
    parts: Sequence[cst.CSTNode] = statement.body if isinstance(statement, cst.SimpleStatementLine) else ()
    after = source.lines[span.end_line - 1][span.end_column :].strip()
    return len(parts) > 1 or bool(after and not after.startswith("#"))
