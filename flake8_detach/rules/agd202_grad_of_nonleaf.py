from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import GradRead
from flake8_detach.flow.values import NONE
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class GradOfNonleaf(Rule):
    """`.grad` of a tensor that is not a leaf is read.

    ## What it does
    Reports a read of `.grad` on the result of an operation (also of a move or cast: `x.to(...)`, `x.double()`, `x * 2`)
    on which `retain_grad()` was not called; also in the test of an `if`, which comes out the same way every time.

    ## Why is this bad?
    Backward fills `.grad` of leaves only; here it stays `None`. PyTorch warns once and goes on.

    ## Known problems
    A move to a device returns the very same tensor if it is there already, so it is only reported where the tensor
    certainly changes.

    ## Fix safety
    Unsafe: `x.retain_grad()` is inserted after the statement that made `x`, where that stands in the same function; it
    keeps one more tensor in memory. Where the leaf itself was meant, build it on the device and with the dtype that it
    needs.

    ## References
    - [torch.Tensor.retain_grad](https://pytorch.org/docs/stable/generated/torch.Tensor.retain_grad.html)
    - [torch.Tensor.is_leaf](https://pytorch.org/docs/stable/generated/torch.Tensor.is_leaf.html)
    """

    code = "AGD202"
    name = "grad-of-nonleaf"
    offers = ("unsafe",)
    listens = (GradRead,)
    triggers = (frozenset({"grad"}),)
    example = Example(
        bad="""\
import torch

x = torch.ones(3, requires_grad=True)
y = x * 2
y.sum().backward()
print(y.grad)
""",
        good="""\
import torch

x = torch.ones(3, requires_grad=True)
y = x * 2
y.retain_grad()
y.sum().backward()
print(y.grad)
""",
    )

    def check(self, event: GradRead, source: Source) -> Iterable[Finding]:
        tensor = event.tensor
        if event.late and event.value == NONE and not event.tested and tensor.grad.yes and tensor.leaf.no:
            message = f"`{event.subject}.grad` is None: `retain_grad()` was called after the backward"
            yield Finding(self.code, message, source.span(event.node), confidence(tensor.grad, event.kept))
        if event.value != NONE or not event.kept.no or not (tensor.grad.yes and tensor.leaf.no):
            return
        if event.tested and not fixes.place.decides(source, event.node):
            return  # an assertion says what its author expects
        yield Finding(
            self.code,
            f"`{event.subject}.grad` stays None: `{event.subject}` is not a leaf (made by `{_maker(tensor.made)}`)",
            source.span(event.node),
            confidence(tensor.grad, tensor.leaf),
            fix=_retained(event, source),
        )


def _retained(event: GradRead, source: Source) -> Fix | None:
    """Call `retain_grad()` right after the tensor was made, if it got there the name that it is read by."""
    import libcst as cst

    line = None if event.made_at is None else fixes.place.statement(source, event.made_at)
    if line is None or not isinstance(line.body[0], cst.Assign) or not isinstance(event.subject_node, cst.Name):
        return None
    name = event.subject_node.value
    targets = [target.target for target in line.body[0].targets]
    if not any(isinstance(target, cst.Name) and target.value == name for target in targets):
        return None
    if not fixes.place.same_scope(source, line, event.subject_node):
        return None
    call = f"{name}.retain_grad()"
    return fixes.build.offer(f"insert `{call}`", "unsafe", fixes.build.insert_line(source, line, call, after=True))


def _maker(op: str) -> str:
    """How the op that made the tensor is written."""
    name = op.rpartition(".")[2]
    return {
        "__add__": "+",
        "__sub__": "-",
        "__mul__": "*",
        "__truediv__": "/",
        "__matmul__": "@",
        "__getitem__": "[]",
    }.get(name, name.strip("_") or "an operation")
