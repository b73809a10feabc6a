"""The contracts of autograd's hooks: what each kind is called with, and what torch takes back from it.

Source: torch 2.13, torch/utils/hooks.py, torch/nn/modules/module.py, torch/autograd/graph.py and
torch/csrc/autograd/python_hook.cpp.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

Returns: TypeAlias = Literal["anything", "tensor", "nothing", "gradients", "tuple", "arguments", "unpacked"]
"""What a hook may return: "tensor" (or None), "nothing" (None only), "gradients" (None, or as many as it was given),
"tuple" (the same, and a tuple it must be), "arguments" (None or a tuple (args, kwargs)), "unpacked" (a tensor only)."""


class Contract(NamedTuple):
    """takes: what the hook is called with, in order. returns: what it may return."""

    takes: tuple[str, ...]
    returns: Returns


CONTRACTS = {
    "tensor": Contract(("grad",), "tensor"),
    "post": Contract(("tensor",), "nothing"),
    "multi": Contract(("grads",), "anything"),
    "node": Contract(("grad_inputs", "grad_outputs"), "tuple"),
    "node pre": Contract(("grad_outputs",), "tuple"),
    "forward": Contract(("module", "args", "output"), "anything"),
    "forward with kwargs": Contract(("module", "args", "kwargs", "output"), "anything"),
    "forward pre": Contract(("module", "args"), "anything"),
    "forward pre with kwargs": Contract(("module", "args", "kwargs"), "arguments"),
    "full backward": Contract(("module", "grad_input", "grad_output"), "gradients"),
    "full backward pre": Contract(("module", "grad_output"), "gradients"),
    "backward": Contract(("module", "grad_input", "grad_output"), "anything"),
    "pack": Contract(("tensor",), "anything"),
    "unpack": Contract(("packed",), "unpacked"),
}
"""The kinds of hooks."""

REPLACED = {
    "tensor": ("grad",),
    "full backward": ("grad_input", "grad_output"),
    "full backward pre": ("grad_output",),
    "forward": ("output",),
}
"""Kinds whose result replaces something, and what it is computed from."""
ON_TENSOR = {"register_hook": "tensor", "register_post_accumulate_grad_hook": "post"}
ON_NODE = {"register_hook": "node", "register_prehook": "node pre"}
ON_MODULE = {
    "register_forward_hook": "forward",
    "register_forward_pre_hook": "forward pre",
    "register_full_backward_hook": "full backward",
    "register_full_backward_pre_hook": "full backward pre",
    "register_backward_hook": "backward",
}
"""The methods that register a hook, and its kind."""
WITH_KWARGS = ("forward", "forward pre")
"""Kinds that `with_kwargs=True` turns into another one."""
NODE_INPUTS = {
    **dict.fromkeys(("__mul__", "mul", "__add__", "add", "__sub__", "sub", "__truediv__", "div", "matmul"), 2),
    **dict.fromkeys(("exp", "log", "sqrt", "abs", "neg", "__neg__", "relu", "sigmoid", "tanh", "sin", "cos"), 1),
    **dict.fromkeys(("sum", "mean", "view", "clone"), 1),
}
"""How many gradients the graph node of an operation computes, None for numbers included; the others are not listed."""
EXCLUSIVE = {"full backward": "backward", "backward": "full backward"}
"""Kinds that cannot both be registered on one module, nor both for all modules. Removing a hook does not help."""
GLOBAL = {
    "torch.nn.modules.module.register_module_backward_hook": "backward",
    "torch.nn.modules.module.register_module_full_backward_hook": "full backward",
}
MULTI_MODES = ("all", "any")
"""The modes of register_multi_grad_hook."""
