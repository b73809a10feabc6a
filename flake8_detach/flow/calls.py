"""Calls: what is called decides where it goes on; what is not known lets its arguments escape."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Seq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import (
    alternatives,
    freezing,
    gradients,
    operators,
    tensors,
)
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    UNKNOWN,
    Array,
    Class,
    Const,
    Either,
    External,
    Foreign,
    Function,
    Instance,
    Layer,
    Mapping_,
    Method,
    Optimizer,
    Partial,
    Ref,
    Sequence,
    Super,
    Tensor,
    Thing,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@dataclass
class Args:
    """Evaluated arguments. `open`: `*args` or `**kwargs` added some that are not known.

    nodes: the expression of a positional (by index) or keyword (by name) argument, where there is one.
    called: the qualified name of the library function that they are for. stars: what `*` was written before, by the
    position of what stands for all of its elements.
    """

    pos: list[Value]
    kw: dict[str, Value] = field(default_factory=dict)
    open: bool = False
    nodes: dict[int | str, cst.BaseExpression] = field(default_factory=dict)
    called: str = ""
    stars: dict[int, Value] = field(default_factory=dict)

    def get(self, index: int, name: str) -> Value | None:
        """The argument at position `index` or with keyword `name`."""
        if name in self.kw:
            return self.kw[name]
        return self.pos[index] if index < len(self.pos) else None

    def node(self, index: int, name: str, default: cst.CSTNode) -> cst.CSTNode:
        return self.nodes.get(name) or self.nodes.get(index) or default

    def bind(self, params: Seq[str]) -> dict[str, Value]:
        """Parameter name -> value for a library function with these parameters ("*size" takes the rest)."""
        bound: dict[str, Value] = {}
        rest = list(self.pos)
        for name in params:
            if not rest or name == "*":
                break
            if name.startswith("*"):
                bound[name] = Tuple(tuple(rest))
                rest = []
            else:
                bound[name] = rest.pop(0)
        for extra, value in enumerate(rest):
            bound[f"*extra{extra}"] = value
        bound.update(self.kw)
        if self.open:
            bound["*open"] = UNKNOWN
        return bound

    def values(self) -> Iterator[Value]:
        yield from self.pos
        yield from self.kw.values()


def evaluate_args(m: Machine, nodes: Seq[cst.Arg]) -> Args:
    from flake8_detach.flow import iteration
    from flake8_detach.flow.evaluate import evaluate

    args = Args([])
    for arg in nodes:
        value = evaluate(m, arg.value)
        if arg.star == "*":
            inner = iteration.exact(m, value)
            if inner is None:
                args.open = True
                if value != UNKNOWN:
                    args.stars[len(args.pos)] = value
                    args.pos.append(iteration.element(m, value))
            else:
                args.pos.extend(inner)
        elif arg.star == "**":
            cell = m.cell(value)
            if isinstance(cell, Mapping_) and all(isinstance(k, str) for k, _ in cell.items):
                args.kw.update(dict(cell.items))
                args.open = args.open or cell.rest is not None
            else:
                args.open = True
        elif arg.keyword is not None:
            args.kw[arg.keyword.value] = value
            args.nodes[arg.keyword.value] = arg.value
        else:
            args.nodes[len(args.pos)] = arg.value
            args.pos.append(value)
    return args


def call_node(m: Machine, node: cst.Call) -> Value:
    """Evaluate a call expression."""
    from flake8_detach.flow import methods, missing
    from flake8_detach.flow.evaluate import evaluate

    if isinstance(node.func, cst.Attribute):
        receiver = evaluate(m, node.func.value)
        name = node.func.attr.value
        if isinstance(receiver, Either):
            alternatives.early(m, node, name, receiver)
            operators.use_none(m, node, receiver, node.func.value)
            receiver = alternatives.settle(m, node.func.value, alternatives.having(receiver, name))
        if receiver == UNKNOWN:
            operators.use_none(m, node, receiver, node.func.value)
            return methods.on_unknown(m, node, receiver, name, evaluate_args(m, node.args))
        if m.is_tensor(receiver) or isinstance(receiver, Array):
            operators.use_none(m, node, receiver, node.func.value)
            if not isinstance(receiver, Array) and missing.property_called(m, node, name):
                return UNKNOWN
            return call(m, Method(receiver, name), evaluate_args(m, node.args), node)
        from flake8_detach.flow import attributes, habits

        function = attributes.get(m, receiver, name, node.func, node.func.value)
        if name == "forward":
            habits.forward(m, node, receiver)
    else:
        function = alternatives.one(evaluate(m, node.func))
    return call(m, function, evaluate_args(m, node.args), node)


def call(m: Machine, function: Value, args: Args, node: cst.CSTNode) -> Value:
    """Call a value with evaluated arguments; `node` is the place for reports."""
    from flake8_detach.flow import custom, custom_ctx, custom_ops, functions, layer_calls, library, methods, modules

    if isinstance(function, Function):
        if function.name == "forward" and function.owner is not None and custom_ctx.is_function(function.owner):
            return custom.called_directly(m, function, args, node)
        return functions.call(m, function, args, node)
    if isinstance(function, Class):
        return modules.instantiate(m, function, args, node)
    if isinstance(function, External):
        m.births.maker = node
        return alternatives.arguments(m, args, lambda known: library.call(m, function.name, known, node))
    if isinstance(function, Method):
        if isinstance(m.cell(function.receiver), (Sequence, Mapping_)):
            return methods.call(m, node, function, args)
        return alternatives.arguments(m, args, lambda known: methods.call(m, node, function, known))
    if isinstance(function, Partial):
        kw = {**dict(function.kwargs), **args.kw}
        return call(m, function.function, Args([*function.args, *args.pos], kw, args.open), node)
    if isinstance(function, Foreign):
        library.convert_arguments(m, function.name, args, node)
        return function
    if isinstance(function, Ref) and len(function.addresses) == 1:
        cell = m.state.cell(function.addresses[0])
        if isinstance(cell, Layer):
            return alternatives.arguments(m, args, lambda known: layer_calls.call_object(m, function, known, node))
        if isinstance(cell, Instance):
            return layer_calls.call_object(m, function, args, node)
        if isinstance(cell, Thing) and cell.kind == custom_ctx.INSTANCE:
            return custom.call_instance(m, function, cell, args, node)
        if isinstance(cell, Thing) and cell.kind == custom_ops.KIND:
            return custom_ops.call(m, function, cell, args, node)
        if isinstance(cell, Thing):
            return library.call_thing(m, cell, args, node)
    escape(m, args.values())
    return UNKNOWN


def escape(m: Machine, values: Seq[Value] | Iterator[Value]) -> None:
    """Unknown code gets hold of these values: what it may change is not known any more."""
    from flake8_detach.flow import functions

    if m.state.get(gradients.LOOSE) is not None:
        gradients.stir(m)
    freezing.used(m)
    seen: set[int] = set()
    todo = list(values)
    while todo:
        value = todo.pop()
        if isinstance(value, Tuple):
            todo.extend(value.items)
        elif isinstance(value, Either):
            todo.append(value.object)
        elif isinstance(value, (Partial,)):
            todo.extend([value.function, *value.args])
        elif isinstance(value, Function):
            if value.bound is not None:
                todo.append(value.bound)
            functions.may_run(m, value)
        elif isinstance(value, Method):
            todo.append(value.receiver)
        elif isinstance(value, Ref):
            for address in value.addresses:
                if address not in seen:
                    seen.add(address)
                    m.step()
                    todo.extend(_loosen(m, address))


def _loosen(m: Machine, address: int) -> list[Value]:
    """Forget what unknown code may change in the object at `address`; returns what it reaches from there."""
    from flake8_detach.flow import hooks, modules

    cell = m.state.cell(address)
    m.escaped.add(address)
    hooked: list[Value] = hooks.out_of_sight(m, address) if address in m.hooked else []
    if isinstance(cell, Tensor):
        m.hand_out(cell)
        if cell.node is not None:
            hooks.unseen_backward(m)
        if not cell.leaf.no:  # requires_grad_() may be called on it
            m.change(address, grad=MAYBE)
        m.state.set((address, "kept"), MAYBE)
        if m.state.get((address, "grad"), NONE) == NONE:
            m.state.set((address, "grad"), UNKNOWN)
        gradients.loosen(m, address, cell)
        return hooked
    if isinstance(cell, Optimizer):
        gradients.loosen_optimizer(m, cell)
        return []
    if isinstance(cell, Sequence):
        inner = list(cell.held)
        if cell.kind in ("list", "set", "deque"):
            m.state.set((address, CELL), Sequence(cell.kind, None, UNKNOWN))
        return inner
    if isinstance(cell, Mapping_):
        inner = list(cell.held)
        m.state.set((address, CELL), Mapping_((), UNKNOWN))
        return inner
    if isinstance(cell, Thing):
        if cell.kind == hooks.HANDLE:
            hooks.doubt(m)
        return [part for _, part in cell.parts]
    if isinstance(cell, (Instance, Layer)):
        reached = [m.state.get((address, name)) for name in (*m.state.names(address), modules.UNSEEN)]
        return [*(v for v in reached if isinstance(v, (Ref, Tuple, Either))), *hooked]
    return []


__all__ = ["Args", "Const", "Super", "call", "call_node", "escape", "evaluate_args", "tensors"]
