from __future__ import annotations

from typing import ClassVar

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Misstep
from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule
from flake8_detach.source import Source


@register
class ZeroGradBeforeStep(OrderRule):
    """Gradients are cleared between backward and step.

    ## What it does
    Reports the clearing (`optimizer.zero_grad()`, `model.zero_grad()`, `p.grad = None`, or the call of a helper with
    it where backward and step are in sight) after which an optimizer steps although none of its parameters has a
    gradient any more. Reports the clearing in every iteration of a loop in which the step stands under
    `if i % n == 0:` and backward does not: what was to be accumulated is lost.

    ## Why is this bad?
    The step changes nothing (or moves on by momentum and weight decay alone): the model does not learn, silently.

    ## Known problems
    Nothing is reported if one of the optimizer's parameters may have a gradient when it steps; nor if another optimizer
    steps with the same backward in between.

    ## Fix safety
    Unsafe: `zero_grad()` is moved behind the step, where both stand in one block. The step then uses the gradients, so
    the values change, as they should.

    ## References
    - [torch.optim.Optimizer.zero_grad](https://pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html)
    """

    code = "AGD302"
    name = "zero-grad-before-step"
    offers = ("unsafe",)
    triggers = (frozenset({"zero_grad", ".grad="}), frozenset({"step"}))
    messages: ClassVar = {
        "cleared": "the gradients are cleared{inside} before `step()` on line {at} has used them: that step learns "
        "nothing",
        "emptied": "nothing adds up: the gradients are cleared{inside} in every iteration, but the step on line {at} "
        "comes in some only; clear them after it",
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

    def repair(self, event: Misstep, source: Source) -> Fix | None:
        """Clear after the step."""
        if event.at is None or event.inside is not None:  # a helper may do more than to clear
            return None
        edits = fixes.build.move(source, event.node, event.at, after=True)
        return fixes.build.offer("move it behind the step", "unsafe", edits)
