from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Missing
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class MissingApi(Rule):
    """An attribute, function or keyword is used that PyTorch does not have.

    ## What it does
    Reports what has been removed (`y.creator`, `x.reinforce(...)`, `torch.autograd.variable(...)`); keywords that the
    function does not take (`loss.backward(retain_variables=True)`, a misspelt `requires_grad=`, `requires_grad=` where
    no tensor is made); an attribute that is called (`x.requires_grad()`), a method that is not (`x.detach.numpy()`,
    `for p in model.parameters:`), an attribute of tensors asked of a module (`model.grad`), `Variable` or
    `nn.Parameter` of something that is no tensor, a module that is called but has no `forward`, and the shape or value
    of a lazy module's parameter before its first call. Also what is still taken but ignored: `volatile=True`,
    `x.volatile = True`, `autograd.grad(..., only_inputs=False)`.

    ## Why is this bad?
    Python raises an AttributeError or a TypeError when the line runs. What is ignored only warns: the graph is built in
    spite of `volatile`, no `.grad` is filled in spite of `only_inputs=False`.

    ## Known problems
    Only files that mention `backward` or `autograd` are looked at. Checked against torch 2.13; a very old torch may
    still have what is reported here as removed.

    ## Fix safety
    Shown only: the message says what there is instead.

    ## References
    - [torch.autograd](https://pytorch.org/docs/stable/autograd.html)
    """

    code = "AGD124"
    name = "missing-api"
    listens = (Missing,)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
scale = nn.Parameter(torch.ones(1), require_grad=False)
loss = (net(torch.randn(8, 4)) * scale).pow(2).mean()
loss.backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
scale = nn.Parameter(torch.ones(1), requires_grad=False)
loss = (net(torch.randn(8, 4)) * scale).pow(2).mean()
loss.backward()
""",
    )

    def check(self, event: Missing, source: Source) -> Iterable[Finding]:
        if not event.guarded:
            raises = " raises:" if event.raises else ""
            yield Finding(self.code, f"`{event.subject}`{raises} {event.problem}", source.span(event.node))
