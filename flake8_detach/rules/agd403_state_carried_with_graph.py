from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Retained
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.rules._kept import cause, detached, held, trail
from flake8_detach.source import Source


@register
class StateCarriedWithGraph(Rule):
    """A state is computed from its own last value in every iteration, and its graph grows back to the first.

    ## What it does
    Runs the body of a loop a second time on what the first iteration left, and reports a variable or an attribute whose
    new value is computed from its old one (the hidden state of a recurrent layer, a memory, a simulated position) and
    carries the graph of both, if no backward ever goes through it.

    ## Why is this bad?
    The graph reaches back to the first iteration and all of its activations stay in memory. Nothing ever uses them.

    ## Known problems
    A state that some backward of the file may reach, or that is handed to code outside of the file, is not reported. A
    backward in each iteration through a state that was not detached raises: that is backward-twice.

    ## Fix safety
    Unsafe: `.detach()` is inserted where the state is computed, which keeps the values, but no gradient comes through
    the state any more. Not offered for a tuple of states; a `with torch.no_grad():` around the loop may serve better.

    ## References
    - [torch.no_grad](https://pytorch.org/docs/stable/generated/torch.no_grad.html)
    """

    code = "AGD403"
    name = "state-carried-with-graph"
    offers = ("unsafe",)
    listens = (Retained,)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch
from torch import nn

cell = nn.GRUCell(4, 8)
head = nn.Linear(8, 1)
optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.1)
head(cell(torch.randn(2, 4))).mean().backward()
optimizer.step()
state = torch.zeros(2, 8)
for x in torch.randn(500, 2, 4):
    state = cell(x, state)
    print(head(state).argmax(0))
""",
        good="""\
import torch
from torch import nn

cell = nn.GRUCell(4, 8)
head = nn.Linear(8, 1)
optimizer = torch.optim.SGD([*cell.parameters(), *head.parameters()], lr=0.1)
head(cell(torch.randn(2, 4))).mean().backward()
optimizer.step()
state = torch.zeros(2, 8)
with torch.no_grad():
    for x in torch.randn(500, 2, 4):
        state = cell(x, state)
        print(head(state).argmax(0))
""",
    )

    def check(self, event: Retained, source: Source) -> Iterable[Finding]:
        if event.how != "state" or not event.tensor.grad.yes:
            return
        yield Finding(
            self.code,
            f"`{event.subject}` is computed from its last value with its graph: {held(event, source)}; "
            "detach it or use `no_grad`",
            source.span(event.node),
            confidence(event.tensor.grad),
            trail(event, source),
            detached(event, source, "unsafe"),
            cause=cause(event),
        )
