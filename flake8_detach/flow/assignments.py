"""What assignments, augmented assignments and `del` do to names, attributes and items."""

from __future__ import annotations

from dataclasses import replace

import libcst as cst

from flake8_detach.flow import (
    accumulation,
    alternatives,
    assigning,
    attributes,
    calls,
    containers,
    conversions,
    custom_ctx,
    forgotten,
    hidden,
    iteration,
    lingering,
    operators,
    rebound,
    replaced,
    subscripts,
    suspects,
    tensors,
)
from flake8_detach.flow.evaluate import evaluate, index
from flake8_detach.flow.machine import Machine
from flake8_detach.flow.statements import statement
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    UNKNOWN,
    Either,
    Layer,
    Method,
    Sequence,
    Tuple,
    Value,
)
from flake8_detach.knowledge import ops


@statement(cst.Assign)
def assign_statement(m: Machine, node: cst.Assign) -> bool:
    before = m.serial
    value = evaluate(m, node.value)
    forgotten.bound(m, node, value)
    replaced.bound(m, node, value)
    rebound.bound(m, node, value)
    accumulation.named(m, node)
    lingering.kept(m, node, value)
    for target in node.targets:
        name_evidence(m, value, target.target, before)
        assign(m, target.target, value)
        if isinstance(target.target, cst.Name):
            suspects.named(m, target.target.value, value, node.value)
    return True


@statement(cst.AnnAssign)
def annotated(m: Machine, node: cst.AnnAssign) -> bool:
    if node.value is not None:
        before = m.serial
        value = evaluate(m, node.value)
        name_evidence(m, value, node.target, before)
        assign(m, node.target, value)
    return True


def name_evidence(m: Machine, value: Value, target: cst.CSTNode, before: int) -> None:
    """`pred = net(x).detach()`: let messages call the cut value `pred`."""
    if m.serial != before and isinstance(target, (cst.Name, cst.Attribute)):
        for address, tensor in m.tensors(value):
            why = tensor.why
            if why is not None and not why.name and why.kind != "constant":
                m.change(address, why=replace(why, name=m.text(target)))


@statement(cst.AugAssign)
def augmented(m: Machine, node: cst.AugAssign) -> bool:
    old = evaluate(m, node.target)
    value = evaluate(m, node.value)
    if isinstance(node.operator, cst.AddAssign) and isinstance(node.target, cst.Name):
        forgotten.added(m, node, node.target, old, value)
    operators.use_none(m, node, old, node.target)
    if isinstance(old, Either) and old.plain == NONE:
        old = old.object
    if isinstance(old, Either):
        alternatives.split(m, old, lambda one: augment(m, node, alternatives.settle(m, node.target, one), value))
    else:
        augment(m, node, old, value)
    return True


def augment(m: Machine, node: cst.AugAssign, old: Value, value: Value) -> Value:
    """`old <op>= value`: in place where `old` is a tensor or a list."""
    kind = type(node.operator).__name__.removesuffix("Assign")
    name = operators.DUNDER.get(kind)
    fatal = m.fatal
    if m.is_tensor(old) and name is not None and name != "matmul":
        operators.use_none(m, node, value, node.value)
        op = ops.method(f"__i{name}__") or ops.method(f"__{name}__")
        if op is not None:
            names = list(op.params) or ["self", "other"]
            op = replace(op, inplace=True, writes=(names[0],), when=())
            conversions.written(m, node, name, old, [value])
            tensors.apply(m, node, op, {names[0]: old, names[-1]: value}, m.text(node.target))
        if not isinstance(node.target, cst.Name) and m.fatal == fatal:  # `x[0] += 1` writes the view, then stores it
            assign(m, node.target, old)
        return old
    cell = m.cell(old)
    if isinstance(cell, (Sequence, Layer)) and name == "add":  # those layers that have it are lists of layers
        calls.call(m, Method(old, "extend"), calls.Args([value]), node)
        return old
    hidden.wrote_array(m, old, node.target)
    if old == UNKNOWN:
        suspects.written(m, node.target)
    result = operators.binary(m, node, kind, old, value, node.target, node.value)
    for address, _ in m.tensors(result) if old == UNKNOWN else ():  # it is written, if it is a tensor
        m.state.set((address, "kept"), MAYBE)
    assign(m, node.target, result)
    return result


def assign(m: Machine, target: cst.CSTNode, value: Value) -> None:
    """Bind a target of any shape to a value."""
    if isinstance(target, cst.Name):
        m.bind(target.value, value)
    elif isinstance(target, (cst.Tuple, cst.List)):
        stars = [i for i, e in enumerate(target.elements) if isinstance(e, cst.StarredElement)]
        value = alternatives.one(value)
        values = iteration.unpack(m, value, len(target.elements), stars[0] if stars else None)
        iteration.consume(m, value)
        if isinstance(value, Tuple) and not stars and len(value.items) != len(values):
            custom_ctx.misfit(m, target, value, len(values))
        for element, part in zip(target.elements, values, strict=True):
            assign(m, element.value, part)
    elif isinstance(target, cst.Attribute):
        attributes.put(m, evaluate(m, target.value), target.attr.value, value, target, target.value)
    elif isinstance(target, cst.Subscript):
        owner = alternatives.one(evaluate(m, target.value))
        if owner == UNKNOWN:
            suspects.written(m, target.value)
        keys = [index(m, e.slice) for e in target.slice]
        subscripts.set_item(m, target, owner, keys[0] if len(keys) == 1 else Tuple(tuple(keys)), value)
    elif isinstance(target, cst.StarredElement):
        assign(m, target.value, value)


@statement(cst.Del)
def delete(m: Machine, node: cst.Del) -> bool:
    targets = [e.value for e in node.target.elements] if isinstance(node.target, cst.Tuple) else [node.target]
    for target in targets:
        if isinstance(target, cst.Name):
            m.bind(target.value, UNKNOWN)
        elif isinstance(target, cst.Attribute):
            owner = evaluate(m, target.value)
            assigning.deleted(m, target, owner, target.attr.value)
            for address, _ in m.cells(owner):
                m.state.set((address, target.attr.value), UNKNOWN)
        elif isinstance(target, cst.Subscript):
            owner = evaluate(m, target.value)
            keys = [index(m, e.slice) for e in target.slice]
            containers.delete(m, owner, keys[0] if len(keys) == 1 else UNKNOWN)
    return True
