from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Applicability
from flake8_detach.flow.events import Refused
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class ScalarArgumentRequiresGrad(Rule):
    """A tensor that requires grad is given for an argument that has no gradient.

    ## What it does
    Reports a tensor that requires grad where torch wants a Python number (`alpha=`, `negative_slope=`, `margin=`, the
    fill value of `torch.full`, the bounds of `torch.arange`), and a learnable tensor for an argument of a function
    that has no derivative with respect to it: class weights, `pos_weight`, running statistics, targets. Also the bounds
    of `torch.linspace` and `torch.logspace`.

    ## Why is this bad?
    PyTorch raises "must be Number, not Tensor" or "is not differentiable with respect to argument 'weight'". A 0-dim
    tensor that does not require grad is accepted in both places, so the code works until the value is made learnable.
    `torch.linspace` does not even raise: its result has no graph, and nothing learns the bounds.

    ## Known problems
    Only files that mention `backward` or `autograd` are looked at, and only functions of torch itself are known.

    ## Fix safety
    Unsafe: `.item()` or `.detach()` is inserted, which uses the value as it is: nothing learns it. Of a leaf that is
    only shown, as it is there to be learnt; then write the formula out: `torch.where(x > 0, x, slope * x)`, `ones *
    value`, `(weight * F.cross_entropy(..., reduction="none")).mean()`.

    ## References
    - [torch.Tensor.item](https://pytorch.org/docs/stable/generated/torch.Tensor.item.html)
    """

    code = "AGD118"
    name = "scalar-argument-requires-grad"
    offers = ("unsafe", "display")
    listens = (Refused,)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch
from torch import nn

slope = nn.Parameter(torch.tensor(0.1))
x = torch.randn(8)
loss = nn.functional.leaky_relu(x, slope).sum()
loss.backward()
""",
        good="""\
import torch
from torch import nn

slope = nn.Parameter(torch.tensor(0.1))
x = torch.randn(8)
loss = torch.where(x > 0, x, slope * x).sum()
loss.backward()
""",
    )

    def check(self, event: Refused, source: Source) -> Iterable[Finding]:
        if event.why == "bound":
            what = f"`{event.subject}` has no graph: `{event.parameter}` is taken as a number"
            message = f"{what}; scale a grid from 0 to 1, or `.detach()` it"
            yield Finding(self.code, message, source.span(event.node), confidence(event.tensor.grad), cause=event.node)
        if event.guarded or event.why not in ("number", "argument"):
            return
        if event.why == "number":
            problem = f"`{event.parameter}` must be a number, and a tensor that requires grad is none; use `.item()`"
        else:
            problem = f"there is no derivative for `{event.parameter}`, which requires grad; `.detach()` it"
        place = event.place - event.op.startswith("Tensor.")
        given = fixes.place.argument(event.node, place, event.parameter)
        kind: Applicability = "display" if event.tensor.leaf.yes else "unsafe"
        cut = ".item()" if event.why == "number" else ".detach()"
        fix = given and fixes.build.offer(f"insert `{cut}`", kind, fixes.build.postfix(source, given, cut))
        message = f"`{event.subject}` raises: {problem}"
        yield Finding(self.code, message, source.span(event.node), confidence(event.tensor.grad), fix=fix or None)
