from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import DataRead
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class DataAttribute(Rule):
    """`.data` of a tensor is used, where `.detach()` or `no_grad` says the same and is checked.

    ## What it does
    Reports `x.data` of what is known to be a tensor, to read it or to write through it (`w.data.mul_(2)`,
    `w.data -= ...`, `w.data[0] = 1`). An assignment to it, `w.data = ...`, is not meant: it can exchange the memory,
    the shape and the device, and nothing else can.

    ## Why is this bad?
    What is written through `.data` autograd does not notice: if backward needs the old values it computes with the new
    ones, and the gradient is wrong without a word. `.detach()` shares the memory just so, but counts the writes, and
    `with torch.no_grad():` needs neither; after both, backward raises instead.

    ## Known problems
    Off by default: where nothing is written, or nothing that backward needs, `.data` does no harm. Where it does, that
    is reported by AGD209 and AGD203. Somebody may write behind autograd's back on purpose.

    ## Fix safety
    Unsafe: `.detach()` in the place of `.data`; for a statement that writes, the statement without `.data` in a
    `with torch.no_grad():`. Backward raises afterwards where it computed a wrong gradient before.

    ## References
    - [torch.Tensor.detach](https://pytorch.org/docs/stable/generated/torch.Tensor.detach.html)
    - [In-place correctness checks](https://pytorch.org/docs/stable/notes/autograd.html#in-place-correctness-checks)
    """

    code = "AGD901"
    name = "data-attribute"
    default = False
    offers = ("unsafe",)
    listens = (DataRead,)
    triggers = (frozenset({".data"}), frozenset({"torch"}))
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
net.weight.data.clamp_(-0.1, 0.1)
net(torch.randn(8, 4)).pow(2).mean().backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
with torch.no_grad():
    net.weight.clamp_(-0.1, 0.1)
net(torch.randn(8, 4)).pow(2).mean().backward()
""",
    )

    def check(self, event: DataRead, source: Source) -> Iterable[Finding]:
        written = _written(event, source)
        if written:
            what = "a write through `.data` is not noticed by autograd: write to the tensor in `with torch.no_grad():`"
        else:
            what = f"autograd notices no write through `{event.subject}.data`: use `{event.subject}.detach()`"
        yield Finding(self.code, what, source.span(event.node), fix=_fix(event, source, written))


def _written(event: DataRead, source: Source) -> bool:
    """Is it what a statement of its own writes to: `x.data.add_(1)`, `x.data -= 1`, `x.data[0] = 1`?"""
    import libcst as cst

    part, parent = event.node, source.parent(event.node)
    while isinstance(parent, (cst.Subscript, cst.Attribute)) and parent.value is part:
        part, parent = parent, source.parent(parent)
    if isinstance(parent, (cst.AugAssign, cst.AssignTarget)):
        return parent.target is part
    if not isinstance(parent, cst.Call) or parent.func is not part or not isinstance(part, cst.Attribute):
        return False
    return part.attr.value.endswith("_") and isinstance(source.parent(parent), cst.Expr)


def _fix(event: DataRead, source: Source, written: bool) -> Fix | None:
    build, node = fixes.build, event.node
    if not written:
        return build.offer("use `.detach()`", "unsafe", build.replace_after(source, node.value, node, ".detach()"))
    bare = build.delete_attribute(source, node)
    if fixes.place.entered(source, node, "torch.no_grad"):
        return build.offer("drop `.data`", "unsafe", bare)
    return build.offer("write in `no_grad`", "unsafe", bare, build.under_no_grad(source, node))
