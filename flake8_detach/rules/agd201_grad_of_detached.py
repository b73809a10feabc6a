from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import GradRead
from flake8_detach.flow.values import NONE
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence, reason, trail
from flake8_detach.source import Source


@register
class GradOfDetached(Rule):
    """`.grad` of a detached tensor is read.

    ## What it does
    Reports a read of `.grad` on a tensor that was cut from the graph (by `.detach()`, `.data`, a copy, or because it
    was computed while grad mode was off) and was not made to require grad afterwards; after a backward also on one that
    never required grad, and on the tensor that `h = (x * 2).detach().requires_grad_()` was computed from, if backward
    has come to `h` only.

    ## Why is this bad?
    No backward ever fills it: it is always `None`, and PyTorch says nothing.

    ## Known problems
    A comparison with None (`x.grad is None`) asks for exactly this and is not reported.

    ## Fix safety
    Unsafe: the gradient is read on the tensor that was detached, where both names are bound once, in the same function,
    and the detached one is used for nothing else: if the loss were computed from it, the other would get none either.
    Otherwise call `.requires_grad_()` after the detach, if the detached tensor is a leaf of its own.

    ## References
    - [torch.Tensor.grad](https://pytorch.org/docs/stable/generated/torch.Tensor.grad.html)
    - [torch.Tensor.detach](https://pytorch.org/docs/stable/generated/torch.Tensor.detach.html)
    """

    code = "AGD201"
    name = "grad-of-detached"
    offers = ("unsafe",)
    listens = (GradRead,)
    triggers = (frozenset({"grad"}),)
    example = Example(
        bad="""\
import torch

x = torch.ones(3, requires_grad=True)
copy = x.detach()
(x * x).sum().backward()
print(copy.grad)
""",
        good="""\
import torch

x = torch.ones(3, requires_grad=True)
copy = x.detach()
(x * x).sum().backward()
print(x.grad)
""",
    )

    def check(self, event: GradRead, source: Source) -> Iterable[Finding]:
        tensor = event.tensor
        if event.severed is not None:
            why = reason(event.severed, source, "")
            message = f"`{event.subject}.grad` is None: backward ends at a leaf of its own, {why}"
            yield Finding(self.code, message, source.span(event.node), cause=event.severed.site)
        if event.tested or event.value != NONE or not (tensor.grad.no and tensor.leaf.yes):
            return
        never = tensor.why is not None and tensor.why.kind == "constant" and event.trained
        if tensor.why is None or not (never or tensor.why.kind in ("cut", "mode")):
            return
        yield Finding(
            self.code,
            f"`{event.subject}.grad` is always None: {reason(tensor.why, source, '')}",
            source.span(event.node),
            confidence(tensor.grad, tensor.leaf),
            trail(tensor.why, source),
            None if never else _origin(event, source),
            cause=event.empty if never else tensor.why.site,
        )


def _origin(event: GradRead, source: Source) -> Fix | None:
    """Read it on the tensor that was detached, if both names mean the same all along."""
    import libcst as cst

    site = None if event.tensor.why is None else event.tensor.why.site
    name = event.subject_node
    if not isinstance(site, cst.Call) or not isinstance(site.func, cst.Attribute) or not isinstance(name, cst.Name):
        return None
    origin = site.func.value
    if site.func.attr.value != "detach" or not isinstance(origin, cst.Name) or origin.value == name.value:
        return None
    place = fixes.place
    if not (
        place.same_scope(source, origin, name) and place.bound_once(source, origin) and place.bound_once(source, name)
    ):
        return None
    if not place.read_only_for(source, name, "grad"):
        return None  # a loss of the detached one gives the other no gradient either
    edits = fixes.build.replace(source, name, origin.value)
    return fixes.build.offer(f"read `{origin.value}.grad`", "unsafe", edits)
