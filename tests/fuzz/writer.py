"""What all parts of the generator share: the random numbers, the visible variables, and the lines written so far."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from fuzz.names import Scope, Shape, Type, Variable, default

T = TypeVar("T")

PALETTE: tuple[Shape, ...] = ((), (), (3,), (3,), (4, 3), (4, 3), (3, 3), (4,), (2, 4, 3))
"""The shapes that variables are made with, by weight. Few, so that variables can be combined."""


class Writer:
    """Writes one program.

    surprises: may it have conditions that only the run decides? budget: how many more statements it gets. defaults:
    harmless values by variable, for the mender. attributes: those of the class that is being written.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.scope = Scope()
        self.lines: list[str] = []
        self.depth = 0
        self.loops = 0
        self.functions = 0
        self.surprises = self.random.random() < 0.4
        self.budget = self.random.choice((6, 10, 16, 24))
        self.defaults: dict[str, str] = {}
        self.counters: dict[str, int] = {}
        self.attributes: list[tuple[str, Type]] = []

    # Chance

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def pick(self, *options: T) -> T:
        return self.random.choice(options)

    def among(self, alternatives: str) -> str:
        """One of the texts that `|` separates."""
        return self.random.choice([text.strip() for text in alternatives.split("|")])

    def weighted(self, table: Sequence[tuple[int, T]]) -> T:
        return self.random.choices([item for _, item in table], [weight for weight, _ in table])[0]

    # Lines

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, header: str, wall: bool = False) -> Iterator[None]:
        """An indented block with variables of its own; `wall`: a function body."""
        self.line(header)
        outer, self.scope = self.scope, Scope(self.scope, wall)
        start = len(self.lines)
        self.depth += 1
        loops = self.loops
        if wall:
            self.loops = 0
        try:
            yield
            if len(self.lines) == start:
                self.line("pass")
        finally:
            self.depth -= 1
            self.scope = outer
            self.loops = loops

    # Variables

    def fresh(self, stem: str) -> str:
        number = self.counters[stem] = self.counters.get(stem, -1) + 1
        return f"{stem}{number or ''}"

    def declare(self, stem: str, type_: Type, detail: Any = None, rebindable: bool = True) -> str:
        """A new variable; returns its name. The caller writes the assignment."""
        name = self.fresh(stem)
        self.know(name, type_, detail, rebindable)
        return name

    def know(self, name: str, type_: Type, detail: Any = None, rebindable: bool = True) -> None:
        """A variable of which the name is given: a parameter, an attribute, an element of a dict."""
        self.scope.add(Variable(name, type_, detail, rebindable))
        if default(type_):
            self.defaults[name] = default(type_)

    def find(self, wanted: Callable[[Variable], bool], rebindable: bool = False) -> Variable | None:
        """One of the visible variables for which `wanted` holds, recent ones more often."""
        found = self.scope.find(wanted, rebindable)
        if not found:
            return None
        return found[min(int(self.random.expovariate(0.35)), len(found) - 1)]

    def some_tensor(self, rebindable: bool = False, floating: bool = True) -> Variable | None:
        return self.find(lambda v: v.type.floating if floating else v.type.is_tensor, rebindable)

    def probably_in_graph(self) -> Variable | None:
        """A floating-point variable, most often one of those that are made as leaves or parameters."""
        leaf = self.find(lambda v: v.type.floating and v.name[0] in "xpn") if self.chance(0.7) else None
        return leaf or self.some_tensor()

    def shape(self) -> Shape:
        """A shape for a new variable: often that of an old one."""
        known = self.some_tensor()
        return known.type.shape if known is not None and self.chance(0.5) else self.random.choice(PALETTE)

    def tensor_type(self) -> Type:
        kind = self.weighted([(30, "float"), (2, "double"), (2, "int"), (1, "bool"), (1, "index")])
        return Type(kind, self.shape())
