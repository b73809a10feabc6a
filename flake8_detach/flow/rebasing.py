"""Views and their base after a write in place: torch makes their grad_fns anew.

A write to a view becomes a node of the *base*, CopySlices, which takes the place of the base's own grad_fn and holds
the op; the view, and each other view of that base, then begins with a node that looks at the base again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import MAYBE, NUMBER, Edge, Node, Saved, Tensor, Truth

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

SLICES = "CopySlices"
AGAIN = "torch.as_strided"


Views = Iterable[tuple[int, Tensor]]
"""The views of a base."""


def written(
    m: Machine, site: cst.CSTNode, address: int, tensor: Tensor, grad: Truth, node: int | None, views: Views
) -> None:
    """The view at `address` was written by the op of graph node `node` and requires grad as `grad` says."""
    base = m.state.cell(tensor.base) if tensor.base is not None else None
    if not isinstance(base, Tensor) or tensor.base is None or (base.leaf.yes and base.grad.yes):
        return
    if tensor.view == "maybe":
        if not grad.no:
            m.change(tensor.base, grad=base.grad | (grad & MAYBE), leaf=base.leaf & MAYBE)
            for other, view in views:
                if other != address:
                    m.change(other, grad=view.grad | (grad & MAYBE), leaf=view.leaf & MAYBE)
        return
    merged = base.grad | grad
    if node is not None and not merged.no:
        before = m.state.graph[node]
        own = m.edge(address, tensor)
        edges = [edge for edge in before.edges if (edge.node, edge.leaf) != (own.node, own.leaf)]
        if not base.grad.no:
            edges.insert(0, m.edge(tensor.base, base))
        m.state.graph[node] = replace(
            before, edges=tuple(dict.fromkeys(edges)), saved=(*before.saved, Saved(0, (0,), NUMBER, site)), drawn=SLICES
        )
    m.change(tensor.base, grad=merged, leaf=~merged & base.leaf, node=node if not merged.no else None)
    keep_on(m, tensor.base, base.node, node)
    follow(m, site, tensor.base, views)


def follow(m: Machine, site: cst.CSTNode, base: int, views: Views) -> None:
    """The base at that address has a new grad_fn: its views ask it for theirs."""
    whole = m.state.cell(base)
    if not isinstance(whole, Tensor) or whole.node is None or whole.grad.no:
        return
    for address, view in views:
        if view.view == "view":
            again = m.graph_node(Node(AGAIN, (Edge(whole.node, None, whole.grad.yes),), (), site))
            both = view.grad | whole.grad
            m.change(address, grad=both, leaf=~both & view.leaf, node=again)
        else:
            m.change(address, grad=MAYBE, leaf=MAYBE)


def renewed(m: Machine, site: cst.CSTNode, storage: int, sure: Truth) -> None:
    """The memory was written, be it without grad or through `detach()`: the views that lie in it ask their base for a
    new grad_fn. It is the version that torch looks at (`grad_fn` in torch/csrc/autograd/variable.cpp)."""
    for address in m.state.views.get(storage, ()):
        view = m.state.slots.get((address, CELL))  # there is none if it was made on a path that was undone
        if not isinstance(view, Tensor) or view.storage != storage or view.view != "view" or view.base is None:
            continue
        base = m.state.cell(view.base)
        if view.node is None or not isinstance(base, Tensor) or base.storage != storage or base.grad.no:
            continue
        before = () if sure.yes else (m.edge(address, view)._replace(sure=False),)
        edge = m.edge(view.base, base)
        edges = (*before, edge if sure.yes else edge._replace(sure=False))
        m.change(address, node=m.graph_node(Node(AGAIN, edges, (), site)))


def keep_on(m: Machine, address: int, before: int | None, after: int | None) -> None:
    """The tensor has a new grad_fn: `retain_grad()` goes with it (set_gradient_edge, torch/csrc/autograd/variable.cpp).
    A backward by the old one fills nothing."""
    known: tuple[int, ...] = m.state.get((before or 0, "retained"), ())
    if address in known and before != after:
        m.state.set((before or 0, "retained"), tuple(a for a in known if a != address))
        if after is not None:
            m.state.set((after, "retained"), (*m.state.get((after, "retained"), ()), address))
