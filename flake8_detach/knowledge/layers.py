"""The layers of torch.nn as facts: parameters, what forward applies, the shape of its result.

layers.json is derived by tools/make_layers.py, which makes every layer and runs it; see docs/knowledge.md.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

PATH = Path(__file__).with_name("layers.json")

Container = Literal["", "sequential", "modulelist", "moduledict", "parameterlist", "parameterdict"]


DEFAULTS: Mapping[str, Mapping[str, int]] = {"torch.nn.Flatten": {"start_dim": 1}}
"""Defaults of constructors that differ from those of the op; tests/truth/test_layers_agree.py looks for more."""


OPTIONS: Mapping[str, frozenset[str]] = {
    "bias": frozenset({"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell", "RNNBase", "RNNCellBase"}),
    "weight": frozenset(
        {
            "BCELoss",
            "BCEWithLogitsLoss",
            "CrossEntropyLoss",
            "LinearCrossEntropyLoss",
            "MultiLabelSoftMarginLoss",
            "MultiMarginLoss",
            "NLLLoss",
            "NLLLoss2d",
        }
    ),
}
"""Layers with an attribute of that name which is an argument of the constructor and no parameter (torch/nn/modules)."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The facts about one class.

    name: "torch.nn.Linear". params: the constructor's, in order. parameters: (name, switch); the switch is "", or the
    constructor arguments that leave it out when one of them is falsy ("bias", "affine,bias"), or the one that brings
    it in when true ("+add_bias_kv"); see `has`. Those of inner layers are dotted ("self_attn.in_proj_weight"), digits
    that count repeated ones are "*". buffers: names as above.
    op: the function that forward applies to its inputs ("torch.nn.functional.relu"), "" if it does more than that.
    forwards: constructor arguments that go to that op under the same name. inputs: forward's tensor parameters, which
    go to the op under the same name as parameters do. passes: (parameter of the op, what goes there) besides: an input
    or parameter of another name, a buffer, or the "training" flag of the module.
    result: "t" for a tensor, else its structure, as "(t,(t,t))" for LSTM; "t?" may be None. same: forward returns its
    input itself (Identity). rank and dtype: as of `ops.Op`, for the first tensor of the result, in terms of forward's
    inputs and the constructor's arguments.
    graph: as of `ops.Op`, if an input or a parameter requires grad. trained: parameters require grad by default.
    """

    name: str
    params: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    buffers: tuple[str, ...] = ()
    op: str = ""
    forwards: tuple[str, ...] = ()
    passes: tuple[tuple[str, str], ...] = ()
    inputs: tuple[str, ...] = ("input",)
    result: str = "t"
    same: bool = False
    rank: str = "same"
    dtype: str = "same"
    graph: str = "yes"
    container: Container = ""
    lazy: bool = False
    trained: bool = True

    def has(self, parameter: str, option: Callable[[str], bool | None]) -> bool | None:
        """Has a layer made with these options that parameter? `option` gives the truth of a constructor argument (its
        default if it was not given), None where that is not known; so does this. Raises KeyError for other names."""
        switch = dict(self.parameters)[parameter]
        if switch.startswith("+"):
            return option(switch[1:])
        verdicts = [option(name) for name in switch.split(",") if name]
        return False if False in verdicts else None if None in verdicts else True


def layer(qualified: str) -> Layer | None:
    """The layer of that full name ("torch.nn.Linear", "torch.nn.modules.linear.Linear"), or None."""
    space, _, name = qualified.rpartition(".")
    if space != "torch.nn" and not space.startswith(("torch.nn.modules", "torch.nn.parallel")):
        return None
    record = _table().get(name)
    return _layer(name) if record is not None else None


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))["layers"]
    return table


@cache
def _layer(name: str) -> Layer:
    facts = dict(_table()[name])
    for field in ("params", "buffers", "forwards", "inputs"):
        if field in facts:
            facts[field] = tuple(facts[field].split())
    for field, mark in (("parameters", ":"), ("passes", "=")):
        if field in facts:
            pairs = (word.partition(mark) for word in facts[field].split())
            facts[field] = tuple((left, right) for left, _, right in pairs)
    return Layer(f"torch.nn.{name}", **facts)


def lacks(kind: str, name: str) -> bool:
    """Has a layer of this class surely neither parameter, buffer nor flag of that name, "weight" or "bias"? kind:
    "torch.nn.ReLU"; see torch/nn/modules."""
    found = layer(kind)
    if found is None or name not in OPTIONS or kind.rpartition(".")[2] in OPTIONS[name]:
        return False
    return name not in found.buffers and all(name != parameter for parameter, _ in found.parameters)
