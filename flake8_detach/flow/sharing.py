"""By which names an unknown object may go in a file, and whether code that is not seen may have got it.

A value that is not known has no identity, so this looks at the text: at assignments, arguments and results, with no
regard to scopes and order. It finds too many names rather than too few.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from flake8_detach.flow.memo import per_file
from flake8_detach.flow.values import External

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

PLAIN = ("torch.", "builtins.", "copy.")
"""Libraries whose functions do not keep a module, nor touch its gradients unless the engine knows."""
SAME = frozenset(
    {"to", "cuda", "cpu", "float", "double", "half", "bfloat16", "type", "train", "eval", "requires_grad_", "apply"}
)
"""Methods of a module that return it."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_Function: TypeAlias = "ast.FunctionDef | ast.AsyncFunctionDef"


def handed_on(m: Machine, name: str) -> bool:
    """May a function that is not seen have got what a variable or attribute of that name holds?"""
    if m.tree is None:
        return True
    nodes = _nodes(m.tree)
    names = _aliases(m.tree, name)
    own = {n.name for n in nodes if isinstance(n, (*FUNCTIONS, ast.ClassDef))}
    calls = (n for n in nodes if isinstance(n, ast.Call) and any(_name(a) in names for a in _arguments(n)))
    return any(not _seen(m, call.func, own) for call in calls)


def _seen(m: Machine, function: ast.expr, own: set[str]) -> bool:
    """Is the function one of the file, or of a library that is known?"""
    if _name(function) in own:
        return True
    while isinstance(function, ast.Attribute):
        function = function.value
    value = m.lookup(function.id) if isinstance(function, ast.Name) and function.id not in own else None
    return isinstance(value, External) and f"{value.name}.".startswith(PLAIN)


@per_file
def _nodes(tree: ast.Module) -> list[ast.AST]:
    return list(ast.walk(tree))


def _aliases(tree: ast.Module, name: str) -> set[str]:
    """The names that may hold what this one holds."""
    found, todo = {name}, [name]
    while todo:
        new = _pairs(tree)[todo.pop()] - found
        found |= new
        todo += new
    return found


@per_file
def _pairs(tree: ast.Module) -> dict[str, set[str]]:
    """Each name with those that it is assigned to or from, or given or returned as."""
    nodes = _nodes(tree)
    functions: dict[str, list[_Function]] = defaultdict(list)
    for node in nodes:
        if isinstance(node, FUNCTIONS):
            functions[node.name].append(node)
        elif isinstance(node, ast.ClassDef):
            functions[node.name] += [f for f in node.body if isinstance(f, FUNCTIONS) and f.name == "__init__"]
    pairs: dict[str, set[str]] = defaultdict(set)
    for one, other in _assigned(nodes, functions):
        if one and other:
            pairs[one].add(other)
            pairs[other].add(one)
    return pairs


def _assigned(nodes: Iterable[ast.AST], functions: dict[str, list[_Function]]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        if isinstance(node, (ast.Assign, ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else (node.target,):
                for one, value in _each(target, node.value):
                    yield from ((_name(one), source) for source in _sources(value, functions))
        elif isinstance(node, ast.Call):
            for function in functions.get(_name(node.func), ()):
                yield from _bound(node, function)


def _each(target: ast.expr, value: ast.expr) -> Iterable[tuple[ast.expr, ast.expr]]:
    """`a, b = c, d` assigns to each its own."""
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return zip(target.elts, value.elts, strict=False)
    return ((target, value),)


def _sources(value: ast.expr, functions: dict[str, list[_Function]]) -> Iterator[str]:
    """What the expression may be: a name, what a function of the file returns, or an object around its arguments."""
    while isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute) and value.func.attr in SAME:
        value = value.func.value  # what returns its object
    yield _name(value)
    if isinstance(value, ast.Call):
        # only aliases hang on the spelling: a function that is not seen has got its arguments, whatever it is called
        if _name(value.func)[:1].isupper() or _name(value.func) == "compile":
            yield from map(_name, _arguments(value))
        for function in functions.get(_name(value.func), ()):
            returned = (n.value for n in ast.walk(function) if isinstance(n, ast.Return))
            yield from (_name(v) for one in returned for v in (one.elts if isinstance(one, ast.Tuple) else (one,)))


def _bound(call: ast.Call, function: _Function) -> Iterator[tuple[str, str]]:
    """Argument and parameter, by name; a method may be called with its object or without."""
    parameters = [p.arg for p in (*function.args.posonlyargs, *function.args.args)]
    for shift in (0, 1) if parameters[:1] in (["self"], ["cls"]) else (0,):
        yield from ((_name(a), p) for a, p in zip(call.args, parameters[shift:], strict=False))
    yield from ((_name(keyword.value), keyword.arg or "") for keyword in call.keywords)


def _arguments(call: ast.Call) -> list[ast.expr]:
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def _name(node: ast.AST | None) -> str:
    """`net` or the `net` of `self.net`; "" for other expressions."""
    if isinstance(node, ast.Starred):
        return _name(node.value)
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


__all__ = ["handed_on"]
