from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.flow.events import Backward
from flake8_detach.rules._base import HANDED, Example, Finding, Note, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class BackwardTwice(Rule):
    """Backward goes a second time through a graph that an earlier backward has freed.

    ## What it does
    Follows the graph of the backwarded value and reports when it leads through an operation whose saved tensors were
    freed by an earlier `backward()` or `autograd.grad` without `retain_graph=True`: the same loss twice, a forward that
    two losses share, a state that is carried over to the next iteration.

    ## Why is this bad?
    PyTorch raises "Trying to backward through the graph a second time". In a loop that is the second iteration.

    ## Known problems
    Operations that save nothing (additions, views, sums) can be gone through any number of times and do not count.

    ## Fix safety
    Shown only: `retain_graph=True` for the first backward keeps the graph, and is right only where both losses shall
    reach all of it; else detach the value where it is handed over, or run the forward again.

    ## References
    - [torch.Tensor.backward](https://pytorch.org/docs/stable/generated/torch.Tensor.backward.html)
    """

    code = "AGD103"
    name = "backward-twice"
    offers = ("display",)
    listens = (Backward,)
    triggers = (frozenset({"backward", "autograd", "manual_backward"}) | HANDED,)
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
shared = net(torch.randn(8, 4))
shared.pow(2).mean().backward()
shared.abs().mean().backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 4), nn.Tanh())
shared = net(torch.randn(8, 4))
(shared.pow(2).mean() + shared.abs().mean()).backward()
""",
    )

    def check(self, event: Backward, source: Source) -> Iterable[Finding]:
        if event.root is None or not event.freed.yes or not event.root.grad.yes or event.guarded:
            return
        first = event.freed_at
        what = event.told
        if first is None or first is event.node:
            where = "by an earlier backward"
            if first is not None:
                looped = fixes.place.in_loop(source, first)  # else its function is called again
                where = "by itself in the previous iteration" if looped else "by itself in an earlier call"
            trail: tuple[Note, ...] = ()
        else:
            where = f"by the backward on line {source.line(first)}"
            trail = (Note(source.span(first), "frees the graph"),)
        fix = None
        if event.freed_at is not None:
            edits = fixes.build.add_argument(source, event.freed_at, "retain_graph", "True")
            fix = fixes.build.offer("pass `retain_graph=True` there", "display", edits)
        yield Finding(
            self.code,
            f"{what} goes through a graph that was freed {where}",
            source.span(event.node),
            confidence(event.freed, event.root.grad),
            trail,
            fix,
        )
