from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Retained
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.rules._kept import cause, detached, held, trail
from flake8_detach.source import Source


@register
class GraphKeptInAccumulator(Rule):
    """A running sum adds up tensors with their graphs, so that no iteration's graph is ever let go.

    ## What it does
    Runs the body of a loop a second time on what the first iteration left, and reports a variable, an attribute or an
    entry whose new value is added up from its old one (`total += loss`, an average, an exponential moving average) and
    still carries the graphs of both, if no backward ever needs them.

    ## Why is this bad?
    Every graph that was added stays in memory for as long as the sum does: the whole forward pass with its activations
    if nothing was backwarded, the nodes of the graph if it was. Memory grows with every iteration, often for hours
    until it runs out.

    ## Known problems
    A sum that is handed to code outside of the file, or that some backward of the file may reach, is not reported:
    losses that are summed up to be backwarded together are meant to keep their graphs. Nor is a loop over a few
    elements that are written out, nor one over at most 16 numbers if no backward has freed what it keeps and no
    optimizer steps in it.

    ## Fix safety
    Safe: `.detach()` is inserted where the sum is made, which keeps the values; nothing backwards the sum. Unsafe where
    that rests on a presumption. Where the sum is only printed, `.item()` serves as well.

    ## References
    - [PyTorch FAQ: my model reports "cuda runtime error(2): out of memory"](https://pytorch.org/docs/stable/notes/faq.html)
    """

    code = "AGD401"
    name = "graph-kept-in-accumulator"
    offers = ("safe", "unsafe")
    listens = (Retained,)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
total = 0.0
for x in torch.randn(100, 8, 4):
    loss = net(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss
print(total / 100)
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
total = 0.0
for x in torch.randn(100, 8, 4):
    loss = net(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    total += loss.item()
print(total / 100)
""",
    )

    def check(self, event: Retained, source: Source) -> Iterable[Finding]:
        if event.how != "sum" or not event.tensor.grad.yes:
            return
        yield Finding(
            self.code,
            f"`{event.subject}` sums up tensors with their graphs: {held(event, source)}; add `.item()` or `.detach()`",
            source.span(event.node),
            confidence(event.tensor.grad),
            trail(event, source),
            detached(event, source, "safe" if event.tensor.grad.proved and not event.presumed else "unsafe"),
            cause=cause(event),
        )
