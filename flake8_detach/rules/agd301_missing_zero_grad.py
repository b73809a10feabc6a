from __future__ import annotations

from typing import Any, ClassVar

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Misstep
from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule
from flake8_detach.source import Source, code

BACKWARDS = frozenset({"backward", "manual_backward", "autograd"})


@register
class MissingZeroGrad(OrderRule):
    """Backward adds to gradients that an optimizer has stepped with already, and the optimizer steps with the sum.

    ## What it does
    Follows the gradient of every parameter through backward, step and clearing. Reports the backward that adds to one
    which was used for a step and never cleared, if another step follows: no `zero_grad()` in the loop, `zero_grad()`
    once per epoch, clearing the gradients of other parameters. Reports the same of a tensor that the loop moves along
    its own gradient, `x -= lr * x.grad`, without an optimizer.

    Clearing counts in any form: `optimizer.zero_grad()`, `model.zero_grad()`, `p.grad = None`, `p.grad.zero_()`, in a
    helper or a closure. Several backwards before one step are accumulation, and fine.

    ## Why is this bad?
    Every step uses the sum of the gradients of all iterations so far, without any word from PyTorch. Training goes on,
    slowly, or diverges.

    ## Known problems
    Where unknown code holds the optimizer, it may clear the gradients, and nothing is reported. A network from another
    file is followed if it is the only one that is trained, and if no unknown function is given it.

    ## Fix safety
    Unsafe: `optimizer.zero_grad()` is inserted before the backward, or after a step that comes more rarely, where both
    stand in the same function. The gradients are then those of one iteration, so the values change, as they should.

    ## References
    - [torch.optim.Optimizer.zero_grad](https://pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html)
    """

    code = "AGD301"
    name = "missing-zero-grad"
    offers = ("unsafe",)
    triggers = (BACKWARDS, frozenset({"step"}))
    or_triggers = ((BACKWARDS, frozenset({".grad"}), frozenset({"+=", "add_", "sub_", "addcdiv_", "addcmul_"})),)
    messages: ClassVar = {
        "stale": "backward adds to gradients that the step on line {at} has used: nothing clears them in between",
        "heaped": "backward adds to the gradient that the update on line {at} has used: nothing clears it in between",
    }
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for batch in torch.randn(10, 8, 4):
    loss = net(batch).pow(2).mean()
    loss.backward()
    optimizer.step()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for batch in torch.randn(10, 8, 4):
    loss = net(batch).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
    )

    def repair(self, event: Misstep, source: Source) -> Fix | None:
        """Clear the gradients of the optimizer that is stepped."""
        import libcst as cst

        step = event.at
        if not isinstance(step, cst.Call) or not isinstance(step.func, cst.Attribute) or step.func.attr.value != "step":
            return None
        if not fixes.place.same_scope(source, event.node, step):
            return None
        owner = fixes.place.argument(step, 0) if step.args else step.func.value  # scaler.step(optimizer)
        if not isinstance(owner, (cst.Name, cst.Attribute)):
            return None
        call = f"{code(owner)}.zero_grad()"
        rarer = _in_turns(source, step, event.node)  # what several backwards add up is cleared after it
        place = step if rarer else event.node
        edits = fixes.build.insert_line(source, place, call, after=rarer)
        return fixes.build.offer(f"insert `{call}`", "unsafe", edits)


def _in_turns(source: Source, step: Any, backward: Any) -> bool:
    """Does the step stand under `if i % n == 0:`, and the backward not?"""
    import libcst as cst

    around = set()
    node = backward
    while (node := source.parent(node)) is not None:
        around.add(id(node))
    node = step
    while (node := source.parent(node)) is not None and id(node) not in around:
        if isinstance(node, cst.If) and "%" in code(node.test):
            return True
    return False
