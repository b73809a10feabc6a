from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import CustomMisuse, InPlace
from flake8_detach.flow.values import YES
from flake8_detach.rules._base import Example, Finding, Note, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source

MESSAGES = {
    "arguments": "`{function}.forward` cannot take these arguments: {what}",
    "backward and vjp": "`{function}` has both `backward` and `vjp`, two names of one thing: backward will raise",
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

RAISED_LATER = frozenset({"backward and vjp", "marked no tensor", "saved as returned", "saved no tensor"})
"""What torch raises for in `apply` or `backward`, where the report stands if the file calls them; `at` is the cause."""


@register
class CtxMisuse(Rule):
    """A custom autograd.Function that breaks the contract of `ctx`, `forward` or `apply`.

    ## What it does
    Reports, in subclasses of torch.autograd.Function: something that is no tensor given to `save_for_backward`,
    `mark_dirty` or `mark_non_differentiable`; `save_for_backward` a second time or in `backward`; an output kept as
    attribute of `ctx`; an attribute of `ctx` whose tensor is written to before `backward` reads it; an input that
    `forward` changes without `mark_dirty`; a list, dict or number as result; a gradient changed in place; an instance
    that is called; `forward` called instead of `apply`; a `forward(ctx, ...)` beside `setup_context`; an in-place
    operation on an output that is a view.

    ## Why is this bad?
    Some of it raises in `apply` or later. The rest says nothing: the version check is bypassed, memory is kept, or no
    gradient or a wrong one arrives.

    ## Known problems
    An attribute of `ctx` that holds a tensor is reported only where harm is proved. What `apply` or `backward` raises
    for is reported there, with the line of the class, if the file calls them.

    ## Fix safety
    Shown only.

    ## References
    - [Extending torch.autograd](https://pytorch.org/docs/stable/notes/extending.html#extending-torch-autograd)
    - [Double backward and saved tensors](https://pytorch.org/tutorials/intermediate/custom_function_double_backward_tutorial.html)
    """

    code = "AGD502"
    name = "ctx-misuse"
    listens = (CustomMisuse, InPlace)
    triggers = (
        frozenset({"forward", "backward", "apply", "setup_context"}),
        frozenset({"autograd"}),
    )
    example = Example(
        bad="""\
import torch


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.save_for_backward(x, factor)
        return x * factor

    @staticmethod
    def backward(ctx, grad):
        x, factor = ctx.saved_tensors
        return grad * factor, None


x = torch.ones(3, requires_grad=True)
Scale.apply(x, 2.0).sum().backward()
""",
        good="""\
import torch


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor, None


x = torch.ones(3, requires_grad=True)
Scale.apply(x, 2.0).sum().backward()
""",
    )

    def check(self, event: CustomMisuse | InPlace, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        if isinstance(event, InPlace):
            if event.tensor.view == "custom" and event.tensor.grad.yes and event.mode.grad.yes:
                yield Finding(
                    self.code,
                    f"`{event.how}` raises: `{event.subject}` is a view that a custom Function returned; `.clone()` it",
                    source.span(event.node),
                    confidence(event.tensor.grad),
                )
            return
        if event.used.no:
            return
        message = MESSAGES[event.kind].format(function=event.function, what=event.what)
        trail = (Note(source.span(event.at), "here first"),) if event.at is not None else ()
        sure, cause = confidence(event.used, YES), None
        if event.kind in RAISED_LATER:
            cause = event.at or event.node
            message += "" if event.at is None else f" (line {source.line(event.at)})"
        yield Finding(self.code, message, source.span(event.node), sure, trail, cause=cause, first_only=True)
