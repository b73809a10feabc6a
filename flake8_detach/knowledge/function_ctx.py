"""`ctx` of a custom torch.autograd.Function. Source: `dir(ctx)` in torch 2.13."""

from __future__ import annotations

ATTRIBUTES = frozenset(
    {
        "apply",
        "apply_boxed",
        "apply_jvp",
        "dirty_tensors",
        "mark_dirty",
        "mark_non_differentiable",
        "mark_shared_storage",
        "materialize_grads",
        "maybe_clear_saved_tensors",
        "metadata",
        "name",
        "needs_input_grad",
        "next_functions",
        "non_differentiable",
        "register_hook",
        "register_prehook",
        "requires_grad",
        "save_for_backward",
        "save_for_forward",
        "saved_for_forward",
        "saved_tensors",
        "saved_variables",
        "set_materialize_grads",
        "to_save",
    }
)
"""The public attributes that every `ctx` has; all others somebody has to set."""
