from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.flow.events import NeedlesslyKept
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class NeedlessRetainGraph(Rule):
    """A loop backwards with `retain_graph=True`, and no other backward goes through the graph that is kept.

    ## What it does
    Reports `backward(retain_graph=True)` in a loop if, wherever the call is reached from, no further backward of the
    file comes by any node of that graph; and `backward(create_graph=True)` in a loop if nobody clears the gradients.

    ## Why is this bad?
    Backward frees the activations of a graph as it goes. Kept, they stay in memory until the last tensor of the graph
    is let go: the next forward pass runs beside them, which about doubles the peak. And what was put there to silence
    "Trying to backward through the graph a second time" hides the next such bug. With `create_graph=True` the gradients
    themselves have graphs: each is added to the last one, and the graph of their sum grows with every iteration.

    ## Known problems
    If the loss is handed to code outside of the file, that may backward it again: it is not reported.

    ## Fix safety
    Unsafe: `retain_graph=True` is taken out. The gradients stay the same; another file that backwards through the same
    graph would raise.

    ## References
    - [torch.Tensor.backward](https://pytorch.org/docs/stable/generated/torch.Tensor.backward.html)
    """

    code = "AGD405"
    name = "needless-retain-graph"
    offers = ("unsafe",)
    listens = (NeedlesslyKept,)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for x in torch.randn(100, 8, 4):
    loss = net(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward(retain_graph=True)
    optimizer.step()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for x in torch.randn(100, 8, 4):
    loss = net(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
    )

    def check(self, event: NeedlesslyKept, source: Source) -> Iterable[Finding]:
        if event.created:
            what = "`create_graph=True` gives gradients a graph, and nothing clears them: each iteration keeps"
            yield Finding(self.code, f"{what} that of the last; use `torch.autograd.grad`", source.span(event.node))
            return
        yield Finding(
            self.code,
            f"`retain_graph=True` keeps the graph of `{event.subject}`, but nothing backwards through it again",
            source.span(event.node),
            fix=fixes.build.offer(
                "drop `retain_graph=True`", "unsafe", fixes.build.remove_argument(source, event.node, "retain_graph")
            ),
        )
