"""What `nn.Module.__setattr__` refuses: a plain value over a Parameter, anything before `Module.__init__` has run.

Source: torch/nn/modules/module.py, `__setattr__` and `register_parameter`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import functions, membership, modules
from flake8_detach.flow.events import KeptOut
from flake8_detach.flow.machine import OPEN
from flake8_detach.flow.values import (
    NO,
    NONE,
    YES,
    Array,
    Class,
    Const,
    Instance,
    Layer,
    Mapping_,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Tuple,
    Value,
)
from flake8_detach.knowledge import api, layers

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

BARE = "*bare"
"""Slot of an object whose class extends nn.Module: YES until `Module.__init__` has run."""
OWN_WAYS = ("__setattr__", "__delattr__", "__new__")
"""Methods by which a class may keep its attributes in another way."""
SAME = frozenset({"", "parameter", "grad", "buffer"})
"""What a tensor may be `made` by that might be a Parameter all the same."""


def created(m: Machine, address: int, cls: Class) -> None:
    """An object of a module class is there, its `__init__` has not run yet."""
    # with several bases, which __init__ comes next is Python's affair
    if not modules.open_ended(cls) and all(len(c.bases) == 1 for c in modules.lineage(cls)):
        m.state.set((address, BARE), YES)


def initialised(m: Machine, address: int) -> None:
    """`super().__init__()`."""
    if m.state.get((address, BARE)) is not None:
        m.state.set((address, BARE), NO)


def refuses(m: Machine, address: int, name: str, value: Value, node: cst.CSTNode) -> bool:
    """`module.name = value`: does that raise, so that the attribute stays what it was?"""
    instance = Ref((address,))
    cell = m.state.cell(address)
    if m.state.get((address, functions.GENERIC)) is not None:
        return False  # as all of its methods leave it, each of which may be the one that comes first
    if address in m.escaped or (address, OPEN) in m.state.slots or m.is_patched("torch.nn.Module.__setattr__"):
        return False
    if isinstance(cell, Instance) and any(modules.find(m, instance, way) is not None for way in OWN_WAYS):
        return False
    new = m.cell(value)
    parameter = isinstance(new, Tensor) and new.parameter
    if m.state.get((address, BARE)) is YES:
        if parameter or modules.is_module(m, value):
            _tell(m, node, "early", name, "module" if not parameter else "parameter")
        return False
    old_value: Value | None = m.state.get((address, name))
    old = m.cell(old_value) if old_value is not None else None
    spec = layers.layer(cell.kind) if isinstance(cell, Layer) else None
    if isinstance(new, Tensor) and parameter and spec is not None and name in spec.buffers and new.grad is YES:
        m.emit(KeptOut, node, what="buffer", name=name, kind="a Parameter")
    kind = plain(m, value)
    if not kind:
        return False
    if spec is not None and name in spec.buffers and kind != "a plain tensor":
        _tell(m, node, "as buffer", name, kind)
        return True
    if isinstance(old, Tensor) and old.parameter and old.leaf is YES and isinstance(cell, (Instance, Layer)):
        _tell(m, node, "parameter", name, kind)
        return True
    if old_value is not None and modules.is_module(m, old_value):
        _tell(m, node, "module", name, kind)
        return True
    return False


def plain(m: Machine, value: Value) -> str:
    """What the value is, if it is certainly neither a Parameter nor a module; else ""."""
    cell = m.cell(value)
    if isinstance(cell, Tensor):
        # a move may give the very same Parameter back
        moved = m.state.get((_address(value), membership.MOVED)) is not None
        computed = cell.leaf is NO or (cell.made not in SAME and not moved)
        return "a plain tensor" if computed and not cell.parameter and cell.storage else ""
    if isinstance(value, (Scalar, Const)):
        return "a number" if value != NONE else ""
    if isinstance(value, Array):
        return "an array"
    if isinstance(value, Tuple):
        return "a tuple"
    if isinstance(cell, Sequence):
        return f"a {cell.kind}"
    return "a dict" if isinstance(cell, Mapping_) else ""


def _address(value: Value) -> int:
    return value.addresses[0] if isinstance(value, Ref) and value.addresses else 0


def _tell(m: Machine, node: cst.CSTNode, what: str, name: str, kind: str) -> None:
    m.raises()
    m.emit(KeptOut, node, what=what, name=name, kind=kind)


REGISTERS = {"register_parameter": "parameter", "register_buffer": "buffer"}
"""Method -> what it registers; the others register modules."""


def registers(
    m: Machine, address: int, method: str, name: Value | None, value: Value | None, node: cst.CSTNode
) -> None:
    """`module.register_parameter(name, value)`, `register_buffer`, `add_module`."""
    if address in m.escaped or not isinstance(name, Const) or value is None:
        return
    what, label = REGISTERS.get(method, "module"), str(name.value)
    if m.state.get((address, BARE)) is YES:
        _tell(m, node, "early", label, what)
    elif "." in label or not label:
        _tell(m, node, "name", label, "a name without dots" if label else "a name that is not empty")
    elif label in api.MODULE_NAMES:
        _tell(m, node, "name", label, "a name that modules do not use themselves")
    elif wrong := _misfit(m, what, value):
        _tell(m, node, "register", label, wrong)


def _misfit(m: Machine, what: str, value: Value) -> str:
    """Why the value cannot be registered as a parameter, buffer or module; "" if it can, or may."""
    kind = plain(m, value)
    if what == "parameter":
        return kind
    if what == "buffer":
        return kind if kind != "a plain tensor" else ""
    return "a tensor" if m.is_tensor(value) else kind


__all__ = ["created", "initialised", "refuses", "registers"]
