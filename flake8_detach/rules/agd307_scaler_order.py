from __future__ import annotations

from typing import ClassVar

from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule


@register
class ScalerOrder(OrderRule):
    """The calls of a GradScaler are out of order.

    ## What it does
    Follows `scale`, `unscale_`, `step` and `update` of a GradScaler. Reports what PyTorch refuses (`step` twice without
    `update`, `unscale_` twice or after `step`, anything before `scale`, `scale` of a number), and what it does not: a
    loss that is backwarded without `scale`, and an optimizer that steps on its own with scaled gradients.

    ## Why is this bad?
    Out of order, PyTorch raises. An unscaled loss makes steps 65536 times too small, a step without the scaler such
    that are 65536 times too big; both without a word.

    ## Known problems
    A scaler made with `enabled=False` does nothing and is not reported. Where the scale is read by `get_scale()`,
    gradients may be unscaled by hand.

    ## Fix safety
    Shown only: `scaler.scale(loss).backward()`, `scaler.unscale_(optimizer)`, `scaler.step(optimizer)`,
    `scaler.update()`.

    ## References
    - [torch.amp.GradScaler](https://pytorch.org/docs/stable/amp.html#gradient-scaling)
    """

    code = "AGD307"
    name = "scaler-order"
    triggers = (
        frozenset({"scale", "step", "update", "unscale_", "backward"}),
        frozenset({"GradScaler"}),
    )
    messages: ClassVar = {
        "unscale-twice": "`unscale_` raises: the gradients have been unscaled already since the last `update()`",
        "unscale-after-step": "`unscale_` raises: the scaler has stepped this optimizer already; call it before `step`",
        "step-twice": "`step` raises: the scaler has stepped this optimizer already since the last `update()`",
        "before-scale": "`{subject}` raises: the scaler has not scaled anything yet",
        "update-without-step": "`update` raises: the scaler has not stepped any optimizer since `scale`",
        "nothing-to-step": "`step` raises: no backward has reached any parameter of this optimizer",
        "step-closure": "`step` raises: an enabled GradScaler takes no closure",
        "scale-number": "`scale` raises: it wants a tensor, not a Python number",
        "never-scaled": "this loss was not scaled, but `scaler.step()` on line {at} divides its gradients by the scale",
        "step-scaled": "steps with gradients that are still scaled (line {at}): use `scaler.step(optimizer)`",
    }
    raising = frozenset(
        {
            "unscale-twice",
            "unscale-after-step",
            "step-twice",
            "before-scale",
            "update-without-step",
            "scale-number",
            "step-closure",
            "nothing-to-step",
        }
    )
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu")
for batch in torch.randn(10, 8, 4):
    optimizer.zero_grad()
    scaler.scale(net(batch).pow(2).mean()).backward()
    scaler.step(optimizer)
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
scaler = torch.amp.GradScaler("cpu")
for batch in torch.randn(10, 8, 4):
    optimizer.zero_grad()
    scaler.scale(net(batch).pow(2).mean()).backward()
    scaler.step(optimizer)
    scaler.update()
""",
    )
