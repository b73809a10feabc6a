"""Sums in which each term replaces the one before: `loss = term` in a loop that began with 0, and `loss =+ term`.

That a sum was meant is told by the zero before the loop, or by the sign; that the term is lost, by the graph: nothing
else holds what is overwritten, and nothing was made of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import libcst as cst

from flake8_detach import trees
from flake8_detach.flow import building, closures, forgotten, memo, retention
from flake8_detach.flow.afterwards import below
from flake8_detach.flow.events import LossForgotten
from flake8_detach.flow.slots import CELL, Delta
from flake8_detach.flow.values import Const, External, Instance, Mapping_, Ref, Sequence, Tensor, Value
from flake8_detach.source import code

if TYPE_CHECKING:
    from flake8_detach.flow.afterwards import Reached
    from flake8_detach.flow.machine import Machine

SIGNS = {cst.Plus: "=+", cst.Minus: "=-"}
ZEROS = frozenset({"torch.zeros", "torch.zeros_like", "Tensor.new_zeros"})
MADE = frozenset({"torch.tensor", "torch.as_tensor", "Tensor.new_tensor", "torch.scalar_tensor"})
MOVES = frozenset({"to", "cuda", "cpu", "float", "double", "half"})
"""Methods that leave a zero a zero."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
LEAVING = (cst.Break, cst.Return, cst.Continue, cst.Yield)
"""With one of these in a loop its last term may be the one that was looked for."""


def bound(m: Machine, node: cst.Assign, value: Value) -> None:
    """`name = value`, before the name is bound: is it a zero, to which a loop may add? Is it `name =+ value`?"""
    target = node.targets[0].target
    if len(node.targets) != 1 or not isinstance(target, cst.Name):
        return
    if _zero(m, node.value, value):
        m.zeros[m.frame.id, target.value] = (node, value)
    sign = _sign(node)
    before = m.state.get((m.frame.id, target.value))
    if sign and before is not None and not m.quiet:
        _swapped(m, node, sign, before, value)


def _zero(m: Machine, node: cst.BaseExpression, value: Value) -> bool:
    """Is it the number 0, or a tensor that was made of zeros?"""
    if isinstance(value, Const):
        return type(value.value) in (int, float) and value.value == 0
    if not isinstance(m.cell(value), Tensor):
        return False
    while isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in MOVES:
        node = node.func.value
    if not isinstance(node, cst.Call):
        return False
    called = building.glance(m, node.func)
    method = f"Tensor.{node.func.attr.value}" if isinstance(node.func, cst.Attribute) else ""
    name = called.name if isinstance(called, External) else method
    return name in ZEROS or (name in MADE and bool(node.args) and _nought(node.args[0].value))


def _nought(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.List) and len(node.elements) == 1:
        node = node.elements[0].value
    return isinstance(node, (cst.Integer, cst.Float)) and node.evaluated_value == 0


def _sign(node: cst.Assign) -> str:
    """`=+` or `=-` if the sign stands by the `=` and apart from what follows, as in `x =+ y`; "" if it does not."""
    value = node.value
    while isinstance(value, cst.BinaryOperation) and not value.lpar:
        value = value.left  # the sign binds to the first operand only
    if not isinstance(value, cst.UnaryOperation) or value.lpar:
        return ""
    by, apart = node.targets[0].whitespace_after_equal, value.operator.whitespace_after
    if not isinstance(by, cst.SimpleWhitespace) or by.value or not isinstance(apart, cst.SimpleWhitespace):
        return ""
    return SIGNS.get(type(value.operator), "") if apart.value else ""


def _swapped(m: Machine, node: cst.Assign, sign: str, before: Value, value: Value) -> None:
    """`name =+ value`: is the graph of what the name held lost by it?"""
    old, new = _graph(m, before), _graph(m, value)
    if old is None or new is None:
        return
    leaves = forgotten.leaves(m, old)
    site = m.state.graph[old].site
    event = m.event(LossForgotten, node.value, how=sign, subject=m.text(node.targets[0].target), before=site)

    def answer(reached: Reached) -> None:
        if reached.node(new) and not reached.used(old) and not m.owned.isdisjoint(leaves):
            m.sink(event)

    m.afterwards.ask_last(answer)


def _graph(m: Machine, value: Value | None) -> int | None:
    """The graph node of a tensor that certainly carries a gradient."""
    cell = m.cell(value) if value is not None else None
    return cell.node if isinstance(cell, Tensor) and cell.grad.yes else None


def stowed(m: Machine, value: Value) -> None:
    """An object that is not known was given the value, to keep or to use."""
    m.stowed.update(t.node for t in retention.reachable(m, value) if t.node is not None)


class Place(NamedTuple):
    """Where a loop puts its terms: a variable, an attribute, or what a dict has under a constant key."""

    slot: tuple[int, str]
    key: Const | None = None

    def look(self, m: Machine) -> tuple[Value | None, tuple[Value, ...]]:
        """What is there, and what else the dict holds."""
        found = m.state.get(self.slot)
        if self.key is None:
            return found, ()
        if not isinstance(found, Mapping_):
            return None, ()
        return found.get(self.key.value), tuple(v for k, v in found.items if k != self.key.value)


def _place(m: Machine, target: cst.BaseExpression) -> Place | None:
    """The attribute or the key of a dict, if the one object that has it is known to be there before the loop."""
    if not isinstance(target, (cst.Attribute, cst.Subscript)) or not isinstance(target.value, cst.Name):
        return None
    owner = m.state.get((m.frame.id, target.value.value))
    if not isinstance(owner, Ref) or len(owner.addresses) != 1 or owner.addresses[0] in m.escaped:
        return None
    cell = m.cell(owner)
    if isinstance(target, cst.Attribute):
        return Place((owner.addresses[0], target.attr.value)) if isinstance(cell, Instance) else None
    key = _key(target)
    return Place((owner.addresses[0], CELL), Const(key)) if key is not None and isinstance(cell, Mapping_) else None


def _key(target: cst.Subscript) -> str | int | bytes | None:
    """The key that stands in the text."""
    index = target.slice[0].slice if len(target.slice) == 1 else None
    written = index.value if isinstance(index, cst.Index) else None
    return written.evaluated_value if isinstance(written, (cst.SimpleString, cst.Integer)) else None


class Watch:
    """One loop that is being run: which names are set anew in each iteration, to a term that is lost by the next?"""

    def __init__(self, m: Machine, node: cst.For | cst.While) -> None:
        self.terms: dict[str, int] = {}
        self.second = self.start = 0
        self.anew: dict[str, cst.Assign] = {}
        self.places: dict[str, Place] = {}
        self.left: cst.Return | None = None
        self.sums: tuple[str, ...] = ()
        for name, assign in _anew(node).items() if isinstance(node, cst.For) else ():
            target = assign.targets[0].target
            if isinstance(target, (cst.Attribute, cst.Subscript)):
                if (place := _place(m, target)) is not None:
                    self.anew[name], self.places[name] = assign, place
            elif self._begins_at_zero(m, name) and not _shared(m, name):
                self.anew[name], self.places[name] = assign, Place((m.frame.id, name))
        if self.anew:
            self.start = m.state.address()
        if isinstance(node, cst.For) and (end := _last_return(node)) is not None:
            read = set(forgotten.read(end))
            added = () if _one_turn(m, node, end) else _added(node)
            self.sums = tuple(n for n in added if n in read and added.count(n) == 1 and self._begins_at_zero(m, n))
            self.left = end if self.sums else None

    def _begins_at_zero(self, m: Machine, name: str) -> bool:
        zero = m.zeros.get((m.frame.id, name))
        return zero is not None and bool(m.state.get((m.frame.id, name)) == zero[1])

    def cut_short(self, m: Machine) -> None:
        """The body did not come to its end: it ends with a `return`, of a sum that has got its first term."""
        if self.left is None or m.quiet or not m.frame.returns:
            return
        node = _graph(m, m.frame.returns[-1].get((m.frame.id, "*return")))
        if node is None:
            return
        zero = m.zeros[m.frame.id, self.sums[0]][0]
        event = m.event(LossForgotten, self.left, how="cut short", subject=self.sums[0], before=zero)

        def answer(reached: Reached) -> None:
            if reached.inside(node):
                m.sink(event)

        m.afterwards.ask_last(answer)

    def after(self, m: Machine, iteration: int, changes: Delta) -> None:
        """The state is that at the end of this iteration (0, 1, ...); `changes` is what the loop has changed so far."""
        if not self.anew or iteration > 1:
            return
        found = {name: self._term(m, name, changes) for name in self.anew}
        if iteration == 0:
            self.terms = {name: term for name, term in found.items() if term is not None}
            self.second = m.state.address()
        elif not m.quiet:
            for name, first in self.terms.items():
                term = found[name]
                if term is not None and term > self.second and not self._goes_on(m, term):
                    self._ask(m, name, first, term)

    def _term(self, m: Machine, name: str, changes: Delta) -> int | None:
        """The graph node of the scalar that the name was set to, if nothing but the name holds it or has used it."""
        place = self.places[name]
        value, beside = place.look(m)
        if place.slot[0] in m.escaped or value is None:
            return None
        cell, term = m.cell(value), _graph(m, value)
        if term is None or term < self.start or not isinstance(cell, Tensor) or cell.shape != ():
            return None
        others = (content for where, content in changes.items() if where[0] < self.start and where != place.slot)
        holders = {t.node for content in (*others, *beside) for t in _tensors(m, content) if t.node is not None}
        return None if m.afterwards.comes_by(m.state.graph, term, holders | m.stowed) else term

    def _goes_on(self, m: Machine, term: int) -> bool:
        """Was the second term made from what the first iteration has computed? Then its graph is not all lost."""
        return any(self.start <= number < self.second for number in below(m.state.graph, (term,))[0])

    def _ask(self, m: Machine, name: str, first: int, term: int) -> None:
        leaves = forgotten.leaves(m, first)
        lost = {number for number in below(m.state.graph, (first,))[0] if number >= self.start}
        node = self.anew[name]
        zero = m.zeros[m.frame.id, name][0] if self.places[name].slot == (m.frame.id, name) else None
        how = "anew" if zero is not None else "anew in place"
        event = m.event(LossForgotten, node.value, how=how, subject=name, before=zero)

        def answer(reached: Reached) -> None:
            # what the term was made of may be held by something else that is backwarded
            if reached.inside(term) and not reached.shared(lost) and not m.owned.isdisjoint(leaves):
                m.sink(event)

        m.afterwards.ask_last(answer)


def _tensors(m: Machine, content: Any) -> Iterator[Tensor]:
    """Every tensor that the content of a slot leads to."""
    if isinstance(content, Tensor):
        yield content
    elif isinstance(content, (Sequence, Mapping_)):
        yield from retention.reachable(m, *content.held)
    else:
        yield from retention.reachable(m, content)


def _shared(m: Machine, name: str) -> bool:
    """May another function look at that variable of this frame?"""
    if (m.frame.id, f"*scope {name}") in m.state.slots:
        return True
    function = m.frame.function
    if function is None:
        functions = (f for f in ast.walk(m.tree) if isinstance(f, FUNCTIONS)) if m.tree is not None else ()
        return m.tree is None or any(name in _free(f) for f in functions)
    inner = (part for part in trees.walk(function.definition.body) if isinstance(part, (cst.FunctionDef, cst.Lambda)))
    return any(name in closures.caught(part) for part in inner)


@memo.per_file
def _free(function: ast.AST) -> frozenset[str]:
    """The names that a function reads and does not bind itself."""
    names = [part for part in ast.walk(function) if isinstance(part, ast.Name)]
    own = {n.id for n in names if isinstance(n.ctx, ast.Store)}
    own |= {part.arg for part in ast.walk(function) if isinstance(part, ast.arg)}
    outer = {n for part in ast.walk(function) if isinstance(part, ast.Global) for n in part.names}
    return frozenset({n.id for n in names if isinstance(n.ctx, ast.Load)} - own | outer)


@memo.per_file
def _last_return(loop: cst.For) -> cst.Return | None:
    """The `return` with a value that ends the body of a loop, which no `continue` goes round."""
    last = loop.body.body[-1] if isinstance(loop.body, cst.IndentedBlock) and loop.body.body else None
    end = last.body[-1] if isinstance(last, cst.SimpleStatementLine) else None
    if not isinstance(end, cst.Return) or end.value is None or loop.orelse is not None:
        return None
    return None if any(isinstance(part, (cst.Continue, cst.Yield)) for part in trees.walk(loop.body)) else end


def _one_turn(m: Machine, node: cst.For, end: cst.Return) -> bool:
    """May one turn be what is wanted: the first of a slice, the next of an iterator that lives on? Or does the return
    add what is missing?"""
    cell = m.cell(building.glance(m, node.iter))
    lives_on = isinstance(cell, Sequence) and cell.kind in ("iterator", "generator")
    more = any(isinstance(part, cst.BinaryOperation) and isinstance(part.operator, cst.Add) for part in trees.walk(end))
    return lives_on or more or isinstance(node.iter, cst.Subscript)


@memo.per_file
def _added(loop: cst.For) -> tuple[str, ...]:
    """The names to which the body of a loop always adds: `x += ...`, `x = x + ...`."""
    found = []
    for line in loop.body.body:
        for small in line.body if isinstance(line, cst.SimpleStatementLine) else ():
            target: cst.BaseExpression | None = None
            if isinstance(small, cst.AugAssign) and isinstance(small.operator, cst.AddAssign):
                target = small.target
            elif isinstance(small, cst.Assign) and len(small.targets) == 1:
                target = small.targets[0].target if _adds(small.value, small.targets[0].target) else None
            if isinstance(target, cst.Name):
                found.append(target.value)
    return tuple(found)


def _adds(value: cst.BaseExpression, target: cst.BaseExpression) -> bool:
    if not isinstance(value, cst.BinaryOperation) or not isinstance(value.operator, cst.Add):
        return False
    return target.deep_equals(value.left) or target.deep_equals(value.right)


@memo.per_file
def _anew(loop: cst.For) -> dict[str, cst.Assign]:
    """The names that each iteration sets once, to what depends on its turn, and that nothing in the loop reads."""
    inside = tuple(trees.walk(loop.body))
    if any(isinstance(part, LEAVING) for part in inside) or loop.orelse is not None:
        return {}
    reads = list(forgotten.read(loop.body))
    turn = set(forgotten.read(loop.target))
    targets = [t for part in inside if isinstance(part, cst.Assign) for t in part.targets]
    names = [name for t in targets for name in _names(t.target)]
    for put in targets:  # `read` takes the names on the left of `x, loss = ...` for read
        for name in _names(put.target) if isinstance(put.target, cst.Tuple) else ():
            reads.remove(name)
    if turn.isdisjoint(reads) or not forgotten.DYNAMIC.isdisjoint(reads):
        return {}
    found: dict[str, cst.Assign] = {}
    for part in _always(loop.body):
        target = part.targets[0].target
        own = _names(target) if len(part.targets) == 1 and not isinstance(part.value, (cst.Name, cst.Tuple)) else ()
        for name in own if not _sign(part) else ():
            if names.count(name) == 1 and name not in reads and name not in turn:
                found[name] = part
        if isinstance(target, (cst.Attribute, cst.Subscript)) and _only_here(loop, part, inside, turn):
            found[code(target)] = part
    return found


def _names(target: cst.BaseExpression) -> tuple[str, ...]:
    """The names that are bound by `name = ...` or `x, name = ...`."""
    parts = [e.value for e in target.elements] if isinstance(target, cst.Tuple) else [target]
    return tuple(part.value for part in parts if isinstance(part, cst.Name))


def _only_here(loop: cst.For, assign: cst.Assign, inside: tuple[cst.CSTNode, ...], turn: set[str]) -> bool:
    """Is what depends on the turn put there, and does nothing else in the loop name that attribute, or that dict but
    to put something under another key?"""
    target = assign.targets[0].target
    if len(assign.targets) > 1 or not isinstance(target, (cst.Attribute, cst.Subscript)) or _sign(assign):
        return False
    owner = target.value
    if not isinstance(owner, cst.Name) or turn.isdisjoint(forgotten.read(assign.value)):
        return False
    if isinstance(target, cst.Attribute):
        if any(isinstance(part, cst.Name) and part.value == owner.value for part in _bound(loop, inside)):
            return False
        return sum(isinstance(part, cst.Attribute) and part.attr.value == target.attr.value for part in inside) == 1
    puts = [t for t in _bound(loop, inside) if isinstance(t, cst.Subscript) and _key(t) is not None]
    keys = [_key(t) for t in puts if owner.deep_equals(t.value)]
    named = sum(
        isinstance(part, cst.Name) and part.value == owner.value for part in (*inside, *trees.walk(loop.target))
    )
    return named == len(keys) and keys.count(_key(target)) == 1


def _bound(loop: cst.For, inside: tuple[cst.CSTNode, ...]) -> list[cst.BaseExpression]:
    """The targets of the assignments in a loop, and its own."""
    return [loop.target, *(t.target for part in inside if isinstance(part, cst.Assign) for t in part.targets)]


def _always(body: cst.BaseSuite) -> Iterator[cst.Assign]:
    """The assignments of a block that every run of it comes by."""
    for statement in body.body:
        if isinstance(statement, cst.With):
            yield from _always(statement.body)
        elif isinstance(statement, cst.Assign):
            yield statement
        elif isinstance(statement, cst.SimpleStatementLine):
            yield from (small for small in statement.body if isinstance(small, cst.Assign))
