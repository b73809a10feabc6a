"""What a program says of the dtype and the device of a tensor, where it makes or casts it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from flake8_detach.flow.values import NONE, SOME, Const, External, Thing, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

FLOATS = {
    "float32": "float32",
    "float": "float32",
    "float64": "float64",
    "double": "float64",
    "float16": "float16",
    "half": "float16",
    "bfloat16": "bfloat16",
}
"""The dtype by its names, which are also those of the methods that cast to it (torch/_tensor_docs.py)."""


def device(m: Machine, value: Value | None) -> str:
    """The kind of device that a value names, "cpu" or "cuda"; "" if it names none that is known."""
    cell = m.cell(value) if value is not None else None
    if isinstance(cell, Thing) and cell.kind == "torch.device":
        value = cell.part("type")
    if isinstance(value, Const) and isinstance(value.value, str):
        return value.value.partition(":")[0]
    return "cuda" if isinstance(value, Const) and type(value.value) is int else ""


def precision(value: Value | None) -> str:
    """The dtype of floats that a value names; "" if it names none."""
    return FLOATS.get(value.name.rpartition(".")[2], "") if isinstance(value, External) else ""


def made(m: Machine, bound: Mapping[str, Value]) -> dict[str, str]:
    """What a factory was told: `device` and `precision` of what it makes, as far as either was asked for."""
    found = {}
    if "*open" in bound or bound.get("device", NONE) != NONE:
        found["device"] = device(m, bound.get("device")) or SOME
    if "*open" in bound or bound.get("dtype", NONE) != NONE:
        found["precision"] = precision(bound.get("dtype")) or SOME
    return found
