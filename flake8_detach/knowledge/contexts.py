"""Library objects by what their methods do to tensors."""

from __future__ import annotations

HARMLESS_METHODS = frozenset(
    {"set_postfix", "update", "set_description", "add_scalar", "log", "close", "write", "step", "get_last_lr"}
)
"""Methods of progress bars, loggers and schedulers that leave tensors alone."""

GRAD_MODES = frozenset(
    {"no_grad", "inference_mode", "enable_grad", "set_grad_enabled", "autocast", "set_detect_anomaly", "detect_anomaly"}
)
"""Classes of torch that switch a mode where they are entered."""

ENTERED = frozenset({"torch.no_grad", "torch.inference_mode", "torch.enable_grad", "torch.autograd.detect_anomaly"})
"""Those of them that do nothing until they are entered; the others switch when they are made."""

ASKING = frozenset({"torch.is_grad_enabled", "torch.is_inference_mode_enabled"})
"""Functions that tell the mode; without brackets they are always true."""

TRANSPARENT_PACKAGES = frozenset({"jaxtyping", "numba", "typeguard"})
"""Packages whose decorators leave what a function computes as it is."""
