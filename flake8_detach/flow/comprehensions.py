"""List, set and dict comprehensions, and generator expressions."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import libcst as cst

from flake8_detach.flow import conversions, gradients, individuals, iteration, narrowing
from flake8_detach.flow.values import (
    MAYBE,
    NO,
    PRESUMED_YES,
    UNKNOWN,
    YES,
    Const,
    Instance,
    Mapping_,
    Optimizer,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Truth,
    Tuple,
    Value,
    truth,
)

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine


def comprehension(m: Machine, node: Any, kind: str) -> Value:
    """List, set, dict comprehensions and generator expressions (run at once)."""
    from flake8_detach.flow import modules
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
        source = iteration.iterated(m, first.iter, m.evaluate(first.iter))
        conversions.iterate(m, first.iter, source)
        items = iteration.exact(m, source)
        every, some = iteration.once(m, source), iteration.filled(m, source)
        few = items is not None and iteration.few(m, items)
        one = UNKNOWN if few else iteration.element(m, source)
        each = iteration.apart(m, source) if every and first.ifs else None
        iteration.consume(m, source)
        simple = first.inner_for_in is None and not first.ifs
        if items is not None and simple and few:
            results = [_element(m, node, first, item) for item in items]
            return _collect(m, kind, results)
        if items is not None and not items:
            return _collect(m, kind, [])
        if items is not None and few:
            mark = m.state.mark()
            results_ = _exactly(m, node, first, items)
            if results_ is not None:
                return _collect(m, kind, results_)
            m.state.rollback(mark)
            together = _groups(m, node, first, items, kind)
            if together is not None:
                return together
            m.state.rollback(mark)
        if every:
            return _each(m, node, first, one, some, kind, each)
        oldest = m.state.address()
        if items is not None and few:
            one = iteration.common(m, items)
        sure = iteration.member(m, source) if simple and kind != "dict" else None
        members = () if sure is None else (_element(m, node, first, sure),)
        passed = m.retention.backwards
        result = _nested(m, node, first, one)
        if m.retention.backwards > passed:
            _once_more(m, node, first, one)
        deep = simple and (modules.is_module(m, result) or _learner(m, result) or _blank(m, result))
        numbers = iteration.numbers(m, source) if deep else ()
        if numbers:  # a list of layers, their states, or learners is as long as it says; any other stands for data
            return _collect(m, kind, [_element(m, node, first, number) for number in numbers])
        gradients.several(m, oldest)
        individuals.mark(m, result, oldest)
        if not shared(m, one):
            individuals.many(m, oldest, result)
        if kind == "dict":
            assert isinstance(result, Tuple)
            return m.new(Mapping_((), result.items[1]))
        return m.new(Sequence(kind, None, result, filled=some if not first.ifs else MAYBE, members=members))
    finally:
        m.frames.pop()


def _once_more(m: Machine, node: Any, first: cst.CompFor, one: Value) -> None:
    """Elements that run a backward, as `[step(batch) for batch in loader]`: the next one starts from what one left."""
    mark, begun, presumed = m.state.mark(), m.state.address(), m.presumed
    m.presumed = presumed + 1
    try:
        _nested(m, node, first, iteration.another(m, one))
    finally:
        m.presumed = presumed
    m.state.join([{}, m.state.rollback(mark)], written=PRESUMED_YES, since=begun)


MOST = 32
"""Of a comprehension with several loops, so many results are known one by one."""
BLANK = frozenset({"torch.zeros", "torch.ones", "torch.full", "torch.empty", "torch.zeros_like", "torch.ones_like"})
"""What makes a tensor of which nobody takes the elements for data: the state of a layer before it has seen any."""


def _learner(m: Machine, value: Value) -> bool:
    """Is it an object of the file that trains something: an agent, with a net and an optimizer of its own?"""
    if not isinstance(m.cell(value), Instance) or not isinstance(value, Ref):
        return False
    held = (m.cell(m.state.get((value.addresses[0], name))) for name in m.state.names(value.addresses[0]))
    return any(isinstance(cell, Optimizer) for cell in held)


def _blank(m: Machine, value: Value) -> bool:
    """Is it a state of that kind, or a pair of them; under a key, as in a dict?"""
    if isinstance(value, Tuple):
        inner = [item for item in value.items if not isinstance(item, Scalar)]
        return bool(inner) and all(_blank(m, item) for item in inner)
    return m.is_tensor(value) and all(tensor.made in BLANK for _, tensor in m.tensors(value))


def shared(m: Machine, one: Value) -> bool:
    """Have the elements gone through a graph before? Then they most often share a part of it: the outputs of one
    forward; unless each of them had a graph of its own."""
    parts = one.items if isinstance(one, Tuple) else (one,)
    nodes = [m.state.graph[t.node] for part in parts for _, t in m.tensors(part) if t.node is not None]
    return any(node.op != "join" or not all(e.sure for e in node.edges) for node in nodes)


def _each(
    m: Machine, node: Any, first: cst.CompFor, one: Value, some: Truth, kind: str, each: list[Value] | None
) -> Value:
    from flake8_detach.flow import assignments, operators

    chosen, dropped = _chosen(m, first, one, each) if first.ifs else (one, None)
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
        result = _nested(m, node, first.inner_for_in, iteration.element(m, m.evaluate(first.inner_for_in.iter)))
        return m.new(Sequence(kind, None, result, each=isinstance(result, Ref)))
    oldest = m.state.address()
    result = _result(m, node)
    individuals.mark(m, result, oldest)
    if kind != "generator":  # who goes through one takes all that it gives, as `sum` does
        individuals.many(m, oldest, result)
    if kind == "dict":
        assert isinstance(result, Tuple)
        return m.new(Mapping_((), result.items[1]))
    apart = isinstance(result, Ref) and len(result.addresses) != 1
    made = m.new(Sequence(kind, None, result, each=apart, filled=some))
    if dropped is not None and dropped.addresses:
        m.state.set((made.addresses[0], iteration.DROPPED), dropped)
    return made


def _chosen(m: Machine, first: cst.CompFor, one: Value, each: list[Value] | None) -> tuple[Value | None, Ref | None]:
    """Those of several tensors that pass the conditions, None where that is not known of some, as of a name; and what
    was left out."""
    from flake8_detach.flow import assignments, operators

    if each is None:
        return one, None
    parts = one.items if isinstance(one, Tuple) else (one,)
    at = next(i for i, part in enumerate(parts) if isinstance(part, Ref) and len(part.addresses) > 1)
    kept, left = [], []
    for item in each:
        m.step()
        assignments.assign(m, first.target, item)
        verdicts = [operators.condition(m, m.evaluate(condition.test)) for condition in first.ifs]
        tensor = item.items[at] if isinstance(item, Tuple) else item
        assert isinstance(tensor, Ref)
        address = tensor.addresses[0]
        if any(verdict.no for verdict in verdicts):
            left.append(address)
        elif MAYBE in verdicts and address not in m.escaped:
            return None, None
        else:
            kept.append(address)
    group = parts[at]
    assert isinstance(group, Ref)
    chosen = replace(group, addresses=tuple(kept))
    some = Tuple((*parts[:at], chosen, *parts[at + 1 :])) if isinstance(one, Tuple) else chosen
    return some, frozen(m, left)


def frozen(m: Machine, addresses: list[int]) -> Ref:
    """Those of the tensors that are parameters which do not require grad."""
    return Ref(tuple(a for a, t in m.tensors(Ref(tuple(addresses))) if t.parameter and t.grad is NO))


def _exactly(m: Machine, node: Any, clause: cst.CompFor, items: list[Value]) -> list[Value] | None:
    """The results for these elements, one by one; None where it is not known which of them pass the conditions."""
    from flake8_detach.flow import assignments, operators

    results: list[Value] = []
    for item in items:
        assignments.assign(m, clause.target, item)
        for condition in clause.ifs:
            known = operators.truth_of(m, condition.test, m.evaluate(condition.test))
            if not known.proved:
                return None
            if known is NO:
                break
            narrowing.narrow(m, condition.test, True)
        else:
            inner = clause.inner_for_in
            if inner is None:
                results.append(_result(m, node))
                continue
            source = iteration.iterated(m, inner.iter, m.evaluate(inner.iter))
            found = iteration.exact(m, source)
            more = _exactly(m, node, inner, found) if found is not None and iteration.few(m, found) else None
            iteration.consume(m, source)
            if more is None or len(results) + len(more) > MOST:
                return None
            results += more
    return results


def _groups(m: Machine, node: Any, first: cst.CompFor, items: list[Value], kind: str) -> Value | None:
    """What several groups of tensors give together: `[p for net in (a, b) for p in net.parameters()]`."""
    from flake8_detach.flow import assignments

    inner = first.inner_for_in
    if inner is None or inner.inner_for_in is not None or first.ifs or kind == "dict":
        return None
    found: list[int] = []
    others: list[Value] = []
    for item in items:
        assignments.assign(m, first.target, item)
        source = iteration.iterated(m, inner.iter, m.evaluate(inner.iter))
        if not iteration.once(m, source):
            return None
        each = iteration.apart(m, source) if inner.ifs else None
        cell = m.cell(_each(m, node, inner, iteration.element(m, source), iteration.filled(m, source), kind, each))
        iteration.consume(m, source)
        part = cell.element if isinstance(cell, Sequence) and cell.items is None else Ref(())
        if isinstance(part, Ref) and len(m.tensors(part)) == len(part.addresses):
            found += part.addresses
        else:
            others.append(part)
    if others:  # handles of hooks, numbers: nothing is known of which is which
        return m.new(Sequence(kind, None, iteration.common(m, others) if not found else UNKNOWN))
    return m.new(Sequence(kind, None, Ref(tuple(dict.fromkeys(found))), each=True, filled=YES)) if found else None


def _element(m: Machine, node: Any, first: cst.CompFor, item: Value) -> Value:

    from flake8_detach.flow import assignments

    assignments.assign(m, first.target, item)
    return _result(m, node)


def _nested(m: Machine, node: Any, clause: cst.CompFor, one: Value) -> Value:
    before = m.tensors(one) if clause.ifs else []
    result = _inside(m, node, clause, one)
    for address, tensor in before:  # what holds where the condition does is not known behind it
        now = m.state.cell(address)
        if isinstance(now, Tensor) and (now.grad, now.leaf) != (tensor.grad, tensor.leaf):
            m.change(address, grad=now.grad.join(tensor.grad), leaf=now.leaf.join(tensor.leaf))
    return result


def _inside(m: Machine, node: Any, clause: cst.CompFor, one: Value) -> Value:

    from flake8_detach.flow import assignments

    assignments.assign(m, clause.target, one)
    for condition in clause.ifs:
        m.evaluate(condition.test)
        narrowing.narrow(m, condition.test, True)
    if clause.inner_for_in is not None:
        return _nested(m, node, clause.inner_for_in, iteration.element(m, m.evaluate(clause.inner_for_in.iter)))
    return _result(m, node)


def _result(m: Machine, node: Any) -> Value:
    if isinstance(node, cst.DictComp):
        return Tuple((m.evaluate(node.key), m.evaluate(node.value)))
    return m.evaluate(node.elt)


def _collect(m: Machine, kind: str, results: list[Value]) -> Ref:
    if kind == "dict":
        rest: Value | None = None
        known: list[tuple[Any, Value]] = []
        for pair in results:
            assert isinstance(pair, Tuple)
            key, value = pair.items
            if isinstance(key, Const):
                known.append((key.value, value))
            else:
                rest = value if rest is None or rest == value else UNKNOWN
        return m.new(Mapping_((), rest).merged(known))
    return m.new(Sequence(kind, tuple(results), filled=truth(bool(results))))
