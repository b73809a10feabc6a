"""Replaces the statement that ended a run by something harmless of the same type, so that the rest runs too."""

from __future__ import annotations

import ast

from fuzz.author import Program


def mend(program: Program, line: int) -> Program | None:
    """The program without what fails on `line`; None if there is nothing to replace."""
    tree = ast.parse(program.text)
    found = innermost(tree, line)
    if found is None:
        return None
    body, index, function = found
    old = body[index]
    new = substitute(old, function, program.defaults)
    body[index] = new if new is not None and ast.unparse(new) != ast.unparse(old) else ast.Pass()
    text = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
    return None if text == program.text else Program(text, program.defaults)


def innermost(tree: ast.Module, line: int) -> tuple[list[ast.stmt], int, str] | None:
    """The block and the place in it of the smallest statement on `line`, and the name of the function around it."""
    best: tuple[list[ast.stmt], int, str] | None = None
    todo: list[tuple[ast.AST, str]] = [(tree, "")]
    while todo:
        node, function = todo.pop()
        if isinstance(node, ast.FunctionDef):
            function = node.name
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            block = getattr(node, field, None)
            for index, inner in enumerate(block if isinstance(block, list) else ()):
                if isinstance(inner, ast.stmt):
                    first = min([inner.lineno, *(d.lineno for d in getattr(inner, "decorator_list", ()))])
                    if not first <= line <= (inner.end_lineno or first):
                        continue
                    assert isinstance(block, list)
                    best = (block, index, function)
                todo.append((inner, function))
    return best


def substitute(old: ast.stmt, function: str, defaults: dict[str, str]) -> ast.stmt | None:
    if isinstance(old, ast.Return) and f"{function}()" in defaults:
        return ast.parse(f"return {defaults[f'{function}()']}").body[0]
    if isinstance(old, ast.Assign):
        target = old.targets[0]
        names = [ast.unparse(e) for e in target.elts] if isinstance(target, ast.Tuple) else [ast.unparse(target)]
        if all(name in defaults for name in names):
            values = ", ".join(defaults[name] for name in names)
            comma = "," if isinstance(target, ast.Tuple) and len(names) == 1 else ""
            return ast.parse(f"{ast.unparse(target)} = {values}{comma}").body[0]
    return None
