from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.flow.events import LostTerm
from flake8_detach.rules._base import HANDED, Example, Finding, Rule, register
from flake8_detach.rules._lost import lost_term
from flake8_detach.rules._uncut import connected
from flake8_detach.source import Source


@register
class GraphCutInLoss(Rule):
    """A part of a loss is cut from the graph, so that it trains nothing.

    ## What it does
    Follows a loss that is backwarded to what it was computed from and reports where a gradient was lost on the way: by
    `.item()`, `float()`, `.detach()`, `.data`, numpy, `torch.tensor(...)`, an integer cast, a block without grad mode.
    It reports a term that is added to the loss as a constant, and a cut behind which there are parameters that an
    optimizer steps and that no backward in the file ever reaches, or only as a term of a sum, so that their gradient is
    the same number for ever.

    ## Why is this bad?
    The other terms of the loss train, so nothing complains: the number that is printed contains the term, the gradients
    do not. The weight of the term can be anything.

    ## Known problems
    A detached factor, target, weight or teacher is silent as long as what lies behind it is trained somewhere in the
    file, or by nobody. So are straight-through estimators, and losses that are added for their value but backwarded on
    their own.

    ## Fix safety
    Unsafe: the cut is taken out (`.detach()`, `.item()`, `.data`, `float()`), and `torch.tensor([a, b])` becomes
    `torch.stack([a, b])`, where that is one expression. The value of the loss stays the same, but other gradients flow.

    ## References
    - [torch.Tensor.item](https://pytorch.org/docs/stable/generated/torch.Tensor.item.html)
    - [torch.tensor](https://pytorch.org/docs/stable/generated/torch.tensor.html)
    - [torch.Tensor.detach](https://pytorch.org/docs/stable/generated/torch.Tensor.detach.html)
    """

    code = "AGD203"
    name = "graph-cut-in-loss"
    offers = ("unsafe",)
    listens = (LostTerm,)
    triggers = (frozenset({"backward", "manual_backward"}) | HANDED,)
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 2)
prediction = net(torch.randn(8, 4))
penalty = prediction.abs().mean().item()
loss = prediction.pow(2).mean() + 0.1 * penalty
loss.backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 2)
prediction = net(torch.randn(8, 4))
penalty = prediction.abs().mean()
loss = prediction.pow(2).mean() + 0.1 * penalty
loss.backward()
""",
    )

    def check(self, event: LostTerm, source: Source) -> Iterable[Finding]:
        cause = event.cause
        kinds = ("cut", "scalar", "mode") if event.constant else ("cut", "scalar")  # without grad mode: AGD211
        if cause.kind not in kinds or event.guarded:
            return
        subject = str(cause.name or cause.subject)
        what = f"`{subject}` was {cause.what}" if subject else f"the value was {cause.what}"
        once = fixes.place.computed_once(source, event.node, event.backward)
        yield from lost_term(self.code, event, source, what, None if once else connected(source, cause))
