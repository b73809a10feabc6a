from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import DetachedInPlace, Event, Requires
from flake8_detach.flow.values import NO
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class ChangeRequiresGradOfNonleaf(Rule):
    """`requires_grad` of a computed tensor is switched off, or a view is detached in place.

    ## What it does
    Reports `y.requires_grad = False` and `y.requires_grad_(False)` on the result of an operation that carries a graph,
    and `detach_()` on a view. Also a value that is no bool, and assignments to `grad_fn` and `is_leaf`.

    ## Why is this bad?
    PyTorch raises "you can only change requires_grad flags of leaf variables" and "Can't detach views in-place".

    ## Known problems
    `requires_grad_()` of a computed tensor raises
    nothing and does nothing; that is another rule.

    ## Fix safety
    Shown only: `y = y.detach()` has the effect that was meant.

    ## References
    - [torch.Tensor.detach](https://pytorch.org/docs/stable/generated/torch.Tensor.detach.html)
    """

    code = "AGD108"
    name = "change-requires-grad-of-nonleaf"
    listens = (Requires, DetachedInPlace)
    triggers = (
        frozenset({".requires_grad=", "requires_grad_", "detach_", ".grad_fn=", ".is_leaf="}),
        frozenset({"torch"}),
    )
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
features = net(torch.randn(8, 4))
features.requires_grad = False
head = nn.Linear(1, 1)
head(features).sum().backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
features = net(torch.randn(8, 4))
features = features.detach()
head = nn.Linear(1, 1)
head(features).sum().backward()
""",
    )

    def check(self, event: Event, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        if isinstance(event, DetachedInPlace) and event.tensor.view in ("view", "multi"):
            message = f"`{event.subject}` is a view, which cannot be detached in place; use `.detach()`"
            yield Finding(self.code, message, source.span(event.node), confidence(event.tensor.leaf))
        elif isinstance(event, Requires) and event.refused:
            yield Finding(self.code, f"setting `{event.how}` raises: {event.refused}", source.span(event.node))
        elif isinstance(event, Requires) and event.tensor.leaf.no and event.tensor.grad.yes:
            if event.asked is not NO and not event.assigned:
                return  # `requires_grad_()` of a computed tensor does nothing, silently
            message = f"setting `{event.how}` raises: `{event.subject}` is not a leaf; use `.detach()`"
            facts = (event.tensor.leaf, event.tensor.grad)
            yield Finding(self.code, message, source.span(event.node), confidence(*facts))
