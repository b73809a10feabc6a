"""Does what the engine holds for proved agree with a real object?"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from flake8_detach.flow.meeting import EITHER
from flake8_detach.flow.values import (
    NONE,
    Array,
    Const,
    Instance,
    Layer,
    Mapping_,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Truth,
    Tuple,
)
from fuzz.analysis import Visit

SPOILED = (0, "spoiled")
NUMBERS = {"int": int, "float": float, "bool": bool, "str": str, "complex": complex}
KINDS = {"list": list, "tuple": tuple, "set": set, "deque": deque}


@dataclass(frozen=True)
class Mismatch:
    """path: the variable, attribute or element. fact: which of the engine's claims is wrong."""

    path: str
    fact: str
    engine: str
    torch: str


@dataclass
class Comparison:
    """Compares what one visit of the engine knows with the objects of one moment of the run.

    in_turn: objects that a loop goes through, one after the other: of how far it has come, the engine claims nothing.
    """

    visit: Visit
    in_turn: frozenset[int] = frozenset()
    compared: int = 0
    seen: set[tuple[int, int]] = field(default_factory=set)
    storages: dict[int, tuple[int, str]] = field(default_factory=dict)

    def say(self, path: str, fact: str, engine: object, real: object) -> Iterator[Mismatch]:
        self.compared += 1
        if engine != real:
            yield Mismatch(path, fact, str(engine), str(real))

    def value(self, path: str, value: Any, real: Any, depth: int = 0) -> Iterator[Mismatch]:
        """Everything that is proved of `value` and does not hold for `real`."""
        if depth > 5:
            return
        if isinstance(value, Ref):
            yield from self.reference(path, value, real, depth)
        elif isinstance(value, Const):
            if isinstance(value.value, (bool, int, float, str, type(None))):
                same = type(real) is type(value.value) and (real == value.value or value.value != value.value)
                yield from self.say(path, "constant", repr(value.value), repr(value.value) if same else short(real))
        elif isinstance(value, Scalar):
            wanted: Any = NUMBERS.get(value.kind, (int, float, bool, complex, np.generic))
            yield from self.say(path, "type", value.kind, value.kind if isinstance(real, wanted) else short(real))
        elif isinstance(value, Array):
            yield from self.say(
                path, "type", "array", "array" if isinstance(real, (np.ndarray, np.generic)) else short(real)
            )
            if value.scalar.proved and isinstance(real, (np.ndarray, np.generic)):
                yield from self.say(path, "numpy scalar", value.scalar is Truth.YES, isinstance(real, np.generic))
        elif isinstance(value, Tuple) and value.names != ("slice",):
            yield from self.say(path, "type", "tuple", "tuple" if isinstance(real, tuple) else short(real))
            if isinstance(real, tuple):
                yield from self.say(path, "length", len(value.items), len(real))
                for index, (item, object_) in enumerate(zip(value.items, real, strict=False)):
                    yield from self.value(f"{path}[{index}]", item, object_, depth + 1)

    def reference(self, path: str, value: Ref, real: Any, depth: int) -> Iterator[Mismatch]:
        if not value.addresses:
            return
        found: list[Mismatch] = []
        if len(value.addresses) == 1:
            yield from self.cell(path, value.addresses[0], real, depth)
            return
        for address in value.addresses:  # it is one of them; which one is not known, so nothing is concluded from it
            attempt = Comparison(self.visit, frozenset(), self.compared, set(self.seen), dict(self.storages))
            found = list(attempt.cell(path, address, real, depth))
            self.compared = attempt.compared
            if not found:
                return
        yield from found

    def cell(self, path: str, address: int, real: Any, depth: int) -> Iterator[Mismatch]:
        cell = self.visit.slots[address, ""]
        if (address, id(real)) in self.seen or address in self.in_turn:
            return
        self.seen.add((address, id(real)))
        if isinstance(cell, Tensor):
            yield from self.tensor(path, address, cell, real, depth)
        elif isinstance(cell, Sequence):
            yield from self.sequence(path, cell, real, depth)
        elif isinstance(cell, Mapping_):
            yield from self.say(path, "type", "dict", "dict" if isinstance(real, dict) else short(real))
            for key, item in cell.items if isinstance(real, dict) else ():
                if key in real:
                    yield from self.value(f"{path}[{key!r}]", item, real[key], depth + 1)
        elif isinstance(cell, (Instance, Layer)):
            names = [cell.cls.name] if isinstance(cell, Instance) else cell.kind.split(EITHER)
            kinds = [name.rpartition(".")[2] for name in names]
            kind = type(real).__name__
            if "?" not in kinds:
                yield from self.say(path, "class", kind if kind in kinds else EITHER.join(kinds), kind)
            for name in self.visit.slots.get((address, "*names"), ()):
                value = self.visit.slots.get((address, name))
                if value is not None and name[0] != "*" and hasattr(real, name):
                    yield from self.value(f"{path}.{name}", value, getattr(real, name), depth + 1)
        elif isinstance(cell, Optimizer):
            yield from self.say(path, "type", True, isinstance(real, torch.optim.Optimizer))
            if cell.owned is not None and isinstance(real, torch.optim.Optimizer):
                owned = {id(p) for group in real.param_groups for p in group["params"]}
                yield from self.say(path, "parameters", len(set(cell.owned)), len(owned))

    def sequence(self, path: str, cell: Sequence, real: Any, depth: int) -> Iterator[Mismatch]:
        if cell.kind in KINDS:
            yield from self.say(
                path, "type", cell.kind, cell.kind if isinstance(real, KINDS[cell.kind]) else short(real)
            )
        if not isinstance(real, (list, tuple, deque)):
            return
        if cell.filled.proved:
            yield from self.say(path, "filled", cell.filled is Truth.YES, len(real) > 0)
        if cell.items is not None:
            yield from self.say(path, "length", len(cell.items), len(real))
            pairs = list(zip(cell.items, real, strict=False))
        else:
            pairs = [(cell.element, item) for item in real]
        for index, (item, object_) in enumerate(pairs):
            if cell.items is None:  # one stands for all, which need not be one
                self.storages = {}
            yield from self.value(f"{path}[{index}]", item, object_, depth + 1)

    def tensor(self, path: str, address: int, cell: Tensor, real: Any, depth: int) -> Iterator[Mismatch]:
        yield from self.say(path, "type", "Tensor", "Tensor" if isinstance(real, torch.Tensor) else short(real))
        if not isinstance(real, torch.Tensor):
            return
        # there, to ask a view brings its grad_fn up to date, and what it is told is wrong from then on
        stale = real._is_view() and torch.is_inference_mode_enabled()
        try:
            leaf = stale or real.is_leaf
        except RuntimeError:  # a view whose base was written in a way that torch forbids: grad_fn itself raises
            return
        if cell.grad.proved:
            yield from self.say(path, "requires_grad", cell.grad is Truth.YES, real.requires_grad)
        if cell.leaf.proved and not stale:
            yield from self.say(path, "is_leaf", cell.leaf is Truth.YES, leaf)
        if cell.inference.proved:
            yield from self.say(path, "is_inference", cell.inference is Truth.YES, real.is_inference())
        if cell.shape is not None:
            yield from self.say(path, "rank", len(cell.shape), real.dim())
            shape = tuple(cell.shape)
            if len(shape) == real.dim():
                masked = tuple(r if s is not None else None for s, r in zip(shape, real.shape, strict=True))
                yield from self.say(path, "shape", shape, masked)
        if cell.dtype is not None:
            yield from self.say(path, "dtype", cell.dtype, kind_of(real))
        kept = self.visit.slots.get((address, "kept"), Truth.NO)
        if kept.proved and not leaf and not stale:
            yield from self.say(path, "retains_grad", kept is Truth.YES, real.retains_grad)
        if not stale:
            yield from self.gradient(path, address, cell, real, leaf, kept, depth)
        if cell.storage and real.numel():
            place = real.untyped_storage().data_ptr()
            known, other = self.storages.setdefault(cell.storage, (place, path))
            yield from self.say(
                path, "storage", f"shared with {other}", f"shared with {other}" if known == place else "not shared"
            )

    def gradient(
        self, path: str, address: int, cell: Tensor, real: torch.Tensor, leaf: bool, kept: Truth, depth: int
    ) -> Iterator[Mismatch]:
        """The `.grad` slot, as the engine's own reading of `.grad` would take it."""
        held = self.visit.slots.get((address, "grad"), NONE)
        if isinstance(held, Ref):
            if real.grad is None:
                yield from self.say(path, ".grad", "a tensor", "None")
            else:
                yield from self.value(f"{path}.grad", held, real.grad, depth + 1)
        elif held == NONE:
            open_ = self.visit.slots.get(SPOILED) or address in self.visit.escaped
            unsure = cell.leaf is Truth.MAYBE or cell.grad is Truth.MAYBE or (cell.leaf.no and not kept.no)
            if not open_ and not unsure:
                yield from self.say(
                    path,
                    ".grad",
                    "None",
                    "None" if not (leaf or real.retains_grad) or real.grad is None else "a tensor",
                )


def kind_of(tensor: torch.Tensor) -> str:
    if tensor.dtype is torch.bool:
        return "bool"
    return "complex" if tensor.is_complex() else "float" if tensor.is_floating_point() else "int"


def short(real: object) -> str:
    return f"{type(real).__name__} {str(real)[:30]!r}"
