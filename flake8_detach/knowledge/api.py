"""What autograd's interface has, and what it has no longer. Source: torch 2.13; tests/truth/test_api.py asks it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

REMOVED_ATTRIBUTES: Mapping[str, str] = {
    "creator": "it is called `grad_fn`",
    "previous_functions": "it is called `grad_fn.next_functions`",
}
"""Attributes of old tensors -> what there is instead."""

REMOVED_METHODS: Mapping[str, str] = {
    "reinforce": "use `log_prob` of torch.distributions in the loss",
    "symeig": "use `torch.linalg.eigh`",
    "eig": "use `torch.linalg.eig`",
    "solve": "use `torch.linalg.solve`",
    "lstsq": "use `torch.linalg.lstsq`",
}
"""Methods of tensors that only raise today."""

REMOVED_FUNCTIONS: Mapping[str, str] = {
    "torch.autograd.variable": "use `torch.tensor(...)`",
    "torch.matrix_rank": "use `torch.linalg.matrix_rank`",
    **{f"torch.{name}": instead for name, instead in REMOVED_METHODS.items() if name != "reinforce"},
}
"""Functions that only raise today."""

PROPERTIES = frozenset(
    {"requires_grad", "is_leaf", "grad_fn", "grad", "data", "retains_grad", "output_nr", "_version", "shape", "dtype"}
    | {"device", "layout", "ndim", "T", "real", "is_cuda", "is_sparse", "is_quantized", "itemsize", "nbytes"}
)
"""Attributes of a tensor that cannot be called."""

TENSOR_ONLY = frozenset({"grad", "data", "grad_fn", "is_leaf", "detach", "item", "numpy", "retain_grad"})
"""Attributes of tensors that no module of torch has."""

MODULE_NAMES = frozenset(
    {"add_module", "apply", "bfloat16", "buffers", "children", "compile", "cpu", "cuda", "double"}
    | {"eval", "extra_repr", "float", "forward", "get_buffer", "get_parameter", "get_submodule", "half"}
    | {"load_state_dict", "modules", "named_buffers", "named_children", "named_modules"}
    | {"named_parameters", "parameters", "register_backward_hook", "register_buffer"}
    | {"register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"}
    | {"register_module", "register_parameter", "requires_grad_", "share_memory", "state_dict", "to"}
    | {"train", "type", "zero_grad", "training"}
)
"""Attributes that every nn.Module has, so that nothing can be registered under these names."""

OF_UNSET = frozenset(
    {"data", "grad", "requires_grad", "requires_grad_", "is_leaf", "device", "dtype", "grad_fn"}
    | {"materialize", "copy_", "is_complex", "is_floating_point", "half", "float", "double", "char"}
    | {"short", "int", "long", "cuda", "cpu", "to", "get_device", "layout", "__hash__"}
)
"""What can be asked of a parameter that is not initialised (torch/nn/parameter.py, UninitializedTensorMixin)."""

MODULE_METHODS = frozenset(
    {"parameters", "named_parameters", "state_dict", "buffers", "children", "modules", "named_modules", "zero_grad"}
)
"""Methods of nn.Module that somebody may forget to call."""

SIGNATURES: Mapping[str, str] = {
    "torch.autograd.backward": "tensors grad_tensors retain_graph create_graph grad_variables inputs",
    "torch.autograd.grad": "outputs inputs grad_outputs retain_graph create_graph only_inputs allow_unused "
    "is_grads_batched materialize_grads",
    "torch.autograd.Variable": "data requires_grad volatile _grad_fn name",
    "torch.nn.Parameter": "data requires_grad",
    "torch.from_numpy": "",
    "torch.as_tensor": "data dtype device",
    "torch.set_grad_enabled": "mode",
    "torch.inference_mode": "mode",
    "Tensor.backward": "gradient retain_graph create_graph inputs",
    "Tensor.requires_grad_": "requires_grad",
    "Tensor.detach": "",
    "Tensor.detach_": "",
    "Tensor.retain_grad": "",
    "Tensor.numpy": "force",
    "Tensor.item": "",
    "Module.requires_grad_": "requires_grad",
    "Module.zero_grad": "set_to_none",
    "Module.parameters": "recurse",
}
"""All keywords that these take."""

WITHOUT_FLAG = frozenset({"torch.Tensor", "torch.FloatTensor", "torch.DoubleTensor", "torch.HalfTensor"})
"""Constructors that take no `requires_grad`; functions that make no new tensor take none either."""


def takes(name: str, keyword: str) -> bool | None:
    """Has the function of that name this keyword? None if not all of its keywords are known."""
    if name in SIGNATURES:
        return keyword in SIGNATURES[name].split()
    return False if name in WITHOUT_FLAG and keyword == "requires_grad" else None


def meant(name: str, keyword: str) -> str:
    """What somebody who writes this keyword meant; "" if that is not clear."""
    known = SIGNATURES.get(name, "").split() or ["requires_grad"]
    return next(iter(difflib.get_close_matches(keyword, known, 1, 0.8)), "")
