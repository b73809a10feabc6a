from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import GraphDropped
from flake8_detach.rules._base import TRAINING, Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class MetaLearningCut(Rule):
    """Values that were to be differentiated through are copied into a leaf.

    ## What it does
    Reports `p.data = ...`, `p.data -= ...`, `nn.Parameter(...)`, `load_state_dict(...)` and `vector_to_parameters(...)`
    with a value that has a graph, where that graph is needed: it holds a gradient made with `create_graph=True` that
    nothing else differentiates; or an optimizer steps what the value was made of (or it was told to require grad by
    hand), and no backward reaches that; or a `forward` wraps it in a new `nn.Parameter` in every call.

    ## Why is this bad?
    A leaf takes over the values only. The outer loss does not depend on the inner step any more: the learner, the
    hypernetwork, the learned learning rate gets no gradient, and nothing is said.

    ## Known problems
    Looked for only in what hangs together with training: a backward, an optimizer or autograd in the same file.
    Copies for an initialisation or a moving average are not reported: what they copy is trained elsewhere, or not at
    all.

    ## Fix safety
    Shown only: keep the updated tensors and call the module with them by `torch.func.functional_call`.

    ## References
    - [torch.func.functional_call](https://pytorch.org/docs/stable/generated/torch.func.functional_call.html)
    """

    code = "AGD216"
    name = "meta-learning-cut"
    listens = (GraphDropped,)
    triggers = (
        frozenset({".data=", "Parameter", "load_state_dict", "vector_to_parameters", "._", "[]=", "+="}),
        frozenset({".data", "Parameter", "load_state_dict", "vector_to_parameters"}),
        TRAINING,
    )
    example = Example(
        bad="""\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        self.weight = nn.Parameter(self.weight / self.weight.norm())
        return x @ self.weight


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
""",
        good="""\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return x @ (self.weight / self.weight.norm())


net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
""",
    )

    def check(self, event: GraphDropped, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        message = f"{event.how} takes values without their graph (`{event.subject}`): {MESSAGES[event.why]}"
        yield Finding(self.code, message, source.span(event.node))


MESSAGES = {
    "second": "the gradient that `create_graph=True` made is differentiated by nothing",
    "source": "what they were made of is given to an optimizer and gets no gradient",
    "leaf": "what they were made of requires grad and gets no gradient",
    "forward": "every call makes a new leaf, which no optimizer knows",
}
