from __future__ import annotations

from typing import ClassVar

from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule


@register
class RefusedOptimizerCall(OrderRule):
    """An optimizer or scheduler is called in a way that it refuses.

    ## What it does
    Reports calls of what torch.optim defines that raise: `LBFGS.step()` without a closure, or with one that returns no
    loss; `optimizer.step(loss)`; options that exclude each other or that this optimizer has not; parameter groups and
    states that do not fit; a scheduler that is made for something else than an optimizer, stepped without the metric
    that it watches, or more often than it was made for; gradients that an optimizer does not take.

    ## Why is this bad?
    The call raises. Where it stands behind the first epoch, hours are lost before anybody knows.

    ## Known problems
    Options that no optimizer of this table has may be newer than it, and are not reported.

    ## Fix safety
    Shown only.

    ## References
    - [torch.optim](https://pytorch.org/docs/stable/optim.html)
    - [torch.optim.LBFGS](https://pytorch.org/docs/stable/generated/torch.optim.LBFGS.html)
    """

    code = "AGD130"
    name = "refused-optimizer-call"
    triggers = (
        frozenset({"optim", "step", "get_lr", "add_param_group", "load_state_dict"}),
        frozenset({"optim"}),
    )
    messages: ClassVar = {"refused": "raises: {subject}"}
    raising = frozenset(messages)
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.LBFGS(net.parameters())
batch = torch.randn(8, 4)
optimizer.zero_grad()
net(batch).pow(2).mean().backward()
optimizer.step()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.LBFGS(net.parameters())
batch = torch.randn(8, 4)


def closure():
    optimizer.zero_grad()
    loss = net(batch).pow(2).mean()
    loss.backward()
    return loss


optimizer.step(closure)
""",
    )
