"""What something unknown may be: an object that the engine knows, and that is changed where the unknown one is.

A variable is unknown behind a meeting of paths where one of them has bound it to what is not seen; a list that is
indexed with an unknown number gives something unknown. To read it claims nothing. To write it changes what it may be.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, module_tree
from flake8_detach.flow.narrowing import quiet
from flake8_detach.flow.slots import CELL
from flake8_detach.flow.values import MAYBE, UNKNOWN, Layer, Mapping_, Ref, Sequence, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def of(m: Machine, node: cst.CSTNode) -> list[Value]:
    """The objects that the unknown value of this expression may be, or be a part of."""
    if isinstance(node, cst.Name):
        slot = next(((f, node.value) for f in m.frame.scope if (f, node.value) in m.state.slots), (0, ""))
        return [Ref((a,)) for a in m.state.lost.get(slot, ()) if (a, CELL) in m.state.slots]
    if isinstance(node, cst.Attribute):
        return of(m, node.value)
    if isinstance(node, cst.Subscript):
        return _inside(m, quiet(m, node.value)) or of(m, node.value)
    return []


def _inside(m: Machine, owner: Value) -> list[Value]:
    """The objects that a key that is not known may choose."""
    cell = m.cell(owner)
    inner: Iterable[Value] = owner.items if isinstance(owner, Tuple) else ()
    if isinstance(cell, (Sequence, Mapping_)):
        inner = cell.held
    elif isinstance(cell, Layer) and isinstance(owner, Ref):
        inner = (m.state.get((owner.addresses[0], name), UNKNOWN) for name in cell.children or ())
    return [v for v in inner if isinstance(v, Ref)]


def chosen(m: Machine, owner: Value) -> None:
    """A key that is not known chose one of these: any parameter among them may be used where nobody sees it."""
    inside = _inside(m, owner)
    if isinstance(owner, Ref):
        if m.ledger.chosen.get(owner.addresses) == len(inside):  # it is told already
            return
        m.ledger.chosen[owner.addresses] = len(inside)
    for value in inside:
        m.step()
        found = value if m.is_tensor(value) else module_tree.parameters(m, value)
        m.escaped.update(address for address, tensor in m.tensors(found) if not tensor.leaf.no)


def named(m: Machine, name: str, value: Value, node: cst.CSTNode) -> None:
    """The variable is bound to the value of this expression."""
    if value == UNKNOWN:
        found = [a for v in of(m, node) if isinstance(v, Ref) for a in v.addresses]
        if found:
            m.state.lost.setdefault((m.frame.id, name), set()).update(found)


def elements(m: Machine, names: Iterable[str], lists: Iterable[int]) -> None:
    """A loop binds these variables to elements that are not known, of lists that its body changes."""
    found = [a for address in lists for v in _inside(m, Ref((address,))) if isinstance(v, Ref) for a in v.addresses]
    for name in names if found else ():
        m.state.lost.setdefault((m.frame.id, name), set()).update(found)


def kept(m: Machine, node: cst.CSTNode) -> None:
    """`retain_grad()` of what this expression gives, which is not known."""
    for value in of(m, node):
        for address, _ in m.tensors(value):
            m.state.set((address, "kept"), MAYBE)


def written(m: Machine, node: cst.CSTNode) -> None:
    """What this expression gives is not known, and is changed."""
    known = of(m, node)
    if known:
        calls.escape(m, known)
    for value in known:
        for address, tensor in m.tensors(value):
            if tensor.leaf.yes:
                m.change(address, leaf=MAYBE)
