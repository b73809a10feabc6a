"""Forms that take more than the text of one chunk to tell: what a class extends, what an attribute is filled with."""

from __future__ import annotations

import ast
import builtins
import sys
from collections import Counter
from collections.abc import Iterator, Sequence

from flake8_detach.gate.forms import ADDERS, attribute
from flake8_detach.gate.links import foreigners
from flake8_detach.gate.reading import Facts

WITHOUT_LAYERS = (sys.stdlib_module_names - {"torch"}) | {"numpy", "pytest"}
"""Packages none of whose classes is an nn.Module."""
NOT_NN = frozenset({"autograd", "distributed", "distributions", "optim", "utils"})
"""The same within torch."""

_OF_CALLS = {"*runs": "()", "*made": "Parameter(?)", "*class": "@class"}
"""Notes on what is called, and the form that they make if that is not of a package of which nothing is known."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def complete(trees: Sequence[ast.Module], facts: Sequence[Facts]) -> None:
    """Add to the words of each chunk the forms that the notes of all of them make.

    A function of a foreign package runs nothing and returns no known Parameter. What an attribute is filled with may
    stand in another chunk, and so may the class whose Parameter is written in place. Only modules keep layers.
    """
    foreign = foreigners(facts)
    modules = _modules(facts, foreign)
    notes = [[word.split(" ") for word in fact.words if word[0:1] == "*" and " " in word] for fact in facts]
    parameters_made = {note[1] for some in notes for note in some if note[0] == "*parameter"}
    filled = _filled(trees, facts)
    for fact, some in zip(facts, notes, strict=True):
        words = fact.words
        layered = any(kind == "*base" and rest[0] in modules for kind, *rest in some)
        if layered:
            words.add("class Module")
        else:
            words.discard("=[")
        for kind, name, *_ in some:
            if kind == "*empty":
                if layered and name in filled:
                    words.add("=[")
            elif kind == "*early":
                if name in modules:
                    words.add("__init__ after =")
            elif kind == "*writes":
                if name in parameters_made:
                    words.add("Parameter+=")
            elif kind == "*parameter":
                if f"*other {name}" in words:
                    words.add("Parameter=")
            elif kind in _OF_CALLS and name not in foreign:
                words.add(_OF_CALLS[kind])


def _modules(facts: Sequence[Facts], foreign: set[str]) -> set[str]:
    """The names of the classes of the file that may be nn.Modules: all but those that only extend what is none."""
    bases: dict[str, set[str]] = {}
    for fact in facts:
        for word in fact.words:
            if word.startswith("*base "):
                _, name, base = word.split(" ")
                bases.setdefault(name, set()).add(base)
    imports: dict[str, list[tuple[str, ...]]] = {}
    for fact in facts if bases else ():
        for name, parts in fact.imports:
            imports.setdefault(name, []).append(parts)
    times = Counter(name for fact in facts for name in fact.binds | fact.late)
    found: set[str] = set()

    def is_none(base: str) -> bool:
        first, *rest = base.split(".")
        if first in foreign or (times[first] == 0 and hasattr(builtins, first)):
            return True
        if times[first] != 1 or first not in imports:
            return times[first] == 1 and first in bases and first not in found
        return all(_without_layers((*(parts[:1] if parts[0] == first else parts), *rest)) for parts in imports[first])

    while new := {name for name, some in bases.items() if name not in found and not all(map(is_none, some))}:
        found |= new
    return found


def _without_layers(path: tuple[str, ...]) -> bool:
    return path[0] in WITHOUT_LAYERS or (path[0] == "torch" and path[1] in NOT_NN)


def _filled(trees: Sequence[ast.Module], facts: Sequence[Facts]) -> set[str]:
    """The attributes that are empty at first, and into which something is put that may be a layer."""
    empty = {word[7:] for fact in facts for word in fact.words if word.startswith("*empty ")}
    found = {word[7:] for fact in facts for word in fact.words if word.startswith("*fills ")}
    for tree, fact in zip(trees, facts, strict=True):
        put = {word[6:] for word in fact.words if word.startswith("*puts ")} & empty - found
        if fact.kind == "other":
            found |= put
        elif put:
            functions = [node for node in ast.walk(tree) if isinstance(node, FUNCTIONS)]
            found |= {name for function in functions for name in _put(function, put)}
    return found


def _put(function: ast.AST, attributes: set[str]) -> Iterator[str]:
    """Those of `attributes` to which the function adds what variables hold that may hold more than numbers."""
    bound: Counter[str] = Counter()
    numbers: Counter[str] = Counter()
    added: list[tuple[str, str]] = []
    for node in ast.walk(function):
        if isinstance(node, ast.Name):
            bound[node.id] += node.ctx.__class__ is not ast.Load
        elif isinstance(node, ast.arg):
            bound[node.arg] += 1
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            bound.update(node.names)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar, ast.MatchMapping)):
            bound[getattr(node, "name", None) or getattr(node, "rest", None) or ""] += 1
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            numbers[node.targets[0].id] += _is_number(node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            numbers[node.target.id] += _is_number(node.value)
        elif isinstance(node, (ast.For, ast.comprehension)):
            numbers.update(_counted(node.target, node.iter))
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") in ADDERS:
            name = attribute(getattr(node.func, "value", None))
            added += [(name, value.id) for value in node.args if name in attributes and isinstance(value, ast.Name)]
    return (name for name, variable in added if not 0 < bound[variable] == numbers[variable])


def _is_number(value: ast.expr) -> bool:
    if isinstance(value, ast.BinOp):
        sides = (_is_number(value.left), _is_number(value.right))
        return all(sides) if isinstance(value.op, ast.Mult) else any(sides)
    if isinstance(value, ast.Call):
        return getattr(value.func, "id", "") in ("int", "float", "len", "round")
    return isinstance(value, ast.Constant)


def _counted(target: ast.expr, iterable: ast.expr) -> list[str]:
    """The variable that counts, of `for i in range(n)` and `for i, x in enumerate(y)`."""
    called = getattr(getattr(iterable, "func", None), "id", "")
    if called == "enumerate" and isinstance(target, ast.Tuple):
        target = target.elts[0]
    elif called != "range":
        return []
    return [target.id] if isinstance(target, ast.Name) else []
