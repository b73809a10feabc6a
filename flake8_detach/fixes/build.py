"""Builders of edits, shared by the rules: they know about parentheses, comments, indentation and strings.

Each takes the Source and one of its libcst nodes and returns edits; `()` means "this cannot be edited safely", and
`offer` makes no fix of that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import libcst as cst

from flake8_detach.fixes.edits import Applicability, Edit, Fix
from flake8_detach.source import Source, Span

Edits = tuple[Edit, ...]

_PRIMARY = (
    cst.Name,
    cst.Attribute,
    cst.Call,
    cst.Subscript,
    cst.List,
    cst.Set,
    cst.Dict,
    cst.ListComp,
    cst.SetComp,
    cst.DictComp,
    cst.SimpleString,
    cst.FormattedString,
)
"""What can be followed by `.name` as it stands; everything else needs parentheses."""


def offer(title: str, applicability: Applicability, *parts: Edits) -> Fix | None:
    """The fix that makes all `parts`; None when one of them is empty, so that no fix is ever applied by half."""
    return Fix(title, tuple(edit for part in parts for edit in part), applicability) if all(parts) else None


def insert_before(source: Source, node: cst.BaseExpression, text: str) -> Edits:
    """Insert `text` right before an expression and its parentheses."""
    span = outer(source, node)
    return (Edit(_point(span.line, span.column), text),) if span else ()


def insert_after(source: Source, node: cst.BaseExpression, text: str) -> Edits:
    """Insert `text` right after an expression and its parentheses."""
    span = outer(source, node)
    return (Edit(_point(span.end_line, span.end_column), text),) if span else ()


def postfix(source: Source, node: cst.BaseExpression, text: str) -> Edits:
    """Append `text` (".detach()") to an expression, which gets parentheses if it needs them: `(a + b).detach()`."""
    if node.lpar or isinstance(node, _PRIMARY):
        return insert_after(source, node, text)
    return insert_before(source, node, "(") + insert_after(source, node, ")" + text)


def replace(source: Source, node: cst.BaseExpression, text: str) -> Edits:
    """Put `text` in the place of an expression; its parentheses stay. `()` if that would drop a comment."""
    span = outer(source, node)
    bare = node.with_changes(lpar=(), rpar=())
    return () if span is None or _comments(bare) else (Edit(source.span(node), text),)


def delete_call(source: Source, call: cst.Call) -> Edits:
    """Turn `x.detach()` into `x`, whatever stands between the brackets."""
    return _delete_after(source, call.func.value, call) if isinstance(call.func, cst.Attribute) else ()


def delete_attribute(source: Source, attribute: cst.Attribute) -> Edits:
    """Turn `x.data` into `x`."""
    return _delete_after(source, attribute.value, attribute)


def wrap_in_with(source: Source, statement: cst.BaseStatement | cst.BaseSmallStatement, context: str) -> Edits:
    """Put a whole statement into `with <context>:`, one level deeper; the lines inside its strings stay as they are.

    `()` for a statement that shares its line with another one (`a = 1; b = 2`, `if x: a = 1`) or has decorators.
    """
    if getattr(statement, "decorators", ()):
        return ()
    span = source.span(statement)
    first = source.lines[span.line - 1]
    indent, rest = first[: span.column], first[span.column :]
    if indent.strip(" \t") or not rest[:1].strip() or _neighbours(source, statement, span):
        return ()
    unit = indent_unit(source)
    edits = [Edit(_point(span.line, span.column), f"with {context}:\n{indent}{unit}")]
    inside = {
        line
        for node in _descendants(statement)
        if isinstance(node, cst.BaseString)
        for line in range(source.span(node).line + 1, source.span(node).end_line + 1)
    }
    for line in range(span.line + 1, span.end_line + 1):
        text = source.lines[line - 1]
        if text.strip() and line not in inside:
            edits.append(Edit(_point(line, len(indent) if text.startswith(indent) else 0), unit))
    return tuple(edits)


def indent_unit(source: Source) -> str:
    """One level of indentation, as the first indented block of the file has it; four spaces where there is none."""
    for statement in source.tree.body:
        body = getattr(statement, "body", ())
        if body and body[0].lineno > statement.lineno:
            line = source.lines[body[0].lineno - 1]
            return line[: len(line) - len(line.lstrip(" \t"))] or "    "
    return "    "


def outer(source: Source, node: cst.BaseExpression) -> Span | None:
    """The span of an expression with its own parentheses, which `Source.span` leaves out.

    None where libcst's text of the node differs from the file's, as its columns are then off: libcst drops a form feed
    from an indentation.
    """
    span = source.span(node)
    lines = source.positions
    try:
        start = lines.offset(span.line, span.column) - len(_text(*node.lpar))
        end = lines.offset(span.end_line, span.end_column) + len(_text(*node.rpar))
    except ValueError:
        return None
    if start < 0 or lines.text[start:end].split() != _text(node).split():
        return None
    return Span(*lines.position(start), *lines.position(end))


def _delete_after(source: Source, kept: cst.BaseExpression, whole: cst.BaseExpression) -> Edits:
    """Delete what follows `kept` in `whole`, which begins with it; nothing where a comment would go with it."""
    before, after = outer(source, kept), outer(source, whole)
    bare = whole.with_changes(lpar=(), rpar=())
    if before is None or after is None or _comments(bare) > _comments(kept):
        return ()
    end = source.span(whole)
    return (Edit(Span(before.end_line, before.end_column, end.end_line, end.end_column), ""),)


def _neighbours(source: Source, statement: cst.CSTNode, span: Span) -> bool:
    """Whether another statement stands on the first or last line of `statement`."""
    parts: Sequence[cst.CSTNode] = statement.body if isinstance(statement, cst.SimpleStatementLine) else ()
    after = source.lines[span.end_line - 1][span.end_column :].strip()
    return len(parts) > 1 or bool(after and not after.startswith("#"))


def _comments(node: cst.CSTNode) -> int:
    """How many comments stand in `node`."""
    return sum(isinstance(part, cst.Comment) for part in _descendants(node))


def _descendants(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    todo = [node]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(node.children)


def _point(line: int, column: int) -> Span:
    return Span(line, column, line, column)


def _text(*nodes: cst.CSTNode) -> str:
    """The source text of `nodes`, one after the other, newlines as \\n."""
    return "".join(cst.Module([]).code_for_node(node) for node in nodes)
