"""What tensors cannot be turned into: a number of several elements, an array of bfloat16, an integer of fractions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import events, levels, missing, shapes
from flake8_detach.flow.values import (
    NO,
    NONE,
    Const,
    External,
    Label,
    Mapping_,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
)
from flake8_detach.knowledge import contexts, conversions, kinds, meaning
from flake8_detach.knowledge.ops import Op

if TYPE_CHECKING:
    from flake8_detach.flow.calls import Args
    from flake8_detach.flow.machine import Machine


def refuse(
    m: Machine, node: cst.CSTNode, tensor: Tensor, subject: Label, problem: str, how: Label | None = None
) -> None:
    """Tell the rules that torch raises here. how: "" if `problem` is said of the subject itself."""
    m.raises()
    how = m.text(node) if how is None else how
    m.emit(events.Unconvertible, node, tensor=tensor, subject=subject, how=how, problem=problem)


def several(m: Machine, value: Value) -> Tensor | None:
    """The first of the tensors that has certainly not exactly one element."""
    return next((t for _, t in m.tensors(value) if t.several), None)


def number(m: Machine, node: cst.CSTNode, value: Value, subject: cst.CSTNode) -> None:
    """`float(x)`, `x.item()`, `math.sqrt(x)`: only one element makes a number."""
    tensor = several(m, value)
    if tensor is not None:
        problem = f"a tensor of the shape {shapes.spelled(tensor.shape)} is no single number"
        refuse(m, node, tensor, m.text(subject), problem)


def truth_of(m: Machine, node: cst.CSTNode, value: Value) -> None:
    """A tensor is asked whether it is true: `if x`, `not x`, `bool(x)`; or a function that would tell the grad mode."""
    if isinstance(value, External) and value.name in contexts.ASKING:
        m.emit(events.ContextNotCalled, node, what="condition", name=value.name)
    tensor = several(m, value)
    if tensor is not None:
        shape = shapes.spelled(tensor.shape)
        problem = f"has the shape {shape}, which is neither true nor false; use `.any()` or `.all()`"
        refuse(m, node, tensor, m.text(node), problem, "")


def as_flag(m: Machine, node: cst.CSTNode, option: str, value: Value) -> None:
    """`nn.CrossEntropyLoss(logits, labels)`: the arguments of the call, given to the constructor."""
    tensor = several(m, value)
    if tensor is not None:
        problem = (
            f"`{option}` is asked whether it is true; the inputs of a loss go to its call: `Loss()(input, target)`"
        )
        refuse(m, node, tensor, m.text(node), problem)


def index(m: Machine, node: cst.CSTNode, value: Value, subject: cst.CSTNode) -> None:
    """`range(x)`, `items[x]`, `x[:n]`: only an integer tensor of one element is an index."""
    levels.read(m, node, value, "an index")
    for _, tensor in m.tensors(value):
        if tensor.several or tensor.dtype in ("float", "complex"):
            kind = "a tensor with several elements" if tensor.several else f"a {tensor.dtype} tensor"
            refuse(m, node, tensor, m.text(subject), f"{kind} is no index; use `int(...)`")
            return


def index_of_tensor(m: Machine, node: cst.CSTNode, value: Value) -> None:
    """`x[indices]`: integers or a mask, never floats."""
    tensor = next((t for _, t in m.tensors(value) if t.dtype in ("float", "complex")), None)
    if tensor is not None:
        refuse(m, node, tensor, m.text(node), f"a {tensor.dtype} tensor is no index; use `.long()`, or a comparison")


def iterate(m: Machine, node: cst.CSTNode, value: Value) -> None:
    """`for part in x`, `list(x)`, `len(x)`: a tensor without dimensions has no elements to go through."""
    missing.iterated(m, node, value)
    tensor = next((t for _, t in m.tensors(value) if t.rank == 0), None)
    if tensor is not None:
        refuse(m, node, tensor, m.text(node), "has no dimensions, so that it cannot be iterated over", "")


def take(m: Machine, node: cst.Subscript, value: Value, parts: tuple[Value, ...]) -> bool:
    """`x[0]`: are there more indices than the tensor has dimensions? Then the rules are told."""
    for _, tensor in m.tensors(value):
        plain = [p for p in parts if p != NONE and p != Const(...)]
        sliced = [p for p in plain if isinstance(p, Tuple) and p.names == ("slice",)]
        whole = [p for p in plain if _whole(p)]
        if tensor.rank is not None and len(sliced) + len(whole) == len(plain) > tensor.rank:
            what = "no dimensions" if tensor.rank == 0 else f"{tensor.rank} dimension{'s' * (tensor.rank > 1)}"
            wanted = "; use `.item()` for its value" if tensor.rank == 0 else ""
            refuse(m, node, tensor, m.text(node.value), f"a tensor with {what} has no such element{wanted}")
            return True
    return False


def _whole(part: Value) -> bool:
    """Is it an int, and not a bool, which is a mask?"""
    if isinstance(part, Const):
        return isinstance(part.value, int) and not isinstance(part.value, bool)
    return isinstance(part, Scalar) and part.kind == "int"


def formatted(m: Machine, node: cst.CSTNode, value: Value, subject: cst.CSTNode) -> None:
    """A format spec (`:.3f`) is applied: only a plain tensor without dimensions understands one."""
    for _, tensor in m.tensors(value):
        if tensor.rank or tensor.parameter:
            kind = "is a Parameter" if tensor.parameter else f"has the shape {shapes.spelled(tensor.shape)}"
            problem = f"{kind}: only a plain tensor without dimensions takes a format; use `.item()`"
            refuse(m, node, tensor, m.text(subject), problem, "")
            return


def braces(m: Machine, node: cst.CSTNode, template: str, args: Args) -> None:
    """`"{:.3f}".format(x)`."""
    if not args.open:
        for key, _ in conversions.braces(template):
            value = args.kw.get(key) if isinstance(key, str) else args.pos[key] if key < len(args.pos) else None
            formatted(m, node, value or NONE, args.nodes.get(key, node))


def percent(m: Machine, node: cst.CSTNode, template: str, value: Value, value_node: cst.CSTNode) -> None:
    """`"%.3f" % x`, also of a tuple or dict."""
    cell = m.cell(value)
    given: Mapping[int | str, Value] = {0: value}
    if isinstance(value, Tuple):
        given = dict(enumerate(value.items))
    elif isinstance(cell, Mapping_):
        given = {key: item for key, item in cell.items if isinstance(key, str)}
    for key, numeric in conversions.percent(template):
        if numeric and key in given:
            number(m, node, given[key], value_node)


def library(m: Machine, name: str, args: Args, node: cst.CSTNode) -> None:
    """A function of the standard library that knows no tensors, or that wants single numbers."""
    root, _, last = name.partition(".")
    if root == "math" and last not in conversions.ITERATING:
        for position, value in enumerate(args.pos):
            number(m, node, value, args.nodes.get(position, node))
    problem = conversions.REFUSING.get(name)
    if problem is None or args.open or {"default", "cls"} & args.kw.keys() or not args.pos:
        return
    for tensor in _inside(m, args.pos[0]):
        refuse(m, node, tensor, m.text(args.nodes.get(0, node)), problem)
        return


def _inside(m: Machine, value: Value, depth: int = 0) -> Iterator[Tensor]:
    """The tensors that a value is or certainly holds."""
    if m.is_tensor(value):
        yield from (tensor for _, tensor in m.tensors(value))
    cell = m.cell(value)
    items: tuple[Value, ...] = value.items if isinstance(value, Tuple) else ()
    if isinstance(cell, Sequence):
        items = cell.items if cell.items is not None else (cell.element,) if cell.filled.yes else ()
    elif isinstance(cell, Mapping_):
        items = tuple(item for _, item in cell.items)
    for item in items if depth < 4 else ():
        yield from _inside(m, item, depth + 1)


def rebuilt(m: Machine, node: cst.CSTNode, value: Value, subject: cst.CSTNode) -> bool:
    """`torch.tensor([a, b])`: the tensors in the list are read as numbers. Is that refused?"""
    if isinstance(value, Tuple) or isinstance(m.cell(value), Sequence):
        tensor = next((t for t in _inside(m, value) if t.several), None)
        if tensor is not None:
            shape = shapes.spelled(tensor.shape)
            problem = f"it reads tensors in a list as numbers, and one has the shape {shape}; use `torch.stack`"
            refuse(m, node, tensor, m.text(subject), problem)
            return True
        graph = next((t for t in _inside(m, value) if t.grad.yes), None)
        if graph is not None and m.mode.grad.yes and not m.quiet:
            event = m.event(events.Recopied, node, tensor=graph, subject=m.text(subject), how="", asked=NO, inside=True)
            m.ledger.at_end.append(lambda: m.sink(event))
    return False


def recopied(m: Machine, node: cst.CSTNode, value: Value, subject: cst.CSTNode, asked: Truth) -> None:
    """`torch.tensor(x)` of a tensor. Told at the end: what the copy does to a backward comes first."""
    if m.quiet or not m.is_tensor(value):
        return
    _, tensor = m.tensors(value)[0]
    how = m.text(node.func) if isinstance(node, cst.Call) else m.text(node)
    event = m.event(events.Recopied, node, tensor=tensor, subject=m.text(subject), how=how, asked=asked)
    m.ledger.at_end.append(lambda: m.sink(event))


def joined(m: Machine, node: cst.CSTNode, name: str, value: Value, subject: cst.CSTNode) -> None:
    """`torch.stack([...])`, `torch.cat([...])`: of something else than tensors, or `cat` of 0-dim tensors."""
    cell = m.cell(value)
    items = value.items if isinstance(value, Tuple) else cell.items if isinstance(cell, Sequence) else None
    if items is None and isinstance(cell, Sequence) and cell.filled.yes:
        items = (cell.element,)
    for item in items or ():
        if isinstance(item, (Const, Scalar)):
            what = "None" if item == NONE else "Python numbers or strings"
            refuse(m, node, Tensor(), m.text(subject), f"it joins tensors, and the list holds {what}")
            return
    if name != "torch.stack":
        bare = [t for item in items or () for _, t in m.tensors(item) if t.rank == 0]
        if bare:
            problem = "tensors without dimensions cannot be concatenated; use `torch.stack`"
            refuse(m, node, bare[0], m.text(subject), problem)


def array(m: Machine, node: cst.CSTNode, tensor: Tensor, subject: Label) -> None:
    """A tensor that does not require grad becomes a numpy array."""
    if tensor.form in conversions.FORMS:
        refuse(m, node, tensor, subject, conversions.FORMS[tensor.form])


def exported(m: Machine, node: cst.CSTNode, value: Value, subject: cst.CSTNode) -> None:
    """`__dlpack__()`, `from_dlpack(x)`: refused while the tensor requires grad, whatever the grad mode."""
    for _, tensor in m.tensors(value):
        if tensor.grad.yes:
            refuse(m, node, tensor, m.text(subject), "it requires grad; insert `.detach()`")
            return


def never(m: Machine, node: cst.CSTNode, value: Value, subject: cst.CSTNode, problem: str) -> None:
    """No tensor at all can be turned into that."""
    for _, tensor in m.tensors(value):
        refuse(m, node, tensor, m.text(subject), problem)
        return


def written(
    m: Machine, node: cst.CSTNode, name: str, target: Value, others: list[Value], rounded: bool = False
) -> None:
    """`i += x`: does the result of an in-place op fit into the tensor that it is written to?

    name: the method or operator without underscores. rounded: with `rounding_mode`, so that integers stay integers.
    """
    method = conversions.OPERATORS.get(name, name)
    if method not in conversions.IN_PLACE:
        return
    for _, tensor in m.tensors(target):
        if tensor.dtype not in ("int", "bool", "float"):
            return
        given = [kind for other in others if (kind := _kind(m, other)) is not None]
        if method in conversions.FLOATING and not rounded:
            given.append("float")
        highest = max((meaning.ORDER.index(kind) for kind in given), default=0)
        if highest > meaning.ORDER.index(tensor.dtype):
            problem = f"the result is {meaning.ORDER[highest]} and cannot be written into a tensor of {tensor.dtype}"
            refuse(m, node, tensor, m.text(node), problem)
            return


def _kind(m: Machine, value: Value) -> str | None:
    """The kind of dtype of a number, or of a tensor that is an operand."""
    if isinstance(value, Const):
        return {bool: "bool", int: "int", float: "float", complex: "complex"}.get(type(value.value))
    if isinstance(value, Scalar):
        return value.kind if value.kind in meaning.ORDER else None
    cell = m.cell(value)
    return cell.dtype if isinstance(cell, Tensor) else None


def wrong_kind(m: Machine, node: cst.CSTNode, op: Op, bound: Mapping[str, Value]) -> bool:
    """`(a == b).mean()`: is the op given a kind of numbers that it does not take? Then the rules are told."""
    last = op.name.rpartition(".")[2]
    if last == "where" and len(bound) < 3:  # `where(x)` is another name of nonzero
        return False
    for name, need in kinds.needs(op.name, op.params[0] if op.params else ""):
        asked = getattr(bound.get("dtype"), "name", "") if last in kinds.WITH_DTYPE else ""
        problem = f"{need.advice}"
        if asked:
            if meaning.KINDS.get(asked.rpartition(".")[2], "float") in need.kinds:
                continue
            refuse(m, node, Tensor(), asked, f"its `dtype` must be a float: {problem}")
            return True
        for _, tensor in m.tensors(bound.get(name, NONE)):
            if tensor.dtype is not None and tensor.dtype not in need.kinds and not tensor.form:
                refuse(m, node, tensor, m.text(node), f"{problem} (it is given {tensor.dtype})")
                return True
    if op.name in kinds.EXCLUDING and "*open" not in bound:
        name, other, wanted, default = kinds.EXCLUDING[op.name]
        given = bound.get(other, Const(default))
        if m.is_tensor(bound.get(name, NONE)) and isinstance(given, Const) and given.value != wanted:
            refuse(m, node, Tensor(), m.text(node), f'`{name}` needs `{other}="{wanted}"`')
            return True
    return False


def special(m: Machine, bound: Mapping[str, Value]) -> bool:
    """Is the tensor that the op is applied to stored in a way that numpy has nothing for?"""
    source = m.cell(next(iter(bound.values()), NONE))
    return isinstance(source, Tensor) and bool(source.form)


def form(m: Machine, result: Value, op: str, bound: Mapping[str, Value]) -> None:
    """Note how the result of an op is stored, where numpy has nothing like it."""
    asked = [name for value in bound.values() if (name := getattr(value, "name", "")).startswith("torch.")]
    source = m.cell(next(iter(bound.values()), NONE))
    known = "bfloat16" if "torch.bfloat16" in asked else conversions.FORMING.get(op, "")
    if not known and not asked and isinstance(source, Tensor) and source.form:
        known = source.form if op.rpartition(".")[2] in conversions.KEEPING[source.form] else ""
    if known and isinstance(result, Ref):
        for address, _ in m.tensors(result):
            m.change(address, form=known)
