"""Types and variables of generated programs. Shapes and dtypes are tracked, so that nearly every program runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple, TypeAlias

Shape: TypeAlias = tuple[int, ...]

DTYPES = {
    "float": "torch.float32",
    "double": "torch.float64",
    "int": "torch.int64",
    "index": "torch.int64",
    "bool": "torch.bool",
}
"""The kinds of tensors. An `index` is an integer tensor whose values are valid along any dimension of size 2."""


class Type(NamedTuple):
    """What a variable holds: one of DTYPES with a shape, or "number", "array", "list", "layer", "function", ..."""

    kind: str
    shape: Shape = ()

    @property
    def floating(self) -> bool:
        return self.kind in ("float", "double")

    @property
    def is_tensor(self) -> bool:
        return self.kind in DTYPES

    def like(self, shape: Shape) -> Type:
        return Type(self.kind, shape)


SCALAR = Type("float")
NUMBER = Type("number")


@dataclass(frozen=True)
class Variable:
    """A name, or a path such as `self.scale` or `d["a"]`, of one type for the whole of its life.

    detail: parameter and result types of a function, sizes of a layer. rebindable: may the program assign to it here?
    """

    name: str
    type: Type
    detail: Any = None
    rebindable: bool = True


@dataclass
class Scope:
    """The variables that one block of the program adds to those around it. `wall`: it is the body of a function,
    which reads the variables outside but does not rebind them."""

    parent: Scope | None = None
    wall: bool = False
    own: dict[str, Variable] = field(default_factory=dict)

    def add(self, variable: Variable) -> None:
        self.own[variable.name] = variable

    def visible(self) -> Iterator[tuple[Variable, bool]]:
        """Every variable that can be read, and whether it can be rebound."""
        seen: set[str] = set()
        scope: Scope | None = self
        inside = True
        while scope is not None:
            for name, variable in reversed(scope.own.items()):
                if name not in seen:
                    seen.add(name)
                    yield variable, inside and variable.rebindable
            inside = inside and not scope.wall
            scope = scope.parent

    def find(self, wanted: Callable[[Variable], bool], rebindable: bool = False) -> list[Variable]:
        return [v for v, free in self.visible() if (free or not rebindable) and wanted(v)]


def broadcasts(small: Shape, big: Shape) -> bool:
    """Can a tensor of shape `small` be combined with one of shape `big` so that the result has shape `big`?"""
    return len(small) <= len(big) and all(s in (1, b) for s, b in zip(reversed(small), reversed(big), strict=False))


def sizes(shape: Shape) -> str:
    """The arguments of torch.zeros for a shape: "4, 3", "()" for a scalar."""
    return ", ".join(map(str, shape)) or "()"


def as_tuple(shape: Shape) -> str:
    return f"({sizes(shape)},)" if len(shape) == 1 else f"({sizes(shape)})" if shape else "()"


def default(type_: Type) -> str:
    """A harmless expression of the type, for the mender; "" if there is none."""
    if type_.kind == "number":
        return "1.0"
    if type_.kind == "array":
        return f"torch.ones({sizes(type_.shape)}).numpy()"
    if type_.is_tensor:
        return (
            f"torch.ones({sizes(type_.shape)}, dtype={DTYPES[type_.kind]})"
            if type_.kind != "index"
            else (f"torch.zeros({sizes(type_.shape)}, dtype=torch.int64)")
        )
    return ""


def count(shape: Shape) -> int:
    return prod(shape)
