"""Numbers that a loop counts with: in the first iteration the first of them, in the others one that is greater.

They stay numbers that are not known, apart from what is asked of them: a loop stands for one of any length.
"""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING

from flake8_detach.flow.values import MAYBE, NO, YES, Const, Ref, Scalar, Truth, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine
    from flake8_detach.flow.slots import Delta

FIRST = "*first number"
"""Slot of a `range` or `enumerate` that counts up: the number that it starts with, and the last one (None: unknown)."""
TWO = 2
ARITHMETIC = {"add": operator.add, "sub": operator.sub, "mul": operator.mul, "mod": operator.mod}
COMPARED = {"lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge}


def counts(m: Machine, made: Ref, first: Value | None, last: int | None = None) -> Ref:
    """`made` counts up from `first`, if that is known, to `last`."""
    if isinstance(first, Const) and type(first.value) is int:
        m.state.set((made.addresses[0], FIRST), (first.value, last))
    return made


def over(m: Machine, source: Value, rounds: int) -> bool:
    """Is the loop over `source` surely over after so many iterations? Of two it is told."""
    found = _range(m, source)
    return rounds == TWO and found is not None and found[1] == found[0] + 1


def _range(m: Machine, source: Value) -> tuple[int, int | None] | None:
    found: tuple[int, int | None] | None = None
    if isinstance(source, Ref) and source.addresses:
        found = m.state.get((source.addresses[0], FIRST))
    return found


def counted(m: Machine, source: Value, one: Value, begun: bool) -> Value:
    """What the loop over `source` has in this iteration, `one` being what stands for all."""
    found = _range(m, source)
    if found is None:
        return one
    first, last = found
    number = Scalar("int", least=first + 1, most=last) if begun else Scalar("int", least=first, most=first)
    return Tuple((number, *one.items[1:])) if isinstance(one, Tuple) else number


def ended(changes: Delta) -> Delta:
    """What a loop has changed, without what is known of numbers in its last iteration only."""
    return {
        slot: replace(content, least=None, most=None) if isinstance(content, Scalar) else content
        for slot, content in changes.items()
    }


def _bounds(value: Value) -> tuple[int | None, int | None]:
    """What the number is not less than, and not greater than."""
    if isinstance(value, Const):
        return (value.value, value.value) if type(value.value) is int else (None, None)
    return (value.least, value.most) if isinstance(value, Scalar) else (None, None)


def computed(name: str, left: Value, right: Value) -> Scalar | None:
    """The result of arithmetic with what is known of the numbers; None if nothing follows.

    What is done every tenth time may as well be done in the iteration that is followed: of a remainder only 0 is known.
    """
    (low, high), (other, same) = _bounds(left), _bounds(right)
    if low is None or other is None or other != same or name not in ARITHMETIC:
        return None
    if low == high and (name != "mod" or (low == 0 and other != 0)):
        result = ARITHMETIC[name](low, other)
        return Scalar("int", least=result, most=result)
    return Scalar("int", least=ARITHMETIC[name](low, other)) if name in ("add", "sub") else None


def compared(name: str, left: Value, right: Value) -> bool | None:
    """The outcome of a comparison, where what is known of the two decides it."""
    (low, high), (other, same) = _bounds(left), _bounds(right)
    if low is not None and other is not None and low == high and other == same:
        return bool(COMPARED[name](low, other)) if name in COMPARED else (low == other) == (name == "eq")
    apart = low is not None and same is not None and low > same
    if apart or (high is not None and other is not None and high < other):
        return name == "ne" or (name in ("gt", "ge")) == apart if name != "eq" else False
    if low is not None and low == same:
        return {"ge": True, "lt": False}.get(name)
    return None


def outcome(m: Machine, name: str, left: Value, right: Value) -> Value:
    """The result of comparing two numbers, strings or bools that are not both known."""
    known = compared(name, left, right)
    m.ledger.decided += known is not None
    return Scalar("bool") if known is None else Const(known)


def true(m: Machine, value: Value) -> Truth:
    """Is it true in a condition? Of what is no such number that is not known."""
    low, high = _bounds(value)
    if low is None or (low <= 0 and not low == high == 0):
        m.doubts += 1
        return MAYBE
    m.ledger.decided += 1
    return NO if low == 0 else YES
