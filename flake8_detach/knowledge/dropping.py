"""Functions that take a tensor with a graph, depend smoothly on it, and drop the graph without a word.

Observed on torch 2.13: the result does not require grad.
"""

from __future__ import annotations

from collections.abc import Mapping

BOUNDS: Mapping[str, tuple[str, ...]] = {
    "torch.linspace": ("start", "end"),
    "torch.logspace": ("start", "end", "base"),
}
"""Makers of grids -> the arguments that may be tensors."""

SMOOTH = frozenset(
    {"torch.special.airy_ai", "torch.special.spherical_bessel_j0"}
    | {f"torch.special.bessel_{name}" for name in ("j0", "j1", "y0", "y1")}
    | {f"torch.special.modified_bessel_{name}" for name in ("i0", "i1", "k0", "k1")}
    | {f"torch.special.scaled_modified_bessel_{name}" for name in ("k0", "k1")}
)
"""Functions that have a derivative everywhere inside of their domain, which torch does not have."""
