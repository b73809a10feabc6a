"""The graph of a value as a drawing: frozen, without syntax or addresses, so that any format can be made of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

Kind = Literal["op", "leaf", "parameter", "cut", "either", "unknown"]
"""op: what the program calls one operation, and torch one or several grad_fns. leaf, parameter: AccumulateGrad.
cut: where the gradient was lost. either: paths of the program have met, and it is one of these. unknown: the analysis
cannot tell what is there."""


@dataclass(frozen=True, slots=True)
class Item:
    """One node of the drawing.

    title: what it is ("MulBackward0", "linear", "AccumulateGrad", "cut by `.detach()`"). name: the variable that holds
    the value, "" if none does. text: its source text. line: where it stands, 0 if that is not known. ways: the
    combinations of grad_fns that an op may be made of (one: it is known; none: nothing is known of it).
    freed: "", "freed" or "perhaps freed" by an earlier backward, on line freed_at.
    lost: backward does not come here, it is behind a cut.
    """

    kind: Kind
    title: str
    name: str = ""
    text: str = ""
    line: int = 0
    ways: tuple[tuple[str, ...], ...] = ()
    freed: str = ""
    freed_at: int = 0
    lost: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """All classes of grad_fns that may be among them."""
        return tuple(sorted({name for way in self.ways for name in way}))

    @property
    def place(self) -> str:
        """Where it stands, for people."""
        return f"line {self.line}" if self.line else ""

    @property
    def remark(self) -> str:
        """What has become of it, for people."""
        if self.freed:
            return f"{self.freed} on line {self.freed_at}" if self.freed_at else self.freed
        return ""


class Line(NamedTuple):
    """The item `end` went into the item `start`. sure: unless that may not be so. cut: backward does not pass here."""

    start: int
    end: int
    sure: bool = True
    cut: bool = False


class Box(NamedTuple):
    """A grad mode that was in force where these items were made."""

    title: str
    items: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is behind the values `roots`. Items go by their index. visit: the how-manieth run of the line this is."""

    roots: tuple[int, ...]
    items: tuple[Item, ...]
    lines: tuple[Line, ...]
    boxes: tuple[Box, ...] = ()
    visit: int = 1

    @property
    def telling(self) -> bool:
        """Is there something in it that is worth to be shown: a cut, or a part that is freed?"""
        return any(item.kind == "cut" or item.freed for item in self.items)

    def inputs(self, item: int) -> Iterator[Line]:
        """What went into an item, in order."""
        return (line for line in self.lines if line.start == item)
