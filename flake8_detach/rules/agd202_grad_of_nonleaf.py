from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import GradRead
from flake8_detach.flow.values import NONE
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class GradOfNonleaf(Rule):
    """`.grad` of a tensor that is not a leaf is read.

    ## What it does
    Reports a read of `.grad` on the result of an operation (also of a move or cast: `x.to(...)`, `x.double()`, `x * 2`)
    on which `retain_grad()` was not called.

    ## Why is this bad?
    Backward fills `.grad` of leaves only; here it stays `None`. PyTorch warns once and goes on.

    ## Known problems
    A move to a device returns the very same tensor if it is there already, so it is only reported where the tensor
    certainly changes.

    ## Fix safety
    Shown only: call `retain_grad()` before backward, or build the leaf on the device and with the dtype that it needs.

    ## References
    - [torch.Tensor.retain_grad](https://pytorch.org/docs/stable/generated/torch.Tensor.retain_grad.html)
    - [torch.Tensor.is_leaf](https://pytorch.org/docs/stable/generated/torch.Tensor.is_leaf.html)
    """

    code = "AGD202"
    name = "grad-of-nonleaf"
    listens = (GradRead,)
    triggers = (frozenset({"grad"}),)
    example = Example(
        bad="""\
import torch

x = torch.ones(3, requires_grad=True)
y = x * 2
y.sum().backward()
print(y.grad)
""",
        good="""\
import torch

x = torch.ones(3, requires_grad=True)
y = x * 2
y.retain_grad()
y.sum().backward()
print(y.grad)
""",
    )

    def check(self, event: GradRead, source: Source) -> Iterable[Finding]:
        tensor = event.tensor
        if event.late and event.value == NONE and not event.tested and tensor.grad.yes and tensor.leaf.no:
            message = f"`{event.subject}.grad` is None: `retain_grad()` was called after the backward"
            yield Finding(self.code, message, source.span(event.node), confidence(tensor.grad, event.kept))
        if event.tested or event.value != NONE or not event.kept.no or not (tensor.grad.yes and tensor.leaf.no):
            return
        yield Finding(
            self.code,
            f"`{event.subject}.grad` stays None: `{event.subject}` is not a leaf (made by `{_maker(tensor.made)}`)",
            source.span(event.node),
            confidence(tensor.grad, tensor.leaf),
        )


def _maker(op: str) -> str:
    """How the op that made the tensor is written."""
    name = op.rpartition(".")[2]
    return {
        "__add__": "+",
        "__sub__": "-",
        "__mul__": "*",
        "__truediv__": "/",
        "__matmul__": "@",
        "__getitem__": "[]",
    }.get(name, name.strip("_") or "an operation")
