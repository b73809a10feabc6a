"""Builders of edits for what stands around statements: the block of a `with`, a decorator.

As those of `build`, they return edits; `()` means "this cannot be edited safely".
"""

from __future__ import annotations

import re

import libcst as cst

from flake8_detach.fixes import place
from flake8_detach.fixes.build import Edits, replace
from flake8_detach.fixes.edits import Edit
from flake8_detach.source import Source, Span, code


def leave_mode(source: Source, node: cst.CSTNode) -> Edits:
    """Take out the context manager or decorator that `node` is: `with torch.no_grad():`, `@torch.no_grad()`."""
    around = source.parent(node)
    if isinstance(around, cst.Decorator):
        return delete_decorator(source, around)
    block = source.parent(around) if isinstance(around, cst.WithItem) else None
    return unwrap_with(source, block) if isinstance(block, cst.With) else ()


def delete_decorator(source: Source, decorator: cst.Decorator) -> Edits:
    """Delete the line of a decorator; a comment behind it stays. `()` for one that goes on over several lines."""
    span = source.span(decorator.decorator)
    before = source.lines[span.line - 1][: span.column]
    if span.line != span.end_line or before.strip() != "@":
        return ()
    return (_delete_head(source, span.line, before[: before.index("@")], span.end_column),)


def unwrap_with(source: Source, block: cst.With) -> Edits:
    """Take a `with` away from around its statements, which move one level out; lines inside of strings stay.

    `()` for a block that enters more than one thing or binds a name, is async, or does not end its line by its colon.
    """
    outer, body, head = place.indent(source, block), block.body, source.span(block)
    plain = len(block.items) == 1 and block.items[0].asname is None and block.asynchronous is None
    if outer is None or not plain or not isinstance(body, cst.IndentedBlock):
        return ()
    item, first, last = source.span(block.items[0].item), source.span(body.body[0]), source.span(body.body[-1])
    inner = source.lines[first.line - 1][: first.column]
    colon = re.match(r"\)?[ \t]*:", source.lines[head.line - 1][item.end_column :])
    if item.end_line != head.line or colon is None or not inner.startswith(outer) or inner.strip():
        return ()
    inside = place.string_lines(source, body)
    edits = [_delete_head(source, head.line, outer, item.end_column + colon.end())]
    for line in range(head.line + 1, last.end_line + 1):
        if source.lines[line - 1].startswith(inner) and line not in inside:
            edits.append(Edit(Span(line, len(outer), line, len(inner)), ""))
    return tuple(edits)


def _delete_head(source: Source, line: int, indent: str, end: int) -> Edit:
    """Delete a line up to the column `end`; if a comment follows, it gets the line."""
    comment = source.lines[line - 1][end:].strip()
    if not comment:
        return Edit(Span(line, 0, line + 1, 0), "")
    return Edit(Span(line, 0, line, len(source.lines[line - 1])), indent + comment)


def exchange_mode(source: Source, node: cst.CSTNode, old: str, new: str) -> Edits:
    """Write the mode `new` ("torch.no_grad") for `old` ("torch.inference_mode") where `node` enters it without
    arguments, or decorates with it.
    """
    entered = node.func if isinstance(node, cst.Call) and not node.args else node
    spelt = place.spelling(source, new, node)
    if (
        not isinstance(entered, (cst.Name, cst.Attribute))
        or not spelt
        or code(entered) != place.spelling(source, old, node)
    ):
        return ()
    return replace(source, entered, spelt)
