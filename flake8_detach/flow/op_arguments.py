"""Arguments of ops as the tables of knowledge see them: kinds of numbers, literals, shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flake8_detach.flow import tensors
from flake8_detach.flow.values import (
    NONE,
    UNKNOWN,
    Array,
    Const,
    Dtype,
    External,
    Scalar,
    Sequence,
    Tensor,
    Tuple,
    Value,
)
from flake8_detach.knowledge import meaning, ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def arguments(m: Machine, op: ops.Op, bound: Mapping[str, Value]) -> dict[str, meaning.Argument]:
    """The arguments as the knowledge wants them, in positional order."""
    order = {name: i for i, name in enumerate(op.params)}
    names = sorted((n for n in bound if n != "*open"), key=lambda n: order.get(n, len(order)))
    return {n.lstrip("*"): argument(m, n, bound[n]) for n in names}


TENSORS = frozenset({*meaning.NUMERIC, "tensors", "target", "x1", "x2", "mat2", "vec", "tensor1", "tensor2"})
"""Parameters that are tensors more often than not: something unknown there is a tensor that is not known."""


def argument(m: Machine, name: str, value: Value) -> meaning.Argument:
    if value == UNKNOWN and name in TENSORS:
        return meaning.Argument(((None, None),))
    inputs = tensors.Inputs()
    inputs.add(m, value, "")
    if inputs.tensors:
        return meaning.Argument(tuple((t.rank, t.dtype) for _, t, _ in inputs.tensors))
    if value == tensors.BATCH or isinstance(value, Array):
        return meaning.Argument(((None, None),))
    return meaning.Argument(value=python(m, value))


def python(m: Machine, value: Value, depth: int = 0) -> object:
    """A Python object that equals the value where it is constant; a dtype is its kind."""
    if isinstance(value, Const):
        return value.value
    if isinstance(value, External):
        return meaning.KINDS.get(value.name.rpartition(".")[2], meaning.UNKNOWN)
    items: tuple[Value, ...] | None = value.items if isinstance(value, Tuple) else None
    cell = m.cell(value)
    if isinstance(cell, Sequence):
        items = cell.items
    if items is None or depth > 4:
        return (
            {"int": 1, "float": 1.0, "bool": True}.get(value.kind, meaning.UNKNOWN)
            if isinstance(value, Scalar) and depth
            else meaning.UNKNOWN
        )
    return tuple(python(m, item, depth + 1) for item in items)


WEIGHED = frozenset({"torch.bincount", "Tensor.bincount"})
"""They count, in integers, or add up the weights that they are given, in floats (torch.bincount's documentation)."""


def kind_of(m: Machine, op: ops.Op, bound: Mapping[str, Value], inputs: tensors.Inputs) -> Dtype | None:
    """The kind of dtype of the result."""
    if op.name in WEIGHED and bound.get("weights", NONE) != NONE:
        return "float" if m.is_tensor(bound["weights"]) else None
    if op.dtype.startswith("value:") and "dtype" not in bound:
        kinds = [literal_kind(m, bound[n]) for n in op.dtype[6:].split() if n in bound]
        return None if None in kinds or not kinds else max((k for k in kinds if k), key=meaning.ORDER.index)
    known = arguments(m, op, {k: v for k, v in bound.items() if k != "*open"})
    if "*open" in bound and op.dtype in ("arg", "like", "to", "promote"):
        return None
    if op.dtype == "promote" and inputs.unknown:
        return None
    for name, value in bound.items():  # a number whose value is not known has a kind all the same
        if isinstance(value, Scalar) and name in meaning.NUMERIC:
            number = {"int": 1, "float": 1.0, "bool": True, "complex": 1j}.get(value.kind, meaning.UNKNOWN)
            known[name] = meaning.Argument(value=number)
    return meaning.kind_of(op.dtype, known)  # type: ignore[return-value]


def _number_kind(value: Value) -> Dtype | None:
    if isinstance(value, Const):
        return {bool: "bool", int: "int", float: "float", complex: "complex"}.get(type(value.value))  # type: ignore[return-value]
    if isinstance(value, Scalar) and value.kind in ("int", "float", "bool", "complex"):
        return value.kind
    return None


def literal_kind(m: Machine, value: Value, depth: int = 0) -> Dtype | None:
    """The dtype kind that torch.tensor gives to nested numbers."""
    if isinstance(value, Array):
        return value.dtype  # type: ignore[return-value]
    number = _number_kind(value)
    if number or depth > 4:
        return number
    cell = m.cell(value)
    if isinstance(cell, Tensor):
        return cell.dtype
    items: tuple[Value, ...] | None = None
    if isinstance(cell, Sequence):
        items = cell.items if cell.items is not None else (cell.element,)
    elif isinstance(value, Tuple):
        items = value.items
    if items is None:
        return None
    if not items:
        return "float"
    kinds = [literal_kind(m, item, depth + 1) for item in items]
    if None in kinds:
        return None
    order: list[Dtype] = ["bool", "int", "float", "complex"]
    return max((k for k in kinds if k), key=order.index)
