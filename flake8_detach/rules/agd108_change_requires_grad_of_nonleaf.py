from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import DetachedInPlace, Event, Requires
from flake8_detach.flow.values import NO
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source, code


@register
class ChangeRequiresGradOfNonleaf(Rule):
    """`requires_grad` of a computed tensor is switched off, or a view is detached in place.

    ## What it does
    Reports `y.requires_grad = False` and `y.requires_grad_(False)` on the result of an operation that carries a graph,
    and `detach_()` on a view. Also what the attributes of autograd refuse: a flag that is no bool, a `.grad` that is no
    tensor or of another shape or dtype, integer `.data`, assignments to `grad_fn` and `is_leaf`, `grad_dtype` and
    `__setstate__` of what is not a leaf.

    ## Why is this bad?
    PyTorch raises "you can only change requires_grad flags of leaf variables" and "Can't detach views in-place".

    ## Known problems
    `requires_grad_()` of a computed tensor raises
    nothing and does nothing; that is another rule.

    ## Fix safety
    Safe: `y = y.detach()` takes the place of the statement, `.detach()` that of the call; the program could not run
    without that, and the values are the same. Not offered for a parameter or a loop variable, whose owner would keep
    the graph.

    ## References
    - [torch.Tensor.detach](https://pytorch.org/docs/stable/generated/torch.Tensor.detach.html)
    """

    code = "AGD108"
    name = "change-requires-grad-of-nonleaf"
    offers = ("safe",)
    listens = (Requires, DetachedInPlace)
    triggers = (
        frozenset({".requires_grad=", "requires_grad_", "detach_", ".grad_fn=", ".is_leaf=", ".grad=", ".data="})
        | frozenset({"grad_dtype", "__setstate__"}),
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
            fix = _detached(event, source)
            yield Finding(self.code, message, source.span(event.node), confidence(event.tensor.leaf), fix=fix)
        elif isinstance(event, Requires) and event.refused:
            yield Finding(self.code, f"setting `{event.how}` raises: {event.refused}", source.span(event.node))
        elif isinstance(event, Requires) and event.tensor.leaf.no and event.tensor.grad.yes:
            if event.asked is not NO and not event.assigned:
                return  # `requires_grad_()` of a computed tensor does nothing, silently
            message = f"setting `{event.how}` raises: `{event.subject}` is not a leaf; use `.detach()`"
            facts = (event.tensor.leaf, event.tensor.grad)
            fix = _detached(event, source) if event.asked is NO else None
            yield Finding(self.code, message, source.span(event.node), confidence(*facts), fix=fix)


def _detached(event: Event, source: Source) -> Fix | None:
    """`y = y.detach()` for a statement, `.detach()` in the midst of an expression."""
    import libcst as cst

    build, place = fixes.build, fixes.place
    node = event.node
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute):
        if not place.alone(source, node):
            edits = build.replace_after(source, node.func.value, node, ".detach()")
            return build.offer("use `.detach()`", "safe", edits)
        node = node.func
    if not isinstance(node, cst.Attribute) or not place.rebindable(source, node.value):
        return None
    name = code(node.value)
    edits = build.replace_statement(source, node, f"{name} = {name}.detach()")
    return build.offer(f"write `{name} = {name}.detach()`", "safe", edits)
