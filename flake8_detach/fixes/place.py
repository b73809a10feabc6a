"""Where a node of the text stands: its statement, its scope, what names mean there. Builders and rules ask this.

What cannot be told for certain is answered by None or "", and no fix is offered then.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

import libcst as cst

from flake8_detach import trees
from flake8_detach.source import Source, Span
from flake8_detach.source import code as _text


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


def computed_once(source: Source, site: cst.CSTNode, backward: cst.CSTNode) -> bool:
    """Is `site` run once where `backward` may be run again and again: in a constructor, or before the loop?

    With its graph, what it computes could be backwarded only once.
    """
    around, loops = _around(source, site), _around(source, backward)
    function = next((n for n in around if isinstance(n, cst.FunctionDef)), None)
    if function is not None and function.name.value == "__init__":
        return True
    same = function is next((n for n in loops if isinstance(n, cst.FunctionDef)), None)
    return same and any(isinstance(n, (cst.For, cst.While)) and n not in around for n in loops)


def in_loop(source: Source, node: cst.CSTNode) -> bool:
    """Does a loop of its own function run it again and again?"""
    around = _around(source, node)
    return any(isinstance(n, (cst.For, cst.While, cst.BaseComp)) for n in around)


def _around(source: Source, node: cst.CSTNode) -> list[cst.CSTNode]:
    """What `node` stands in, from the inside, up to its function."""
    found: list[cst.CSTNode] = []
    place = source.parent(node)
    while place is not None and not (found and isinstance(found[-1], cst.FunctionDef)):
        found.append(place)
        place = source.parent(place)
    return found


def decides(source: Source, node: cst.CSTNode) -> bool:
    """Is the expression part of the test of an `if` or `while`?"""
    child, place = node, source.parent(node)
    while isinstance(place, cst.BaseExpression) and not isinstance(place, (cst.Lambda, cst.BaseComp, cst.IfExp)):
        child, place = place, source.parent(place)
    return isinstance(place, (cst.If, cst.While, cst.IfExp)) and place.test is child


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


def same_block(source: Source, line: cst.SimpleStatementLine, other: cst.SimpleStatementLine) -> bool:
    """Do both statements stand in the same block? Those outside of any do: each has a module of libcst for itself."""
    one, two = source.parent(line), source.parent(other)
    return one is two or (isinstance(one, cst.Module) and isinstance(two, cst.Module))


def spelling(source: Source, name: str, node: cst.CSTNode) -> str:
    """How `torch.no_grad` is spelt at `node` by the imports of the file; "" unless that is certain."""
    line = source.line(node)
    for local, (dotted, imported) in sorted(source.imports.items(), key=lambda item: -len(item[1][0])):
        if imported < line and (name == dotted or name.startswith(f"{dotted}.")):
            return local + name[len(dotted) :]
    return ""


def entered(source: Source, node: cst.CSTNode, mode: str) -> bool:
    """Is `node` directly inside `with <mode>():`, other blocks that enter nothing aside, or a function decorated so?"""
    place = source.parent(node)
    while place is not None and not isinstance(place, (cst.ClassDef, cst.Lambda, cst.Module)):
        if isinstance(place, cst.With):
            return any(_calls(item.item, mode) for item in place.items)
        if isinstance(place, cst.FunctionDef):
            return any(_calls(decorator.decorator, mode) for decorator in place.decorators)
        place = source.parent(place)
    return False


def _calls(node: cst.BaseExpression, name: str) -> bool:
    """Is the expression `name()`?"""
    return isinstance(node, cst.Call) and not node.args and node.func.deep_equals(cst.parse_expression(name))


def block_before(source: Source, span: Span, context: str) -> str:
    """By what the block `with <context>:` indents that ends at this level on the line before `span`; "" if none."""
    for block in ast.walk(source.tree):
        if isinstance(block, ast.With) and (block.end_lineno, block.col_offset) == (span.line - 1, span.column):
            entered, first = block.items[0], block.body[0]
            same = ast.unparse(entered.context_expr) == ast.unparse(ast.parse(context, mode="eval"))
            if len(block.items) == 1 and entered.optional_vars is None and same and first.lineno > block.lineno:
                return source.lines[first.lineno - 1][span.column : first.col_offset]
    return ""


def argument_of(source: Source, node: cst.CSTNode) -> cst.Call | None:
    """The call that is handed the value of `node` at once, so that nothing else gets to see it."""
    held = source.parent(node)
    call = source.parent(held) if isinstance(held, cst.Arg) else None
    return call if isinstance(call, cst.Call) else None


def mentioned_between(source: Source, node: cst.BaseExpression, first: cst.CSTNode, last: cst.CSTNode) -> bool:
    """Is an expression with the text of `node` used after the lines of `first` and before those of `last`?"""
    start, end = source.span(first).end_line, source.span(last).line
    text = ast.unparse(ast.parse(_text(node), mode="eval"))
    kinds = (ast.Name, ast.Attribute, ast.Subscript)
    between = (n for n in ast.walk(source.tree) if isinstance(n, kinds) and start < n.lineno < end)
    return any(ast.unparse(part) == text for part in between)


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


def handed(source: Source, node: cst.CSTNode) -> bool:
    """Does `node` use what the function around it was handed, other than the object that it is a method of?"""
    here = scope(source, node)
    if not isinstance(here, cst.FunctionDef):
        return not isinstance(here, cst.Module)
    tree = _definition(source, here)
    if tree is None:
        return True
    given = tree.args
    names = [arg.arg for arg in (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg) if arg]
    method = isinstance(scope(source, here), cst.ClassDef)
    used = {part.value for part in trees.walk(node) if isinstance(part, cst.Name)}
    return not used.isdisjoint(names[1:] if method else names)


def rebindable(source: Source, target: cst.BaseExpression) -> bool:
    """May `target = ...` take the place of a change of what it holds? Not if somebody else holds the same: a name has
    to be assigned in this very scope and be no parameter; an attribute has to hang on names only.
    """
    if isinstance(target, cst.Attribute):
        while isinstance(target, cst.Attribute):
            target = target.value
        return isinstance(target, cst.Name)
    if not isinstance(target, cst.Name):
        return False
    here = scope(source, target)
    tree = _definition(source, here) if isinstance(here, cst.FunctionDef) else source.tree
    if tree is None or not isinstance(here, (cst.FunctionDef, cst.Module)):
        return False
    return set(_bindings(tree, target.value)) == {"assignment"}


def bound_once(source: Source, name: cst.Name) -> bool:
    """Is the name bound by one statement of its scope, or one parameter, and by nothing else?"""
    here = scope(source, name)
    tree = _definition(source, here) if isinstance(here, cst.FunctionDef) else source.tree
    return (
        isinstance(here, (cst.FunctionDef, cst.Module)) and tree is not None and len(_bindings(tree, name.value)) == 1
    )


def read_only_for(source: Source, name: cst.Name, attribute: str) -> bool:
    """Is the name read for this attribute of it and for nothing else, in its scope and the functions within?"""
    here = scope(source, name)
    tree = _definition(source, here) if isinstance(here, cst.FunctionDef) else source.tree
    nodes = list(ast.walk(tree)) if tree is not None else []
    bases = {id(node.value) for node in nodes if isinstance(node, ast.Attribute) and node.attr == attribute}
    reads = [node for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    return tree is not None and all(id(node) in bases for node in reads if node.id == name.value)


def _definition(source: Source, function: cst.FunctionDef) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """The definition as `ast` has it."""
    line = source.line(function.name)
    defs = (node for node in ast.walk(source.tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
    return next((node for node in defs if node.lineno == line), None)


def _bindings(tree: ast.AST, name: str) -> list[str]:
    """How `name` is bound in the scope of `tree`, each time: by an "assignment" or by something "other"."""
    found: list[str] = []
    todo = list(ast.iter_child_nodes(tree))
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.For, ast.AsyncFor, ast.With, ast.AsyncWith, ast.comprehension, ast.NamedExpr)):
            heads = [item.optional_vars for item in node.items] if hasattr(node, "items") else [node.target]
            names = [part.id for head in heads if head for part in ast.walk(head) if isinstance(part, ast.Name)]
            found += ["other"] * (name in names)
        elif isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load):
            found.append("assignment")
        else:  # parameters, definitions, imports, `except ... as`, `global`
            held = [getattr(node, field, None) for field in ("arg", "name", "asname", "names")]
            known = not isinstance(node, ast.keyword) and any(
                name == each or (isinstance(each, list) and name in each) for each in held
            )
            found += ["other"] * known
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            todo.extend(ast.iter_child_nodes(node))
        else:  # a function within may bind it, too
            inner = (part for part in ast.walk(node) if isinstance(part, (ast.Global, ast.Nonlocal)))
            found += ["other", "other"] * any(name in part.names for part in inner)
    return found


def string_lines(source: Source, node: cst.CSTNode) -> set[int]:
    """The lines that begin inside of a string of `node`: their indentation is part of its value."""
    spans = [source.span(part) for part in trees.walk(node) if isinstance(part, cst.BaseString)]
    return {line for span in spans for line in range(span.line + 1, span.end_line + 1)}
