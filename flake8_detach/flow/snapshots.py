"""`state_dict()` gives the parameters themselves, detached: what keeps it has not kept their values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import alternatives, module_tree, modules, writes
from flake8_detach.flow.events import Dropped
from flake8_detach.flow.values import YES, Instance, Mapping_, Ref, Tensor, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


OVERRIDING = ("_load_from_state_dict", "_save_to_state_dict", "get_extra_state", "set_extra_state")
"""Methods by which a class of the file takes part in what is told and taken."""
HOOKING = frozenset(
    {"register_state_dict_post_hook", "register_state_dict_pre_hook", "_register_state_dict_hook"}
    | {"register_load_state_dict_post_hook", "register_load_state_dict_pre_hook", "_register_load_state_dict_pre_hook"}
)


def taken(m: Machine, site: cst.CSTNode, parameters: list[tuple[int, Tensor]]) -> None:
    """`state_dict()` tells the parameters, which lie in this memory now."""
    m.ledger.snapshots[id(site)] = {address: tensor.storage for address, tensor in parameters}


def hooked(m: Machine) -> None:
    """A hook takes part in what is told and taken."""
    m.state.set(writes.REWRITTEN, YES)


def moved(m: Machine) -> None:
    """The parameters of a module may lie in other memory from now on; what was told before is apart from them."""
    m.ledger.snapshots.clear()


def restored(m: Machine, node: cst.CSTNode, module: Ref, given: Value, subject: object) -> None:
    """`module.load_state_dict(given)`: does it copy parameters that are stepped onto themselves (Module.state_dict in
    torch/nn/modules/module.py)?"""
    held = m.cell(alternatives.one(given))
    tensor = m.cell(held.rest) if isinstance(held, Mapping_) and not held.items and held.rest is not None else None
    if m.guards or not isinstance(tensor, Tensor) or tensor.made != "state_dict" or tensor.why is None or _own(node):
        return
    at = tensor.why.site
    told = {edge.leaf for edge in tensor.why.source.edges} if tensor.why.source is not None else set()
    own = module_tree.parameters(m, module)
    stepped = set(own.addresses) & m.owned
    now = {address: cell.storage for address, cell in m.tensors(own)}
    one_of_many = not m.plural.isdisjoint(told)  # what one of several tells, another may take
    if (
        one_of_many
        or not told
        or not told <= stepped
        or now != m.ledger.snapshots.get(id(at))
        or not stepped.isdisjoint(m.escaped)
    ):
        return
    if m.state.get(writes.REWRITTEN) is None and not _more(m, module):
        m.emit(Dropped, node, what="restored", owner="module", subject=subject, name="load_state_dict", at=at)


def itself(m: Machine, node: cst.Call, module: Ref) -> None:
    """The statement `module.load_state_dict(...)`: is it the state of the very same module that is loaded?"""
    alone = len(module.addresses) == 1 and not _takes_part(m, module)
    if _own(node) and alone and m.state.get(writes.REWRITTEN) is None:
        m.emit(Dropped, node, what="itself", owner="module", subject=m.text(node), name="load_state_dict")


def _own(node: cst.CSTNode) -> bool:
    """`net.load_state_dict(net.state_dict())`"""
    if not (isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and len(node.args) == 1):
        return False
    given = node.args[0].value
    if not (isinstance(given, cst.Call) and isinstance(given.func, cst.Attribute) and not given.args):
        return False
    return given.func.attr.value == "state_dict" and given.func.value.deep_equals(node.func.value)


def _more(m: Machine, module: Ref) -> bool:
    """Is there more to it than parameters: buffers of a class of the file, which may be bound anew, or a state that it
    adds itself?"""
    if any(isinstance(m.state.cell(owner), Instance) for owner, _, _, _ in module_tree.buffers(m, module)):
        return True
    return _takes_part(m, module)


def _takes_part(m: Machine, module: Ref) -> bool:
    """Does a class of the file have a say in what is told and taken?"""
    inner = [Ref((address,)) for address in module_tree.tree(m, module).modules]
    own = [one for one in inner if isinstance(m.cell(one), Instance)]
    return any(modules.find(m, one, name) is not None for one in own for name in OVERRIDING)
