from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import LeafBackwarded, LostTerm
from flake8_detach.flow.values import PRESUMED_YES
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence, reason, trail
from flake8_detach.source import Source


@register
class FakeRequiresGrad(Rule):
    """A value that lost its graph is made to require grad, and then backwarded.

    ## What it does
    Reports `requires_grad_()`, `requires_grad = True`, `Variable(..., requires_grad=True)` and
    `torch.tensor(..., requires_grad=True)` on a value that was cut from the graph, if backward starts from it, or if
    parameters that an optimizer steps lie behind it and get no gradient from anywhere else. Also reports
    `torch.tensor(score, requires_grad=True)` of a number that was computed, if backward starts from it and the file has
    an optimizer.

    ## Why is this bad?
    It silences "element 0 of tensors does not require grad", and nothing else: the value is a leaf now, backward ends
    there, and the parameters that it was computed from never change.

    ## Known problems
    A constant that stands in for a loss, `torch.tensor(0.0, requires_grad=True)`, is silent. So is a value that is made
    a leaf on purpose: its `.grad` is read, `autograd.grad` asks for it, an optimizer steps it, or what lies behind it
    is trained elsewhere in the file.

    ## Fix safety
    Shown only: the switch has to go, and the cut before it as well.

    ## References
    - [torch.Tensor.requires_grad_](https://pytorch.org/docs/stable/generated/torch.Tensor.requires_grad_.html)
    - [torch.tensor](https://pytorch.org/docs/stable/generated/torch.tensor.html)
    """

    code = "AGD204"
    name = "fake-requires-grad"
    listens = (LostTerm, LeafBackwarded)
    triggers = (frozenset({"backward", "manual_backward"}), frozenset({"requires_grad", "requires_grad_"}))
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
loss = torch.tensor(net(torch.randn(8, 4)).mean().item(), requires_grad=True)
loss.backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
loss = net(torch.randn(8, 4)).mean()
loss.backward()
""",
    )

    def check(self, event: LostTerm | LeafBackwarded, source: Source) -> Iterable[Finding]:
        if isinstance(event, LeafBackwarded):
            line = source.line(event.backward)
            message = f"`{event.root}` is made of numbers here: `backward()` (line {line}) ends here and trains nothing"
            yield Finding(self.code, message, source.span(event.node), confidence(PRESUMED_YES), cause=event.node)
            return
        cause = event.cause
        if cause.kind != "faked" or event.guarded:
            return
        before = cause.before and (cause.before.loss or cause.before)
        yield Finding(
            self.code,
            "requiring grad does not bring the graph back: `backward()` "
            f"(line {source.line(event.backward)}) ends here and trains nothing; {reason(before, source, '')}",
            source.span(event.node),
            confidence(event.cause.lost),
            trail(cause, source),
            cause=before and before.site,
        )
