from __future__ import annotations

from typing import ClassVar

from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule


@register
class StepWithoutBackward(OrderRule):
    """An optimizer steps in every iteration before backward has filled the gradients, or never steps at all.

    ## What it does
    Reports `optimizer.step()` that runs after the gradients were cleared and before the backward of its own iteration,
    so that it never finds one; and the `zero_grad()` of an optimizer whose parameters, and no others, a backward fills,
    and that nothing in the file ever steps.

    ## Why is this bad?
    No step ever uses a gradient: every backward's work is cleared before the next step comes by. PyTorch says nothing.

    ## Known problems
    An optimizer that other code may have got hold of is taken for one that it steps. A step that uses the gradients
    of the previous iteration, because they are cleared after it, is not reported.

    ## Fix safety
    Shown only: move the step behind the backward.

    ## References
    - [torch.optim](https://pytorch.org/docs/stable/optim.html#taking-an-optimization-step)
    """

    code = "AGD303"
    name = "step-without-backward"
    triggers = (frozenset({"step"}), frozenset({"backward", "manual_backward", "autograd"}))
    messages: ClassVar = {
        "step-first": "`step()`{inside} finds no gradient: it runs before the backward (line {at}), whose work is "
        "cleared",
        "never": "clears gradients that no step has used: the optimizer made on line {at} is never stepped",
    }
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for batch in torch.randn(10, 8, 4):
    optimizer.zero_grad()
    loss = net(batch).pow(2).mean()
    optimizer.step()
    loss.backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for batch in torch.randn(10, 8, 4):
    optimizer.zero_grad()
    loss = net(batch).pow(2).mean()
    loss.backward()
    optimizer.step()
""",
    )
