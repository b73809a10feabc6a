from __future__ import annotations

from typing import ClassVar

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Misstep
from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule
from flake8_detach.source import Source, code


@register
class UnscaledAccumulation(OrderRule):
    """Gradients of several iterations are added up for one step, and the loss is not divided by their number.

    ## What it does
    Reports a backward of a mean (`.mean()`, a loss of `torch.nn` with its usual reduction, a sum with such a term) that
    runs in every iteration, if the optimizer steps in every n-th one only (`if (i + 1) % n == 0:`), nothing clears the
    gradients in between, and nothing divides the loss or the gradients.

    ## Why is this bad?
    Gradients add up: that of n means is n times that of the mean over the n batches. The step is n times as long as
    with one large batch, gradient clipping bites n times as early, and the learning rate fits one n only.

    ## Known problems
    Off by default: the learning rate may be meant for the sum, and optimizers such as Adam divide the scale out of
    their steps. A loss with any factor is taken to be scaled.

    ## Fix safety
    Unsafe: the loss is divided by n where it is backwarded. The steps become smaller, as they should; an incomplete
    last group of batches weighs less.

    ## References
    - [Gradient accumulation](https://pytorch.org/docs/stable/notes/amp_examples.html#gradient-accumulation)
    """

    code = "AGD904"
    name = "unscaled-accumulation"
    default = False
    offers = ("unsafe",)
    triggers = (frozenset({"backward", "manual_backward"}), frozenset({"step"}))
    messages: ClassVar = {
        "unscaled": "the step on line {at} takes the gradients of `{subject}` iterations: divide the loss by that",
    }
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for i, batch in enumerate(torch.randn(16, 8, 4)):
    loss = net(batch).pow(2).mean()
    loss.backward()
    if (i + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for i, batch in enumerate(torch.randn(16, 8, 4)):
    loss = net(batch).pow(2).mean()
    (loss / 4).backward()
    if (i + 1) % 4 == 0:
        optimizer.step()
        optimizer.zero_grad()
""",
    )

    def repair(self, event: Misstep, source: Source) -> Fix | None:
        """Divide what is backwarded by the number of iterations, where that has a name here, too."""
        import libcst as cst

        call, every = event.node, str(event.subject)
        if not isinstance(call, cst.Call) or event.at is None or not fixes.place.same_scope(source, call, event.at):
            return None
        owner = call.func.value if isinstance(call.func, cst.Attribute) else None
        if call.args or owner is None or not all(part.isidentifier() or part.isdigit() for part in every.split(".")):
            return None
        if isinstance(owner, cst.Call):  # scaler.scale(loss).backward()
            loss = fixes.place.argument(owner, 0)
            scales = isinstance(owner.func, cst.Attribute) and owner.func.attr.value == "scale"
            if not scales or not isinstance(loss, cst.Name):
                return None
            edits = fixes.build.insert_after(source, loss, f" / {every}")
        elif isinstance(owner, cst.Name):
            edits = fixes.build.replace(source, owner, f"({code(owner)} / {every})")
        else:
            return None
        return fixes.build.offer(f"divide by `{every}`", "unsafe", edits)
