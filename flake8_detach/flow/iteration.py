"""Iterating, unpacking, comprehensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import (
    alternatives,
    conversions,
    gradients,
    idle,
    loading,
    narrowing,
    operators,
    subscripts,
    tensors,
    writes,
)
from flake8_detach.flow.state import CELL
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    UNKNOWN,
    YES,
    Array,
    Const,
    Edge,
    External,
    Foreign,
    Instance,
    Layer,
    Mapping_,
    Node,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Thing,
    Truth,
    Tuple,
    Value,
    truth,
)
from flake8_detach.knowledge import ops

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

AGAIN = "*again"
"""Slot of a list: those of its elements that are in it a second time, where `each` lists every one once."""
DROPPED = "*dropped"
"""Slot of an iterable that was chosen by a condition: parameters that do not require grad, and were left out."""
NUMBERS = "*numbers"
"""Slot of a short range: what is in it, for comprehensions; loops over it run as if its length were unknown."""
ALIKE = "*alike"
"""Slot of a list that a comprehension made from the numbers of a range: in small programs such a list stands for data of
any length, so loops over it run as if its length were unknown, too."""
UNROLL = 8
"""A sequence of known elements up to this length is gone through one by one."""


def iterated(m: Machine, node: cst.CSTNode, value: Value) -> Value:
    """What `for` goes through: for an object of the file what its `__iter__` returns, if that is no iterator of the
    file, whose `__next__` nobody knows how often to call."""
    value = alternatives.one(value)
    if not isinstance(m.cell(value), Instance):
        return value
    from flake8_detach.flow import calls, modules

    method = modules.find(m, value, "__iter__")
    if method is None:
        return value
    found = calls.call(m, method, calls.Args([]), node)
    return UNKNOWN if isinstance(m.cell(found), Instance) else found


def exact(m: Machine, value: Value) -> list[Value] | None:
    """All elements in order, if they are known."""
    value = alternatives.one(value)
    if isinstance(value, Tuple):
        return list(value.items)
    cell = m.cell(value)
    if isinstance(cell, Sequence):
        return list(cell.items) if cell.items is not None else None
    if isinstance(cell, Mapping_) and cell.rest is None:
        return [Const(k) for k, _ in cell.items]
    if isinstance(cell, Layer) and cell.children is not None and isinstance(value, Ref):
        return [m.state.get((value.addresses[0], c), UNKNOWN) for c in cell.children]
    return None


def element(m: Machine, value: Value) -> Value:
    """One value that stands for every element."""
    value = alternatives.one(value)
    if value == tensors.BATCH or isinstance(value, Foreign):
        return value
    if isinstance(value, Array):
        return Array(value.dtype, MAYBE, value.why)
    if isinstance(value, Const) and isinstance(value.value, str):
        return Scalar("str")
    known = exact(m, value)
    if known is not None:
        return common(m, known)
    cell = m.cell(value)
    if isinstance(cell, Sequence):
        return cell.element
    if isinstance(cell, Layer) and isinstance(value, Ref):
        one: Value = m.state.get((value.addresses[0], "*element"), UNKNOWN)
        return one
    if isinstance(cell, Tensor):
        return row(m, value, cell)
    if isinstance(cell, Thing):
        return loading.batch(m, cell) or cell.part("element") or UNKNOWN
    if isinstance(value, Ref) and len(value.addresses) > 1:
        return UNKNOWN
    return UNKNOWN


def row(m: Machine, value: Value, cell: Tensor) -> Value:
    """What iterating over a tensor yields: views, several of one base."""
    op = ops.method("unbind")
    if op is None:
        return UNKNOWN
    from dataclasses import replace

    shape = None if not cell.shape else cell.shape[1:]
    site = m.frame.call or cst.Name("x")
    result = tensors.apply(m, site, replace(op, when=(), listed=False, view="multi"), {"self": value})
    if isinstance(result, Ref):
        for address in result.addresses:
            m.change(address, shape=shape)
    return result


def some(m: Machine, value: Value) -> list[Value] | None:
    """The elements one by one: those of `exact`, the rows of a tensor whose length is known, the numbers of a range."""
    known, cell = exact(m, value), m.cell(value)
    if known is not None or not isinstance(value, Ref):
        return known
    if isinstance(cell, Tensor) and cell.shape and cell.shape[0] is not None and cell.shape[0] <= UNROLL:
        first = row(m, value, cell)
        one = m.cell(first)
        if isinstance(one, Tensor) and cell.shape[0]:
            rest = [m.new(one) for _ in range(cell.shape[0] - 1)]
            for other in rest:
                writes.related(m, other)
            return [first, *rest]
    numbers = m.state.get((value.addresses[0], NUMBERS))
    return None if numbers is None else [Const(number) for number in numbers]


def common(m: Machine, values: list[Value]) -> Value:
    """One value for all of `values`; several objects of one kind become one Ref to each of them."""
    if not values:
        return UNKNOWN
    if all(v == values[0] for v in values):
        return values[0]
    if all(isinstance(v, (Const, Scalar)) for v in values):
        kinds = {operators.number(v) for v in values if isinstance(v, (Const, Scalar))}
        if len(kinds) == 1 and None not in kinds:
            return Scalar(kinds.pop())  # type: ignore[arg-type]
        return UNKNOWN
    rows = [v.items for v in values if isinstance(v, Tuple)]
    if len(rows) == len(values) and len({len(r) for r in rows}) == 1:
        return Tuple(tuple(common(m, list(column)) for column in zip(*rows, strict=True)))
    if all(isinstance(v, Ref) for v in values):
        addresses = tuple(dict.fromkeys(a for v in values if isinstance(v, Ref) for a in v.addresses))
        kinds_of = {type(m.state.cell(a)) for a in addresses}
        if kinds_of == {Tensor}:
            return Ref(addresses)
        if len(kinds_of) == 1:
            result: Value = values[0]
            for other in values[1:]:
                result = subscripts._either(m, result, other)
            return result
    return UNKNOWN


def filled(m: Machine, value: Value) -> Truth:
    """Does iterating over it yield anything?"""
    if isinstance(value, Tuple):
        return truth(bool(value.items))
    cell = m.cell(value)
    if isinstance(cell, Sequence):
        return truth(bool(cell.items)) if cell.items is not None else cell.filled
    if isinstance(cell, Mapping_) and cell.items:
        return YES
    if isinstance(cell, Layer) and cell.children:
        return YES
    if isinstance(cell, Tensor) and cell.shape and cell.shape[0]:
        return YES
    return MAYBE


def optional(value: Value, node: cst.BaseExpression) -> bool:
    """May a loop over it as well run not at all? Who loops over something loops over at least one, presumably, but not
    over a part of it, over what is left of it, or over what is empty unless somebody says otherwise."""
    if isinstance(node, cst.Subscript):
        return any(isinstance(part.slice, cst.Slice) and part.slice.lower is not None for part in node.slice)
    if isinstance(node, cst.BooleanOperation):
        return isinstance(node.operator, cst.Or)
    if isinstance(node, (cst.GeneratorExp, cst.ListComp, cst.SetComp)):
        return bool(node.for_in.ifs)
    if isinstance(node, cst.Call) and isinstance(node.func, (cst.Name, cst.Attribute)):
        name = node.func.value if isinstance(node.func, cst.Name) else node.func.attr.value
        if name in WRAPPERS and node.args:
            return optional(value, node.args[0].value)
        return name in ("filter", "getattr")
    return value == External("sys.argv")


WRAPPERS = frozenset({"enumerate", "list", "tuple", "sorted", "reversed", "tqdm", "iter"})


def consume(m: Machine, value: Value) -> None:
    """A generator that has been gone through is empty."""
    idle.consumed(m, value)
    cell = m.cell(value)
    if isinstance(cell, Sequence) and cell.kind == "generator" and isinstance(value, Ref):
        m.state.set((value.addresses[0], CELL), Sequence("generator", (), filled=NO))


def once(m: Machine, value: Value) -> bool:
    """Does one pass over it visit each of several distinct objects once?"""
    cell = m.cell(value)
    return isinstance(cell, Sequence) and cell.each


def unpack(m: Machine, value: Value, count: int, star: int | None = None) -> list[Value]:
    """The values of `count` targets that `value` is unpacked into; the target at `star` takes a list."""
    known = exact(m, value)
    if isinstance(m.cell(value), Mapping_) and known is None:
        return [UNKNOWN] * count
    if known is not None and star is not None and len(known) >= count - 1:
        tail = count - 1 - star
        middle = known[star : len(known) - tail]
        bundle = m.new(Sequence("list", tuple(middle), filled=truth(bool(middle))))
        return [*known[:star], bundle, *known[len(known) - tail :]]
    if known is not None and star is None and len(known) == count:
        return known
    if known is not None:
        return [UNKNOWN] * count
    one = element(m, value)
    if (
        m.is_tensor(one)
        and isinstance(one, Ref)
        and len(one.addresses) == 1
        and (isinstance(m.cell(value), (Tensor, Sequence)))
    ):
        cell = m.state.cell(one.addresses[0])
        made = [m.new(cell) if i != star else m.new(Sequence("list", None, one)) for i in range(count)]
        for i, part in enumerate(made):
            if i != star and isinstance(cell, Tensor):
                writes.related(m, part)
        return list[Value](made)
    return [one if i != star else m.new(Sequence("list", None, one)) for i in range(count)]


def comprehension(m: Machine, node: Any, kind: str) -> Value:
    """List, set, dict comprehensions and generator expressions (run at once)."""
    from flake8_detach.flow.machine import Frame

    here = m.frame
    frame = Frame(
        (m.state.address(), *here.scope), here.function, mark=m.state.mark(), owner=here.owner, path=here.path
    )
    frame.comprehension = True
    frame.yields, frame.yield_modes = m.frame.yields, m.frame.yield_modes
    m.frames.append(frame)
    try:
        first = node.for_in
        source = iterated(m, first.iter, m.evaluate(first.iter))
        conversions.iterate(m, first.iter, source)
        items = some(m, source)
        every, any_ = once(m, source), filled(m, source)
        one = element(m, source) if items is None or len(items) > UNROLL else UNKNOWN
        consume(m, source)
        simple = first.inner_for_in is None and not first.ifs
        if items is not None and simple and len(items) <= UNROLL:
            results = [_element(m, node, first, item) for item in items]
            made = _collect(m, kind, results)
            if isinstance(source, Ref) and m.state.get((source.addresses[0], NUMBERS)):
                m.state.set((made.addresses[0], ALIKE), True)
            return made
        if items is not None and not items:
            return _collect(m, kind, [])
        if every:
            return _each(m, node, first, one, any_, kind)
        oldest = m.state.address()
        if items is not None and len(items) <= UNROLL:
            one = common(m, items)
        result = _nested(m, node, first, one)
        gradients.several(m, oldest)
        if not _shared(m, one):
            _many(m, oldest, result)
        if kind == "dict":
            assert isinstance(result, Tuple)
            return m.new(Mapping_((), result.items[1]))
        return m.new(Sequence(kind, None, result, filled=any_ if not first.ifs else MAYBE))
    finally:
        m.frames.pop()


def _shared(m: Machine, one: Value) -> bool:
    """Have the elements gone through a graph before? Then they most often share a part of it: the outputs of one
    forward; unless each of them had a graph of its own."""
    parts = one.items if isinstance(one, Tuple) else (one,)
    nodes = [m.state.graph[t.node] for part in parts for _, t in m.tensors(part) if t.node is not None]
    return any(node.op != "join" or not all(e.sure for e in node.edges) for node in nodes)


def _many(m: Machine, oldest: int, value: Value) -> None:
    """A tensor made since the address `oldest` stands for the elements of a list, each with a graph of its own: a
    backward from one of them does not free the graph of the next. Between the tensor and its graph comes a node "join",
    whose one edge is sure."""
    if isinstance(value, Tuple):
        for item in value.items:
            _many(m, oldest, item)
    for address, tensor in m.tensors(value):
        if tensor.node is not None and address >= oldest and tensor.node >= oldest:
            graph, node = m.state.graph, m.state.address()
            made = graph[tensor.node]
            graph[node] = Node("join", (Edge(tensor.node, None, True),), (), made.site, path=made.path)
            m.change(address, node=node)


def _each(m: Machine, node: Any, first: cst.CompFor, one: Value, some: Truth, kind: str) -> Value:
    from flake8_detach.flow import assignments, operators

    chosen, dropped = _chosen(m, first, one) if first.ifs else (one, None)
    if chosen is None:
        assignments.assign(m, first.target, one)
        _result(m, node)
        return m.new(Mapping_((), UNKNOWN) if kind == "dict" else Sequence(kind, None, UNKNOWN))
    one = chosen
    if isinstance(one, Ref) and not one.addresses:
        return _collect(m, kind, [])
    assignments.assign(m, first.target, one)
    for condition in first.ifs:
        known = operators.truth_of(m, condition.test, m.evaluate(condition.test))
        if known is NO:
            return _collect(m, kind, [])
        narrowing.narrow(m, condition.test, True)
    if first.inner_for_in is not None:
        result = _nested(m, node, first.inner_for_in, element(m, m.evaluate(first.inner_for_in.iter)))
        return m.new(Sequence(kind, None, result, each=isinstance(result, Ref)))
    result = _result(m, node)
    if kind == "dict":
        assert isinstance(result, Tuple)
        return m.new(Mapping_((), result.items[1]))
    many = isinstance(result, Ref) and len(result.addresses) != 1
    made = m.new(Sequence(kind, None, result, each=many, filled=some))
    if dropped is not None and dropped.addresses:
        m.state.set((made.addresses[0], DROPPED), dropped)
    return made


def _chosen(m: Machine, first: cst.CompFor, one: Value) -> tuple[Value | None, Ref | None]:
    """Those of several tensors that pass the conditions, None where that is not known of some, as of a name; and what
    was left out."""
    from flake8_detach.flow import assignments, operators

    parts = one.items if isinstance(one, Tuple) else (one,)
    many = [i for i, part in enumerate(parts) if m.is_tensor(part) and len(part.addresses) > 1]  # type: ignore[union-attr]
    if len(many) != 1:
        return one, None
    at, kept = many[0], []

    def with_(addresses: tuple[int, ...]) -> Value:
        items = (*parts[:at], Ref(addresses), *parts[at + 1 :])
        return Tuple(items) if isinstance(one, Tuple) else items[0]

    for address in parts[at].addresses:  # type: ignore[union-attr]
        m.step()
        assignments.assign(m, first.target, with_((address,)))
        verdicts = [operators.condition(m, m.evaluate(condition.test)) for condition in first.ifs]
        if not any(verdict.no for verdict in verdicts):
            if MAYBE in verdicts and address not in m.escaped:
                return None, None
            kept.append(address)
    left = [a for a in parts[at].addresses if a not in kept]  # type: ignore[union-attr]
    return with_(tuple(kept)), frozen(m, left)


def frozen(m: Machine, addresses: list[int]) -> Ref:
    """Those of the tensors that are parameters which do not require grad."""
    return Ref(tuple(a for a, t in m.tensors(Ref(tuple(addresses))) if t.parameter and t.grad is NO))


def _element(m: Machine, node: Any, first: cst.CompFor, item: Value) -> Value:

    from flake8_detach.flow import assignments

    assignments.assign(m, first.target, item)
    return _result(m, node)


def _nested(m: Machine, node: Any, clause: cst.CompFor, one: Value) -> Value:

    from flake8_detach.flow import assignments

    assignments.assign(m, clause.target, one)
    for condition in clause.ifs:
        m.evaluate(condition.test)
        narrowing.narrow(m, condition.test, True)
    if clause.inner_for_in is not None:
        return _nested(m, node, clause.inner_for_in, element(m, m.evaluate(clause.inner_for_in.iter)))
    return _result(m, node)


def _result(m: Machine, node: Any) -> Value:
    if isinstance(node, cst.DictComp):
        return Tuple((m.evaluate(node.key), m.evaluate(node.value)))
    return m.evaluate(node.elt)


def _collect(m: Machine, kind: str, results: list[Value]) -> Ref:
    if kind == "dict":
        mapping = Mapping_()
        for pair in results:
            assert isinstance(pair, Tuple)
            key, value = pair.items
            if isinstance(key, Const):
                mapping = mapping.put(key.value, value)
            else:
                rest = value if mapping.rest is None or mapping.rest == value else UNKNOWN
                mapping = Mapping_(mapping.items, rest)
        return m.new(mapping)
    return m.new(Sequence(kind, tuple(results), filled=truth(bool(results))))


__all__ = ["External", "Instance", "comprehension", "element", "exact", "filled", "unpack"]
