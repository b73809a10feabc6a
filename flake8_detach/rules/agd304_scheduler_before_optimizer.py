from __future__ import annotations

from typing import ClassVar

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Misstep
from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule
from flake8_detach.source import Source


@register
class SchedulerBeforeOptimizer(OrderRule):
    """A learning rate scheduler steps before its optimizer has.

    ## What it does
    Reports the first `scheduler.step()` of a scheduler whose optimizer has not stepped since the scheduler was made.

    ## Why is this bad?
    PyTorch warns "Detected call of `lr_scheduler.step()` before `optimizer.step()`": the first value of the schedule is
    skipped, warm-up and milestones are one step early.

    ## Known problems
    `ReduceLROnPlateau` and `CosineAnnealingWarmRestarts` do not look for the order, and are not reported. A scheduler
    that was restored by `load_state_dict` is passed over.

    ## Fix safety
    Unsafe: `scheduler.step()` is moved behind the optimizer's, where both stand in the same block. The learning rates
    of all steps are other ones then.

    ## References
    - [torch.optim: how to adjust learning rate](https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate)
    """

    code = "AGD304"
    name = "scheduler-before-optimizer"
    triggers = (frozenset({"step"}), frozenset({"lr_scheduler", "swa_utils"}))
    offers = ("unsafe",)
    messages: ClassVar = {
        "scheduler-first": "`{subject}` steps before its optimizer ever has: the first learning rate is skipped",
    }
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
for batch in torch.randn(10, 8, 4):
    scheduler.step()
    optimizer.zero_grad()
    net(batch).pow(2).mean().backward()
    optimizer.step()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2)
for batch in torch.randn(10, 8, 4):
    optimizer.zero_grad()
    net(batch).pow(2).mean().backward()
    optimizer.step()
    scheduler.step()
""",
    )

    def repair(self, event: Misstep, source: Source) -> Fix | None:
        """Step the optimizer first."""
        edits = fixes.build.move(source, event.node, event.at, after=True) if event.at is not None else ()
        return fixes.build.offer("move it behind the optimizer's step", "unsafe", edits)
