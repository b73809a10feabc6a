"""What each torch function, Tensor method and Tensor attribute does to the graph, looked up by its public name.

The facts stand in ops.json, which tools/make_ops.py derives from an installed torch by running every op; see
docs/knowledge.md. Nothing here imports torch. The file is read at the first look-up, records are built one by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

PATH = Path(__file__).with_name("ops.json")

Graph = Literal["yes", "no", "zero", "raises", "python", "new", "unknown"]
"""How a result depends on the tensor arguments that require grad.

yes: it requires grad when one of them does; no: never; zero: it requires grad, but the gradient is identically zero;
raises: it requires grad, but backward raises "derivative not implemented"; python: not a tensor; new: a factory, whose
`requires_grad=` decides; unknown: torch could not be asked, or its answers did not agree.
"""

Without = Literal["ignore", "raise", "backward", "zero", "maybe"]
"""What a float tensor argument without a derivative does when it requires grad.

ignore: the result does not depend on it; raise: the call raises; backward: the call is fine and backward raises; zero:
its gradient is identically zero; maybe: that depends on more than the conditions of `when` can say.
"""


@dataclass(frozen=True, slots=True)
class Op:
    """The facts about one public name. docs/knowledge.md says how each is measured.

    name: the public name that was looked up ("torch.add", "Tensor.add_", "torch.nn.functional.relu").
    outputs: () if the result is one tensor of class `graph`, else the class of each item of the tuple; `fields` are
        its names if it is a namedtuple. listed: the result is a list or tuple of tensors of any length (split).
        either: an argument that is not known decides whether it is one tensor or several (`max(x, d)`).
    params: parameter names in positional order ("*size" takes the rest; after a bare "*" they are keyword-only).
    inplace: the first parameter is written and returned. writes: all parameters that are written (`out=` aside).
    bumps: the write bumps the version counter, which detach_ and requires_grad_ do not.
    view: the result shares the storage of the first tensor argument; "multi": it is one of several views, which
        may not be changed in place. same: the result is that very object.
    saves: what backward needs unchanged: parameter names, "result" (of a tuple: "result0", "result1"). Those in
        `may_save` it needs for some values of the other arguments only. saves_if: it is saved only if one of these
        parameters requires grad ({"other": ("input",)} for mul).
    rank: number of dimensions of the result; dtype: its kind. nodiff: float tensor parameters without derivative.
    when: what else holds under a condition on the arguments; see `given`.
    """

    name: str
    graph: Graph = "yes"
    outputs: tuple[Graph, ...] = ()
    fields: tuple[str, ...] = ()
    listed: bool = False
    either: bool = False
    params: tuple[str, ...] = ()
    inplace: bool = False
    writes: tuple[str, ...] = ()
    bumps: bool = True
    leaf: bool = False
    view: Literal["", "view", "multi", "maybe"] = ""
    same: Literal["", "always", "maybe"] = ""
    saves: frozenset[str] = frozenset()
    may_save: frozenset[str] = frozenset()
    saves_if: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    rank: str = "same"
    dtype: str = "same"
    nodiff: Mapping[str, Without] = field(default_factory=dict)
    when: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def given(self, holds: Callable[[str], bool | None]) -> Op:
        """The facts for a call whose arguments are known; the result has no `when`.

        `holds` decides a condition: "dim" (given and not None), "dim=True", "dim=False", "dim=<tensor>",
        "dtype=<int>" (an integer or bool torch.dtype, or a tensor of such a dtype), "reduction='none'"; None where it
        cannot tell. Conditions
        joined by " & " must all hold. The first entry of `when` that holds counts. If that cannot be decided, facts
        on which the possible entries disagree become unknown.
        """
        if not self.when:
            return self
        possible: list[Op] = []
        for condition, changes in self.when:
            verdicts = [holds(part) for part in condition.split(" & ")]
            if False in verdicts:
                continue
            possible.append(replace(self, when=(), **changes))
            if None not in verdicts:
                break
        else:
            possible.append(replace(self, when=()))
        first, *others = possible
        for other in others:
            first = _common(first, other)
        return first


def _common(a: Op, b: Op) -> Op:
    """What holds for both."""
    together: dict[str, Any] = {}
    for name, default in _UNSURE.items():
        if getattr(a, name) != getattr(b, name):
            together[name] = default
    if a.listed != b.listed or len(a.outputs) != len(b.outputs):
        together.update(graph="unknown", outputs=(), fields=(), listed=False, either=True)
    elif a.outputs != b.outputs:
        together["outputs"] = tuple(x if x == y else "unknown" for x, y in zip(a.outputs, b.outputs, strict=True))
    saves = a.saves & b.saves
    together["saves"] = saves
    together["may_save"] = (a.saves | b.saves | a.may_save | b.may_save) - saves
    return replace(a, **together)


_UNSURE: dict[str, Any] = {
    "graph": "unknown",
    "rank": "unknown",
    "dtype": "unknown",
    "view": "maybe",
    "same": "maybe",
    "fields": (),
    "nodiff": {},
    "saves_if": {},
    "writes": (),
}


def function(qualified: str) -> Op | None:
    """The op under its full public name ("torch.add", "torch.nn.functional.relu", "torch.linalg.norm"), or None."""
    name = qualified.replace("torch.functional.", "torch.", 1).replace("torch.Tensor.", "Tensor.", 1)
    return _op(name)


def method(name: str) -> Op | None:
    """The Tensor method or dunder of that name ("add_", "__radd__", "__getitem__"), or None."""
    return _op(f"Tensor.{name}")


def attribute(name: str) -> Op | None:
    """The Tensor property of that name ("T", "data", "shape"), or None."""
    return _op(f"Tensor.{name}:")


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))["ops"]
    return table


@cache
def _op(name: str) -> Op | None:
    """Build the record of `name`."""
    table = _table()
    record = table.get(name)
    if isinstance(record, str):  # "torch.add self": the record of torch.add, with `self` for `input`
        other, _, first = record.partition(" ")
        record = renamed(table[other], "input", first) if first else table[other]
    if record is None:
        return None
    op = Op(name.rstrip(":"), **_unpacked(record))
    if name in _NEEDED:
        option, words = _NEEDED[name]
        maybe = {"saves": op.saves, "may_save": op.may_save}
        return replace(op, saves=frozenset(words.split()), may_save=frozenset(), when=((option, maybe), *op.when))
    return replace(op, when=(*_OPTIONS[name], *op.when)) if name in _OPTIONS else op


_RENORM = ("max_norm & weight=<float>", {"writes": ("weight",)})
"""`max_norm` scales the rows that are looked up in place, without grad (`_no_grad_embedding_renorm_` in
torch/nn/functional.py). Of the order that `embedding_bag` had once, the indices behind the table, ops.json knows."""

_OPTIONS: Mapping[str, tuple[tuple[str, Mapping[str, Any]], ...]] = {
    "torch.linalg.qr": (("mode='r'", {"graph": "raises"}), ("mode='complete' & A=<tall>", {"graph": "raises"})),
    "torch.nn.functional.embedding": (_RENORM,),
    "torch.nn.functional.embedding_bag": (_RENORM,),
}
"""What the ops of ops.json do not say: options with which backward raises (tests/truth/test_kinds.py asks torch), or an
argument is written."""

_NEEDED = {"torch.nn.functional.smooth_l1_loss": ("beta", "input target")}
"""Parameters that backward needs unless an option is given."""

_WORDS = {"outputs", "fields", "params", "writes"}
_SETS = {"saves", "may_save"}


def _unpacked(record: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON record as arguments of `Op`: lists of words are stored as one string."""
    facts: dict[str, Any] = {}
    for name, value in record.items():
        if name in _WORDS:
            facts[name] = tuple(value.split())
        elif name in _SETS:
            facts[name] = frozenset(value.split())
        elif name == "saves_if":
            facts[name] = {k: tuple(v.split()) for k, v in value.items()}
        elif name == "when":
            facts[name] = tuple((condition, _unpacked(changes)) for condition, changes in value)
        else:
            facts[name] = value
    return facts


def renamed(value: Any, old: str, new: str) -> Any:
    """A JSON value with the parameter `old` called `new` wherever it is mentioned."""
    if isinstance(value, str):
        return re.sub(rf"\b{old}\b", new, value)
    if isinstance(value, list):
        return [renamed(v, old, new) for v in value]
    if isinstance(value, dict):
        return {renamed(k, old, new): renamed(v, old, new) for k, v in value.items()}
    return value
