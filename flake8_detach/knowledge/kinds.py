"""Kinds of numbers that an op does not take. Source: torch 2.13; tests/truth/test_kinds.py calls every op here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple


class Need(NamedTuple):
    """parameters: whose dtype matters ("" is the first). kinds: what it may be. advice: how to get there."""

    parameters: tuple[str, ...]
    kinds: frozenset[str]
    advice: str


_FLOAT = Need(("",), frozenset({"float", "complex"}), "it takes floats only; insert `.float()`")
_BITS = Need(("", "other"), frozenset({"int", "bool"}), "it takes integers or bools only")
_INDEX = Need(("index",), frozenset({"int"}), "its index must be an integer tensor; insert `.long()`")
_MASK = Need(("mask", "condition"), frozenset({"int", "bool"}), "its mask must be a bool tensor; compare, or `.bool()`")

NEEDS: Mapping[str, Need] = {
    **dict.fromkeys(["mean", "nanmean", "std", "var", "norm", "vector_norm", "softmax", "log_softmax"], _FLOAT),
    **dict.fromkeys(["gelu", "elu", "silu", "leaky_relu", "layer_norm", "normalize", "quantile"], _FLOAT),
    **dict.fromkeys(["bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_not", "gcd", "lcm"], _BITS),
    **dict.fromkeys(["__and__", "__or__", "__xor__", "__invert__"], _BITS),
    **dict.fromkeys(["gather", "index_select", "scatter", "scatter_add", "index_add", "index_fill", "take"], _INDEX),
    **dict.fromkeys(["masked_fill", "masked_select", "where"], _MASK),
    **dict.fromkeys(
        ["one_hot", "bincount"], Need(("",), frozenset({"int"}), "it takes integers only; insert `.long()`")
    ),
    "embedding": Need(("input",), frozenset({"int"}), "it looks integers up; insert `.long()`"),
    "nll_loss": Need(("target",), frozenset({"int"}), "its target holds the numbers of classes; insert `.long()`"),
    "repeat_interleave": Need(("repeats",), frozenset({"int"}), "its repeats must be integers; insert `.long()`"),
}
"""By the last part of an op's name, without the underscore of an in-place form."""

WITH_DTYPE = frozenset({"mean", "nanmean", "norm", "vector_norm", "softmax", "log_softmax"})
"""Of those that take floats: `dtype=` converts the input first, and must itself be a float."""

EXCLUDING: Mapping[str, tuple[str, str, str, str]] = {
    "torch.nn.functional.embedding_bag": ("per_sample_weights", "mode", "sum", "mean"),
}
"""Op -> (parameter, another that must then have the value, its default)."""


def needs(op: str, first: str) -> Iterator[tuple[str, Need]]:
    """The parameters of the op with that full name whose kind matters; `first` is its first parameter."""
    last = op.rpartition(".")[2]
    need = NEEDS.get(last if last.startswith("__") else last.rstrip("_"))
    for parameter in need.parameters if need is not None else ():
        yield parameter or first, need  # type: ignore[misc]
