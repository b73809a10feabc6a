"""What may be a number or None, or an object: `loss = 0`, to which a term was added under a condition.

Where Python would raise for a number, only the object is left. What works with both is tried with each on a path of its
own; what happens on both of them happens.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.values import MAYBE, NO, NONE, UNKNOWN, YES, Const, Either, Ref, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.calls import Args
    from flake8_detach.flow.events import Event
    from flake8_detach.flow.machine import Machine

NUMBERS_HAVE = frozenset({*dir(int), *dir(float), *dir(complex)})


def one(value: Value) -> Value:
    """What is left of the value once it has been indexed, iterated, called or entered, which no number lets be done."""
    return value.object if isinstance(value, Either) else value


def having(value: Value, name: str) -> Value:
    """What is left of the value once its attribute `name` has been read."""
    if not isinstance(value, Either):
        return value
    return UNKNOWN if name in NUMBERS_HAVE and value.plain != NONE else value.object


def settle(m: Machine, node: cst.CSTNode, value: Value) -> Value:
    """The value of the expression `node` turned out to be this one: from here on it is, where a name leads to it."""
    if isinstance(node, cst.Name):
        m.bind(node.value, value)
    elif isinstance(node, cst.Attribute):
        from flake8_detach.flow import narrowing

        owner = narrowing.quiet(m, node.value)
        slot = (owner.addresses[0], node.attr.value) if isinstance(owner, Ref) and len(owner.addresses) == 1 else None
        if slot is not None and isinstance(m.state.get(slot), Either):
            m.state.set(slot, value)
    return value


def early(m: Machine, node: cst.Call, name: str, value: Either) -> None:
    """`value.<name>()`: a function may have returned the number early, and nothing was asked since. Nor before, in this
    function or turn of the loop: who asks whether there are boxes and then calls knows that it does not."""
    from flake8_detach.flow import backward_arguments

    number, frame = value.plain, m.frame
    asked = frame.asked > (frame.loops[-1].asked if frame.loops else 0)
    if (
        name == "backward"
        and not asked
        and value.since == m.doubts
        and isinstance(number, Const)
        and type(number.value) in (int, float)
    ):
        backward_arguments.tell_number(m, node, number)


def split(m: Machine, value: Either, run: Callable[[Value], Value]) -> Value:
    """`run` with the number and with the object, each on its path; their results and states meet.

    What one of them alone tells the rules may not happen, and is not told.
    """
    slot = (m.frame.id, "*value")
    sink, fatal = m.sink, m.fatal
    deltas, heard, ends = [], [], []
    mark = m.state.mark()
    for alternative in (value.plain, value.object):
        events: list[Event] = []
        m.sink = events.append
        try:
            m.state.set(slot, run(alternative))
        finally:
            m.sink = sink
        ends.append(m.fatal)
        m.fatal = fatal
        heard.append(events)
        deltas.append(m.state.rollback(mark))
    m.fatal = min(ends)
    for event in heard[1]:
        if any(type(event) is type(other) and event.node is other.node for other in heard[0]):
            sink(event)
    m.state.join(deltas)
    result: Value = m.state.get(slot, UNKNOWN)
    return result


def operands(m: Machine, left: Value, right: Value, run: Callable[[Value, Value], Value]) -> Value:
    """`left <operator> right` where one of them, or both, may be a number or an object."""
    if isinstance(left, Either):
        if left.plain == NONE:
            return operands(m, left.object, right, run)
        return split(m, left, lambda number: operands(m, number, right, run))
    if isinstance(right, Either):
        if right.plain == NONE:
            return run(left, right.object)
        return split(m, right, lambda number: run(left, number))
    return run(left, right)


def arguments(m: Machine, args: Args, run: Callable[[Args], Value]) -> Value:
    """A call of a library function, some of whose arguments may be a number or an object."""
    given: list[int | str] = [i for i, v in enumerate(args.pos) if isinstance(v, Either)]
    given += [k for k, v in args.kw.items() if isinstance(v, Either)]
    if not given:
        return run(args)
    first = given[0]
    value = args.pos[first] if isinstance(first, int) else args.kw[first]
    assert isinstance(value, Either)
    if len(given) > MOST:
        return arguments(m, _with(args, first, UNKNOWN), run)
    if first == 0 and value.plain == NONE:  # what a function works on is not None
        return arguments(m, _with(args, first, value.object), run)
    return split(m, value, lambda alternative: arguments(m, _with(args, first, alternative), run))


MOST = 3
"""Each argument of this kind doubles the work."""


def _with(args: Args, place: int | str, value: Value) -> Args:
    if isinstance(place, int):
        return replace(args, pos=[*args.pos[:place], value, *args.pos[place + 1 :]])
    return replace(args, kw={**args.kw, place: value})


# Conditions


def tested(m: Machine, node: cst.BaseExpression, known: Callable[[Either], Value]) -> None:
    """The expression `node` was tested; where a name leads to such a value, `known` tells what is left of it."""
    from flake8_detach.flow import narrowing

    value = narrowing.quiet(m, node)
    if isinstance(value, Either):
        settle(m, node, known(value))


def compared(m: Machine, node: cst.BaseExpression, target: cst.ComparisonTarget, outcome: bool) -> None:
    """`loss == 0`, `loss != 0` came out so: what differs from the number is the object."""
    equal = isinstance(target.operator, (cst.Equal, cst.Is))
    if (equal or isinstance(target.operator, (cst.NotEqual, cst.IsNot))) and equal != outcome:
        other = m.evaluate(target.comparator)
        tested(m, node, lambda value: value.object if _same(value.plain, other) else value)


def _same(one: Value, other: Value) -> bool:
    return isinstance(one, Const) and isinstance(other, Const) and bool(one.value == other.value)


def instance(m: Machine, value: Either, kinds: Value, outcome: bool) -> Value:
    """The value where `isinstance(value, kinds)` came out so."""
    from flake8_detach.flow.builtin_calls import is_instance

    asked = kinds.items if isinstance(kinds, Tuple) else (kinds,)
    wrong = NO if outcome else YES
    left: list[Value] = []
    for alternative in (value.plain, value.object):
        verdicts = [is_instance(m, alternative, kind) for kind in asked]
        known = YES if YES in verdicts else NO if all(v is NO for v in verdicts) else MAYBE
        if known is not wrong:
            left.append(alternative)
    return left[0] if len(left) == 1 else value


def identical(value: Either, other: Value) -> bool | None:
    """Is the value that object? Known only where neither alternative can be."""
    nothing = isinstance(other, Const) and other.value is None
    return False if nothing and value.plain != NONE else None


def narrowed(value: Either, is_none: bool) -> Value:
    """The value where it is known to be None, or not to be."""
    if value.plain != NONE:
        return value
    return NONE if is_none else value.object


def true(m: Machine, value: Either, outcome: bool) -> Value:
    """The value where it is known to be true as a condition, or false."""
    from flake8_detach.flow import operators

    if outcome:
        return value.object if isinstance(value.plain, Const) and not value.plain.value else value
    return value.plain if operators.condition(m, value.object) is YES else value
