"""Data sets and loaders: what comes out of a loader over a TensorDataset is known, what any other yields is a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import shapes, tensors
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import MAYBE, NONE, UNKNOWN, YES, Const, Sequence, Tensor, Thing, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


@model("torch.utils.data.TensorDataset")
def _dataset(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    found = [m.cell(value) for value in args.pos]
    known = bool(found) and not args.open and all(isinstance(cell, Tensor) for cell in found)
    parts: list[tuple[str, Value]] = [("element", tensors.BATCH)]
    if known:
        parts.append(("*tensors", Tuple(tuple(args.pos))))
    return m.new(Thing("torch.utils.data.TensorDataset", tuple(parts)))


@model("torch.utils.data.DataLoader")
def _loader(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    dataset = m.cell(args.get(0, "dataset") or UNKNOWN)
    held = dataset.part("*tensors") if isinstance(dataset, Thing) else None
    plain = not args.open and args.kw.get("collate_fn", NONE) == NONE and args.kw.get("batch_sampler", NONE) == NONE
    if held is None or not plain or len(args.pos) > 4:
        escape(m, args.values())
        return m.new(Thing("torch.utils.data.DataLoader", (("element", tensors.BATCH),)))
    size = args.get(1, "batch_size") or Const(1)
    return m.new(Thing("torch.utils.data.DataLoader", (("*tensors", held), ("*size", size))))


def batch(m: Machine, loader: Thing) -> Value | None:
    """What one iteration over a loader yields: new tensors, stacked from rows of those in the data set."""
    held, size = loader.part("*tensors"), loader.part("*size")
    if not isinstance(held, Tuple) or size is None:
        return None
    return m.new(Sequence("list", tuple(_rows(m, value, size) for value in held.items), filled=YES))


def _rows(m: Machine, value: Value, size: Value) -> Value:
    cell = m.cell(value)
    assert isinstance(cell, Tensor)
    each = cell.shape and cell.shape[1:]
    shape = None if not cell.shape else each if size == NONE else (shapes.number(size), *cell.shape[1:])
    facts = replace(
        cell,
        shape=shape,
        storage=m.state.address(),
        view="",
        base=None,
        parameter=False,
        made="batch",
        inference=m.mode.inference,
    )
    if not cell.grad.no:  # stacking what requires grad is an op like any other
        facts = replace(facts, grad=MAYBE, leaf=MAYBE, node=None)
    return m.new(facts)
