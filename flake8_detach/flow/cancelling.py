"""Values that take each other away: the derivative is zero although every op on the way has one.

`a - a`, `w + (q - w)`: what goes to backward by one way comes back by the other with the opposite sign. And
`(p - p.detach()) ** 2`: both lie in one memory, so the difference is zero whatever `p` becomes, and so is the slope of
the square there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from flake8_detach.flow import hidden, linear, origins, singles
from flake8_detach.flow.values import UNKNOWN, YES, Cause, Const, Edge, Node, Ref, Scalar, Source, Tensor, Value
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

DEPTH = 4
"""So many sums within sums are looked through."""

FLAT = frozenset({"square", "abs", "norm", "vector_norm", "dist"})
"""Ops whose slope at zero is zero."""
DISTANCES = frozenset({"mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "dist"})
"""Ops of two operands whose slope is zero where the two are equal."""

PRODUCTS = frozenset({"mul", "rmul", "multiply"})


def derivative_is_zero(m: Machine, op: ops.Op, given: Mapping[str, Value]) -> bool:
    """Does nothing but zeros come through the op, because of what it is applied to?"""
    name = op.name.rpartition(".")[2].strip("_")
    if name in singles.SOFTMAX:
        return singles.flat(m, op.name, given)
    if name in PRODUCTS:
        return _rounded(given) is not None
    if name in linear.SUMS or name in linear.DIFFERENCES:
        return _cancels(m, op.name, given)
    operands = [given.get(parameter) for parameter in op.params[:2]]
    if name in DISTANCES and len(operands) == 2:
        return _one_memory(m, *operands)
    if name == "pow":
        exponent = operands[1] if len(operands) == 2 else None
        if not isinstance(exponent, Const) or not isinstance(exponent.value, (int, float)) or exponent.value <= 1:
            return False
    elif name not in FLAT:
        return False
    node = _made_by(m, operands[0]) if operands else None
    if node is None or linear.key(node) not in linear.DIFFERENCES or "alpha" in node.given:
        return False
    return len(node.given) == 2 and _one_memory(m, *node.given.values())


def _rounded(given: Mapping[str, Value]) -> Cause | None:
    """A factor that is 0 because a division of two numbers was rounded down. A plain 0 is there on purpose."""
    factors = (v.why for v in given.values() if isinstance(v, Const) and v == Const(0) and v.why is not None)
    return next((why for why in factors if why.kind == "rounded"), None)


def _cancels(m: Machine, op: str, given: Mapping[str, Value]) -> bool:
    """Is all that has a gradient in this sum taken away again, but for what lets no gradient through?

    What is left must have been made of what is taken away (`w + (round(w) - w)`): to have `(mean + noise) - mean`
    without a gradient is as it should be.
    """
    found: Counter[int] = Counter()
    if not _collect(m, op, given, 1, found, DEPTH) or all(found.values()):
        return False
    tensors = {address: tensor for address in found for _, tensor in m.tensors(Ref((address,)))}
    gone = [m.edge(a, tensor) for a, tensor in tensors.items() if not found[a] and not tensor.grad.no]
    return bool(gone) and all(_dead_rest(m, a, tensor, gone) for a, tensor in tensors.items() if found[a])


def _dead_rest(m: Machine, address: int, tensor: Tensor, gone: list[Edge]) -> bool:
    """Does the tensor, which is left of a sum, let no gradient through to what is `gone`, of which it was made?"""
    if tensor.grad.no:
        source = None if tensor.why is None else tensor.why.origin
    elif tensor.node is None or linear.lets_through(m, tensor.node, {}):
        return False
    else:
        source = Source((m.edge(address, tensor),))
    nodes, leaves = origins.behind(m, source)
    return any(e.node in nodes if e.node is not None else e.leaf in leaves for e in gone)


def _collect(m: Machine, op: str, given: Mapping[str, Value], sign: int, found: Counter[int], depth: int) -> bool:
    """Count how often each tensor is added, and taken away. False if that cannot be told."""
    name = op.rpartition(".")[2].strip("_")
    if set(given) - {"input", "self", "other"} or len(given) != 2:
        return False
    for place, value in enumerate(given.values()):
        # of `rsub(a, b)`, which is b - a, the first one is taken away
        minus = name in linear.DIFFERENCES and (place == 0) == (name == "rsub")
        if isinstance(value, (Const, Scalar)):
            continue
        tensors = m.tensors(value)  # of what was made on a path that was given up, nothing is found
        if not isinstance(value, Ref) or len(value.addresses) != 1 or value.some or not tensors:
            return False
        factor = -sign if minus else sign
        inner = _made_by(m, value)
        if inner is not None and depth and linear.key(inner) in linear.SUMS | linear.DIFFERENCES and not inner.open:
            operands = [pair for v in inner.given.values() for pair in m.tensors(v)]
            if any(not t.grad.no and m.edge(a, t) not in inner.edges for a, t in operands):  # written since
                return False
            if not _collect(m, inner.op, inner.given, factor, found, depth - 1):
                return False
            continue
        found[tensors[0][0]] += factor
    return True


def _made_by(m: Machine, value: Value | None) -> Node | None:
    """The graph node of a tensor that is just one."""
    tensors = m.tensors(value) if isinstance(value, Ref) and len(value.addresses) == 1 else []
    number = tensors[0][1].node if tensors else None
    return None if number is None else m.state.graph[number]


def _one_memory(m: Machine, one: Value | None, other: Value | None) -> bool:
    """Is the one a parameter, and the other what `detach()` or `.data` made of it? Writes reach both."""
    return _aliases(m, one, other) or _aliases(m, other, one)


def _aliases(m: Machine, leaf: Value | None, alias: Value | None) -> bool:
    leaves, cuts = m.tensors(leaf or UNKNOWN), m.tensors(alias or UNKNOWN)
    return len(leaves) == len(cuts) > 0 and all(map(partial(_alias, m), leaves, cuts))


def _alias(m: Machine, leaf: tuple[int, Tensor], alias: tuple[int, Tensor]) -> bool:
    (address, tensor), (_, cut) = leaf, alias
    source = cut.why.source if cut.made == "detach" and cut.why is not None else None
    if source is None or [edge.leaf for edge in source.edges] != [address] or not tensor.leaf.yes:
        return False
    return cut.storage == tensor.storage or hidden.original(m, cut.storage) == tensor.storage


def is_nothing(node: Node) -> bool:
    """Is it `x - x`, plainly? Who adds that to a loss wants `x` in the graph, and no more."""
    values = list(node.given.values())
    return linear.key(node) in linear.DIFFERENCES and len(values) == 2 and values[0] == values[1]


def evidence(m: Machine, node: Node) -> Cause | None:
    """Why nothing but zeros comes through that node, if it is for one of these reasons."""
    if linear.key(node) in linear.SUMS | linear.DIFFERENCES:
        what = (
            f"`{m.text(node.site)}` takes away what it adds, so its derivative is zero; detach what is to stay constant"
        )
        return Cause("cancelled", what, node.site, lost=YES, source=Source(node.edges))
    if (rounded := _rounded(node.given)) is not None:
        what = f"{rounded.what}, and nothing comes through a product with it (`/` does not round)"
        return Cause("cancelled", what, rounded.site, lost=YES, source=Source(node.edges))
    if linear.key(node) in singles.SOFTMAX:
        return Cause("cancelled", singles.evidence(m, node), node.site, lost=YES, source=Source(node.edges))
    inner = node if linear.key(node) in DISTANCES else _made_by_edge(m, node)
    for value in inner.given.values() if inner is not None else ():
        for _, tensor in m.tensors(value):
            if tensor.made == "detach" and tensor.why is not None:
                of, text = tensor.why.subject, m.text(node.site)
                what = f"a cut value shares the memory of `{of}`, so `{text}` is zero for ever; `.clone()` it"
                return Cause("cancelled", what, tensor.why.site, lost=YES, source=Source(node.edges))
    return None


def _made_by_edge(m: Machine, node: Node) -> Node | None:
    """The graph node that the one operand comes from."""
    number = node.edges[0].node if len(node.edges) == 1 else None
    return None if number is None else m.state.graph[number]
