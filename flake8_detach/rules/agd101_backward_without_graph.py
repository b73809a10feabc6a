from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Backward
from flake8_detach.rules._base import HANDED, Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence, reason, trail
from flake8_detach.rules._uncut import connected
from flake8_detach.source import Source


@register
class BackwardWithoutGraph(Rule):
    """Backward on a value that is cut from the graph.

    ## What it does
    Follows the value that `backward()`, `torch.autograd.backward` or `torch.autograd.grad` starts from back to what it
    was made of, and reports when nothing in it requires grad any more: it was detached, copied, computed while grad
    mode was off, made by an op without a derivative, or all of its parameters are frozen.

    ## Why is this bad?
    PyTorch raises "element 0 of tensors does not require grad and does not have a grad_fn" when the line runs, which
    may be hours into a run or in a branch that is hardly ever taken. The line that raises is not the line that is
    wrong: the message names the one that cut the value.

    ## Known problems
    What comes from unknown code may or may not require grad, so nothing is reported about it. A function that nobody
    in the file calls is taken to run with grad mode on.

    ## Fix safety
    Unsafe: the cut is taken out (`.detach()`, `.item()`, `.data`, `torch.tensor([a, b])`) where it is one expression.
    Then the gradient flows where it did not, which may not have been meant. A grad mode, a frozen layer or an operation
    without a derivative is left to you.

    ## References
    - [torch.Tensor.backward](https://pytorch.org/docs/stable/generated/torch.Tensor.backward.html)
    - [Autograd mechanics](https://pytorch.org/docs/stable/notes/autograd.html)
    """

    code = "AGD101"
    name = "backward-without-graph"
    offers = ("unsafe",)
    listens = (Backward,)
    triggers = (frozenset({"backward", "autograd", "manual_backward"}) | HANDED,)
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
prediction = net(torch.randn(8, 4)).detach()
loss = prediction.pow(2).mean()
loss.backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
prediction = net(torch.randn(8, 4))
loss = prediction.pow(2).mean()
loss.backward()
""",
    )

    def check(self, event: Backward, source: Source) -> Iterable[Finding]:
        if event.root is None or not event.root.grad.no or event.guarded:
            return
        cause = event.root.why
        why = reason(cause, source, "nothing in it requires grad")
        yield Finding(
            self.code,
            f"{event.told} has no graph to follow: {why}",
            source.span(event.node),
            confidence(event.root.grad),
            trail(cause, source),
            fix=connected(source, cause),
            cause=cause and cause.site,
        )
