"""Do two paths agree? A loop is run until its iterations do."""

from __future__ import annotations

from typing import Any

from flake8_detach.flow.meeting import join_tensors
from flake8_detach.flow.slots import CELL, Delta
from flake8_detach.flow.state import State
from flake8_detach.flow.values import (
    NONE,
    UNKNOWN,
    Either,
    Joined,
    Mapping_,
    Mode,
    Ref,
    Scalar,
    Sequence,
    Tensor,
    Truth,
    Tuple,
)


class Comparison:
    """Do two paths agree in everything but the addresses of the objects that they made?

    covers: it is enough that the first path says no more than the second, so that their join is the first. since:
    objects that are older than this address were there before either path began; they are told apart by what they
    are, not by their facts (0: no object is).
    """

    def __init__(self, state: State, first: Delta, second: Delta, covers: bool = False, since: int = 0) -> None:
        self.state, self.first, self.second, self.covers, self.since = state, first, second, covers, since
        self.known: dict[tuple[int, int], bool | None] = {}  # None: they are being compared, and taken to agree
        self.leaning = False  # was anything taken to agree that is still being compared?

    def contents(self, a: Any, b: Any) -> bool:
        if a is b or (self.covers and a == UNKNOWN):
            return True
        if self.covers and isinstance(a, Truth) and isinstance(b, Truth):
            return a.join(b) is a
        if self.covers and isinstance(a, Joined) and isinstance(b, type(a)):
            return bool(a.join(b) == a)
        if isinstance(a, Ref) and isinstance(b, Ref):
            return (
                len(a.addresses) == len(b.addresses)
                and not self.exchanged(a, b)
                and all(self.objects(x, y) for x, y in zip(a.addresses, b.addresses, strict=True))
            )
        if isinstance(a, Tuple) and isinstance(b, Tuple):
            return len(a.items) == len(b.items) and all(
                self.contents(x, y) for x, y in zip(a.items, b.items, strict=True)
            )
        if isinstance(a, Scalar) and isinstance(b, Scalar):  # what loops count with is forgotten when they end
            return (a.kind, a.form) == (b.kind, b.form)
        if isinstance(a, Either) and isinstance(b, Either):
            return a.plain == b.plain and self.contents(a.object, b.object)
        if isinstance(a, Mode) and isinstance(b, Mode):
            return a[:2] == b[:2]
        if isinstance(a, tuple):  # sites and the like
            return True
        return bool(a == b)

    def exchanged(self, a: Any, b: Any) -> bool:
        """Does a name or a container lead to another old object on the second path than on the first, or to none any
        more, as in `last, x = x, f(x)`? An object made where paths met stands for all of them."""
        if not isinstance(a, Ref) or not self.state.merged.isdisjoint(a.addresses):
            return False
        then = {address for address in a.addresses if address < self.since}
        now = {address for address in b.addresses if address < self.since} if isinstance(b, Ref) else set()
        return then != now

    def one_to_one(self) -> bool:
        """Are there as many new objects on the one path as on the other? What two names lead to may be one object on
        the one path and two on the other, as after `a = b` and `b = f()`; all their facts agree, but not that."""
        there: dict[int, int] = {}
        back: dict[int, int] = {}
        pairs = [pair for pair, same in self.known.items() if same and min(pair) >= self.since]
        plain = [pair for pair in pairs if self.state.merged.isdisjoint(pair)]
        return all(there.setdefault(x, y) == y and back.setdefault(y, x) == x for x, y in plain)

    def objects(self, x: int, y: int) -> bool:
        """Do they agree in their facts? Objects that lead to themselves agree until something differs."""
        if (x, y) in self.known:
            known = self.known[x, y]
            self.leaning |= known is None
            return known is not False
        leant, self.leaning = self.leaning, False
        self.known[x, y] = None
        same = self._facts_agree(x, y)
        if not same and self.leaning:  # what was found to agree meanwhile may rest on what they were taken for
            for pair in [*reversed(self.known)]:
                if pair == (x, y):
                    break
                if self.known[pair]:
                    del self.known[pair]
        self.known[x, y] = same
        self.leaning |= leant
        return same

    def _facts_agree(self, x: int, y: int) -> bool:
        slots = self.state.slots
        a: Any = self.first.get((x, CELL), slots.get((x, CELL)))
        b: Any = self.second.get((y, CELL), slots.get((y, CELL)))
        if type(a) is not type(b):
            return False
        if isinstance(a, Tensor):
            filled = [
                self.first.get((x, "grad"), slots.get((x, "grad"), NONE)),
                self.second.get((y, "grad"), slots.get((y, "grad"), NONE)),
            ]
            joined = join_tensors(a, b) if self.covers else b
            nodes = (a.node is None) == (b.node is None) or (self.covers and b.grad.no)
            return nodes and _facts(a) == _facts(joined) and self.contents(*filled)
        if isinstance(a, Sequence):
            if (a.items is None) != (b.items is None) or a.filled is not b.filled:
                return False
            if a.items is None:
                return self.contents(a.element, b.element)
            return self.contents(Tuple(a.items), Tuple(b.items))
        if isinstance(a, Mapping_):
            if [k for k, _ in a.items] != [k for k, _ in b.items] or (a.rest is None) != (b.rest is None):
                return False
            values = zip(a.items, b.items, strict=True)
            return all(self.contents(u, v) for (_, u), (_, v) in values) and self.contents(a.rest, b.rest)
        if x != y:
            names = self.first.get((x, "*names"), slots.get((x, "*names"), ()))
            return bool(a == b) and all(
                self.contents(self.first.get((x, n), slots.get((x, n))), self.second.get((y, n), slots.get((y, n))))
                for n in names
            )
        return bool(a == b)


def _facts(t: Tensor) -> tuple[Any, ...]:
    return (t.grad, t.leaf, t.shape, t.dtype, t.view, t.parameter, t.inference, t.device, t.form)
