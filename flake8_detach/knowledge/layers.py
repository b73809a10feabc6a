"""The layers of torch.nn as facts: parameters, what forward applies, the shape of its result.

layers.json is derived by tools/make_layers.py, which makes every layer and runs it; see docs/knowledge.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

Container = Literal["", "sequential", "modulelist", "moduledict", "parameterlist", "parameterdict"]


@dataclass(frozen=True, slots=True)
class Layer:
    """The facts about one class.

    name: "torch.nn.Linear". params: the constructor's, in order. parameters: (name, constructor argument that
    switches it off when falsy, or "", or that switches it on, then with a leading "+"); those of inner layers are
    dotted ("self_attn.in_proj_weight"), digits that count repeated ones are "*". buffers: names as above.
    op: the function that forward applies to its inputs ("torch.nn.functional.relu"), "" if it does more than that.
    forwards: constructor arguments that go to that op under the same name. inputs: forward's tensor parameters.
    result: "t" for a tensor, else its structure, as "(t,(t,t))" for LSTM. rank and dtype: as of `ops.Op`, for the first
    tensor of the result, in terms of forward's inputs and the constructor's arguments.
    graph: as of `ops.Op`, if an input or a parameter requires grad. trained: parameters require grad by default.
    """

    name: str
    params: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    buffers: tuple[str, ...] = ()
    op: str = ""
    forwards: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ("input",)
    result: str = "t"
    rank: str = "same"
    dtype: str = "same"
    graph: str = "yes"
    container: Container = ""
    lazy: bool = False
    trained: bool = True


def layer(qualified: str) -> Layer | None:
    """The layer of that full name ("torch.nn.Linear", "torch.nn.modules.linear.Linear"), or None."""
    space, _, name = qualified.rpartition(".")
    if space != "torch.nn" and not space.startswith(("torch.nn.modules", "torch.nn.parallel")):
        return None
    record = _table().get(name)
    return _layer(name) if record is not None else None


@cache
def _table() -> dict[str, Any]:
    text = files(__package__).joinpath("layers.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)["layers"]
    return table


@cache
def _layer(name: str) -> Layer:
    facts = dict(_table()[name])
    for field in ("params", "buffers", "forwards", "inputs"):
        if field in facts:
            facts[field] = tuple(facts[field].split())
    if "parameters" in facts:
        facts["parameters"] = tuple((p, switch) for p, _, switch in (w.partition(":") for w in facts["parameters"].split()))
    return Layer(f"torch.nn.{name}", **facts)
