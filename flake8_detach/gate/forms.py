"""Forms: what a word of `Rule.triggers` can ask for beyond an identifier, told from the syntax of one node.

A rule about `with torch.no_grad:` need not look at each of the many files that write `with torch.no_grad():`. Each
function here sees one node of flake8's `ast` and adds the forms that it has to the words of its chunk.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from flake8_detach.knowledge.contexts import GRAD_MODES

MARKED = GRAD_MODES | {"requires_grad_"}
"""For these "x&" is a mention without a call, "@x" such a mention as a decorator, "x(1)" a call with an argument;
and `requires_grad_(False)` switches on nothing."""

PLAIN = frozenset(
    {"abs", "bool", "dict", "float", "frozenset", "getattr", "hash", "int", "len", "list", "max", "min", "range"}
    | {"round", "set", "sorted", "str", "sum", "tuple", "zip"}
)
"""Builtins that make no layer: what they return is as plain as what they are given."""

CONSUMERS = PLAIN | {"all", "any", "join"}
"""Calls that have run a generator expression through when they return."""

EMPTY = frozenset({"OrderedDict", "defaultdict", "deque", "dict", "list"})
FILLERS = frozenset({"append", "appendleft", "extend", "insert", "setdefault", "update"})

Form = Callable[[Any, set[str]], None]


def holds_objects(node: Any) -> bool:
    """Is it a display in which something may be a layer or a Parameter?"""
    kind = node.__class__
    if kind in (ast.ListComp, ast.SetComp, ast.GeneratorExp):
        return _may_be_object(node.elt)
    if kind is ast.DictComp:
        return _may_be_object(node.value)
    if kind is ast.Dict:
        return any(map(_may_be_object, node.values))
    return kind in (ast.List, ast.Tuple, ast.Set) and any(map(_may_be_object, node.elts))


def _may_be_object(node: Any) -> bool:
    if node.__class__ is not ast.Call:
        return holds_objects(node)
    if getattr(node.func, "id", "") not in PLAIN:
        return True
    return any(map(_may_be_object, [*node.args, *(keyword.value for keyword in node.keywords)]))


def _may_fill(node: Any) -> bool:
    return node.__class__ in (ast.Name, ast.Attribute) or _may_be_object(node)


def _is_empty(node: Any) -> bool:
    if node.__class__ is ast.Call:
        return getattr(node.func, "attr", getattr(node.func, "id", "")) in EMPTY
    return not getattr(node, "elts", True) or not getattr(node, "keys", True)


def is_parameter(node: Any) -> bool:
    """Is it `nn.Parameter(...)`?"""
    if node.__class__ is not ast.Call:
        return False
    return "Parameter" in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))


def _is_false(node: Any) -> bool:
    return node.__class__ is ast.Constant and node.value is False


def _attribute(node: Any) -> str:
    """The attribute that the target is, or is an item of; "" if it is something else."""
    while node.__class__ is ast.Subscript:
        node = node.value
    return str(node.attr) if node.__class__ is ast.Attribute else ""


def _assign(node: Any, words: set[str]) -> None:
    value = node.value
    for target in getattr(node, "targets", None) or [node.target]:
        if target.__class__ not in (ast.Attribute, ast.Subscript):
            continue
        name = _attribute(target)
        if not name or value is None:
            continue
        if target.__class__ is ast.Attribute and node.__class__ is not ast.AugAssign:
            _stores(target, value, words)
        if name == "requires_grad" and not _is_false(value):
            words.add("requires_grad=True")
        if target.__class__ is ast.Subscript or node.__class__ is ast.AugAssign:
            if _may_fill(value):
                words.add(f"*fills {name}")
        elif holds_objects(value):
            words.add("=[")
        elif _is_empty(value):
            words.add(f"*empty {name}")
    if node.__class__ is ast.AugAssign:
        words.add("+=")


def _stores(target: ast.Attribute, value: Any, words: set[str]) -> None:
    """`owner.name = value`: is it a Parameter, or something else where one may be?"""
    if is_parameter(value):
        words.add(f"*parameter {target.attr}")
    elif value.__class__ is not ast.Constant or value.value is not None:
        words.add(f"*other {target.attr}")
        if getattr(target.value, "id", "") != "self" and target.attr in ("weight", "bias"):
            words.add(f".{target.attr}=other")


def _binary(node: Any, words: set[str]) -> None:
    if is_parameter(node.left) or is_parameter(node.right):
        words.add("Parameter()")


def _keyword(node: Any, words: set[str]) -> None:
    if node.arg == "requires_grad" and not _is_false(node.value):
        words.add("requires_grad=True")


def _argument(node: Any, words: set[str]) -> None:
    if node.arg == "requires_grad":
        words.add("requires_grad=True")


def _text(node: Any, words: set[str]) -> None:
    if node.value in ("requires_grad", "requires_grad_"):
        words.update(("requires_grad=True", ".requires_grad="))


def _call(node: Any, words: set[str]) -> None:
    function = node.func
    name = getattr(function, "attr", getattr(function, "id", ""))
    if name in GRAD_MODES and node.args:
        words.add(f"{name}(1)")
    elif name == "requires_grad_" and not any(map(_is_false, [*node.args, *(k.value for k in node.keywords)])):
        words.add("requires_grad=True")
    elif name in FILLERS and function.__class__ is ast.Attribute and any(map(_may_fill, node.args)):
        words.add(f"*fills {_attribute(function.value)}")
    if name not in CONSUMERS and any(value.__class__ is ast.GeneratorExp for value in node.args):
        words.add("(for)")


def _loose_generator(node: Any, words: set[str]) -> None:
    """A generator expression that stands elsewhere than among the arguments of a call."""
    if node.value.__class__ is ast.GeneratorExp:
        words.add("(for)")


def _statement(node: Any, words: set[str]) -> None:
    """An expression whose value nobody takes."""
    value = node.value
    if value.__class__ is ast.Call:
        words.add(f"{getattr(value.func, 'attr', getattr(value.func, 'id', ''))}();")
        words.add(f"{getattr(getattr(value.func, 'value', None), 'attr', '')};")
    elif value.__class__ is ast.Attribute:
        words.add(f"{value.attr};")
    elif value.__class__ is ast.Compare:
        words.add(f"{getattr(value.left, 'attr', '')}==;")


def _with(node: Any, words: set[str]) -> None:
    function = getattr(node.context_expr, "func", None)
    if node.optional_vars is not None and function is not None:
        words.add(f"{getattr(function, 'attr', getattr(function, 'id', ''))} as")


def _yields(node: Any, words: set[str]) -> None:
    words.add("yield")


def _coroutine(node: Any, words: set[str]) -> None:
    words.add("async")


def _class(node: Any, words: set[str]) -> None:
    if node.decorator_list:
        words.add("@class")
    for method in node.body if node.bases else ():
        if method.__class__ is not ast.FunctionDef:
            continue
        words.add(f"{method.name}:")
        if method.name == "__init__" and _assigns_early(method.body):
            words.add("__init__ after =")


def _assigns_early(body: list[ast.stmt]) -> bool:
    """Does an `__init__` store what a call makes before it calls that of its base class, or without it?"""
    stores = False
    for statement in body:
        for node in ast.walk(statement):
            if node.__class__ is ast.Attribute:
                if node.attr == "__init__":
                    return False
            elif node.__class__ is ast.Assign and node.targets[0].__class__ is ast.Attribute:
                stores = True
                if node.value.__class__ is ast.Call:
                    return True
    return stores


def _assigned(node: Any, words: set[str]) -> None:
    _assign(node, words)
    _loose_generator(node, words)


FORMS: dict[type, Form] = {
    ast.Assign: _assigned,
    ast.AnnAssign: _assigned,
    ast.AugAssign: _assign,
    ast.Return: _loose_generator,
    ast.NamedExpr: _loose_generator,
    ast.BinOp: _binary,
    ast.keyword: _keyword,
    ast.arg: _argument,
    ast.Constant: _text,
    ast.Call: _call,
    ast.Expr: _statement,
    ast.withitem: _with,
    ast.Yield: _yields,
    ast.YieldFrom: _yields,
    ast.AsyncFunctionDef: _coroutine,
    ast.ClassDef: _class,
}
"""Kind of node -> what it may add to the words."""


def mentioned(name: str, words: set[str]) -> None:
    """A variable or attribute of this name, one of `MARKED`, stands somewhere without being called."""
    words.add(f"{name}&" if name in GRAD_MODES else "requires_grad=True")


PAIRS = (("*empty", "*fills", "=["), ("*parameter", "*other", "Parameter="))
"""Notes on an attribute, each about one place, that make a form together."""


def complete(words: set[str]) -> None:
    """Add the forms that take two places: an attribute made empty and filled, a Parameter given another value."""
    for first, second, form in PAIRS:
        length = len(first)
        if any(word.startswith(first) and f"{second}{word[length:]}" in words for word in words):
            words.add(form)
