from __future__ import annotations

from typing import ClassVar

from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule


@register
class SchedulerMisuse(OrderRule):
    """A scheduler is handed what it does not want, or asked for what it does not have.

    ## What it does
    Reports `scheduler.step(epoch)` and `scheduler.step(loss)` of schedulers that count their own steps, and
    `scheduler.get_lr()` outside of `step`.

    ## Why is this bad?
    PyTorch warns. A loss that is taken for the number of an epoch sets the learning rate to that of an epoch long ago.
    `get_lr()` computes the next rate from the present one: what it returns is not the rate that is used.

    ## Known problems
    `CosineAnnealingWarmRestarts.step(epoch)` is as intended and `ReduceLROnPlateau.step(metric)` must be; both are
    accepted.

    ## Fix safety
    Shown only: `scheduler.step()`; `scheduler.get_last_lr()`.

    ## References
    - [How to adjust the learning rate](https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate)
    """

    code = "AGD308"
    name = "scheduler-misuse"
    triggers = (frozenset({"step", "get_lr"}), frozenset({"lr_scheduler"}))
    messages: ClassVar = {
        "epoch-given": "this scheduler counts its own steps: call `step()` without {subject}",
        "rate-asked": "outside of `step`, `get_lr()` is not the rate that is used: call `get_last_lr()`",
    }
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
for epoch in range(4):
    optimizer.zero_grad()
    net(torch.randn(8, 4)).pow(2).mean().backward()
    optimizer.step()
    scheduler.step(epoch)
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
for epoch in range(4):
    optimizer.zero_grad()
    net(torch.randn(8, 4)).pow(2).mean().backward()
    optimizer.step()
    scheduler.step()
""",
    )
