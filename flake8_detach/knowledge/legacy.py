"""What PyTorch keeps for old code only, and what has taken its place. Source: torch 2.13."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Old(NamedTuple):
    """What is written today, and why.

    instead: the replacement as people read it. note: what the old form does. keyword: it is this argument of the
    function that is old, `value` its old value (True: whatever is not known to be False). name: the qualified name of
    the function, or the name of the method, that takes its place. same: is that a pure rename, `unless` a keyword is
    given that is called otherwise now? place: where the argument stands if it is positional. ignored: has it no
    effect at all? first: an argument that goes in front of the others, none of which may then be positional if
    `keywords`.
    """

    instead: str
    note: str
    keyword: str = ""
    value: bool = True
    place: int = -1
    ignored: bool = False
    name: str = ""
    same: bool = False
    unless: str = ""
    first: str = ""
    keywords: bool = False


_DEPRECATED = "is deprecated and warns"


def _amp(device: str) -> dict[str, tuple[Old, ...]]:
    """torch.cuda.amp and torch.cpu.amp: torch.amp takes the device as its first argument."""
    scaler = Old(f"`torch.amp.GradScaler('{device}', ...)`", _DEPRECATED, name="torch.amp.GradScaler", first=device)
    cast = Old(
        f"`torch.amp.autocast('{device}', ...)`", _DEPRECATED, name="torch.amp.autocast", first=device, keywords=True
    )
    return {f"torch.{device}.amp.autocast": (cast,), f"torch.{device}.amp.GradScaler": (scaler,)}


LEGACY: Mapping[str, tuple[Old, ...]] = {
    "torch.autograd.Variable": (
        Old("`torch.no_grad()`", "was removed and has no effect", keyword="volatile", place=2, ignored=True),
        Old(
            "the tensor itself, `.detach()` or `requires_grad_()`",
            "wraps nothing since tensors are Variables: it gives a tensor that is cut from the graph",
        ),
    ),
    **_amp("cuda"),
    **_amp("cpu"),
    "torch.cuda.amp.custom_fwd": (Old("`torch.amp.custom_fwd(device_type='cuda')`", _DEPRECATED),),
    "torch.cuda.amp.custom_bwd": (Old("`torch.amp.custom_bwd(device_type='cuda')`", _DEPRECATED),),
    "torch.nn.utils.clip_grad_norm": (
        Old("`clip_grad_norm_`", _DEPRECATED, name="torch.nn.utils.clip_grad_norm_", same=True),
    ),
    "torch.nn.utils.stateless.functional_call": (
        Old(
            "`torch.func.functional_call`",
            _DEPRECATED,
            name="torch.func.functional_call",
            same=True,
            unless="parameters_and_buffers",
        ),
    ),
    "torch.autograd.grad": (
        Old(
            "`torch.autograd.backward`, which fills the `.grad` of all leaves",
            "is ignored: no `.grad` is filled",
            keyword="only_inputs",
            value=False,
            place=5,
            ignored=True,
        ),
    ),
    "torch.autograd.backward": (Old("`grad_tensors=`", _DEPRECATED, keyword="grad_variables"),),
    "Module.register_backward_hook": (
        Old(
            "`register_full_backward_hook`",
            "hands the hook the gradients of the module's last operation, not of its inputs",
            name="register_full_backward_hook",
        ),
    ),
    "Tensor.resize": (Old("`reshape`, or `resize_` in place", _DEPRECATED, name="reshape"),),
    "Tensor.resize_as": (Old("`reshape_as`, or `resize_as_` in place", _DEPRECATED, name="reshape_as"),),
    "Tensor.storage": (
        Old("`untyped_storage()`, which counts bytes", "makes a typed storage, which is deprecated and warns"),
    ),
}
"""Qualified name of a function, or `Tensor.` or `Module.` and a method -> what is old about it."""
