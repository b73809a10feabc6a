from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Hooked
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence, reason, trail
from flake8_detach.source import Source


@register
class HookOnGraphlessTensor(Rule):
    """A gradient hook on a tensor that does not require grad.

    ## What it does
    Reports `retain_grad()`, `register_hook()` and `register_post_accumulate_grad_hook()` on a tensor that carries no
    gradient: a detached one, an input, an activation computed under `no_grad`.

    ## Why is this bad?
    PyTorch raises "can't retain_grad on Tensor that has requires_grad=False" or "cannot register a hook on a tensor
    that doesn't require gradient".

    ## Known problems
    What comes from unknown code may require grad and is not reported.

    ## Fix safety
    Shown only: call `.requires_grad_()` first, or keep the graph.

    ## References
    - [torch.Tensor.retain_grad](https://pytorch.org/docs/stable/generated/torch.Tensor.retain_grad.html)
    """

    code = "AGD116"
    name = "hook-on-graphless-tensor"
    listens = (Hooked,)
    triggers = (frozenset({"retain_grad", "register_hook", "register_post_accumulate_grad_hook", "get_gradient_edge"}),)
    example = Example(
        bad="""\
import torch

x = torch.ones(3, requires_grad=True)
y = (x * 2).detach()
y.retain_grad()
""",
        good="""\
import torch

x = torch.ones(3, requires_grad=True)
y = x * 2
y.retain_grad()
""",
    )

    def check(self, event: Hooked, source: Source) -> Iterable[Finding]:
        if event.guarded or not event.tensor.grad.no:
            return
        why = reason(event.tensor.why, source, f"`{event.subject}` does not require grad")
        yield Finding(
            self.code,
            f"`{event.method}()` raises, `{event.subject}` has no gradient: {why}",
            source.span(event.node),
            confidence(event.tensor.grad),
            trail(event.tensor.why, source),
            cause=event.tensor.why and event.tensor.why.site,
        )
