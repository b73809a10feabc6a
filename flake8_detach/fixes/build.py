"""Builders of edits, shared by the rules: they know about parentheses, comments, indentation and strings.

Each takes the Source and one of its libcst nodes and returns edits; `()` means "this cannot be edited safely", and
`offer` makes no fix of that.
"""

from __future__ import annotations

import libcst as cst

from flake8_detach import trees
from flake8_detach.fixes import place
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
    return () if span is None or trees.comments(bare) else (Edit(source.span(node), text),)


def delete_call(source: Source, call: cst.Call) -> Edits:
    """Turn `x.detach()` into `x`, whatever stands between the brackets."""
    return delete_after(source, call.func.value, call) if isinstance(call.func, cst.Attribute) else ()


def delete_attribute(source: Source, attribute: cst.Attribute) -> Edits:
    """Turn `x.data` into `x`."""
    return delete_after(source, attribute.value, attribute)


def wrap_in_with(source: Source, statement: cst.BaseStatement | cst.BaseSmallStatement, context: str) -> Edits:
    """Put a whole statement into `with <context>:`, one level deeper; the lines inside its strings stay as they are.
    If the statement before it is such a block, it becomes its last one.

    `()` for a statement that shares its line with another one (`a = 1; b = 2`, `if x: a = 1`) or has decorators.
    """
    if getattr(statement, "decorators", ()):
        return ()
    span = source.span(statement)
    indent = place.indent(source, statement)
    if indent is None:
        return ()
    unit = place.block_before(source, span, context)
    block = f"with {context}:"
    head = "" if unit else f"{block}\n{indent}"
    unit = unit or indent_unit(source)
    edits = [Edit(_point(span.line, span.column), head + unit, block)]
    inside = place.string_lines(source, statement)
    for line in range(span.line + 1, span.end_line + 1):
        text = source.lines[line - 1]
        if text.strip() and line not in inside:
            edits.append(Edit(_point(line, len(indent) if text.startswith(indent) else 0), unit))
    return tuple(edits)


def add_argument(source: Source, call: cst.Call, keyword: str, value: str) -> Edits:
    """Give the call `keyword=value`, in the place of another value if it has one; `()` if `**options` may hold it."""
    if any(arg.star == "**" for arg in call.args):
        return ()
    given = next((arg for arg in call.args if arg.keyword and arg.keyword.value == keyword), None)
    if given is not None:
        return () if given.value.deep_equals(cst.parse_expression(value)) else replace(source, given.value, value)
    if not call.args:
        span = source.span(call)
        return (Edit(_point(span.end_line, span.end_column - 1), f"{keyword}={value}"),)
    last = call.args[-1].value
    if isinstance(last, cst.GeneratorExp) and not last.lpar:
        return ()
    return insert_after(source, last, f", {keyword}={value}")


def add_first_argument(source: Source, call: cst.Call, value: str) -> Edits:
    """Give the call `value` in front of its arguments."""
    if not call.args:
        span = source.span(call)
        return (Edit(_point(span.end_line, span.end_column - 1), value),)
    first = call.args[0]
    if first.keyword:
        span = source.span(first)
        return (Edit(_point(span.line, span.column), f"{value}, "),)
    return () if first.star else insert_before(source, first.value, f"{value}, ")


def remove_argument(source: Source, call: cst.Call, keyword: str) -> Edits:
    """Take `keyword=...` out of the call, with its comma; `()` where a comment would go with it."""
    index = next((i for i, arg in enumerate(call.args) if arg.keyword and arg.keyword.value == keyword), None)
    if index is None or trees.comments(call):
        return ()
    whole, own = outer(source, call), source.span(call.args[index])
    ends = [outer(source, arg.value) for arg in call.args]
    end = ends[index]
    if whole is None or end is None:
        return ()
    if index:
        before = ends[index - 1]
        return () if before is None else (Edit(_between(before, end), ""),)
    if len(call.args) > 1:
        after = source.span(call.args[1])
        return (Edit(Span(own.line, own.column, after.line, after.column), ""),)
    close = source.span(call)
    return (Edit(Span(own.line, own.column, close.end_line, close.end_column - 1), ""),)


def unwrap(source: Source, call: cst.Call) -> Edits:
    """Turn `float(x)` into `x`, with parentheses if that may need them."""
    if len(call.args) != 1 or call.args[0].star or call.args[0].keyword or trees.comments(call):
        return ()
    value = call.args[0].value
    text = text_of(value)
    return replace(source, call, text if value.lpar or isinstance(value, _PRIMARY) else f"({text})")


def rename(source: Source, attribute: cst.BaseExpression, name: str) -> Edits:
    """Turn `x.add_` into `x.add`."""
    return (Edit(source.span(attribute.attr), name),) if isinstance(attribute, cst.Attribute) else ()


def insert_line(source: Source, node: cst.CSTNode, text: str, *, after: bool = False) -> Edits:
    """Put a statement on a line of its own before (after) the statement that `node` stands in."""
    line = place.statement(source, node)
    indent = None if line is None else place.indent(source, line)
    if line is None or indent is None:
        return ()
    span = source.span(line)
    if after:
        return (Edit(_point(span.end_line, len(source.lines[span.end_line - 1])), f"\n{indent}{text}"),)
    return (Edit(_point(span.line, span.column), f"{text}\n{indent}"),)


def replace_statement(source: Source, node: cst.CSTNode, text: str) -> Edits:
    """Put `text` in the place of the statement that `node` stands in; a comment behind it stays."""
    line = place.statement(source, node)
    if line is None or place.indent(source, line) is None or trees.comments(line.body[0]):
        return ()
    indent = place.indent(source, line)
    return (Edit(source.span(line), text.replace("\n", f"\n{indent}")),)


def delete_statement(source: Source, node: cst.CSTNode) -> Edits:
    """Delete the statement that `node` stands in, with its line; `()` for the only one of its block."""
    line = place.statement(source, node)
    if line is None or place.indent(source, line) is None:
        return ()
    span, block = source.span(line), source.parent(line)
    needed = not isinstance(block, cst.Module) and len(getattr(block, "body", ())) < 2
    if needed or span.end_line >= len(source.lines):
        return ()
    return (Edit(Span(span.line, 0, span.end_line + 1, 0), ""),)


def move(source: Source, node: cst.CSTNode, there: cst.CSTNode, *, after: bool = False) -> Edits:
    """Move the statement of `node` to before (after) that of `there`, which has to be in the same block."""
    line, goal = place.statement(source, node), place.statement(source, there)
    if line is None or goal is None or line is goal or not place.same_block(source, line, goal):
        return ()
    indent, span = place.indent(source, line), source.span(line)
    if indent is None or place.indent(source, goal) != indent or span.end_line >= len(source.lines):
        return ()
    text = "\n".join(source.lines[span.line - 1 : span.end_line])[span.column :]
    put = insert_line(source, there, text, after=after)
    return (Edit(Span(span.line, 0, span.end_line + 1, 0), ""), *put) if put else ()


def under_no_grad(source: Source, node: cst.CSTNode) -> Edits:
    """Put the statement of `node` under `no_grad`."""
    line, mode = place.statement(source, node), place.spelling(source, "torch.no_grad", node)
    return wrap_in_with(source, line, f"{mode}()") if line is not None and mode else ()


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
        start = lines.offset(span.line, span.column) - len(text_of(*node.lpar))
        end = lines.offset(span.end_line, span.end_column) + len(text_of(*node.rpar))
    except ValueError:
        return None
    if start < 0 or lines.text[start:end].split() != text_of(node).split():
        return None
    return Span(*lines.position(start), *lines.position(end))


def replace_after(source: Source, kept: cst.BaseExpression, whole: cst.BaseExpression, text: str) -> Edits:
    """Put `text` in the place of what follows `kept` in `whole`, which begins with it."""
    return tuple(edit._replace(text=text) for edit in delete_after(source, kept, whole))


def delete_after(source: Source, kept: cst.BaseExpression, whole: cst.BaseExpression) -> Edits:
    """Delete what follows `kept` in `whole`, which begins with it; nothing where a comment would go with it."""
    before, after = outer(source, kept), outer(source, whole)
    bare = whole.with_changes(lpar=(), rpar=())
    if before is None or after is None or trees.comments(bare) > trees.comments(kept):
        return ()
    end = source.span(whole)
    return (Edit(Span(before.end_line, before.end_column, end.end_line, end.end_column), ""),)


def _between(before: Span, end: Span) -> Span:
    """From the end of one to the end of the other."""
    return Span(before.end_line, before.end_column, end.end_line, end.end_column)


def _point(line: int, column: int) -> Span:
    return Span(line, column, line, column)


def text_of(*nodes: cst.CSTNode) -> str:
    """The source text of `nodes`, one after the other, newlines as \\n."""
    return "".join(cst.Module([]).code_for_node(node) for node in nodes)
