"""Data sets and loaders: what comes out of a loader over a TensorDataset is known, and what over a data set of the file
whose items were computed from parameters; what any other yields is a batch.

Source: torch/utils/data/_utils/collate.py (`default_collate`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import calls, copies, modules, shapes, tensors
from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import (
    MAYBE,
    NONE,
    UNKNOWN,
    YES,
    Const,
    Mapping_,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Tuple,
    Value,
)

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
    made = m.new(Thing("torch.utils.data.DataLoader", (("element", tensors.BATCH),)))
    given = args.get(0, "dataset") or UNKNOWN
    workers = args.kw.get("num_workers", Const(0))
    counted = isinstance(workers, Const) and isinstance(workers.value, int)
    single = workers != Const(0) and args.get(1, "batch_size") == NONE  # nothing is stacked: the item just never comes
    if plain and counted and not single and len(args.pos) < 4 and modules.find(m, given, "__getitem__") is not None:
        escape(m, [value for name, value in args.kw.items() if name != "dataset"])
        m.state.put(made.addresses[0], DATASET if workers == Const(0) else ELSEWHERE, given)
        m.state.set((made.addresses[0], SITE), node)
        return made
    if held is None or not plain or len(args.pos) > 4:
        escape(m, args.values())
        return made
    size = args.get(1, "batch_size") or Const(1)
    return m.new(Thing("torch.utils.data.DataLoader", (("*tensors", held), ("*size", size))))


DATASET, ELSEWHERE, SITE = "*dataset", "*dataset of workers", "*site"
"""Slots of a loader: the data set, an object of the file, which this process or others take items of, and where the
loader was made."""


def batch(m: Machine, address: int, loader: Thing) -> Value | None:
    """What one iteration over a loader yields: new tensors, stacked from rows of those in the data set."""
    site = m.state.get((address, SITE))
    dataset = m.state.get((address, DATASET))
    if dataset is not None:
        item = _item(m, dataset, site)
        return _together(m, item) if any(_computed(m, part) for part in _parts(m, item)) else None
    dataset = m.state.get((address, ELSEWHERE))
    if dataset is not None and isinstance(site, cst.Call) and m.mode.grad.yes:
        # a worker stacks into shared memory, with `out=`, and sends the result to this process: each raises
        for part in _parts(m, _item(m, dataset, site)):
            copies.tell_copy(m, site, part, site.args[0].value, inside=True)
    held, size = loader.part("*tensors"), loader.part("*size")
    if not isinstance(held, Tuple) or size is None:
        return None
    return m.new(Sequence("list", tuple(_rows(m, value, size) for value in held.items), filled=YES))


def _item(m: Machine, dataset: Value, site: cst.CSTNode) -> Value:
    """An item of a data set of the file."""
    method = modules.find(m, dataset, "__getitem__")
    if method is None:
        return UNKNOWN
    m.quiet += 1
    item = calls.call(m, method, Args([Scalar("int")]), site)
    m.quiet -= 1
    return item


def _parts(m: Machine, item: Value) -> tuple[Value, ...]:
    cell = m.cell(item)
    if isinstance(item, Tuple):
        return item.items
    return cell.held if isinstance(cell, Mapping_) else (item,)


def _computed(m: Machine, part: Value) -> bool:
    """Has the tensor a gradient, or was it cut from what has?"""
    return any(not t.grad.no or (t.why is not None and t.why.origin is not None) for _, t in m.tensors(part))


def _together(m: Machine, item: Value) -> Value:
    """What `default_collate` makes of items like this one: tensors are stacked, the structure stays."""
    cell = m.cell(item)
    if isinstance(item, Tuple):
        return m.new(Sequence("list", tuple(_together(m, part) for part in item.items), filled=YES))
    if isinstance(cell, Mapping_) and cell.rest is None:
        return m.new(Mapping_(tuple((key, _together(m, part)) for key, part in cell.items)))
    if isinstance(cell, Tensor) and _computed(m, item):
        shape = None if cell.shape is None else (None, *cell.shape)
        whole = replace(cell, shape=shape, parameter=False, storage=m.state.address(), view="", base=None, made="batch")
        return m.new(whole if cell.grad.no else replace(whole, grad=MAYBE, leaf=MAYBE, node=None))
    return tensors.BATCH


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
