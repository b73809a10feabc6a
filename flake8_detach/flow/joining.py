"""The join: the only place where paths meet.

Each path is the changes that it made (a delta). What all agree in stays; what they do not becomes a value that stands
for either, and where objects differ a new object does. The cost is the number of changes, not the size of the state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence as Seq
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, get_args

from flake8_detach.flow.meeting import EITHER, join_layers, join_tensors
from flake8_detach.flow.slots import ABSENT, CELL, TOKENS, Delta, Slot, Version
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    NONE,
    UNKNOWN,
    Array,
    Cell,
    Const,
    Edge,
    Either,
    Instance,
    Joined,
    Layer,
    Mapping_,
    Mode,
    Node,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
)

if TYPE_CHECKING:
    from flake8_detach.flow.state import State

MEMBERS = 4
"""Of a list whose elements are not all known, so many that are surely in it are kept."""

FEW = 4
"""Where more paths meet, those that have not changed a slot are looked at only once for it: they agree."""

NODES = frozenset({"version", "freed"})
LATER = NODES | {"grad", "gradient", "kept"}
"""What is not yet there when the object, or node or memory, is made that it belongs to."""

VALUES = get_args(Value)
LEADING = (Ref, Tuple, Either, Sequence, Mapping_)
"""Contents that lead to other slots: paths that agree in them may differ in those."""


def join(
    state: State,
    deltas: Seq[Delta],
    presume: bool = False,
    written: Truth = MAYBE,
    many: bool = False,
    since: int | None = None,
) -> None:
    """Continue where the paths `deltas`, which all start from `state`, meet.

    presume: the first path is the unlikely one (a loop that never ran); what only the others changed is kept as
    presumed. written: was a tensor that one path writes in place written? MAYBE unless more is known of the paths
    (one iteration of a loop and two of them). many: what comes of it stands for all of them (see `Node`). since:
    nodes and memory that are newer than this address are on one path alone (None: not known of any).
    """
    if len(deltas) == 1:
        state.apply(deltas[0])
        return
    newest = state.forked
    changed: Delta = {}
    for delta in deltas:
        changed.update(delta)
    apart = {**dict.fromkeys(LATER, since or 0), **dict.fromkeys(NODES, state.last if since is None else since)}
    times = Counter(chain.from_iterable(deltas))
    paths = _paths(deltas) if len(deltas) > FEW else {}
    joiner = _Joiner(state, deltas, presume, Truth.PRESUMED_YES if presume else written)
    joiner.many = many
    for slot, content in changed.items():
        alone = times[slot] == 1 and times[slot[0], CELL] < 2
        if alone and slot[0] > newest and (slot[1] not in LATER or slot[0] > apart[slot[1]]):
            # an object that one path alone has made is there for whoever can reach it
            state.place(slot, content)
            continue
        before = state.slots.get(slot, ABSENT)
        where = joiner
        if times[slot] < len(deltas) > FEW and not isinstance(before, LEADING):
            where = joiner.on(_and_another(paths[slot]))
        contents = [delta.get(slot, before) for delta in where.deltas]
        joined = where.contents(slot, contents)
        if joined is not ABSENT or slot in state.slots:
            joiner.write(slot, joined)
    joiner.finish()


class _Joiner:
    """One meeting of paths: joins contents slot by slot; new objects are made for pairs of different objects."""

    def __init__(self, state: State, deltas: Seq[Delta], presume: bool, written: Truth = MAYBE) -> None:
        self.state, self.deltas, self.presume, self.written = state, deltas, presume, written
        self.pairs: dict[tuple[tuple[int, tuple[int, ...]], ...], Ref] = {}
        self.pending: Delta = {}
        self.made: set[int] = set()
        self.weakened: set[int] = set()  # leaves that require grad, or what may be the same on another path does
        self.shared: set[int] = set()  # the same, but what they meet was known to stand for them
        self.many = False

    def on(self, paths: list[int], many: bool = False) -> _Joiner:
        """The same meeting, of these paths alone."""
        inner = _Joiner(self.state, [self.deltas[path] for path in paths], False, self.written)
        inner.pending, inner.made, inner.pairs = self.pending, self.made, self.pairs
        inner.weakened, inner.shared = self.weakened, self.shared
        inner.many = many or self.many
        return inner

    def write(self, slot: Slot, content: Any) -> None:
        self.pending[slot] = content

    def finish(self) -> None:
        for owner in self.weakened:
            cell = self.pending.get((owner, CELL), self.state.slots.get((owner, CELL)))
            if isinstance(cell, Tensor):
                self.pending[owner, CELL] = replace(cell, grad=MAYBE)
        for owner in self.weakened | self.shared:
            if isinstance(self.pending.get((owner, CELL), self.state.slots.get((owner, CELL))), Tensor):
                self.pending[owner, "gradient"] = UNKNOWN
        self.state.apply(self.pending)

    def look(self, path: int, slot: Slot) -> Any:
        if slot[0] in self.made:  # made by this very join, on no path
            return self.pending.get(slot, ABSENT)
        return self.deltas[path].get(slot, self.state.slots.get(slot, ABSENT))

    def contents(self, slot: Slot, contents: list[Any], depth: int = 0) -> Any:
        first = contents[0]
        if all(c is first for c in contents):
            return first
        if slot[1] == CELL:
            present = [(path, c) for path, c in enumerate(contents) if c is not ABSENT]
            if len(present) == 1:
                return present[0][1]
            inner = self if len(present) == len(contents) else self.on([path for path, _ in present])
            return inner.cells([c for _, c in present], depth, [slot[0]] * len(present)) or Thing("?")
        if slot[1] == "*names":
            merged = dict.fromkeys(n for c in contents if c is not ABSENT for n in c)
            return tuple(merged)
        if any(isinstance(c, Mode) for c in contents):
            modes = [c for c in contents if isinstance(c, Mode)]
            result = modes[0]
            for other in modes[1:]:
                result = result.join(other)
            return result
        joined = next((c for c in contents if isinstance(c, Joined)), None)
        if joined is not None:
            known = [type(joined)() if c is ABSENT else c for c in contents]
            if not all(isinstance(c, Joined) for c in known):
                return UNKNOWN
            for content in known[1:]:
                known[0] = known[0].join(content, self.presume)
            return known[0]
        if any(isinstance(c, Truth) for c in contents):
            facts = [c if isinstance(c, Truth) else Truth.NO for c in contents]
            if slot[1] == "freed" and self.written is not MAYBE and any(f.yes for f in facts):
                return Truth.YES if self.written is Truth.YES and facts[-1] is Truth.YES else Truth.PRESUMED_YES
            result_fact = facts[0]
            for fact in facts[1:]:
                result_fact = result_fact.join(fact)
            return result_fact
        if slot[1] == "version" and not any(isinstance(c, VALUES) for c in contents):  # no variable of that name
            return self.versions(slot[0], [c for c in contents if c is not ABSENT], ABSENT in contents)
        if not any(isinstance(c, VALUES) for c in contents):  # a place in the file, a tuple of names
            return next(c for c in contents if c is not ABSENT)
        if any(c is ABSENT for c in contents):
            if slot[1] == "grad":  # an empty .grad slot is None
                contents = [NONE if c is ABSENT else c for c in contents]
            elif self.presume and contents[0] is ABSENT:
                rest = contents[1:]
                return rest[0] if all(c is rest[0] for c in rest) else self.values(rest, depth)
            else:
                return self.bound(slot, contents)
        joined_value = self.values(contents, depth)
        if slot[1] == "grad" and isinstance(joined_value, Either):
            joined_value = UNKNOWN  # a gradient that may be there
        if joined_value == UNKNOWN:
            self.lose(slot, contents)
        return joined_value

    def lose(self, slot: Slot, contents: list[Any]) -> None:
        """It is not known any more which of these is in the slot (see suspects.py)."""
        lost = [a for c in contents if isinstance(c, Ref) for a in c.addresses]
        if lost:
            self.state.lost.setdefault(slot, set()).update(lost)

    def bound(self, slot: Slot, contents: list[Any]) -> Value:
        """A variable that some paths have not bound: who reads a tensor there came by one that has."""
        found = [c for c in contents if c is not ABSENT]
        variable = (slot[0], CELL) not in self.state.slots and (slot[0], "*names") not in self.state.slots
        one: Value = found[0]
        if isinstance(self.state.slots.get((slot[0], CELL)), Layer) and all(c == one for c in found):
            return one  # what a layer holds is made when somebody asks for it
        if not variable or slot[1][0] == "*" or not isinstance(one, Ref) or any(c != one for c in found):
            self.lose(slot, found)
            return UNKNOWN
        path = next(path for path, c in enumerate(contents) if c is not ABSENT)
        alone = path < len(self.deltas) and len(one.addresses) == 1
        return one if alone and isinstance(self.look(path, (one.addresses[0], CELL)), Tensor) else UNKNOWN

    def versions(self, storage: int, found: list[Version], absent: bool) -> Version:
        """The version of a storage that some paths have written (absent: and others not)."""
        if absent and storage <= self.state.forked:
            found.insert(0, (storage,))
        if self.written is not MAYBE:
            last = max(found, key=lambda version: max(map(abs, version)))
            return last if self.written is Truth.YES or len(set(found)) == 1 else tuple(-abs(token) for token in last)
        tokens = dict.fromkeys(token for version in found for token in version)
        return tuple(tokens) if len(tokens) <= TOKENS else (0,)

    def values(self, values: list[Value], depth: int) -> Value:
        first = values[0]
        if all(v == first for v in values):
            return first
        if self.presume and len(values) == 2 and not _alike(*values):
            return self.presumed(values[1])
        if depth > 4:
            return UNKNOWN
        if all(isinstance(v, (Const, Scalar)) and not (isinstance(v, Const) and v.value is None) for v in values):
            kinds = {_kind(v) for v in values}
            why = next((v.why for v in values if isinstance(v, (Const, Scalar)) and v.why), None)
            if "?" in kinds or (len(kinds) > 1 and "str" in kinds):
                return UNKNOWN
            return Scalar(kinds.pop() if len(kinds) == 1 else "number", why)
        if all(isinstance(v, Array) for v in values):
            arrays = [v for v in values if isinstance(v, Array)]
            scalar = arrays[0].scalar
            for array in arrays[1:]:
                scalar = scalar.join(array.scalar)
            return Array(None, scalar, next((v.why for v in arrays if v.why), None))
        if all(isinstance(v, Tuple) for v in values):
            shapes = {(len(v.items), v.names) for v in values if isinstance(v, Tuple)}
            if len(shapes) == 1 and isinstance(first, Tuple):
                columns = zip(*(v.items for v in values if isinstance(v, Tuple)), strict=True)
                return Tuple(tuple(self.values(list(c), depth + 1) for c in columns), first.names)
            return UNKNOWN
        if all(isinstance(v, Ref) and len(v.addresses) == 1 for v in values):
            return self.refs([v for v in values if isinstance(v, Ref)], depth)
        return self.either(values, depth)

    def either(self, values: list[Value], depth: int) -> Value:
        """A number or None on some paths, an object on others."""
        if len(values) != len(self.deltas):
            return UNKNOWN
        plains: list[tuple[int, Value]] = []
        objects: list[tuple[int, Value]] = []
        for path, value in enumerate(values):
            if isinstance(value, Either):
                plains.append((path, value.plain))
                objects.append((path, value.object))
            elif isinstance(value, (Const, Scalar)):
                plains.append((path, value))
            elif isinstance(value, Tuple) or (isinstance(value, Ref) and value.addresses):
                objects.append((path, value))
            else:
                return UNKNOWN
        if not plains or not objects:
            return UNKNOWN
        plain, some = self.mixed(plains, depth), self.mixed(objects, depth)
        if not isinstance(plain, (Const, Scalar)) or not isinstance(some, (Ref, Tuple)):
            return UNKNOWN
        return Either(plain, some) if plain == NONE or _kind(plain) not in ("?", "str") else UNKNOWN

    def refs(self, refs: list[Ref], depth: int) -> Value:
        """The paths hold different objects: one new object stands for either."""
        key = tuple((id(delta), r.addresses) for delta, r in zip(self.deltas, refs, strict=False))
        if key in self.pairs:
            return self.pairs[key]
        cells = (
            [self.look(path, (r.addresses[0], CELL)) for path, r in enumerate(refs)]
            if len(refs) == len(self.deltas)
            else [ABSENT]
        )
        if any(c is ABSENT for c in cells) or len({type(c) for c in cells}) != 1:
            return UNKNOWN
        address = self.state.address()
        made = self.pairs[key] = Ref((address,))
        self.made.add(address)
        self.state.merged.add(address)
        joined = self.cells(cells, depth + 1, [r.addresses[0] for r in refs])
        if joined is None:
            return UNKNOWN
        self.write((address, CELL), joined)
        # attributes: those that all have
        owners = [r.addresses[0] for r in refs]
        names = dict.fromkeys(n for path, o in enumerate(owners) for n in (self.look(path, (o, "*names")) or ()))
        names["kept"] = None
        if isinstance(joined, Tensor) and (joined.grad.no or joined.leaf.no):  # else see `entangle`
            names["grad"] = None
        if isinstance(joined, Tensor):
            self.state.note_view(address, joined)
        self.entangle(address, owners, joined)
        for name in names:
            contents = [self.look(path, (o, name)) for path, o in enumerate(owners)]
            if all(c is ABSENT for c in contents):
                continue
            if isinstance(joined, Layer) and EITHER in joined.kind and ABSENT in contents and name[0] != "*":
                there = [(path, c) for path, c in enumerate(contents) if c is not ABSENT]  # the other kinds have none
                self.write((address, name), self.mixed(there, depth))
                continue
            self.write((address, name), self.contents((address, name), contents, depth + 1))
        if any(self.look(path, (o, "*names")) is not ABSENT for path, o in enumerate(owners)):
            self.write((address, "*names"), tuple(n for n in names if n not in ("kept", "grad")))
        return made

    def entangle(self, address: int, owners: list[int], joined: Cell) -> None:
        """One of several objects, not known which: what is done to it from here on is done to one of them."""
        if isinstance(joined, Tensor) and joined.leaf.no:  # what can be done to the result of an op changes little
            for owner in owners:
                self.state.pair(address, owner)
            return
        if isinstance(joined, Tensor) and not joined.grad.no:
            self.write((address, "grad"), UNKNOWN)
        newest = max(owners)  # an element of a list, and what stands for all of them: to be either is nothing new
        known = newest in self.state.merged and self.state.made_of(newest).issuperset({*owners} - {newest})
        for path, owner in enumerate(owners):
            cell = self.look(path, (owner, CELL))
            if isinstance(cell, (Sequence, Mapping_, Instance, Layer)):
                self.state.couple(address, owner)
            if isinstance(cell, Tensor):
                self.state.pair(address, owner)  # it changes should either be told to require grad, or not to
            if (owner, CELL) not in self.state.slots:  # made on that path: it may have been forgotten since
                for twin in tuple(self.state.twins.get(owner, ())):
                    self.state.pair(address, twin)
            elif isinstance(cell, Tensor) and not cell.leaf.no and cell.grad is not NO:
                (self.shared if known else self.weakened).add(owner)

    def cells(self, cells: list[Any], depth: int, addresses: list[int]) -> Any:
        first = cells[0]
        if all(c == first for c in cells):
            # equal facts may still carry different evidence; the first is as good as any
            return first
        if len({type(c) for c in cells}) != 1:
            return None
        if isinstance(first, Tensor):
            joined = cells[-1] if self.presume else first
            for other in cells:
                joined = join_tensors(joined, other)
            if joined.node is None and not joined.grad.no and not joined.leaf.yes:
                joined = replace(joined, node=self.meeting(cells, addresses))
            if self.presume and len(cells) == 2 and not joined.grad.proved and cells[1].grad.proved:
                joined = replace(joined, grad=cells[1].grad.presumed())
            return joined
        if isinstance(first, Sequence):
            return self.sequences(cells, depth)
        if isinstance(first, Mapping_):
            return self.mappings(cells, depth)
        if isinstance(first, Instance):
            return first if all(c.cls == first.cls for c in cells) else None
        if isinstance(first, Layer):
            return join_layers(cells)
        if isinstance(first, Optimizer):
            return Optimizer(first.kind if all(c.kind == first.kind for c in cells) else "?", None)
        if isinstance(first, Thing) and all(c.kind == first.kind for c in cells):
            return Thing(first.kind)
        return None

    def meeting(self, cells: list[Tensor], addresses: list[int]) -> int | None:
        """A graph node from which backward may go on to the graph of either tensor."""
        edges = dict.fromkeys(
            Edge(c.node, None if c.node is not None else a, False)
            for c, a in zip(cells, addresses, strict=True)
            if not c.grad.no
        )
        if all(e.node is None for e in edges) and len(edges) < 2:
            return None
        node, graph = self.state.address(), self.state.graph
        many = self.many or all(e.node is not None and graph[e.node].many for e in edges)
        graph[node] = Node("join", tuple(edges), (), None, many=many)
        return node

    def sequences(self, cells: list[Sequence], depth: int) -> Sequence:
        first = cells[0]
        kind = first.kind if all(c.kind == first.kind for c in cells) else "iterable"
        filled = first.filled
        for c in cells[1:]:
            filled = filled.join(c.filled)
        if self.presume and len(cells) == 2 and cells[1].filled.yes:
            filled = cells[1].filled.presumed()
        if all(c.items is not None and len(c.items) == len(first.items or ()) for c in cells) and not (
            self.presume and depth == 0
        ):
            columns = zip(*(c.items or () for c in cells), strict=True)
            return Sequence(kind, tuple(self.values(list(col), depth + 1) for col in columns), filled=filled)
        # one path per list: an element of any of them stands for all, looked up on its own path
        elements = [self.summary(path, c, depth) for path, c in enumerate(cells)]
        known = [(path, e) for path, e in enumerate(elements) if e is not None]
        sure = [
            c.members if c.items is None else c.items for c in cells[1 if self.presume and len(cells) == 2 else 0 :]
        ]
        # the same object on all paths, or a tuple of such: of other values, what stands for all elements tells as much
        members = tuple(e for e in sure[0] if isinstance(e, (Ref, Tuple)) and all(e in others for others in sure[1:]))
        return Sequence(kind, None, self.mixed(known, depth, True), filled=filled, members=members[:MEMBERS])

    def summary(self, path: int, cell: Sequence, depth: int) -> Value | None:
        if cell.items is None:
            return cell.element
        return self.mixed([(path, item) for item in cell.items], depth, True) if cell.items else None

    def mixed(self, members: list[tuple[int, Value]], depth: int, many: bool = False) -> Value:
        """One value for several values that live on the given paths; many: it stands for all of them."""
        if not members:
            return UNKNOWN
        inner = self.on([path for path, _ in members], many)
        return inner.values([v for _, v in members], depth + 1)

    def mappings(self, cells: list[Mapping_], depth: int) -> Mapping_:
        keys = dict.fromkeys((type(k), k) for c in cells for k, _ in c.items)
        items = []
        rests = [(path, c.rest) for path, c in enumerate(cells) if c.rest is not None]
        for _, key in keys:
            found = [c.get(key) for c in cells]
            if all(v is not None for v in found):
                items.append((key, self.values([v for v in found if v is not None], depth + 1)))
            elif self.presume and found[0] is None and found[-1] is not None:
                items.append((key, found[-1]))
            else:  # one of the keys that may be there
                rests += [(path, value) for path, value in enumerate(found) if value is not None]
        default = cells[0].default if all(c.default == cells[0].default for c in cells) else None
        return Mapping_(tuple(items), self.mixed(rests, depth, True) if rests else None, default=default)

    def presumed(self, value: Value) -> Value:
        """`value` from a loop that is presumed to have run."""
        if isinstance(value, Ref):
            for address in value.addresses:
                cell = self.look(len(self.deltas) - 1, (address, CELL))
                if isinstance(cell, Tensor):
                    self.write((address, CELL), replace(cell, grad=cell.grad.presumed(), leaf=cell.leaf.presumed()))
        return value


def _paths(deltas: Seq[Delta]) -> dict[Slot, list[int]]:
    """The paths that have changed each slot."""
    found: dict[Slot, list[int]] = {}
    for path, delta in enumerate(deltas):
        for slot in delta:
            found.setdefault(slot, []).append(path)
    return found


def _and_another(paths: list[int]) -> list[int]:
    """With the first path that is not among them."""
    first = next((n for n, path in enumerate(paths) if n != path), len(paths))
    return [*paths[:first], first, *paths[first:]]


def _alike(a: Value, b: Value) -> bool:
    """Can the two be joined into something better than Unknown?"""
    if isinstance(a, Ref) and isinstance(b, Ref):
        return True
    if isinstance(a, Const) and isinstance(b, Const):
        return (a.value is None) == (b.value is None)
    return type(a) is type(b)


def _kind(value: Value) -> Any:
    if isinstance(value, Scalar):
        return value.kind
    if isinstance(value, Const):
        return {bool: "bool", int: "int", float: "float", str: "str", complex: "complex"}.get(type(value.value), "?")
    return "?"
