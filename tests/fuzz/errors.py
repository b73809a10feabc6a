"""What torch's errors mean: which rule owes a report for which message."""

from __future__ import annotations

KINDS: tuple[tuple[str, str], ...] = (
    ("does not require grad and does not have a grad_fn", "AGD101"),
    ("Can't call numpy() on Tensor that requires grad", "AGD102"),
    ("Trying to backward through the graph a second time", "AGD103"),
    ("grad can be implicitly created only for", "AGD104"),
    ("object has no attribute 'backward'", "AGD105"),
    ("a leaf Variable that requires grad is being used in an in-place operation", "AGD106"),
    ("a view of a leaf Variable that requires grad is being used in an in-place operation", "AGD106"),
    ("leaf variable has been moved into the graph interior", "AGD106"),
    ("don't support automatic differentiation, but one of the arguments requires grad", "AGD106"),
    ("has been modified by an inplace operation", "AGD107"),
    ("is a view and is being modified inplace", "AGD107"),
    ("is a view and its base or another view of its base has been modified inplace", "AGD107"),
    ("A view was created in no_grad mode and is being modified inplace", "AGD107"),
    ("A view was created in inference mode and is being modified inplace", "AGD114"),
    ("you can only change requires_grad flags of leaf variables", "AGD108"),
    ("Can't detach views in-place", "AGD108"),
    ("nly Tensors of floating point and complex dtype can require gradients", "AGD109"),
    ("can't optimize a non-leaf Tensor", "AGD110"),
    ("optimizer got an empty parameter list", "AGD110"),
    ("'NoneType'", "AGD111"),
    ("NoneType", "AGD111"),
    ("One of the differentiated Tensors does not require grad", "AGD112"),
    ("appears to not have been used in the graph", "AGD112"),
    ("Only Tensors created explicitly by the user", "AGD113"),
    ("Inference tensors cannot be saved for backward", "AGD114"),
    ("Inplace update to inference tensor outside InferenceMode", "AGD114"),
    ("Setting requires_grad=True on inference tensor outside InferenceMode", "AGD114"),
    ("requires_grad=True on inference tensor", "AGD114"),
    ("Cannot set version_counter for inference tensor", "AGD114"),
    ("can't retain_grad on Tensor that has requires_grad=False", "AGD116"),
    ("cannot register a hook on a tensor that doesn't require gradient", "AGD116"),
    ("as parameter", "AGD117"),
    ("derivative for", "AGD119"),
)
"""Part of the message -> code. The first that fits counts."""


def code_of(message: str) -> str | None:
    """The rule that the error belongs to; None for an error that has nothing to do with autograd."""
    return next((code for part, code in KINDS if part in message), None)
