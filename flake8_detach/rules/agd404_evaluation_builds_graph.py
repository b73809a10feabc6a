from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Evaluated
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class EvaluationBuildsGraph(Rule):
    """A loop runs a trained module in evaluation mode with grad mode on, and nothing ever backwards the result.

    ## What it does
    Reports the call of a module after `.eval()`, in a loop without a backward, with grad mode on, if the file trains
    this module elsewhere and no backward of the file can reach what the call returned.

    ## Why is this bad?
    `.eval()` switches dropout and batch normalisation; it does not switch autograd off. Each forward pass still records
    a graph and keeps all activations until its result is let go: evaluation needs several times the memory and some
    more time, and is the first to run out of memory on large inputs.

    ## Known problems
    Only modules that `.eval()` was called on are looked at, and results that are handed to code outside of the file are
    not reported: it may need their gradient.

    ## Fix safety
    Unsafe: the loop is put under `with torch.no_grad():`, which keeps the values, but what it leaves behind carries no
    graph.

    ## References
    - [Autograd mechanics: evaluation mode](https://pytorch.org/docs/stable/notes/autograd.html#evaluation-mode-nn-module-eval)
    """

    code = "AGD404"
    name = "evaluation-builds-graph"
    offers = ("unsafe",)
    listens = (Evaluated,)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
nn.functional.cross_entropy(net(torch.randn(8, 4)), torch.randint(0, 3, (8,))).backward()
optimizer.step()
net.eval()
right = 0
for x in torch.randn(100, 8, 4):
    right += (net(x).argmax(1) == 0).sum().item()
print(right)
""",
        good="""\
import torch
from torch import nn

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
nn.functional.cross_entropy(net(torch.randn(8, 4)), torch.randint(0, 3, (8,))).backward()
optimizer.step()
net.eval()
right = 0
with torch.no_grad():
    for x in torch.randn(100, 8, 4):
        right += (net(x).argmax(1) == 0).sum().item()
print(right)
""",
    )

    def check(self, event: Evaluated, source: Source) -> Iterable[Finding]:
        yield Finding(
            self.code,
            f"`{event.subject}` is in evaluation mode, but every call records a graph that nothing backwards; "
            "put the loop under `torch.no_grad()`",
            source.span(event.node),
            confidence(event.result.grad),
            fix=self._repair(event, source),
            cause=event.loop,
        )

    def _repair(self, event: Evaluated, source: Source) -> Fix | None:
        mode = fixes.place.spelling(source, "torch.no_grad", event.loop)
        edits = fixes.build.wrap_in_with(source, event.loop, f"{mode}()") if mode else ()
        return fixes.build.offer(f"put the loop under `{mode}()`", "unsafe", edits)
