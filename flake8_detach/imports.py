"""What an imported name stands for: its dotted name, in one spelling.

PyTorch shows most things under several names: `torch.nn.modules.linear.Linear` is `torch.nn.Linear`, and
`torch.autograd.no_grad` is `torch.no_grad`. Knowledge about the library is keyed by the name that people write, and
`canonical` leads there. tests/test_imports.py compares every pair with the objects of an installed torch.
"""

from __future__ import annotations

from functools import lru_cache

import libcst as cst
from libcst.helpers import get_full_name_for_node


def bindings(node: cst.Import | cst.ImportFrom) -> dict[str, str]:
    """Local name -> dotted name of what it stands for.

    `import torch.nn as nn` gives nn: torch.nn, but `import torch.nn` gives torch: torch. A relative import keeps its
    dots (`from ..a import b` gives b: ..a.b), and a star import gives *: the module.
    """
    if isinstance(node, cst.Import):
        return dict(_import(alias) for alias in node.names)
    module = "." * len(node.relative) + (get_full_name_for_node(node.module) or "" if node.module else "")
    if isinstance(node.names, cst.ImportStar):
        return {"*": module}
    prefix = module if not module or module.endswith(".") else module + "."
    return {_local(alias): prefix + _dotted(alias) for alias in node.names}


def _import(alias: cst.ImportAlias) -> tuple[str, str]:
    dotted = _dotted(alias)
    if alias.asname is None:
        dotted = dotted.partition(".")[0]
        return dotted, dotted
    return _local(alias), dotted


def _dotted(alias: cst.ImportAlias) -> str:
    return get_full_name_for_node(alias.name) or ""


def _local(alias: cst.ImportAlias) -> str:
    if alias.asname is not None and isinstance(alias.asname.name, cst.Name):
        return alias.asname.name.value
    return _dotted(alias)


_MOVED = {
    "torch.autograd.anomaly_mode": ("torch.autograd", "detect_anomaly set_detect_anomaly"),
    "torch.autograd.function": ("torch.autograd", "Function NestedIOFunction"),
    "torch.autograd.gradcheck": ("torch.autograd", "gradcheck gradgradcheck"),
    "torch.autograd.variable": ("torch.autograd", "Variable"),
    "torch.cuda.amp.autocast_mode": ("torch.cuda.amp", "autocast custom_bwd custom_fwd"),
    "torch.cuda.amp.grad_scaler": ("torch.cuda.amp", "GradScaler"),
    "torch.amp.autocast_mode": ("torch.amp", "autocast custom_bwd custom_fwd"),
    "torch.amp.grad_scaler": ("torch.amp", "GradScaler"),
    "torch.distributions.kl": ("torch.distributions", "kl_divergence register_kl"),
    "torch.nn.parameter": ("torch.nn", "Buffer Parameter UninitializedBuffer UninitializedParameter"),
    "torch.nn.parallel": ("torch.nn", "DataParallel"),
    "torch.nn.parallel.data_parallel": ("torch.nn", "DataParallel"),
    "torch.nn.parallel.distributed": ("torch.nn.parallel", "DistributedDataParallel"),
    "torch.nn.utils.clip_grad": ("torch.nn.utils", "clip_grad_norm clip_grad_norm_ clip_grad_value_"),
    "torch.nn.utils.convert_parameters": ("torch.nn.utils", "parameters_to_vector vector_to_parameters"),
    "torch.nn.utils.spectral_norm": ("torch.nn.utils", "spectral_norm remove_spectral_norm"),
    "torch.nn.utils.weight_norm": ("torch.nn.utils", "weight_norm remove_weight_norm"),
    "torch._tensor": ("torch", "Tensor"),
    "torch.func": ("torch", "vmap"),
    "torch.functional": (
        "torch",
        "atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod cdist "
        "chain_matmul einsum meshgrid norm split stft tensordot unique unique_consecutive unravel_index",
    ),
}
"""Module -> (module where people find it, names). The same object in both places."""

_EXACT = {
    f"{module}.{name}": f"{public}.{name}" for module, (public, names) in _MOVED.items() for name in names.split()
}
for _mode in ("no_grad", "enable_grad", "set_grad_enabled", "inference_mode"):
    _EXACT[f"torch.autograd.{_mode}"] = _EXACT[f"torch.autograd.grad_mode.{_mode}"] = f"torch.{_mode}"
_EXACT |= {"torch.autocast": "torch.amp.autocast", "torch.GradScaler": "torch.amp.GradScaler"}
# Names that numpy 2 added for functions known by others.
_EXACT |= {
    f"numpy.{new}": f"numpy.{old}"
    for new, old in {
        "absolute": "abs",
        "acos": "arccos",
        "acosh": "arccosh",
        "asin": "arcsin",
        "asinh": "arcsinh",
        "atan": "arctan",
        "atan2": "arctan2",
        "atanh": "arctanh",
        "concat": "concatenate",
        "conjugate": "conj",
        "permute_dims": "transpose",
        "pow": "power",
    }.items()
}
# `pytorch_lightning` is the same code as `lightning.pytorch`, and `lightning` hands on the four main classes.
for _name in ("LightningModule", "LightningDataModule", "Trainer", "Callback"):
    _EXACT[f"lightning.{_name}"] = _EXACT[f"pytorch_lightning.{_name}"] = f"lightning.pytorch.{_name}"
_EXACT["pytorch_lightning.core.LightningModule"] = "lightning.pytorch.LightningModule"
_EXACT["lightning.pytorch.core.LightningModule"] = "lightning.pytorch.LightningModule"

_CLASSES = {
    "torch.nn.modules": "torch.nn",
    "torch.optim": "torch.optim",
    "torch.distributions": "torch.distributions",
    "torch.utils.data": "torch.utils.data",
}
"""Package -> where the classes of its modules are public as well: torch.optim.adam.Adam is torch.optim.Adam."""

_OTHER_MODULES = frozenset(
    {
        "torch.optim.lr_scheduler",
        "torch.optim.swa_utils",
        "torch.distributions.constraints",
        "torch.distributions.constraint_registry",
        "torch.distributions.utils",
    }
)
"""Modules of these packages whose classes are public only there."""

_OTHER_CLASSES = frozenset(
    {"LazyModuleMixin", "NonDynamicallyQuantizableLinear", "LogitRelaxedBernoulli", "ExpRelaxedCategorical"}
)
"""Classes that are public only where they are defined."""


@lru_cache(maxsize=4096)
def canonical(qualified: str) -> str:
    """The usual spelling of the dotted name of a thing in torch, numpy or lightning; other names as they are."""
    if qualified in _EXACT:
        return _EXACT[qualified]
    module, _, name = qualified.rpartition(".")
    if module == "torch.nn.modules":
        return f"torch.nn.{name}" if _is_class(name) else qualified
    package = module.rpartition(".")[0]
    if (
        package in _CLASSES
        and module not in _OTHER_MODULES
        and _is_class(name)
        and not _is_class(module.rpartition(".")[2])
    ):
        return f"{_CLASSES[package]}.{name}"
    if package in ("numpy.core", "numpy._core"):
        return canonical(f"numpy.{name}")
    return qualified


def _is_class(name: str) -> bool:
    """Is it spelt like a public class? (One capital letter is a type variable.)"""
    return len(name) > 1 and name[0].isupper() and name not in _OTHER_CLASSES
