"""The places of a state, and what a path changes of them.

A slot is `(owner, name)`: a variable of a frame, an attribute of an object, and with the name `CELL` the object itself.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Slot: TypeAlias = tuple[int, str]
CELL = ""
RESET = "*reset"
"""Slot of a tensor that was given other memory: the address of that moment. A leaf may be another end of the graph from
then on (`set_data` in torch/csrc/autograd/variable.cpp): what was made before need not lead to it."""
ABSENT: Any = type("Absent", (), {"__repr__": lambda self: "ABSENT", "__bool__": lambda self: False})()
Delta: TypeAlias = dict[Slot, Any]
"""The changes of one path: slot -> new content (ABSENT: the slot was emptied)."""


Version: TypeAlias = tuple[int, ...]
"""What a storage may hold: every write makes a token of its own, paths that meet bring theirs together. A negative
token stands for a write that is presumed to have been made, (0,) for anything."""

TOKENS = 8
