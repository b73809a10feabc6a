"""Methods that are there for what they do, not for what they return; and the other way round."""

from __future__ import annotations

from collections.abc import Mapping

ACTIONS: Mapping[str, frozenset[str]] = {
    "module": frozenset({"eval", "train", "zero_grad", "cuda", "cpu", "float", "double", "half", "requires_grad_"}),
    "optimizer": frozenset({"step", "zero_grad"}),
    "scheduler": frozenset({"step"}),
    "scaler": frozenset({"step", "unscale_", "scale"}),
    "tensor": frozenset({"backward", "requires_grad_", "detach_", "retain_grad", "detach", "zero_", "cuda", "cpu"}),
}
"""Kind of object -> methods that nobody names without calling them."""

CONVERTS = frozenset(
    {"detach", "to", "cuda", "float", "double", "half", "bfloat16", "long", "int", "resize", "resize_as"}
)
"""Methods of a tensor that return another one and leave it as it is; those of a module change the module."""
