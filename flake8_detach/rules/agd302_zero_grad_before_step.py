from __future__ import annotations

from typing import ClassVar

from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule


@register
class ZeroGradBeforeStep(OrderRule):
    """Gradients are cleared between backward and step.

    ## What it does
    Reports the clearing (`optimizer.zero_grad()`, `model.zero_grad()`, `p.grad = None`, in a helper or not) after which
    an optimizer steps although none of its parameters has a gradient any more.

    ## Why is this bad?
    The step changes nothing (or moves on by momentum and weight decay alone): the model does not learn, silently.

    ## Known problems
    Nothing is reported if one of the optimizer's parameters may have a gradient when it steps.

    ## Fix safety
    Shown only: clear before the backward, or after the step.

    ## References
    - [torch.optim.Optimizer.zero_grad](https://pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html)
    """

    code = "AGD302"
    name = "zero-grad-before-step"
    triggers = (frozenset({"zero_grad", ".grad="}), frozenset({"step"}))
    messages: ClassVar = {
        "cleared": "the gradients are cleared before `step()` on line {at} has used them: that step learns nothing",
    }
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
loss = net(torch.randn(8, 4)).pow(2).mean()
loss.backward()
optimizer.zero_grad()
optimizer.step()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
loss = net(torch.randn(8, 4)).pow(2).mean()
optimizer.zero_grad()
loss.backward()
optimizer.step()
""",
    )
