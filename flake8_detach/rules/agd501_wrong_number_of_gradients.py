from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import GradientsReturned
from flake8_detach.flow.values import YES
from flake8_detach.rules._base import Example, Finding, Note, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class WrongNumberOfGradients(Rule):
    """`backward` of a custom autograd.Function returns gradients that do not match the inputs of `forward`.

    ## What it does
    Compares what `backward` returns with what `apply` was given: there must be one gradient for each argument, in
    order, and None where the argument is no tensor. Reports too few, too many, a gradient at the place of a number,
    list or None, something that is no tensor, a gradient of a shape that the input's does not broadcast to, and a
    `backward` that ends without returning anything.

    ## Why is this bad?
    PyTorch raises "returned an incorrect number of gradients", "returned a gradient different than None", "expected
    Variable or None" or "returned an invalid gradient" in `loss.backward()`, far from this class. A `backward` of one
    input that returns nothing is silent: the input gets no gradient.

    ## Known problems
    The report stands at the `return`, as the class is to be mended; the trail names the backward that raises.
    Where the file does not call `apply`, only the number is checked, against the
    parameters of `forward`. Shapes are compared where they are known, and `backward` returns in one place only.

    ## Fix safety
    Shown only.

    ## References
    - [Extending torch.autograd](https://pytorch.org/docs/stable/notes/extending.html#extending-torch-autograd)
    """

    code = "AGD501"
    name = "wrong-number-of-gradients"
    listens = (GradientsReturned,)
    triggers = (frozenset({"backward", "vjp"}), frozenset({"autograd"}))
    example = Example(
        bad="""\
import torch


class Scale(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, factor):
        ctx.factor = factor
        return x * factor

    @staticmethod
    def backward(ctx, grad):
        return grad * ctx.factor


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

    def check(self, event: GradientsReturned, source: Source) -> Iterable[Finding]:
        if event.guarded or event.used.no:
            return
        where = "" if event.applied is None else f" (line {source.line(event.applied)})"
        problem = _number(event, where) or _kinds(event, where)
        if not problem and event.misfit:
            problem = f"`{event.function}.backward` returns {event.misfit}{where}: backward will raise"
        if not problem:
            return
        trail: tuple[Note, ...] = ()
        if event.applied is not None:
            trail += (Note(source.span(event.applied), "applied here"),)
        if event.at is not None:
            trail += (Note(source.span(event.node), "raises here"),)
        # without an `apply` in the file, nothing but the number of parameters is compared, and that is certain
        sure = confidence(event.used if event.applied is not None else YES)
        place = event.node if event.at is None else event.at  # the class is wrong, whoever backwards
        yield Finding(self.code, problem, source.span(place), sure, trail, cause=place, first_only=True)


def _number(event: GradientsReturned, where: str) -> str:
    gradients, count = event.gradients, len(event.gradients)
    name, least, most = event.function, event.least, event.most
    inputs = _many(str(least) if least == most else f"{least} to {most}", "input")
    if event.implicit and gradients[0].kind == "None":
        lost = event.applied is not None and any(i.grad.yes for i in event.inputs)
        if least > 1:
            return f"`{name}.backward` returns nothing, but `forward` takes {inputs}{where}: backward will raise"
        return f"`{name}.backward` returns nothing: its input{where} gets no gradient" if lost and most == 1 else ""
    if count >= least and all(g.kind in ("None", "?") for g in gradients[most:]):
        return ""
    returned = _many(str(count), "gradient")
    return f"`{name}.backward` returns {returned}, but `forward` takes {inputs}{where}: backward will raise"


def _kinds(event: GradientsReturned, where: str) -> str:
    name = event.function
    for place, (gradient, taken) in enumerate(zip(event.gradients, event.inputs, strict=False), 1):
        if gradient.kind in ("None", "?"):
            continue
        if taken.kind not in ("tensor", "?"):
            given = f"`{taken.name}`, which is {_article(taken.kind)}{where}"
            return (
                f"`{name}.backward` returns a gradient for {given}: backward will raise, return None as value {place}"
            )
        if gradient.kind != "tensor":
            what = _article(gradient.kind)
            return f"`{name}.backward` returns {what} as gradient of `{taken.name}`: it must be a tensor or None"
    return ""


def _many(count: str, what: str) -> str:
    return f"{count} {what}" if count == "1" else f"{count} {what}s"


def _article(kind: str) -> str:
    return kind if kind == "None" else f"an {kind}" if kind[0] in "aeiou" else f"a {kind}"
