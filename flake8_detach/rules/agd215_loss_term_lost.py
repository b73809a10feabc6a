from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import LossForgotten
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source

WHY = {
    "unread": "`{}` is computed with its graph and never used: it is in no loss that is backwarded, and trains nothing",
    "overwritten": "`{}` is overwritten before anything uses it: this term trains nothing",
    "unread result": "`{}` is never used: no backward reaches the parameters behind it, which an optimizer steps",
    "overwritten result": "`{}` is overwritten before anything uses it: no backward reaches the parameters behind it",
    "thrown": "the value of `{}` is thrown away: no backward sees it, and it trains nothing; assign it",
    "late": "this is added to `{}` after its `backward()`: no backward sees it, and it trains nothing",
    "anew": "`{}` began at 0{} and is set anew in each iteration: only the last term trains; add with `+=`",
    "anew in place": "`{}` is the same place in each iteration{}: only the last term trains; add with `+=`",
    "cut short": "the loop returns in its first iteration: `{}`, which began at 0{}, gets one term; dedent this",
    "=+": "`=+` is not `+=`: `{}` is overwritten, and what it held{} is lost",
    "=-": "`=-` is not `-=`: `{}` is overwritten, and what it held{} is lost",
}


@register
class LossTermLost(Rule):
    """A term of a loss is computed and never backwarded.

    ## What it does
    Reports a scalar that carries a gradient of parameters that are trained, and that is bound to a name which is never
    read, or overwritten before it is read, or added to a loss that has been backwarded already; or that an operator
    makes in a statement of its own, `loss + term`. Also the result of
    layers that is never read, if an optimizer steps their parameters and no backward of the file reaches them.
    Also a sum that is none: set to zero before a loop and set anew, not added to, by each iteration, or put under one
    key of a dict of losses, or in one attribute, by all of them; and `loss =+ term`
    for `loss += term`. And a loop that adds to such a sum and returns it in its first iteration.

    ## Why is this bad?
    The term costs a forward pass and has no effect. Mostly the line that adds it to the total was forgotten, or the
    function returns the wrong one of two names.

    ## Known problems
    A value that is only printed counts as used. Functions that look at their own variables (`locals()`, `exec`) are
    passed over.

    ## Fix safety
    Shown only: whether the term is to be added or deleted, the text cannot tell.

    ## References
    - [torch.Tensor.backward](https://pytorch.org/docs/stable/generated/torch.Tensor.backward.html)
    """

    code = "AGD215"
    name = "loss-term-lost"
    listens = (LossForgotten,)
    triggers = (frozenset({"backward", "manual_backward"}),)
    example = Example(
        bad="""\
import torch
from torch import nn


def step(net, optimizer, x):
    out = net(x)
    fit = out.pow(2).mean()
    size = out.abs().mean()
    optimizer.zero_grad()
    fit.backward()
    optimizer.step()


net = nn.Linear(4, 2)
step(net, torch.optim.SGD(net.parameters(), lr=0.1), torch.randn(8, 4))
""",
        good="""\
import torch
from torch import nn


def step(net, optimizer, x):
    out = net(x)
    fit = out.pow(2).mean()
    size = out.abs().mean()
    optimizer.zero_grad()
    (fit + size).backward()
    optimizer.step()


net = nn.Linear(4, 2)
step(net, torch.optim.SGD(net.parameters(), lr=0.1), torch.randn(8, 4))
""",
    )

    def check(self, event: LossForgotten, source: Source) -> Iterable[Finding]:
        if not event.guarded:
            line = f" (line {source.line(event.before)})" if event.before is not None else ""
            yield Finding(self.code, WHY[event.how].format(event.subject, line), source.span(event.node), "likely")
