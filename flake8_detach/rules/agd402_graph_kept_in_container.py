from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Retained
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.rules._kept import cause, detached, held, trail
from flake8_detach.source import Source


@register
class GraphKeptInContainer(Rule):
    """Every iteration puts a tensor with its graph into a list that outlives it.

    ## What it does
    Runs the body of a loop a second time on what the first iteration left, and reports what puts a tensor that carries
    a graph into a list, set or dict that then holds the graphs of both iterations, if no backward ever needs them.
    So does what stores it under an index or key that may be another one each time, and what stores it in each element
    of a list from before the loop, be it an entry or an attribute. A lambda, function or `partial` that holds such a
    tensor for later counts if the graph was backwarded before.

    ## Why is this bad?
    A tensor in a list keeps its graph alive: the whole forward pass with its activations if nothing was backwarded, the
    nodes of the graph if it was. Memory grows with every iteration until the list goes.

    ## Known problems
    A list that is handed to code outside of the file, that elements are taken out of, or whose elements some backward
    of the file may reach, is not reported; nor is a deque with a `maxlen`.

    ## Fix safety
    Unsafe: `.detach()` is inserted for what is put in, which keeps the values, but what other files do with the
    container cannot be seen. Not offered for what only holds the tensor: a tuple, a dict.

    ## References
    - [PyTorch FAQ: my model reports "cuda runtime error(2): out of memory"](https://pytorch.org/docs/stable/notes/faq.html)
    """

    code = "AGD402"
    name = "graph-kept-in-container"
    offers = ("unsafe",)
    listens = (Retained,)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
history = []
for x in torch.randn(100, 8, 4):
    loss = net(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss)
print(len(history), history[-1])
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
history = []
for x in torch.randn(100, 8, 4):
    loss = net(x).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    history.append(loss.item())
print(len(history), history[-1])
""",
    )

    def check(self, event: Retained, source: Source) -> Iterable[Finding]:
        if event.how != "container" or not event.tensor.grad.yes:
            return
        yield Finding(
            self.code,
            f"`{event.subject}` keeps a graph: {held(event, source)}; put in `.item()` or `.detach()`",
            source.span(event.node),
            confidence(event.tensor.grad),
            trail(event, source),
            detached(event, source, "unsafe"),
            cause=cause(event),
        )
