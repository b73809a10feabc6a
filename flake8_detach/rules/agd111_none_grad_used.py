from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import NoneUsed
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import trail
from flake8_detach.source import Source, code


@register
class NoneGradUsed(Rule):
    """A gradient that is None is used.

    ## What it does
    Reports an attribute, a subscript or an operator on a `.grad` that no backward has filled, or that `zero_grad()` set
    to None: before the first backward, after `zero_grad()`, on a parameter that the loss does not reach.

    ## Why is this bad?
    Python raises "'NoneType' object has no attribute 'zero_'" or "unsupported operand type(s)".

    ## Known problems
    A backward of something unknown may have filled it; then nothing is reported.

    ## Fix safety
    Unsafe: `x.grad.zero_()` becomes `x.grad = None`, which clears as well and needs no gradient. Whatever else uses the
    gradient is left to you: test for None, or let the loss reach the tensor.

    ## References
    - [torch.optim.Optimizer.zero_grad](https://pytorch.org/docs/stable/generated/torch.optim.Optimizer.zero_grad.html)
    """

    code = "AGD111"
    name = "none-grad-used"
    offers = ("unsafe",)
    listens = (NoneUsed,)
    triggers = (frozenset({"grad"}),)
    example = Example(
        bad="""\
import torch

w = torch.ones(3, requires_grad=True)
for _ in range(2):
    loss = (w * w).sum()
    w.grad.zero_()
    loss.backward()
""",
        good="""\
import torch

w = torch.ones(3, requires_grad=True)
for _ in range(2):
    loss = (w * w).sum()
    w.grad = None
    loss.backward()
""",
    )

    def check(self, event: NoneUsed, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        why = event.why
        where = f" (line {source.line(why.site)})" if why.what.startswith(("cleared", "set")) else ""
        yield Finding(
            self.code,
            f"`{event.subject}` is None here: {why.what}{where}",
            source.span(event.node),
            fix=_cleared(event, source),
            trail=trail(why, source),
            cause=why,
            first_only=True,
        )


def _cleared(event: NoneUsed, source: Source) -> Fix | None:
    """`x.grad = None` for a statement `x.grad.zero_()`."""
    import libcst as cst

    node = event.node
    call = source.parent(node)
    if not isinstance(node, cst.Attribute) or node.attr.value != "zero_" or not isinstance(call, cst.Call):
        return None
    if not fixes.place.alone(source, call):
        return None
    text = f"{code(node.value)} = None"
    return fixes.build.offer(f"write `{text}`", "unsafe", fixes.build.replace_statement(source, call, text))
