from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import LostTerm
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._lost import lost_term
from flake8_detach.source import Source


@register
class GradientPenaltyWithoutCreateGraph(Rule):
    """A gradient enters a loss without a graph of its own.

    ## What it does
    Reports `torch.autograd.grad(...)` without `create_graph=True`, and a `.grad` that `backward()` filled, when a term
    of a loss that is backwarded is made of it: a gradient penalty, the force term of a potential, a PDE residual.

    ## Why is this bad?
    The gradient is a constant, so the term is one, too: it changes the value of the loss and none of its gradients.

    ## Known problems
    A gradient that only scales or shifts something else (adversarial examples, loss weights, steps by hand) is silent.

    ## Fix safety
    Shown only: `create_graph=True` costs memory and keeps the graph.

    ## References
    - [torch.autograd.grad](https://pytorch.org/docs/stable/generated/torch.autograd.grad.html)
    """

    code = "AGD206"
    name = "gradient-penalty-without-create-graph"
    listens = (LostTerm,)
    triggers = (frozenset({"backward", "manual_backward"}), frozenset({"grad"}))
    example = Example(
        bad="""\
import torch
from torch import nn

critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
x = torch.randn(16, 4, requires_grad=True)
score = critic(x).sum()
(slope,) = torch.autograd.grad(score, x, retain_graph=True)
loss = score + 10 * (slope.norm(dim=1) - 1).pow(2).mean()
loss.backward()
""",
        good="""\
import torch
from torch import nn

critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
x = torch.randn(16, 4, requires_grad=True)
score = critic(x).sum()
(slope,) = torch.autograd.grad(score, x, create_graph=True)
loss = score + 10 * (slope.norm(dim=1) - 1).pow(2).mean()
loss.backward()
""",
    )

    def check(self, event: LostTerm, source: Source) -> Iterable[Finding]:
        if event.cause.kind == "gradient" and not event.guarded:
            yield from lost_term(self.code, event, source, f"the gradient was {event.cause.what}")
