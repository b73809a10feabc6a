"""The state of the abstract machine.

A state maps slots to values. A slot is `(owner, name)`: a variable of a frame, an attribute of an object, and with the
name `CELL` the object itself. Everything that a path can change is a slot (also grad mode, versions of storages and
freed graph nodes), so one join serves all.

Paths share one dictionary. Trying a branch writes to it and keeps a trail; `rollback` undoes the branch and
hands back its changes as a delta; `join` (joining.py) merges the deltas of all branches. Looking up a slot costs one
dictionary access however deep the nesting.
"""

from __future__ import annotations

from collections.abc import Sequence as Seq
from dataclasses import replace
from typing import Any

from flake8_detach.flow import joining
from flake8_detach.flow.meeting import join_tensors
from flake8_detach.flow.slots import ABSENT, CELL, Delta, Slot
from flake8_detach.flow.values import (
    MAYBE,
    UNKNOWN,
    Cell,
    Edge,
    Mapping_,
    Node,
    Ref,
    Sequence,
    Tensor,
    Truth,
    Value,
)

STOOD_FOR = 64
"""Of what an object stands for that was made where paths met, so many are looked up."""
BETWEEN = 3
"""Of the contents that a slot has had for a while, so many are kept for whoever may have been interrupted then."""


class State:
    """The slots, with a trail that lets changes be undone. Addresses count up and are never used twice."""

    def __init__(self) -> None:
        self.slots: dict[Slot, Any] = {}
        self.graph: dict[int, Node] = {}
        self.trail: list[tuple[Slot, Any]] = []
        self.log: list[tuple[Slot, Any]] | None = None  # all that was ever written, also on paths that were undone
        self.last = 1  # the last address given
        self.merged: set[int] = set()  # objects that stand for one of several, made where paths meet
        self.twins: dict[int, set[int]] = {}  # tensors that may be one and the same: what meets, and where it met
        self.coupled: dict[int, set[int]] = {}  # the same of lists and dicts
        self.views: dict[int, list[int]] = {}  # of each tensor, and of each memory
        self.several: set[int] = set()  # objects that stand for the elements of a list, which are not known one by one
        self.lost: dict[Slot, set[int]] = {}  # what a slot led to on some path, where it is unknown after a meeting
        self._births: dict[int, int] = {}
        self.forked = 0  # what is newer was made on one of the paths that meet

    def address(self) -> int:
        """A new address (also used for frames, storages and graph nodes)."""
        self.last += 1
        return self.last

    def get(self, slot: Slot, default: Any = None) -> Any:
        return self.slots.get(slot, default)

    def set(self, slot: Slot, content: Any) -> None:
        """The program changes this slot: of a list or dict that may be the same one, nothing is known any more."""
        self.place(slot, content)
        if slot[1] == CELL and slot[0] in self.coupled:
            self._loosen(slot[0])

    def place(self, slot: Slot, content: Any) -> None:
        """Put `content` there, and look at nothing else."""
        old = self.slots.get(slot, ABSENT)
        if old is content:
            return
        self.trail.append((slot, old))
        if self.log is not None:
            self.log.append((slot, content))
        if content is ABSENT:
            del self.slots[slot]
        else:
            self.slots[slot] = content

    def cell(self, address: int) -> Cell:
        """The object at `address`. Raises KeyError when there is none."""
        cell: Cell = self.slots[address, CELL]
        return cell

    def new(self, cell: Cell) -> Ref:
        """Put `cell` at a new address."""
        address = self.address()
        self.set((address, CELL), cell)
        return Ref((address,))

    def pair(self, one: int, other: int) -> None:
        """The two addresses may be those of one tensor."""
        self.twins.setdefault(one, set()).add(other)
        self.twins.setdefault(other, set()).add(one)

    def couple(self, one: int, other: int) -> None:
        """The two addresses may be those of one list, dict or object."""
        self.coupled.setdefault(one, set()).add(other)
        self.coupled.setdefault(other, set()).add(one)

    def note_view(self, address: int, tensor: Tensor) -> None:
        """If the tensor is a view, what it is a view of knows of it, and the memory it lies in."""
        if tensor.base is not None:
            self.views.setdefault(tensor.base, []).append(address)
            self.views.setdefault(tensor.storage, []).append(address)

    def _loosen(self, address: int) -> None:
        """The list or dict at `address` was changed: of whatever may be the same one, nothing is known any more."""
        for other in _reached(self.coupled, address):
            cell = self.slots.get((other, CELL))
            if isinstance(cell, Sequence):
                self.place((other, CELL), Sequence(cell.kind, None, UNKNOWN))
            elif isinstance(cell, Mapping_):
                self.place((other, CELL), Mapping_((), UNKNOWN))

    def alike(self, *addresses: int) -> frozenset[int]:
        """What may be the tensor at one of these addresses, be it by way of others."""
        return _reached(self.twins, *addresses)

    def made_of(self, address: int) -> frozenset[int]:
        """What the object that was made where paths met stands for: tensors that were there before it, of very many
        only some."""
        found, todo = set[int](), [address]
        while todo and len(found) < STOOD_FOR:
            one = todo.pop()
            older = {twin for twin in self.twins.get(one, ()) if twin < one} - found
            found |= older
            todo.extend(older)
        return frozenset(found)

    def weaken(self, address: int, changed: Tensor) -> None:
        """The tensor at `address` became `changed`: whatever may be the same tensor became so, or not."""
        seen, todo = {address}, list(self.twins[address])
        while todo:
            other = todo.pop()
            cell = self.slots.get((other, CELL))
            if other not in seen and isinstance(cell, Tensor):
                seen.add(other)
                todo.extend(self.twins.get(other, ()))
                both = join_tensors(cell, changed)
                if both != cell and (cell.dtype == changed.dtype or None in (cell.dtype, changed.dtype)):
                    made = replace(cell, grad=both.grad, leaf=both.leaf, shape=both.shape, dtype=both.dtype)
                    node = both.node
                    if node is None and not both.grad.no and (cell.node is not None or changed.node is not None):
                        node = self.address()
                        parts = ((c, a) for c, a in ((cell, other), (changed, address)) if not c.grad.no)
                        edges = dict.fromkeys(Edge(c.node, None if c.node is not None else a, False) for c, a in parts)
                        self.graph[node] = Node("join", tuple(edges), (), None)
                    self.set((other, CELL), replace(made, node=node))
                    if not both.grad.no:
                        self.set((other, "grad"), UNKNOWN)
                        self.set((other, "gradient"), UNKNOWN)
                    of = (cell.base or 0, CELL)
                    base = self.slots.get(of)
                    if isinstance(base, Tensor) and base.grad is not changed.grad:  # if it was written, so was its base
                        self.set(of, replace(base, grad=MAYBE, leaf=MAYBE))

    def assign(self, owner: int, name: str, content: Value) -> None:
        """The program sets this attribute: of what may be the same object, too."""
        self.put(owner, name, content)
        for other in _reached(self.coupled, owner):
            self.place((other, name), UNKNOWN)

    def names(self, owner: int) -> list[str]:
        """The names of the slots that `owner` has, in order of creation. Costs a pass over the index of `owner`."""
        index: tuple[str, ...] = self.slots.get((owner, "*names"), ())
        return [name for name in index if (owner, name) in self.slots]

    def put(self, owner: int, name: str, content: Value) -> None:
        """Like `set`, and remember the name so that `names` lists it."""
        index = self.slots.get((owner, "*names"), ())
        if name not in index:
            self.set((owner, "*names"), (*index, name))
        self.set((owner, name), content)

    # Paths

    def mark(self) -> int:
        """A point to roll back to."""
        self._births[len(self.trail)] = self.last
        return len(self.trail)

    def delta(self, mark: int) -> Delta:
        """What changed since `mark`."""
        get = self.slots.get
        return {slot: get(slot, ABSENT) for slot, _ in self.trail[mark:]}

    def between(self, mark: int, begun: int) -> list[Delta]:
        """What slots that were there at `mark`, and objects made since, held for a while since the log had `begun`
        entries: not what they held then, nor what they hold now."""
        before = dict(reversed(self.trail[mark:]))
        held: dict[Slot, list[Any]] = {}
        for slot, content in (self.log or ())[begun:]:
            now = self.slots.get(slot, ABSENT)
            if content is now or content is before.get(slot, now):
                continue
            if slot[0] > self._births[mark] and (slot[1] != CELL or now is ABSENT):
                continue
            contents = held.setdefault(slot, [])
            if len(contents) < BETWEEN and not any(content is other for other in contents):
                contents.append(content)
        return [
            {slot: c[n] for slot, c in held.items() if len(c) > n}
            for n in range(max(map(len, held.values()), default=0))
        ]

    def unchanged(self, begun: int, slot: Slot) -> None:
        """What happened to `slot` since the log had `begun` entries was undone: there is no trace of it."""
        if self.log is not None:
            self.log[begun:] = [entry for entry in self.log[begun:] if entry[0] != slot]

    def undo(self, mark: int) -> None:
        """Take back everything since `mark`."""
        self.forked = self._births[mark]
        slots, trail = self.slots, self.trail
        for slot, old in reversed(trail[mark:]):
            if old is ABSENT:
                slots.pop(slot, None)
            else:
                slots[slot] = old
        del trail[mark:]

    def rollback(self, mark: int) -> Delta:
        """Take back everything since `mark` and return it."""
        changes = self.delta(mark)
        self.undo(mark)
        return changes

    def apply(self, delta: Delta) -> None:
        """Take the path whose changes are `delta`."""
        for slot, content in delta.items():
            self.place(slot, content)

    def join(
        self,
        deltas: Seq[Delta],
        presume: bool = False,
        written: Truth = MAYBE,
        many: bool = False,
        since: int | None = None,
    ) -> None:
        """Continue where the paths `deltas`, which all start from here, meet (see joining.py)."""
        joining.join(self, deltas, presume, written, many, since)


def _reached(pairs: dict[int, set[int]], *addresses: int) -> frozenset[int]:
    """What these are paired with, be it by way of others."""
    found, given, todo = set[int](), frozenset(addresses), [*addresses]
    while todo:
        new = pairs.get(todo.pop(), set()) - found - given
        found |= new
        todo.extend(new)
    return frozenset(found)
