"""What the rule about custom autograd.Functions says of each way to break their contract."""

from __future__ import annotations

MESSAGES = {
    "absent": "nothing in the file sets `ctx.{what}`: this raises when backward runs",
    "arguments": "`{function}.forward` cannot take these arguments: {what}",
    "backward arguments": "`{function}.backward{what}: backward raises",
    "backward and vjp": "`{function}` has both `backward` and `vjp`, two names of one thing: backward will raise",
    "backward of a module": "autograd never calls `{function}.backward`: of an nn.Module it differentiates `forward`; "
    "make it a torch.autograd.Function and call its `apply`",
    "cleared": "the second read raises: `{function}` sets `clear_saved_tensors_on_access`",
    "container out": "`{function}.forward` returns a {what}, in which nothing gets a gradient: return a tuple",
    "ctx with setup_context": "`{function}` has a `setup_context`, so its `forward` is not given `ctx`: {what}",
    "dirty not returned": "`{function}.forward` marks `{what}` as dirty but does not return it: `apply` raises",
    "forward called": "`{function}.forward` called directly is plain code: `{function}.backward` is never used; call "
    "`{function}.apply`",
    "gradient written": "`{function}.backward` changes the gradient that it was handed in place; others share it",
    "instance": "`{function}` is not to be instantiated: call `{function}.apply(...)`",
    "instance called": "calling an instance of `{function}` raises: call `{function}.apply(...)`",
    "marked no tensor": "`{what}: only tensors can be marked or saved, this raises",
    "no jvp": "`{function}` has no `jvp`, which forward-mode differentiation needs: this raises",
    "no setup_context": "`{function}` has no `setup_context`, which torch.func needs: this raises",
    "no vmap": "`{function}` has neither `vmap` nor `generate_vmap_rule = True`: this raises",
    "no forward": "`{function}.apply` raises: there is no `forward`",
    "not marked dirty": "`{function}.forward` changes its input `{what}` in place without `ctx.mark_dirty`: gradients "
    "are wrong without a word",
    "nothing out": "`{function}.forward` ends without returning anything: `apply` gives None, no gradient will flow",
    "number out": "`{function}.forward` returns a Python {what}, which has no gradient: return a tensor",
    "output on ctx": "`ctx.{what}` is an output of `{function}`: it refers to itself and is freed late; use "
    "`save_for_backward`",
    "saved as returned": "`{function}.forward` returns its input `{what}` as it is, so `setup_context` cannot save it: "
    "`apply` raises; return `{what}.view_as({what})`",
    "saved late": "`save_for_backward` does nothing in `{function}.backward`: call it in `forward`",
    "saved no tensor": "`save_for_backward` in `{function}` got an object of type {what}, `apply` raises: keep it as "
    "attribute of `ctx`, tensors one by one",
    "saved_variables": "`saved_variables` is deprecated: use `ctx.saved_tensors`",
    "saved twice": "`save_for_backward` is called a second time in `{function}`, which drops what was saved first",
    "shared storage": "`mark_shared_storage` is deprecated and does nothing: drop it",
    "stale": "`ctx.{what}` was changed in place before `{function}.backward` used it: the gradient is wrong without a "
    "word; `save_for_backward` would have noticed",
    "too long": "`{what} that are unpacked from it in `{function}`: this raises",
    "too short": "`{what} that are read from it in `{function}`: this raises",
    "vmap twice": "`{function}` has a `vmap` and sets `generate_vmap_rule`: vmap will raise",
}
"""What breaks the contract of torch.autograd.Function, by `CustomMisuse.kind`, and what comes of it."""

RAISED_LATER = frozenset(
    {"backward and vjp", "backward arguments", "marked no tensor", "saved as returned", "saved no tensor"}
)
"""What torch raises for in `apply` or `backward`; `at` is the cause in the class, where the report stands."""
