"""Nested tuples, lists and dicts of tensors, as torch.func takes and returns them (torch.utils._pytree)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from flake8_detach.flow.custom_ctx import kind_of
from flake8_detach.flow.values import (
    MAYBE,
    UNKNOWN,
    Dtype,
    Either,
    Mapping_,
    Node,
    Ref,
    Sequence,
    Shape,
    Tensor,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

DEEP = 6
"""Nesting that is followed."""


def article(kind: str) -> str:
    """The kind of a value in words: "a list", "an int", "None"."""
    return kind if kind == "None" else f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"


def inner(m: Machine, value: Value) -> tuple[object, list[Value]] | None:
    """The kind of a container with the values in it; None if it is no container or not all of them are known."""
    if isinstance(value, Tuple):
        return (("tuple", len(value.items)), list(value.items)) if not value.names else None
    cell = m.cell(value)
    if isinstance(cell, Sequence) and cell.items is not None and cell.kind in ("list", "tuple"):
        return (cell.kind, len(cell.items)), list(cell.items)
    if isinstance(cell, Mapping_) and cell.rest is None:
        return ("dict", tuple(sorted(str(k) for k, _ in cell.items))), [v for _, v in cell.items]
    return None


def leaf(m: Machine, value: Value) -> bool:
    """Is it surely no container?"""
    return kind_of(m, value) not in ("?", "tuple", "list", "dict")


def leaves(m: Machine, value: Value, depth: int = 0) -> Iterator[Value]:
    """What is in the innermost containers, and whatever is not known."""
    found = inner(m, value) if depth < DEEP else None
    if found is None:
        yield value
    else:
        for item in found[1]:
            yield from leaves(m, item, depth + 1)


def spec(m: Machine, value: Value, depth: int = 0) -> object:
    """The structure, to be compared by `==`; None if it is not known."""
    if leaf(m, value):
        return "*"
    found = inner(m, value) if depth < DEEP else None
    if found is None:
        return None
    parts = [spec(m, item, depth + 1) for item in found[1]]
    return None if None in parts else (found[0], *parts)


def copied(m: Machine, value: Value, make: Callable[[int, Tensor], Ref], depth: int = 0) -> Value:
    """The same structure, new containers, and what `make` makes of each tensor."""
    if depth > DEEP:
        return UNKNOWN
    if isinstance(value, Tuple):
        return Tuple(tuple(copied(m, item, make, depth + 1) for item in value.items), value.names)
    if not isinstance(value, Ref):
        return UNKNOWN if isinstance(value, Either) else value
    if m.is_tensor(value):
        return Ref(tuple(make(address, tensor).addresses[0] for address, tensor in m.tensors(value)))
    cell = m.cell(value)
    if isinstance(cell, Sequence):
        items = None if cell.items is None else tuple(copied(m, item, make, depth + 1) for item in cell.items)
        return m.new(replace(cell, items=items, element=copied(m, cell.element, make, depth + 1)))
    if isinstance(cell, Mapping_):
        rest = None if cell.rest is None else copied(m, cell.rest, make, depth + 1)
        return m.new(Mapping_(tuple((k, copied(m, v, make, depth + 1)) for k, v in cell.items), rest))
    return value


def unlike(m: Machine, value: Value, other: Value) -> tuple[Tensor, Tensor] | None:
    """The first pair of tensors of two equal structures whose shapes surely differ."""
    for one, two in zip(leaves(m, value), leaves(m, other), strict=False):
        a, b = m.cell(one), m.cell(two)
        if not (isinstance(a, Tensor) and isinstance(b, Tensor)) or a.shape is None or b.shape is None:
            continue
        pairs = zip(a.shape, b.shape, strict=False)
        if len(a.shape) != len(b.shape) or any(x != y and None not in (x, y) for x, y in pairs):
            return a, b
    return None


def derived(m: Machine, shape: Shape | None, dtype: Dtype | None, batched: frozenset[int] = frozenset()) -> Ref:
    """A tensor that a transform computes: from where its graph goes on is not known."""
    graph = m.graph_node(Node("transform", (), (), None, True))
    return m.tensor(grad=MAYBE, leaf=MAYBE, shape=shape, dtype=dtype, node=graph, batched=batched)


def fresh(m: Machine, value: Value) -> Value:
    """What a transform gives back for a structure of tensors."""
    return copied(m, value, lambda _, t: derived(m, t.shape, t.dtype, t.batched))
