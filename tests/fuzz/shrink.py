"""Makes a program small while something keeps being true of it."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import TypeAlias

from fuzz.author import tidy

Holds: TypeAlias = Callable[[str], bool]
Change: TypeAlias = Callable[[], "str | None"]
"""Makes one smaller text; called only when it is its turn."""

BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
MODULES = frozenset(
    {"torch", "nn", "F", "np", "copy", "random", "rng", "time", "contextlib", "functools", "collections"}
)


def shrink(text: str, holds: Holds, attempts: int = 600) -> str:
    """The smallest program found for which `holds`; statements go first, then blocks, then parts of expressions."""
    before = ""
    while before != text and attempts > 0:
        before = text
        for candidates in (removals, unwrappings, simplifications):
            number = 0
            while attempts > 0:
                changes = candidates(text)[number:]
                if not changes:
                    break
                for change in changes:
                    smaller = change()
                    if smaller is not None and smaller != text and len(smaller) <= len(text):
                        attempts -= 1
                        if holds(smaller):
                            text = smaller  # go on behind it, with what the smaller program offers there
                            break
                    number += 1
                    if attempts <= 0:
                        break
    cleaned = tidy(text)
    return cleaned if holds(cleaned) else text


def blocks(tree: ast.AST) -> list[list[ast.stmt]]:
    return [
        block
        for node in ast.walk(tree)
        for field in BLOCKS
        if isinstance(block := getattr(node, field, None), list) and block and isinstance(block[0], ast.stmt)
    ]


def removals(text: str) -> list[Change]:
    """Without a half, a quarter, ... of a block, down to single statements, the last ones first."""
    found: list[Change] = []
    for number, block in enumerate(blocks(ast.parse(text))):
        size = len(block)
        while size >= 1:
            for start in range(len(block) - size, -1, -size):

                def change(number: int = number, start: int = start, size: int = size) -> str | None:
                    tree = ast.parse(text)
                    inside = blocks(tree)[number]
                    if size == len(inside) == 1 and isinstance(inside[0], ast.Pass):
                        return None
                    inside[start : start + size] = [] if size < len(inside) or number == 0 else [ast.Pass()]
                    return written(tree)

                found.append(change)
            size //= 2
    return found


def unwrappings(text: str) -> list[Change]:
    """With a compound statement replaced by what stands in it, without its else, without a decorator."""
    found: list[Change] = []
    for number, block in enumerate(blocks(ast.parse(text))):
        for index, statement in enumerate(block):
            for how in ("body", "orelse", "decorator_list", "finalbody"):
                if not getattr(statement, how, None) or (
                    how == "body" and isinstance(statement, (ast.FunctionDef, ast.ClassDef))
                ):
                    continue

                def change(number: int = number, index: int = index, how: str = how) -> str | None:
                    tree = ast.parse(text)
                    inside = blocks(tree)[number]
                    if how == "body":
                        inside[index : index + 1] = getattr(inside[index], how)
                    else:
                        setattr(inside[index], how, [])
                    return written(tree)

                found.append(change)
    return found


def simplifications(text: str) -> list[Change]:
    """With an expression replaced by a part of it or by a variable, with an argument less."""
    plain = ast.parse(text)
    names = [n.targets[0].id for n in plain.body if isinstance(n, ast.Assign) and isinstance(n.targets[0], ast.Name)]
    simple = ["1.0", *dict.fromkeys(names[:3]), "torch.ones(3)"]
    return [
        lambda index=index, new=new: replaced(plain, index, new)  # type: ignore[misc]
        for index, node in enumerate(ast.walk(plain))
        for new in smaller_expressions(node, simple)
    ]


def smaller_expressions(node: ast.AST, simple: list[str]) -> Iterator[ast.expr]:
    if isinstance(getattr(node, "ctx", None), (ast.Store, ast.Del)):
        return
    if isinstance(node, (ast.Call, ast.BinOp, ast.UnaryOp, ast.Subscript, ast.IfExp, ast.ListComp, ast.Compare)):
        for small in simple:
            yield ast.parse(small, mode="eval").body
        parts = [p for p in ast.iter_child_nodes(node) if isinstance(p, ast.expr)]
        if isinstance(node, ast.Call):
            parts = [*node.args, *(k.value for k in node.keywords)]
            parts += [node.func.value] if isinstance(node.func, ast.Attribute) else []
        for part in parts:
            if not (isinstance(part, ast.Name) and part.id in MODULES) and not isinstance(part, ast.Starred):
                yield copy.deepcopy(part)
    if isinstance(node, ast.Call):
        for place in range(len(node.args) + len(node.keywords)):
            fewer = copy.deepcopy(node)
            if place < len(node.args):
                del fewer.args[place]
            else:
                del fewer.keywords[place - len(node.args)]
            yield fewer
    elif isinstance(node, (ast.List, ast.Tuple)) and len(node.elts) > 1:
        for place in range(len(node.elts)):
            shorter = copy.deepcopy(node)
            del shorter.elts[place]
            yield shorter


def replaced(tree: ast.Module, index: int, new: ast.expr) -> str | None:
    """The text of `tree` with the node number `index` of `ast.walk` replaced."""
    clone = copy.deepcopy(tree)
    target = list(ast.walk(clone))[index]
    for node in ast.walk(clone):
        for field, value in ast.iter_fields(node):
            if value is target:
                setattr(node, field, new)
                return written(clone)
            if isinstance(value, list) and any(item is target for item in value):
                setattr(node, field, [new if item is target else item for item in value])
                return written(clone)
    return None


def written(tree: ast.Module) -> str:
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"
