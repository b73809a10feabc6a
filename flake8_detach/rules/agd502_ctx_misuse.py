from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import CustomMisuse, InPlace
from flake8_detach.flow.values import YES
from flake8_detach.rules._base import Example, Finding, Note, Rule, register
from flake8_detach.rules._contract import MESSAGES, RAISED_LATER
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class CtxMisuse(Rule):
    """A custom autograd.Function that breaks the contract of `ctx`, `forward` or `apply`.

    ## What it does
    Reports, in subclasses of torch.autograd.Function: something that is no tensor given to `save_for_backward`,
    `mark_dirty` or `mark_non_differentiable`; `save_for_backward` a second time or in `backward`; an output kept as
    attribute of `ctx`; an attribute of `ctx` whose tensor is written to before `backward` reads it; an input that
    `forward` changes without `mark_dirty`; a list, dict or number as result; a gradient changed in place; an instance
    that is called; `forward` called instead of `apply`; a `backward` in an nn.Module, which nobody calls; a
    `forward(ctx, ...)` beside `setup_context`; an in-place operation on an output that is a view.

    ## Why is this bad?
    Some of it raises in `apply` or later. The rest says nothing: the version check is bypassed, memory is kept, or no
    gradient or a wrong one arrives.

    ## Known problems
    An attribute of `ctx` that holds a tensor is reported only where harm is proved. Where `apply` or `backward` raises
    for it, the trail names the line.

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
    or_triggers = ((frozenset({"backward"}), frozenset({"Module"})),)
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
        place, cause = event.node, None
        if event.kind in RAISED_LATER:  # the class is wrong, whoever calls it
            cause = place = event.at or event.node
            trail = (Note(source.span(event.node), "raises here"),) if event.at is not None else ()
        sure = confidence(event.used, YES)
        yield Finding(self.code, message, source.span(place), sure, trail, cause=cause, first_only=True)
