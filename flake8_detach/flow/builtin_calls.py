"""Calls of Python's builtins."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    autograd,
    comprehensions,
    containers,
    conversions,
    counting,
    idle,
    individuals,
    iteration,
    levels,
    lingering,
    module_groups,
    module_tree,
    modules,
    operators,
    questions,
    shapes,
    strings,
    subscripts,
    tensors,
)
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.calls import call as call_value
from flake8_detach.flow.machine import OPEN
from flake8_detach.flow.registry import BUILTINS, builtin, model
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    YES,
    Array,
    Class,
    Const,
    External,
    Foreign,
    Function,
    Instance,
    Layer,
    Mapping_,
    Method,
    Mode,
    Ref,
    Scalar,
    Sequence,
    Super,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
    truth,
)
from flake8_detach.knowledge import layers, ops
from flake8_detach.knowledge.optimizers import SCHEDULERS

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def call_builtin(m: Machine, name: str, args: Args, node: cst.CSTNode) -> Value:
    last = name.removeprefix("builtins.")
    special = BUILTINS.get(last)
    for value in args.pos if last not in ("type", "isinstance", "print", "id", "iter", "repr", "hasattr") else ():
        idle.consumed(m, value)
    if special is not None:
        return special(m, args, node)
    if last == "exec":
        escape(m, args.values())
        m.forget_variables()
        m.set_mode(Mode(MAYBE, MAYBE, m.mode.why))
    elif last in ("globals", "locals") or (last == "vars" and not args.pos):
        m.open_scope()
    elif last in ("vars", "delattr"):
        escape(m, args.values())
        for value in args.values():
            m.open_object(value)
    return UNKNOWN


@builtin("super")
def _super(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    frame = next((f for f in reversed(m.frames) if f.owner is not None and f.function is not None), None)
    if frame is None or frame.owner is None:
        return UNKNOWN
    instance = args.pos[1] if len(args.pos) > 1 else None
    if instance is None:
        params = frame.function.definition.params if frame.function is not None else None
        names = [p.name.value for p in (*params.posonly_params, *params.params)] if params is not None else []
        instance = m.state.get((frame.id, names[0]), UNKNOWN) if names else UNKNOWN
    owner = args.pos[0] if args.pos and isinstance(args.pos[0], Class) else frame.owner
    return Super(owner, instance)


@builtin("isinstance")
def _isinstance(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if len(args.pos) != 2:
        return UNKNOWN
    questions.asked(m, args.pos[0])
    kinds = list(args.pos[1].items) if isinstance(args.pos[1], Tuple) else [args.pos[1]]
    verdicts = [is_instance(m, args.pos[0], k) for k in kinds]
    if YES in verdicts:
        return Const(True)
    return Const(False) if all(v is NO for v in verdicts) else Scalar("bool")


@model("torch.is_tensor")
def _is_tensor(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    questions.asked(m, args.get(0, "obj") or UNKNOWN)
    known = is_instance(m, args.pos[0], External("torch.Tensor")) if args.pos else MAYBE
    return Const(known is YES) if known.proved else Scalar("bool")


def _extends(cls: Class, name: str) -> Truth:
    """Does a class of the file extend that class of torch.nn? A base that is a layer may do so itself."""
    known = all(isinstance(base, External) and base.name in modules.PLAIN for base in modules.outside(cls))
    return YES if name in modules.outside_names(cls) else NO if known and not name.endswith(".Module") else MAYBE


PYTHON_TYPES = {
    "builtins.list": "list",
    "builtins.set": "set",
    "collections.deque": "deque",
}


def is_instance(m: Machine, value: Value, kind: Value) -> Truth:
    """isinstance(value, kind), where it can be told."""
    if value == UNKNOWN or isinstance(value, Foreign) or kind == UNKNOWN:
        return MAYBE
    cell = m.cell(value)
    if isinstance(kind, Class):
        if isinstance(cell, Instance):
            return YES if kind in modules.lineage(cell.cls) else MAYBE if modules.open_ended(cell.cls) else NO
        return MAYBE if isinstance(value, Tuple) and value.names else NO
    if not isinstance(kind, External):
        return MAYBE
    name = kind.name
    if name == "torch.Tensor":
        return YES if m.is_tensor(value) else NO if cell is None or not isinstance(cell, Instance) else MAYBE
    if name == "torch.nn.Parameter":
        return truth(cell.parameter) if isinstance(cell, Tensor) else NO
    if name == "torch.nn.Module":
        return YES if modules.is_module(m, value) else NO if not isinstance(cell, Instance) else MAYBE
    if isinstance(cell, Thing) and name.startswith("torch.optim.lr_scheduler."):
        asked, made_of = name.rpartition(".")[2], cell.kind.rpartition(".")[2]
        return YES if asked == made_of else NO if {asked, made_of} <= SCHEDULERS.keys() - {"LRScheduler"} else MAYBE
    if name.startswith("torch.nn."):
        if isinstance(cell, Layer):
            return YES if cell.kind == name else NO if layers.layer(name) is not None else MAYBE
        return _extends(cell.cls, name) if isinstance(cell, Instance) else NO
    if name == "numpy.ndarray":
        return MAYBE if isinstance(value, Array) else NO
    if name == "builtins.tuple":
        return truth(isinstance(value, Tuple)) if not isinstance(cell, Sequence) or cell.kind != "tuple" else YES
    if name == "builtins.dict":
        return truth(isinstance(cell, Mapping_))
    if name in PYTHON_TYPES:
        return truth(isinstance(cell, Sequence) and cell.kind == PYTHON_TYPES[name])
    if name in ("builtins.int", "builtins.float", "builtins.str", "builtins.bool"):
        wanted = name.removeprefix("builtins.")
        if isinstance(value, Const):
            return truth(type(value.value).__name__ == wanted or (wanted == "int" and isinstance(value.value, bool)))
        if isinstance(value, Scalar):
            return truth(value.kind == wanted) if value.kind != "number" else MAYBE
        return NO if isinstance(value, (Ref, Tuple)) and not isinstance(cell, Instance) else MAYBE
    return MAYBE


@builtin("hasattr")
def _hasattr(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if len(args.pos) != 2 or not isinstance(args.pos[1], Const):
        return Scalar("bool")
    value, name = args.pos[0], str(args.pos[1].value)
    m.ledger.attributes_asked.add(name)
    questions.asked(m, value)
    if isinstance(value, Const):
        return Const(hasattr(value.value, name))
    if isinstance(value, Scalar) and value.kind in PLAIN:
        return Const(hasattr(PLAIN[value.kind], name))
    if m.is_tensor(value) and (ops.method(name) is not None or ops.attribute(name) is not None):
        return Const(True)
    if isinstance(value, Ref) and len(value.addresses) == 1:
        method = modules.find(m, value, name) if isinstance(m.cell(value), Instance) else None
        if (value.addresses[0], name) in m.state.slots or isinstance(method, Function):
            return Const(True)
    return Const(False) if _absent(m, value, name) else Scalar("bool")


def _absent(m: Machine, value: Value, name: str) -> bool:
    """Has the object surely no such attribute? Of what every object has nothing is said, of modules little."""
    if not isinstance(value, Ref) or name.startswith("_") or not m.escaped.isdisjoint(value.addresses):
        return False
    cell = m.cell(value)
    if not modules.is_module(m, value):
        return modules.lacks(m, value, name)
    if name not in ("weight", "bias"):
        return False
    return modules.lacks(m, value, name) or (isinstance(cell, Layer) and layers.lacks(cell.kind, name))


PLAIN = {"int": int, "float": float, "bool": bool, "str": str, "complex": complex}


@builtin("getattr")
def _getattr(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    from flake8_detach.flow import attributes

    owner = args.pos[0] if args.pos else UNKNOWN
    name = args.pos[1] if len(args.pos) > 1 else UNKNOWN
    if not (isinstance(name, Const) and isinstance(name.value, str)):
        if modules.is_module(m, owner) and isinstance(owner, Ref):
            named = module_groups.named(m, owner.addresses[0], name)
            if named is not None and named != UNKNOWN:
                return named
        escape(m, [owner])  # some method of it, perhaps one that changes it, perhaps backward
        if m.is_tensor(owner):
            m.state.set(autograd.SPOILED, YES)
        return External("?") if isinstance(owner, External) else UNKNOWN
    if len(args.pos) > 2 and _absent(m, owner, name.value):
        return args.pos[2]
    m.quiet += len(args.pos) > 2  # a default is at hand
    try:
        found = attributes.get(m, owner, name.value, node, args.node(0, "object", node))
    finally:
        m.quiet -= len(args.pos) > 2
    return UNKNOWN if len(args.pos) > 2 and isinstance(found, Method) else found


@builtin("setattr")
def _setattr(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    from flake8_detach.flow import attributes

    owner = args.pos[0] if args.pos else UNKNOWN
    name = args.pos[1] if len(args.pos) > 1 else UNKNOWN
    value = args.pos[2] if len(args.pos) > 2 else UNKNOWN
    if isinstance(name, Const) and isinstance(name.value, str):
        attributes.put(m, owner, name.value, value, node, args.node(0, "object", node))
        return NONE
    if modules.is_module(m, owner) and isinstance(owner, Ref):
        m.ledger.registered.update(value.addresses if isinstance(value, Ref) else ())
        if not isinstance(m.cell(owner), Layer) and module_groups.name_one(m, owner.addresses[0], name, value):
            return NONE
    escape(m, [value])
    if isinstance(owner, External):
        m.patched.add(f"{owner.name}.*")
    if isinstance(owner, Class):
        m.state.set((owner.frame, OPEN), YES)
    for address, cell in m.cells(owner):
        if isinstance(cell, Tensor):
            m.change(address, grad=MAYBE)
        elif modules.is_module(m, Ref((address,))):
            if isinstance(cell, Layer):
                m.state.set((address, CELL), replace(cell, children=None))
            m.state.put(address, f"*registered {len(m.state.names(address))}", value)
            m.state.set((address, "*open"), YES)
        else:
            m.open_object(Ref((address,)))
    return NONE


@builtin("format")
def _format(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if len(args.pos) == 2 and args.pos[1] != Const(""):
        conversions.formatted(m, node, args.pos[0], args.nodes.get(0, node))
    return Scalar("str")


@builtin("memoryview", "bytes", "bytearray")
def _buffer(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    last = args.called.removeprefix("builtins.")
    for value in args.pos[:1]:
        if last == "memoryview":
            problem = "a tensor has no buffer of bytes; use `.numpy()`"
            conversions.never(m, node, value, args.nodes.get(0, node), problem)
        else:
            conversions.index(m, node, value, args.nodes.get(0, node))
    return UNKNOWN


@builtin("print", "repr", "id", "hash", "ascii", "callable", "type", "dir", "help", "breakpoint", "iter_")
def _harmless(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return UNKNOWN


@builtin("str")
def _str(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return strings.joined(args.pos) if len(args.pos) == 1 else Scalar("str")


@builtin("len")
def _len(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if args.pos:
        conversions.iterate(m, args.nodes.get(0, node), args.pos[0])
    known = iteration.exact(m, args.pos[0]) if args.pos else None
    if known is not None and isinstance(args.pos[0], Ref) and m.retention.growing(m, args.pos[0].addresses[0]):
        return Scalar("int")
    return Const(len(known)) if known is not None else Scalar("int")


@builtin("float", "int", "bool", "complex", "abs_", "round_")
def _number(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    kind = args.called.removeprefix("builtins.")
    value = args.pos[0] if args.pos else None
    if kind == "bool" and value is not None:
        conversions.truth_of(m, args.node(0, "x", node), value)
    if m.is_tensor(value or UNKNOWN):
        if kind != "bool":
            conversions.number(m, node, value or UNKNOWN, args.node(0, "x", node))
        levels.read(m, node, value or UNKNOWN, f"`{kind}(...)`")
        tensor = m.tensors(value or UNKNOWN)[0][1]
        subject = m.text(args.node(0, "x", node))
        what, of = f"turned into a Python number by `{kind}(...)`", m.tensors(value or UNKNOWN)
        why = m.cause("scalar", what, node, subject, tensor.grad, tensor.why, of)
        return Scalar(kind if kind in ("float", "int", "bool", "complex") else "number", why)  # type: ignore[arg-type]
    if isinstance(value, (Const, Scalar, Array)):
        return Scalar(kind if kind in ("float", "int", "bool", "complex") else "number", value.why)  # type: ignore[arg-type]
    return Scalar(kind) if kind in ("float", "int", "bool", "complex") else UNKNOWN  # type: ignore[arg-type]


@builtin("range")
def _range(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    for position, value in enumerate(args.pos):
        conversions.index(m, node, value, args.nodes.get(position, node))
    if args.pos and all(isinstance(v, Const) and isinstance(v.value, int) for v in args.pos) and len(args.pos) <= 3:
        numbers = [v.value for v in args.pos if isinstance(v, Const)]
        try:
            length = len(range(*numbers))
        except (ValueError, OverflowError):
            return UNKNOWN
        if length <= 1:
            return m.new(Sequence("range", tuple(Const(i) for i in range(*numbers)), filled=truth(bool(length))))
        made = m.new(Sequence("range", None, Scalar("int"), filled=YES))
        if numbers[2:] in ([], [1]):
            first = numbers[0] if len(numbers) > 1 else 0
            counting.counts(m, made, Const(first), first + length - 1)
        if length <= iteration.UNROLL:
            m.state.set((made.addresses[0], iteration.NUMBERS), tuple(range(*numbers)))
        return made
    made = m.new(Sequence("range", None, Scalar("int")))
    return counting.counts(m, made, args.pos[0] if len(args.pos) == 2 else Const(0) if len(args.pos) == 1 else None)


@builtin("enumerate")
def _enumerate(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    source = iteration.iterated(m, node, args.get(0, "iterable") or UNKNOWN)
    known = iteration.exact(m, source)
    if known is not None and len(args.pos) == 1:
        return m.new(
            Sequence("iterable", tuple(Tuple((Const(i), v)) for i, v in enumerate(known)), filled=truth(bool(known)))
        )
    one = Tuple((Scalar("int"), iteration.element(m, source)))
    sure = iteration.member(m, source)
    members = () if sure is None else (Tuple((Scalar("int"), sure)),)
    every, some = iteration.once(m, source), iteration.filled(m, source)
    made = m.new(Sequence("iterable", None, one, each=every, filled=some, members=members))
    return counting.counts(m, made, args.get(1, "start") or Const(0))


@builtin("zip")
def _zip(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if args.open:
        columns = containers.columns(m, args.pos[0]) if len(args.pos) == 1 and not args.nodes else None
        return columns or m.new(Sequence("iterable"))
    known = [iteration.exact(m, v) for v in args.pos]
    if known and all(k is not None for k in known):
        rows = tuple(Tuple(tuple(row)) for row in zip(*(k or [] for k in known), strict=False))
        return m.new(Sequence("iterable", rows, filled=truth(bool(rows))))
    one = Tuple(tuple(iteration.element(m, v) for v in args.pos))
    every = bool(args.pos) and any(iteration.once(m, v) for v in args.pos)
    filled = YES if args.pos and all(iteration.filled(m, v).yes for v in args.pos) else MAYBE
    members = iteration.together(m, args.pos)
    return m.new(Sequence("iterable", None, one, each=every, filled=filled, members=members))


KINDS = {"tuple": "tuple", "iter": "iterator"}
"""What comes out of these functions, where it is no list."""


@builtin("list", "tuple", "set", "sorted", "reversed", "iter", "frozenset")
def _container(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    kind = args.called.removeprefix("builtins.")
    if not args.pos:
        return m.new(Sequence(kind, (), filled=NO)) if kind != "tuple" else Tuple(())
    source = iteration.iterated(m, node, args.pos[0])
    conversions.iterate(m, args.nodes.get(0, node), source)
    known = iteration.exact(m, source)
    consumed = m.cell(source)
    if known is not None and kind == "sorted":
        known = containers.in_order(known, args)
    if known is not None and kind in ("list", "tuple", "sorted", "iter", "reversed"):
        known = known[::-1] if kind == "reversed" else known
        result: Value = (
            Tuple(tuple(known))
            if kind == "tuple"
            else m.new(Sequence(KINDS.get(kind, "list"), tuple(known), filled=truth(bool(known))))
        )
    elif isinstance(consumed, Sequence):
        one = iteration.element(m, source)
        if consumed.kind == "generator" and isinstance(one, Ref) and m.state.several.issuperset(one.addresses):
            individuals.many(m, 0, one)
        if kind == "reversed" and isinstance(one, Ref):
            one = replace(one, addresses=one.addresses[::-1])
        each = consumed.each and kind in ("list", "tuple", "iter", "reversed")  # the order of others is not known
        made = m.new(replace(consumed, kind=KINDS.get(kind, "list"), items=None, element=one, each=each))
        if kind in ("list", "tuple", "iter") and isinstance(source, Ref):
            m.state.set((made.addresses[0], iteration.NAMES), m.state.get((source.addresses[0], iteration.NAMES), ()))
        result = made
    elif source == UNKNOWN:
        result = UNKNOWN if kind == "tuple" else m.new(Sequence("list"))
    else:
        result = m.new(
            Sequence(
                KINDS.get(kind, "list"),
                None,
                iteration.element(m, source),
                filled=iteration.filled(m, source),
            )
        )
    if kind != "iter":
        iteration.consume(m, source)
    return result


@builtin("dict")
def _dict(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    return m.new(containers.mapping(m, args, "dict"))


@builtin("next")
def _next(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    source = args.pos[0] if args.pos else UNKNOWN
    lingering.suspended(m, source, args.nodes.get(0, node))
    following = iteration.following(m, source)
    return following if following is not None else args.get(1, "default") or UNKNOWN


@builtin("sum")
def _sum(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    source = args.get(0, "iterable") or UNKNOWN
    start = args.get(1, "start") or Const(0)
    known = iteration.exact(m, source)
    if known is not None and len(known) <= 32:
        total = start
        for item in known:
            total = operators.binary(m, node, "Add", total, item, node, node)
        return total
    one = iteration.element(m, source)
    if isinstance(one, Ref) and len(one.addresses) > 1:
        total = start
        for address in one.addresses:
            total = operators.binary(m, node, "Add", total, Ref((address,)), node, node)
        return total
    if m.is_tensor(one):
        cell = m.cell(source)
        total = operators.binary(m, node, "Add", start, one, node, node)
        for member in cell.members if isinstance(cell, Sequence) else ():
            total = operators.binary(m, node, "Add", total, member, node, node)
        return total
    return one if isinstance(one, (Scalar, Array)) else Scalar("number") if isinstance(one, Const) else UNKNOWN


@builtin("max", "min")
def _extreme(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    candidates = args.pos if len(args.pos) > 1 else [iteration.element(m, args.pos[0])] if args.pos else []
    result = candidates[0] if candidates else UNKNOWN
    if len(candidates) > 1 and all(m.is_tensor(c) for c in candidates):
        _compared(m, node, candidates)
    for other in candidates[1:]:
        result = subscripts._either(m, result, other) if result != other else result
    return result if not isinstance(result, Const) else Scalar("number")


def _compared(m: Machine, node: cst.CSTNode, candidates: list[Value]) -> None:
    """`max(a, b)` asks whether `b > a`, which a comparison of several elements cannot answer."""
    found = [conversions.several(m, c) for c in candidates[:2]]
    shape = shapes.broadcast([t.shape for t in found if t is not None])
    if shape is not None and shapes.several(shape):
        problem = "it compares tensors of several elements as a whole; use `torch.maximum` or `torch.minimum`"
        conversions.refuse(m, node, next(t for t in found if t is not None), m.text(node), problem)


@builtin("abs", "round", "pow", "divmod")
def _arithmetic(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    value = args.pos[0] if args.pos else UNKNOWN
    last = args.called.removeprefix("builtins.")
    if m.is_tensor(value) and last == "round":
        problem = "a tensor has no `__round__`; use `torch.round(...)`, or `.item()` first"
        conversions.never(m, node, value, args.node(0, "x", node), problem)
        return UNKNOWN
    if m.is_tensor(value):
        op = ops.method({"abs": "abs", "pow": "pow"}.get(last, ""))
        if op is None:
            return UNKNOWN
        bound = Args(args.pos[1:]).bind(op.params[1:])
        return tensors.apply(m, node, op, {"self": value, **bound}, m.text(args.node(0, "x", node)))
    if isinstance(value, (Const, Scalar)):
        return Scalar("number", value.why)
    return value if isinstance(value, Array) else UNKNOWN


@builtin("map")
def _map(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if len(args.pos) < 2:
        return UNKNOWN
    known = iteration.exact(m, args.pos[1])
    if len(args.pos) == 2 and known is not None and len(known) <= iteration.UNROLL:
        results = tuple(call_value(m, args.pos[0], Args([v]), node) for v in known)
        return m.new(Sequence("generator", results, filled=truth(bool(results))))
    given = [iteration.element(m, v) for v in args.pos[1:]]
    oldest = m.state.address()
    one = call_value(m, args.pos[0], Args(given), node)
    individuals.mark(m, one, oldest)
    if not any(comprehensions.shared(m, value) for value in given):
        individuals.many(m, oldest, one)
    return m.new(Sequence("generator", None, one, filled=iteration.filled(m, args.pos[1])))


@builtin("filter")
def _filter(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    if len(args.pos) != 2:
        return UNKNOWN
    source = args.pos[1]
    one = iteration.element(m, source)
    if iteration.once(m, source) and isinstance(one, Ref):
        kept = []
        for address in one.addresses:
            verdict = operators.condition(m, call_value(m, args.pos[0], Args([Ref((address,))]), node))
            if verdict is MAYBE:
                return m.new(Sequence("generator", None, one))
            if verdict.yes:
                kept.append(address)
        made = module_tree.each(m, Ref(tuple(kept)))
        dropped = comprehensions.frozen(m, [a for a in one.addresses if a not in kept])
        if dropped.addresses and isinstance(made, Ref):
            m.state.set((made.addresses[0], iteration.DROPPED), dropped)
        return made
    return m.new(Sequence("generator", None, one))


@builtin("any", "all")
def _quantifier(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    items = iteration.exact(m, args.pos[0]) if args.pos else None
    found = [operators.condition(m, item) for item in items or () if isinstance(item, (Const, Scalar))]
    wanted = YES if args.called == "builtins.any" else NO
    if wanted in found or (items is not None and len(found) == len(items) and all(known.proved for known in found)):
        return Const((wanted is YES) == (wanted in found))
    return Scalar("bool")
