"""Loops: a body is run on the states of the first and of later passes, until nothing changes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import (
    assignments,
    building,
    conversions,
    counting,
    generators,
    idle,
    iteration,
    memo,
    narrowing,
    operators,
    replaced,
    retention,
    suspects,
    withs,
)
from flake8_detach.flow.comparison import Comparison
from flake8_detach.flow.evaluate import evaluate
from flake8_detach.flow.machine import GENERATOR, Loop, Machine
from flake8_detach.flow.slots import CELL, Delta
from flake8_detach.flow.statements import execute_body, statement
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Instance,
    Joined,
    Layer,
    Mapping_,
    Mode,
    Optimizer,
    Ref,
    Sequence,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
)

ROUNDS = 3
"""How often a loop body is run on joined states before what still changes becomes unknown."""
APART = 48
"""Up to so many parameters are gone through one by one where the body asks something of them."""
FILED = 64
"""Up to so many where it files something under their names: a dict tells as many keys apart."""
DEEP = 3
"""Each level of loops multiplies the work: one level deeper than this runs its body twice only, all others once."""


@statement(cst.Break)
def break_(m: Machine, node: cst.Break) -> bool:
    if m.frame.loops:
        loop = m.frame.loops[-1]
        withs.leave_withs(m, loop.withs)
        loop.breaks.append(m.state.delta(loop.mark))
    return False


@statement(cst.Continue)
def continue_(m: Machine, node: cst.Continue) -> bool:
    if m.frame.loops:
        loop = m.frame.loops[-1]
        withs.leave_withs(m, loop.withs)
        loop.continues.append(m.state.delta(loop.mark))
    return False


@statement(cst.For)
def for_(m: Machine, node: cst.For) -> bool:
    value = generators.called(m, node)
    waiting = generators.waits(m, value)
    if waiting is not None:
        return generators.interleaved(m, node, waiting)
    source = iteration.iterated(m, node.iter, value)
    conversions.iterate(m, node.iter, source)
    idle.consumed(m, source)
    idle.spent(m, node, source)
    outside = idle.enter_consumer(m, source)
    if outside is not None:
        alive = over(m, node, source)
        m.set_mode(outside)
        return alive
    return over(m, node, source)


def over(m: Machine, node: cst.For, source: Value) -> bool:
    """Run a `for` over the value of its iterable."""
    known = iteration.exact(m, source)
    grows = bool(known) and _grows(m, node)
    first = known[0] if known and grows else None
    if grows:
        known = None
    if known is not None and iteration.few(m, known):
        mark = m.state.mark()
        alive = unrolled(m, node, known, _lengths(m, node))
        if alive is not None:
            return alive
        m.state.undo(mark)  # a function that the body calls has changed the list
        grows, first, known = True, known[0], None
    if iteration.once(m, source):
        one = iteration.element(m, source)
        asks = isinstance(one, Tuple) or any(isinstance(part, cst.If) for part in _below(node.body))
        each = iteration.apart(m, source) if asks else None
        last = iteration.last(m, source)
        breaks = any(isinstance(part, cst.Break) for part in _below(node.body))
        iteration.consume(m, source, left=breaks)
        if each is not None and len(each) <= (FILED if _files(node) else APART):
            return bool(unrolled(m, node, each))
        over_all = [one] if not (isinstance(one, Ref) and not one.addresses) else []
        alive = bool(unrolled(m, node, over_all))
        if alive and last is not None and not breaks:
            _leave_with(m, node.target, one, last)
        return alive
    some = iteration.filled(m, source)
    numbers = iteration.numbers(m, source)
    if numbers and building.as_deep(m, node):
        return bool(unrolled(m, node, numbers))

    fresh = grows or _changes_what_it_yields(m, node, source) or (m.is_tensor(source) and _writes(m, node, source))

    rounds = 0

    def start() -> bool:
        nonlocal rounds
        loop = m.frame.loops[-1]
        if counting.over(m, source, rounds):
            return False
        rounds += 1
        sure = None if loop.begun else first or iteration.member(m, source)
        one = UNKNOWN if fresh and loop.begun else sure or iteration.element(m, source)
        one = iteration.another(m, one) if loop.begun else one
        assignments.assign(m, node.target, counting.counted(m, source, one, loop.begun))
        if fresh and loop.begun:
            suspects.elements(m, _names(node.target), _lists(m, _below(node.iter)))
        loop.begun = True
        return True

    cell = m.cell(source)
    counted = isinstance(cell, Sequence) and cell.kind == "range" and some is YES  # one of length 0 or 1 is unrolled
    twice = counted or (known is not None and len(known) > 1)
    return repeated(m, node, start, some, twice, presume=not iteration.optional(source, node.iter))


def _names(target: cst.CSTNode) -> list[str]:
    return [n.value for n in _below(target) if isinstance(n, cst.Name)]


def _files(node: cst.For) -> bool:
    """Does the body store under a key that the loop yields: `copies[name] = p`?"""
    keys = set(_names(node.target))
    targets = (n.target for n in _below(node.body) if isinstance(n, (cst.AssignTarget, cst.AugAssign)))
    slices = (part.slice for t in targets if isinstance(t, cst.Subscript) for part in t.slice)
    return any(isinstance(s, cst.Index) and isinstance(s.value, cst.Name) and s.value.value in keys for s in slices)


def _changes_what_it_yields(m: Machine, node: cst.For, source: Value) -> bool:
    """Does the body bind a name that the generator of the file reads, or write in place, be it to what it holds or to
    what it has yielded? The generator runs on between the iterations, and what it yields next is another object."""
    made = m.state.get((source.addresses[0], GENERATOR)) if isinstance(source, Ref) else None
    if made is None:
        return False
    read = {n.value for n in _below(made) if isinstance(n, cst.Name)}
    targets = [n.target for n in _below(node.body) if isinstance(n, (cst.AssignTarget, cst.AugAssign))]
    bound = {n.value for target in targets for n in _below(target) if isinstance(n, cst.Name)}
    return not read.isdisjoint(bound) or bool(_written(node.body))


GROWING = frozenset({"append", "insert", "extend", "pop", "remove", "clear"})
"""Methods that make a list longer or shorter."""


LAZY = frozenset({"zip", "enumerate", "iter", "map", "filter"})
"""They take of a list what is there when its turn comes."""


def _grows(m: Machine, node: cst.For) -> bool:
    """Does the body change the length of the list that it goes through, by itself or by `zip`, `enumerate` and the
    like? They take of it what is there when its turn comes."""
    changed = []
    for part in _below(node.body):
        if isinstance(part, cst.Call) and isinstance(part.func, cst.Attribute) and part.func.attr.value in GROWING:
            changed.append(part.func.value)
        elif isinstance(part, cst.AugAssign):
            changed.append(part.target)
        elif isinstance(part, cst.Del) and isinstance(part.target, cst.Subscript):
            changed.append(part.target.value)
    if not changed:
        return False
    attributes = {id(n.attr) for n in _below(node.iter) if isinstance(n, cst.Attribute)}
    held = _lists(m, (n for n in _below(node.iter) if id(n) not in attributes))
    return bool(held) and not held.isdisjoint(_lists(m, changed))


def _lengths(m: Machine, node: cst.For) -> dict[int, int]:
    """How long the lists are that the loop goes through, by their addresses."""
    by_turns = isinstance(node.iter, cst.Call) and isinstance(node.iter.func, cst.Name) and node.iter.func.value in LAZY
    sources = [arg.value for arg in node.iter.args] if by_turns and isinstance(node.iter, cst.Call) else [node.iter]
    found = {address: _length(m, address) for address in _lists(m, sources)}
    return {address: length for address, length in found.items() if length is not None}


def _length(m: Machine, address: int) -> int | None:
    cell = m.state.cell(address)
    if not isinstance(cell, Sequence) or cell.kind != "list" or cell.items is None:
        return None
    return len(cell.items)


def _lists(m: Machine, expressions: Iterable[cst.CSTNode]) -> set[int]:
    """The objects, other than tensors, that these names and attributes stand for before the loop."""
    named = (building.glance(m, n) for n in expressions if isinstance(n, (cst.Name, cst.Attribute)))
    found = {address for value in named if isinstance(value, Ref) for address in value.addresses}
    return {address for address in found if not isinstance(m.state.cell(address), Tensor)}


def _writes(m: Machine, node: cst.For, source: Value) -> bool:
    """Does the body write in place to the tensor whose rows it goes through, or set an attribute of it, or leave it to
    who takes what it yields? The rows were made before the first turn."""
    if any(isinstance(part, cst.Yield) for part in _below(node.body)):
        return True
    targets = (n.target for n in _below(node.body) if isinstance(n, cst.AssignTarget))
    written = [*_written(node.body), *(t.value for t in targets if isinstance(t, cst.Attribute))]
    values = [building.glance(m, owner) for owner in written]
    rows = set(source.addresses) if isinstance(source, Ref) else set()
    return any(isinstance(value, Ref) and not rows.isdisjoint(value.addresses) for value in values)


def _written(body: cst.CSTNode) -> list[cst.BaseExpression]:
    """Of what methods are called that write in place."""
    called = [n.func for n in _below(body) if isinstance(n, cst.Call) and isinstance(n.func, cst.Attribute)]
    return [f.value for f in called if f.attr.value.endswith("_")]


@memo.per_file
def _below(node: cst.CSTNode) -> tuple[cst.CSTNode, ...]:
    """The node and all below it. A loop within loops is run many times, and looked through once."""
    return tuple(trees.walk(node))


def _leave_with(m: Machine, target: cst.BaseExpression, one: Value, last: Value) -> None:
    """What stood for each element in the body, which was run once for all, is the last one behind the loop."""
    if isinstance(target, cst.Name):
        if m.lookup(target.value) == one:
            assignments.assign(m, target, last)
    elif isinstance(target, cst.Tuple) and isinstance(one, Tuple) and isinstance(last, Tuple):
        for element, before, value in zip(target.elements, one.items, last.items, strict=False):
            _leave_with(m, element.value, before, value)


def unrolled(
    m: Machine, node: cst.For, items: list[Value], lengths: Mapping[int, int] = MappingProxyType({})
) -> bool | None:
    """Run the body once for every element. None if one of these lists has another length after it, and goes on so."""
    loop = Loop(m.state.mark(), len(m.frame.withs), node=node)
    sums = replaced.Watch(m, node)
    frame = m.frame
    frame.loops.append(loop)
    alive, presumed = True, m.presumed
    try:
        for turn, item in enumerate(items):
            m.presumed = presumed + bool(loop.breaks)  # the turn before may have been the last
            loop.asked = frame.asked
            assignments.assign(m, node.target, item)
            alive = execute_body(m, node.body)
            alive = meet(m, loop, alive)
            if not alive:
                if turn + 1 < len(items):
                    sums.cut_short(m)
                break
            if sums.anew:
                sums.after(m, turn, m.state.delta(loop.mark))
            if any(_length(m, address) != length for address, length in lengths.items()):
                return None
    finally:
        frame.loops.pop()
        m.presumed = presumed
    if alive and node.orelse is not None:
        alive = execute_body(m, node.orelse.body)
    return leave(m, loop, alive)


def meet(m: Machine, loop: Loop, alive: bool) -> bool:
    """The end of one iteration: what fell through and what continued go on together."""
    if not loop.continues:
        return alive
    paths = [*loop.continues, *([m.state.delta(loop.mark)] if alive else [])]
    loop.continues = []
    m.state.undo(loop.mark)
    m.state.join(paths)
    return True


def leave(m: Machine, loop: Loop, alive: bool) -> bool:
    """Behind the loop: what ended normally and what broke out go on together."""
    paths = [*loop.breaks, *([m.state.delta(loop.mark)] if alive else [])]
    m.state.undo(loop.mark)
    if paths:
        m.state.join(paths)
    return bool(paths)


@statement(cst.While)
def while_(m: Machine, node: cst.While) -> bool:
    known = operators.truth_of(m, node.test, evaluate(m, node.test))
    if known is NO:
        return execute_body(m, node.orelse.body) if node.orelse is not None else True
    # a list that is not empty yet, or a flag that is still set, is another thing after the body
    literal = isinstance(node.test, cst.Integer) or (isinstance(node.test, cst.Name) and node.test.value == "True")
    forever = known is YES and literal

    def start() -> bool:
        if forever:
            return True
        again = operators.condition(m, evaluate(m, node.test))
        narrowing.narrow(m, node.test, True)
        return again is not NO

    return repeated(m, node, start, known, False, forever)


def repeated(
    m: Machine,
    node: cst.For | cst.While,
    start: Callable[[], bool],
    some: Any,
    twice: bool,
    forever: bool = False,
    presume: bool = False,
) -> bool:
    """A loop of unknown length: the first iteration, the second one on what it left, then joined until nothing changes.

    some: does it run at all? If that is not known, `presume` says whether to take it that it does.
    """
    if some is NO:
        return execute_body(m, node.orelse.body) if node.orelse is not None else True
    loop = Loop(m.state.mark(), len(m.frame.withs), node=node if isinstance(node, cst.For) else None)
    watch, sums = retention.Watch(m, node), replaced.Watch(m, node)
    loop.since = watch.start
    frame = m.frame
    frame.loops.append(loop)
    depth = sum(len(f.loops) for f in m.frames)
    last = 1 + ROUNDS if depth <= DEEP else 1 if depth == DEEP + 1 else 0
    m.shortened = m.shortened or depth > DEEP
    ends: list[Delta] = []
    begun = 0
    fatal, quiet, presumed, decided = m.fatal, m.quiet, m.presumed, m.ledger.decided
    try:
        alive = True
        previous: Delta = {}
        for round_ in range(last + 1):
            m.presumed = presumed + (round_ > 0 and (not twice or bool(loop.breaks)))
            begun = m.state.address()
            loop.asked = frame.asked
            if not start():  # the condition is known to have become false
                ends = [m.state.delta(loop.mark)]
                break
            alive = execute_body(m, node.body)
            alive = meet(m, loop, alive)
            if not alive:
                sums.cut_short(m)
                break
            if m.fatal > fatal:  # there is no next iteration; run it only for the state behind the loop
                m.quiet = quiet + 1
            changes = m.state.delta(loop.mark)
            watch.after(m, round_, changes)
            sums.after(m, round_, changes)
            if round_ >= 1 or last == 0:
                special = round_ == 1 and m.ledger.decided > decided  # the next iteration is the first of its kind
                if last and not special and settled(m, previous, changes, watch.start, loop.mark):
                    ends = [changes] if twice else [*ends, changes]
                    break
                turn = changes
                m.state.undo(loop.mark)
                if round_ == last:
                    same = Comparison(m.state, previous, changes)
                    changes = {
                        slot: widened(content)
                        if slot[0] < watch.start and unstable(same, slot, previous, content)
                        else content
                        for slot, content in changes.items()
                    }
                    m.state.apply(changes)
                else:
                    m.state.join([previous, changes], written=YES if twice else PRESUMED_YES, since=begun)
                changes = m.state.delta(loop.mark)
                # this turn began where one or more had ended, so it ends where two or more do
                ends = [turn if twice and round_ < last else changes]
            else:
                ends = [changes]
            previous = changes
    finally:
        frame.loops.pop()
        m.quiet, m.presumed = quiet, presumed
    m.state.undo(loop.mark)
    watch.close(m, ends[0] if ends else {})
    ends, breaks = [counting.ended(path) for path in ends], [counting.ended(path) for path in loop.breaks]
    if forever and (loop.breaks or depth <= DEEP):  # else it may be left in a later turn
        ends = []
    if ends and node.orelse is not None:
        m.state.join(ends, since=begun)
        ends = [m.state.delta(loop.mark)] if execute_body(m, node.orelse.body) else []
        m.state.undo(loop.mark)
    paths = [*ends, *breaks]
    if some is YES or not paths:
        if paths:
            m.state.join(paths, since=None if breaks else begun)
        return bool(paths) or (not forever and some is not YES)
    if len(paths) > 1:
        m.state.join(paths, since=None if breaks else begun)
        paths = [m.state.rollback(loop.mark)]
    m.state.join([{}, paths[0]], presume=presume, since=0)
    return True


def settled(m: Machine, before: Delta, after: Delta, since: int, mark: int) -> bool:
    """Does one more iteration add nothing to what may be the case, apart from which objects carry the facts? since:
    the first address that is newer than the loop; mark: where the loop begins."""
    comparison = Comparison(m.state, before, after, covers=True, since=since)
    slots = m.state.slots
    # what only this iteration has changed was in the one before as it was at first
    new = {slot for slot in after.keys() - before.keys() if slot[0] < since}
    was = {slot: old for slot, old in reversed(m.state.trail[mark:]) if slot in new} if new else {}
    changed = before.keys() | after.keys()
    pairs = {s: (before.get(s, was.get(s, slots.get(s))), after.get(s, slots.get(s))) for s in changed}
    if not all(comparison.contents(*pair) for slot, pair in pairs.items() if not _hidden(slot)):
        return False
    if any(comparison.exchanged(*pair) for pair in pairs.values()) or not comparison.one_to_one():
        return False
    cells = {slot[0] for slot in before.keys() | after.keys() if slot[1] == CELL and slot[0] < since}
    if not all(comparison.objects(address, address) for address in cells):
        return False
    at_first = Comparison(m.state, {**before, **was}, after, covers=True, since=since)
    return all(at_first.objects(address, address) for address, name in was if name == CELL)


def _hidden(slot: tuple[int, str]) -> bool:
    """Objects made inside the loop differ in every iteration; what counts is what names and attributes lead to."""
    return slot[1] in ("version", "freed", "freed at", "retained", "*names", "", "*value", "*return", "spoiled")


def unstable(same: Comparison, slot: tuple[int, str], previous: Delta, after: Any) -> bool:
    """Has the content of a slot that was there before the loop changed once more?"""
    if isinstance(after, (Joined, Mode, tuple, int)):
        return False
    if slot[1] == "":
        return not same.objects(slot[0], slot[0])
    return not same.contents(previous.get(slot), after)


def widened(content: Any) -> Any:
    """What may be in a slot after any number of further iterations. An object stays one of its kind."""
    if isinstance(content, Tensor):
        return Tensor(
            grad=MAYBE, leaf=MAYBE, node=content.node, storage=0, inference=MAYBE, parameter=content.parameter
        )
    if isinstance(content, Sequence):
        return Sequence(content.kind, None, UNKNOWN)
    if isinstance(content, Mapping_):
        return Mapping_((), UNKNOWN)
    if isinstance(content, (Instance, Layer, Optimizer, Thing)):
        return content
    return MAYBE if isinstance(content, Truth) else UNKNOWN
