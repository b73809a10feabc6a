"""What recurrent layers keep for backward, and the shapes of what they return."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain, repeat
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow import shapes, tensors
from flake8_detach.flow.values import MAYBE, NONE, YES, Const, Layer, Saved, Shape, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

LAYERS = frozenset(f"torch.nn.{kind}{form}" for kind in ("RNN", "LSTM", "GRU") for form in ("", "Cell"))


def saved(
    m: Machine, kind: str, given: Mapping[str, Value], own: Mapping[str, Value], site: cst.CSTNode
) -> Iterator[Saved]:
    """What a call of the layer `kind` with these arguments and parameters saves (observed on torch 2.13).

    A weight is needed for the gradient of what it is multiplied with. LSTM is one fused op that saves all of it; a
    layer over a sequence multiplies its own states by `weight_hh` unless the sequence has one step, which is rare.
    """
    arguments = list(given.values())
    states = tensors.gather(m, {str(i): v for i, v in enumerate(arguments[1:])})
    first = tensors.gather(m, {"input": arguments[0]} if arguments else {})
    whole = kind == "torch.nn.LSTM"
    needed = YES if whole else MAYBE | tensors.gather(m, own).grad()  # an input, for the gradient of the weights
    for _, tensor, _ in (*first.tensors, *states.tensors):
        yield m.save(tensor, "input", site, needed)
    for name, value in own.items():
        inputs = first if name.startswith("weight_ih") else states
        sequence = name.startswith("weight_hh") and not kind.endswith("Cell")
        if name.startswith("weight_") and (whole or sequence or inputs.grad().yes):
            for _, tensor in m.tensors(value):
                yield m.save(tensor, name, site)


def outputs(layer: Layer, given: Shape | None) -> Iterator[Shape | None]:
    """The shapes of what comes out, one after the other: the output and, of a layer over a sequence, the states."""
    plain = layer.option("bidirectional") is None and layer.option("proj_size") is None
    features = shapes.number(layer.option("hidden_size") or NONE) if plain else None
    if given is None:
        return repeat(None)
    result = (*given[:-1], features)
    if layer.kind.endswith("Cell"):
        return repeat(result)
    layers = shapes.number(layer.option("num_layers") or Const(1)) if plain else None
    batched = given[0 if layer.option("batch_first") == Const(True) else 1 :][:1] if len(given) == 3 else ()
    return chain([result], repeat((layers, *batched, features)))
