"""What is known of a tensor or layer that is one of several, as on different paths. It knows no state."""

from __future__ import annotations

from dataclasses import replace

from flake8_detach.flow.values import SOME, Cause, Layer, Shape, Tensor

EITHER = "|"
"""Between the kinds of a layer that is one of several: of a Linear and a ReLU, what stands for the elements of a list
of both is one or the other."""
KINDS = 4
"""So many kinds a layer may be of."""


def _either(a: Cause | None, b: Cause | None) -> Cause | None:
    """The evidence of one path, which says whether the other has its own."""
    if a is None or b is None or a.site is b.site:
        return a or b
    return replace(a, either=True)


def join_tensors(a: Tensor, b: Tensor) -> Tensor:
    """What is known of a tensor that is `a` on one path and `b` on the other."""
    if a is b:
        return a
    return Tensor(
        grad=a.grad.join(b.grad),
        leaf=a.leaf.join(b.leaf),
        shape=_join_shapes(a.shape, b.shape),
        dtype=a.dtype if a.dtype == b.dtype else None,
        node=a.node if a.node == b.node else None,
        storage=a.storage if a.storage == b.storage else 0,
        view=a.view if a.view == b.view else "maybe",
        base=a.base if a.base == b.base else None,
        why=_either(a.why, b.why),
        made=a.made if a.made == b.made else "",
        parameter=a.parameter and b.parameter,
        inference=a.inference.join(b.inference),
        device=a.device if a.device == b.device else None,
        precision=a.precision if a.precision == b.precision else SOME,
        form=a.form if a.form == b.form else "",
        batched=a.batched & b.batched,
        dual=a.dual and b.dual,
    )


def join_layers(cells: list[Layer]) -> Layer:
    """One of several layers: a container of the same kind, or a layer that is one of several kinds."""
    kinds = dict.fromkeys(kind for c in cells for kind in c.kind.split(EITHER))
    children = cells[0].children if all(c.children == cells[0].children for c in cells) else None
    if len(kinds) == 1 or (children == () and len(kinds) <= KINDS and "?" not in kinds):
        return Layer(EITHER.join(kinds), (), children)
    return Layer("?", (), None)


def _join_shapes(a: Shape | None, b: Shape | None) -> Shape | None:
    if a is None or b is None or len(a) != len(b):
        return None
    return tuple(x if x == y else None for x, y in zip(a, b, strict=True))
