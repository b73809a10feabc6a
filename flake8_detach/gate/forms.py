"""Forms: what a word of `Rule.triggers` can ask for beyond an identifier, told from the syntax of one node.

A rule about `with torch.no_grad:` need not look at each of the many files that write `with torch.no_grad():`. Each
function here sees one node of flake8's `ast` and adds the forms that it has to the words of its chunk.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from flake8_detach.knowledge.api import MODULE_NAMES
from flake8_detach.knowledge.contexts import GRAD_MODES

MARKED = GRAD_MODES | {"requires_grad_", "Parameter", "register_parameter"}
"""Of these, what a call is given decides, so a mention without a call is told from one. Of the grad modes "x&" is such
a mention, "@x" one as a decorator, "x(1)" a call with an argument; `requires_grad_(False)` switches on nothing."""

FLOATING = frozenset({"FloatTensor", "Tensor", "empty", "eye", "linspace", "normal", "ones", "rand", "randn", "zeros"})
"""Functions of torch that make floating-point numbers unless they are given another dtype."""

KEEPING = frozenset(
    {"clone", "contiguous", "cuda", "detach", "expand", "repeat", "reshape", "squeeze", "unsqueeze", "view"}
)
"""Methods that keep the dtype."""

PLAIN_METHODS = frozenset(
    {"count", "dim", "endswith", "format", "index", "item", "join", "lower", "numel", "startswith", "strip", "tolist"}
    | {"upper"}
)
"""Methods of strings, sequences and tensors that make no layer."""

PLAIN = frozenset(
    {"abs", "bool", "dict", "float", "frozenset", "getattr", "hash", "int", "len", "list", "max", "min", "range"}
    | {"round", "set", "sorted", "str", "sum", "tuple", "zip"}
)
"""Builtins that make no layer: what they return is as plain as what they are given."""

CONSUMERS = PLAIN | {"all", "any", "join"}
"""Calls that have run a generator expression through when they return."""

EMPTY = frozenset({"OrderedDict", "defaultdict", "deque", "dict", "list"})
ADDERS = frozenset({"append", "appendleft", "insert"})
FILLERS = ADDERS | {"extend", "setdefault", "update"}

Form = Callable[[Any, set[str]], None]


def holds_objects(node: Any) -> bool:
    """Is it a display in which something may be a layer or a Parameter?"""
    kind = node.__class__
    if kind in (ast.ListComp, ast.SetComp, ast.GeneratorExp):
        return may_be_object(node.elt)
    if kind is ast.DictComp:
        return may_be_object(node.value)
    if kind is ast.Dict:
        return any(map(may_be_object, node.values))
    return kind in (ast.List, ast.Tuple, ast.Set) and any(map(may_be_object, node.elts))


def may_be_object(node: Any) -> bool:
    if node.__class__ is not ast.Call:
        return holds_objects(node)
    if (
        getattr(node.func, "attr", "") in PLAIN_METHODS
        or getattr(getattr(node.func, "value", None), "id", "") == "math"
    ):
        return False
    if getattr(node.func, "id", "") not in PLAIN:
        return True
    return any(map(may_be_object, [*node.args, *(keyword.value for keyword in node.keywords)]))


def _owner(call: Any) -> str:
    return str(getattr(getattr(call.func, "value", None), "id", ""))


def _may_fill(node: Any) -> bool:
    return node.__class__ in (ast.Name, ast.Attribute) or may_be_object(node)


def _is_empty(node: Any) -> bool:
    if node.__class__ is ast.Call:
        return getattr(node.func, "attr", getattr(node.func, "id", "")) in EMPTY
    return not getattr(node, "elts", True) or not getattr(node, "keys", True)


def is_parameter(node: Any) -> bool:
    """Is it `nn.Parameter(...)`?"""
    if node.__class__ is not ast.Call:
        return False
    return "Parameter" in (getattr(node.func, "attr", ""), getattr(node.func, "id", ""))


def _is_floating(node: Any) -> bool:
    """Is it computed from floating-point tensors alone, as far as dtypes are told by name?"""
    if node.__class__ is ast.BinOp:
        return _is_floating(node.left) or _is_floating(node.right)
    if node.__class__ is not ast.Call or node.func.__class__ is not ast.Attribute:
        return False
    if node.func.attr in KEEPING:
        return _is_floating(node.func.value) and not node.keywords
    if node.func.attr == "tensor" and node.args and getattr(node.args[0], "value", None).__class__ is not float:
        return False
    if node.func.attr not in FLOATING and node.func.attr != "tensor":
        return False
    return all(k.arg != "dtype" or getattr(k.value, "attr", "").startswith("float") for k in node.keywords)


def _switches_on(value: Any) -> bool:
    """Can this value of `requires_grad` switch it on where nothing is switched on elsewhere? False does not, nor does
    the flag of another tensor."""
    if value.__class__ is ast.Attribute:
        return bool(value.attr != "requires_grad")
    return value.__class__ is not ast.Constant or value.value is not False


def attribute(node: Any) -> str:
    """The attribute that the target is, or is an item of; "" if it is something else."""
    while node.__class__ is ast.Subscript:
        node = node.value
    return str(node.attr) if node.__class__ is ast.Attribute else ""


def _assign(node: Any, words: set[str]) -> None:
    value = node.value
    for target in getattr(node, "targets", None) or [node.target]:
        if target.__class__ not in (ast.Attribute, ast.Subscript):
            continue
        name = attribute(target)
        if not name or value is None:
            continue
        if target.__class__ is ast.Attribute and node.__class__ is not ast.AugAssign:
            _stores(target, value, words)
        if name == "requires_grad" and _switches_on(value):
            words.add("requires_grad=True")
        if target.__class__ is ast.Subscript or node.__class__ is ast.AugAssign:
            words.add(f"*writes {name}")
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
    if value.__class__ is ast.IfExp:
        _stores(target, value.body, words)
        _stores(target, value.orelse, words)
    elif is_parameter(value):
        words.add(f"*parameter {target.attr}")
    elif value.__class__ is not ast.Constant or value.value is not None:
        words.add(f"*other {target.attr}")
        if getattr(target.value, "id", "") != "self" and target.attr in ("weight", "bias"):
            words.add(f".{target.attr}=other")


def _binary(node: Any, words: set[str]) -> None:
    if is_parameter(node.left) or is_parameter(node.right):
        words.add("Parameter()")


def _dict(node: Any, words: set[str]) -> None:
    for key, value in zip(node.keys, node.values, strict=True):
        if getattr(key, "value", None) == "dtype" and _is_integer(value):
            words.add("dtype=int")


def _is_integer(dtype: Any) -> bool:
    name = getattr(dtype, "attr", getattr(dtype, "id", ""))
    return name.startswith(("int", "uint", "bool", "long", "short", "qint", "quint"))


def _argument(node: Any, words: set[str]) -> None:
    if node.arg == "requires_grad":
        words.add("requires_grad=True")


def _text(node: Any, words: set[str]) -> None:
    if node.value == "requires_grad" or node.value in _UNKNOWN:
        words.update((_UNKNOWN.get(node.value, "requires_grad=True"), ".requires_grad="))


def _call(node: Any, words: set[str]) -> None:
    function = node.func
    name = getattr(function, "attr", getattr(function, "id", ""))
    if name == "Parameter":
        if not node.args or not _is_floating(node.args[0]):
            words.add(f"*made {_maker(node.args[0]) if node.args else '?'}")
        elif any(part.__class__ is ast.keyword and part.arg is None for part in ast.walk(node.args[0])):
            words.add("Parameter(**)")
        return
    if name == "dict":
        for keyword in node.keywords:
            if keyword.arg == "dtype" and _is_integer(keyword.value):
                words.add("dtype=int")
    if any(keyword.arg == "requires_grad" and _switches_on(keyword.value) for keyword in node.keywords):
        words.add("requires_grad=True")
    if name in GRAD_MODES and node.args:
        words.add(f"{name}(1)")
    elif name == "requires_grad_" and all(map(_switches_on, [*node.args, *(k.value for k in node.keywords)])):
        words.add("requires_grad=True")
    elif name == "register_parameter" and not _registers(node.args):
        words.add("register_parameter(?)")
    elif name in FILLERS and function.__class__ is ast.Attribute and any(map(_may_fill, node.args)):
        variables = name in ADDERS and all(value.__class__ is ast.Name or not _may_fill(value) for value in node.args)
        words.add(f"{'*puts' if variables else '*fills'} {attribute(function.value)}")
    if name not in CONSUMERS and any(value.__class__ is ast.GeneratorExp for value in node.args):
        words.add("(for)")


def _maker(node: Any) -> str:
    """The function that is called first in a chain of attributes and methods: `f` of `f(x).T.contiguous()`."""
    while isinstance(node, (ast.Call, ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            return node.func.id
        node = node.func if isinstance(node, ast.Call) else node.value
    return "?"


def _registers(arguments: list[ast.expr]) -> bool:
    """Is it `("name", None)` or `("name", nn.Parameter(...))`, which no module refuses once its `__init__` has run?"""
    if len(arguments) != 2:
        return False
    name, value = (getattr(argument, "value", argument) for argument in arguments)
    plain = name.__class__ is str and name.isidentifier() and name not in MODULE_NAMES
    return bool(plain and (value is None or is_parameter(arguments[1])))


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
    for decorator in node.decorator_list:
        name = _dotted(getattr(decorator, "func", decorator))
        if name.rpartition(".")[2] != "dataclass":
            words.add(f"*class {name.partition('.')[0]}")
    words.update(f"*base {node.name} {_dotted(base)}" for base in node.bases)
    for method in node.body if node.bases else ():
        if method.__class__ is not ast.FunctionDef:
            continue
        words.add(f"{method.name}:")
        if method.name == "__init__" and _assigns_early(method.body):
            words.add(f"*early {node.name}")


def _dotted(node: Any) -> str:
    """The name that stands there, perhaps with its owners, or what is indexed; "?" for anything else."""
    if node.__class__ is ast.Attribute:
        return f"{_dotted(node.value)}.{node.attr}"
    if node.__class__ is ast.Subscript:
        return _dotted(node.value)
    return str(node.id) if node.__class__ is ast.Name else "?"


def _assigns_early(body: list[ast.stmt]) -> bool:
    """Does an `__init__` store what a call makes before it calls that of its base class, or without it?"""
    stores = False
    for statement in body:
        for node in ast.walk(statement):
            if node.__class__ is ast.Attribute:
                if node.attr == "__init__":
                    return False
            elif node.__class__ is ast.Call and getattr(node.func, "attr", "") == "register_parameter":
                return True
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
    ast.Dict: _dict,
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
    words.add(f"{name}&" if name in GRAD_MODES else _UNKNOWN[name])


_UNKNOWN = {
    "requires_grad_": "requires_grad=True",
    "Parameter": "Parameter(?)",
    "register_parameter": "register_parameter(?)",
}
"""What a mention without a call may come to."""
