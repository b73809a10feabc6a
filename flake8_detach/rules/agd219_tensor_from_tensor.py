from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Recopied
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class TensorFromTensor(Rule):
    """A tensor is copied by a constructor that is meant for numbers.

    ## What it does
    Reports `torch.tensor(x)` and `y.new_tensor(x)` where `x` is known to be a tensor already, and
    `torch.tensor([a, b])` where `a` is one that requires grad.

    ## Why is this bad?
    The copy has no graph: what is computed from it trains nothing behind it. PyTorch warns every time, "To copy
    construct from a tensor, it is recommended to use sourceTensor.detach().clone()", also where no gradient is lost.

    ## Known problems
    Only files that mention `backward` or `autograd` are looked at. Where the copy makes a later backward fail or a loss
    term disappear, that is reported instead.

    ## Fix safety
    Shown only: `x.detach().clone()` is the same copy; `x.clone()` keeps the graph, which is often what was meant.

    ## References
    - [torch.tensor](https://pytorch.org/docs/stable/generated/torch.tensor.html)
    """

    code = "AGD219"
    name = "tensor-from-tensor"
    listens = (Recopied,)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
start = torch.tensor(net.weight)
net(torch.randn(8, 4)).pow(2).mean().backward()
print((net.weight - start).norm())
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
start = net.weight.detach().clone()
net(torch.randn(8, 4)).pow(2).mean().backward()
print((net.weight - start).norm())
""",
    )

    def check(self, event: Recopied, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        if event.inside:
            message = (
                f"the tensors in `{event.subject}` are copied without their graph: use `torch.stack`, or `.item()`"
            )
            yield Finding(self.code, message, source.span(event.node), confidence(event.tensor.grad), cause=event.node)
            return
        instead = ".detach().clone().requires_grad_()" if event.asked.yes else ".detach().clone()"
        loses = ", without its graph" if event.tensor.grad.yes else ""
        yield Finding(
            self.code,
            f"`{event.how}(...)` warns: `{event.subject}` is a tensor already and is copied{loses}; use `{instead}`",
            source.span(event.node),
            cause=event.node,
        )
