"""Of which nodes of autograd's graph the ops of torch are made: `torch.mul` is one MulBackward0, `F.linear` is several.

grad_fns.json is derived by tools/make_grad_fns.py, which calls every op and looks; see docs/knowledge.md.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

PATH = Path(__file__).with_name("grad_fns.json")


@dataclass(frozen=True, slots=True)
class GradFns:
    """The nodes that one call of an op makes.

    ways: the combinations that were seen, each sorted; none for what is no single op of torch, where nothing is known.
    forms: the way (its index) that all calls of one form have gone, see `forms`.
    """

    ways: tuple[tuple[str, ...], ...] = ()
    forms: Mapping[str, int] = field(default_factory=dict)

    def of_call(self, arguments: Iterable[Argument]) -> GradFns:
        """What a call with these arguments makes."""
        known = next((self.forms[form] for form in forms(arguments) if form in self.forms), None)
        return self if known is None else GradFns((self.ways[known],))

    @property
    def names(self) -> tuple[str, ...]:
        """All classes that may be among the nodes."""
        return tuple(sorted({name for way in self.ways for name in way}))

    @property
    def single(self) -> str:
        """The class if each call makes one node, and always of that class: "MulBackward0". "SumBackward0/1" if only the
        overload is open. Else ""."""
        if not self.ways or any(len(way) != 1 for way in self.ways):
            return ""
        stems = {name.rstrip("0123456789") for name in self.names}
        stem = stems.pop()
        return "" if stems else stem + "/".join(name.removeprefix(stem) for name in self.names)


class Argument(NamedTuple):
    """One argument of a call as its form shows it. rank: of a tensor; None: no tensor, or a list of them. grad: does it
    require grad? value: of a string or a bool, which may decide what a call does."""

    name: str
    rank: int | None = None
    grad: bool = False
    value: object = None


def forms(arguments: Iterable[Argument]) -> tuple[str, str]:
    """A call in short, twice: all arguments, tensors with a colon, and a star if they require grad ("bias:* input:
    weight:*"); and also with the numbers of dimensions ("bias:1* input:2 weight:2*"). What is left as it is by default
    is no argument."""
    coarse, fine = [], []
    for name, rank, grad, value in sorted(arguments, key=lambda argument: argument.name):
        rest = "*" if grad else f"={value}" if isinstance(value, (str, bool)) else ""
        coarse.append(name + (":" if rank is not None else "") + rest)
        fine.append(name + (f":{rank}" if rank is not None else "") + rest)
    return " ".join(coarse), " ".join(fine)


UNKNOWN = GradFns()

SLICES = "CopySlices"
"""The one node that a write in place to a view makes, whatever the op."""


@cache
def of(op: str) -> GradFns:
    """The nodes of an op, which goes by its public name ("torch.mul", "Tensor.__mul__", "torch.nn.functional.relu")."""
    if op == SLICES:
        return GradFns(((SLICES,),))
    table = _table()
    found = table.get(op)
    if found is None and op.startswith("Tensor."):  # the same as the function's, with `self` for `input`
        found = table.get(op.replace("Tensor.", "torch.", 1))
        if isinstance(found, dict):
            found = {**found, "forms": {re.sub(r"\binput\b", "self", k): v for k, v in found["forms"].items()}}
    if found is None:
        return UNKNOWN
    ways, forms = (found["ways"], found["forms"]) if isinstance(found, dict) else (found, {})
    return GradFns(tuple(tuple(map(_whole, way.split())) for way in ways), forms)


def _whole(name: str) -> str:
    """The class as torch calls it: the file leaves the word out that all of them have."""
    stem = name.rstrip("0123456789")
    return f"{stem}Backward{name[len(stem) :]}"


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))["ops"]
    return table
