"""Objects that are their fields: namedtuples, dataclasses, TypedDict, SimpleNamespace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, iteration
from flake8_detach.flow.calls import Args
from flake8_detach.flow.copies import tell_copy
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    NONE,
    UNKNOWN,
    Class,
    Const,
    External,
    Instance,
    Mapping_,
    Method,
    Partial,
    Ref,
    Sequence,
    Thing,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

NAMED = "collections.namedtuple()"
"""Stands for what a namedtuple class does when it is called; its first argument are the names."""
FIELD = "dataclasses.field"
DECLARED = "*fields"
"""Slot of a class: its own fields, if it is a dataclass."""


# namedtuple


@model("collections.namedtuple")
def _namedtuple(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    given = args.get(1, "field_names")
    if isinstance(given, Const) and isinstance(given.value, str):
        names: list[Value] = [Const(name) for name in given.value.replace(",", " ").split()]
    else:
        names = (given is not None and iteration.exact(m, given)) or []
    return _made_class(m, names, args) if len(args.pos) + len(args.kw) == 2 else _unknown(m, args)


@model("typing.NamedTuple")
def _typed_namedtuple(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    pairs = iteration.exact(m, args.get(1, "fields") or UNKNOWN) or []
    return _made_class(m, [p.items[0] if isinstance(p, Tuple) and p.items else UNKNOWN for p in pairs], args)


def _made_class(m: Machine, names: list[Value], args: Args) -> Value:
    if not names or not all(isinstance(name, Const) for name in names):
        return _unknown(m, args)
    return Partial(External(NAMED), (Tuple(tuple(names)),), ())


def _unknown(m: Machine, args: Args) -> Value:
    calls.escape(m, args.values())
    return UNKNOWN


@model(NAMED)
def _named(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    first = args.pos[0]
    names = [str(name.value) for name in first.items if isinstance(name, Const)] if isinstance(first, Tuple) else []
    values = [args.get(index, name) for index, name in enumerate(names, 1)]
    if args.open or any(value is None for value in values):
        return _unknown(m, args)
    return Tuple(tuple(value for value in values if value is not None), tuple(names))


def attribute(record: Tuple, name: str) -> Value:
    """`record.<name>`: a field, what every namedtuple has, or something that the class defines besides."""
    if name in record.names:
        return record.items[record.names.index(name)]
    return Method(record, name) if name in NAMEDTUPLES_HAVE or name in ASKED_FOR else UNKNOWN


ASKED_FOR = ("backward",)
"""Methods that no namedtuple has, as long as its class does not define them."""
NAMEDTUPLES_HAVE = frozenset({*dir(tuple), "_replace", "_asdict", "_make", "_fields"})


def method(m: Machine, record: Tuple, name: str, args: Args) -> Value | None:
    """`record._replace(...)`, `record._asdict()`; None for what namedtuples do not define."""
    if name == "_replace" and not args.open:
        return Tuple(tuple(args.kw.get(n, v) for n, v in zip(record.names, record.items, strict=True)), record.names)
    if name == "_asdict":
        return m.new(Mapping_(tuple(zip(record.names, record.items, strict=True))))
    return None


# Classes of the file


def fields(node: cst.ClassDef) -> tuple[str, ...]:
    """The annotated names of a class, in order."""
    found = []
    for statement in node.body.body:
        for part in statement.body if isinstance(statement, cst.SimpleStatementLine) else ():
            if isinstance(part, cst.AnnAssign) and isinstance(part.target, cst.Name):
                found.append(part.target.value)
    return tuple(found)


def made(m: Machine, cls: Class, args: Args, node: cst.CSTNode) -> Value | None:
    """`cls(...)` of a class that is a namedtuple or a TypedDict; None for all others."""
    from flake8_detach.flow import modules

    bases = modules.outside(cls)
    if any(base in TYPED_DICTS for base in bases):
        return _dict(m, args)
    named = next((b for b in bases if isinstance(b, Partial) and b.function == External(NAMED)), None)
    if named is None and External("typing.NamedTuple") not in bases:
        return None
    if any(_declared(m, cls, name) is not None for name in OVERRIDING):
        return _unknown(m, args)
    if named is not None:
        return _named(m, replace(args, pos=[*named.args, *args.pos], nodes={}), node)
    owner = next(c for c in reversed(modules.lineage(cls)) if External("typing.NamedTuple") in c.bases)
    names = fields(owner.definition) if isinstance(owner.definition, cst.ClassDef) else ()
    values = [_field_value(m, cls, args, index, name, node) for index, name in enumerate(names)]
    return Tuple(tuple(values), names)


TYPED_DICTS = (External("typing.TypedDict"), External("typing_extensions.TypedDict"))
OVERRIDING = (*ASKED_FOR, "__new__", "__getitem__", "__iter__", "__getattr__", "__getattribute__")
"""What a namedtuple class defines if its elements are not its fields."""


def _dict(m: Machine, args: Args) -> Value:
    first = m.cell(args.pos[0]) if args.pos else Mapping_()
    if args.open or not isinstance(first, Mapping_):
        return m.new(Mapping_((), UNKNOWN))
    return m.new(first.merged(args.kw.items()))


def fill(m: Machine, instance: Ref, cls: Class, args: Args, node: cst.CSTNode) -> bool:
    """What the `__init__` that `dataclass` generates does; False if the class is no dataclass."""
    from flake8_detach.flow import modules

    declared = [(c, m.state.get((c.frame, DECLARED), ())) for c in reversed(modules.lineage(cls))]
    every = dict.fromkeys(name for _, names in declared for name in names)
    at = 0
    for field in every:
        left_out = _option(m, cls, field, "init") == Const(False)
        given = None if left_out else args.get(at, field)
        at += not left_out
        value = given if given is not None else _field_value(m, cls, Args([], {}, args.open), at, field, node)
        m.state.put(instance.addresses[0], field, value)
    return bool(every)


def _field_value(m: Machine, cls: Class, args: Args, index: int, name: str, node: cst.CSTNode) -> Value:
    given = args.get(index, name)
    if given is not None:
        return given
    default = _declared(m, cls, name)
    return UNKNOWN if args.open or default is None else _default(m, default, node)


def _declared(m: Machine, cls: Class, name: str) -> Value | None:
    """What stands in the class for that field."""
    from flake8_detach.flow import modules

    found = (m.state.get((c.frame, name)) for c in modules.lineage(cls))
    return next((value for value in found if value is not None), None)


def _option(m: Machine, cls: Class, field: str, option: str) -> Value | None:
    cell = m.cell(_declared(m, cls, field) or NONE)
    return cell.part(option) if isinstance(cell, Thing) and cell.kind == FIELD else None


@model(FIELD)
def _field(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if args.open or args.pos:
        return UNKNOWN
    return m.new(Thing(FIELD, tuple(args.kw.items())))


def _default(m: Machine, default: Value, node: cst.CSTNode) -> Value:
    """What a field gets that is not given; `default` is what stands in the class."""
    cell = m.cell(default)
    if not isinstance(cell, Thing) or cell.kind != FIELD:
        return default
    factory = cell.part("default_factory")
    return cell.part("default") or (UNKNOWN if factory is None else calls.call(m, factory, Args([]), node))


@model("dataclasses.replace", "copy.replace")
def _replace(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """A new object with the attributes of the old one, some of them exchanged."""
    old = args.pos[0] if args.pos else UNKNOWN
    cell = m.cell(old)
    if isinstance(old, Tuple) and old.names and not args.open:
        return method(m, old, "_replace", args) or UNKNOWN
    if not isinstance(cell, Instance) or not isinstance(old, Ref) or args.open:
        return _unknown(m, args)
    made_ = m.new(cell)
    for name in m.state.names(old.addresses[0]):
        m.state.put(made_.addresses[0], name, args.kw.get(name, m.state.get((old.addresses[0], name))))
    return made_


@model("dataclasses.asdict", "dataclasses.astuple")
def _flattened(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    """Deep copies of all that is in the fields; torch refuses to copy what is no leaf."""
    old = args.get(0, "obj") or UNKNOWN
    for value in _inside(m, old):
        if any(t.leaf.no and t.grad.yes for _, t in m.tensors(value)):
            tell_copy(m, node, value, args.node(0, "obj", node), inside=True)
            break
    return UNKNOWN


def _inside(m: Machine, value: Value, depth: int = 0) -> Iterator[Value]:
    """The tensors in the fields of a dataclass, and in tuples, lists and dicts in them."""
    cell = m.cell(value)
    if m.is_tensor(value):
        yield value
        return
    inner: list[Value] = []
    if isinstance(value, Tuple):
        inner = list(value.items)
    elif isinstance(cell, Sequence):
        inner = list(cell.items or ())
    elif isinstance(cell, Mapping_):
        inner = [v for _, v in cell.items]
    elif isinstance(cell, Instance) and isinstance(value, Ref):
        inner = [m.state.get((value.addresses[0], n), UNKNOWN) for n in m.state.get((cell.cls.frame, DECLARED), ())]
    for item in inner if depth < 4 else ():
        yield from _inside(m, item, depth + 1)


# Namespaces


@model("types.SimpleNamespace", "argparse.Namespace")
def _namespace(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if args.open or args.pos:
        return _unknown(m, args)
    made_ = m.new(Thing("types.SimpleNamespace"))
    for name, value in args.kw.items():
        m.state.put(made_.addresses[0], name, value)
    return made_
