from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import ToNumpy
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class NumpyOnGraphTensor(Rule):
    """A tensor that requires grad is turned into a numpy array.

    ## What it does
    Reports `.numpy()`, `np.asarray(t)`, numpy functions, plotting and metric calls, and `tensor + ndarray`, on a tensor
    that requires grad (or a list of them) while grad mode is on.

    ## Why is this bad?
    PyTorch raises "Can't call numpy() on Tensor that requires grad" when the line runs. It often stands in the
    evaluation or plotting code that runs last.

    ## Known problems
    Under `torch.no_grad()` and `torch.inference_mode()` the conversion is legal, even of a leaf, and is not reported. A
    function that nobody in the file calls is taken to run with grad mode on.

    ## Fix safety
    The fix inserts `.detach()`, which keeps the values. No gradient is lost: the array could not have carried one.

    ## References
    - [torch.Tensor.numpy](https://pytorch.org/docs/stable/generated/torch.Tensor.numpy.html)
    """

    code = "AGD102"
    name = "numpy-on-graph-tensor"
    offers = ("safe",)
    listens = (ToNumpy,)
    triggers = (
        frozenset({"numpy", "__array__", "matplotlib", "sklearn", "scipy"}),
        frozenset({"torch"}),
    )
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
scores = net(torch.randn(8, 4))
print(scores.numpy().mean())
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
scores = net(torch.randn(8, 4))
print(scores.detach().numpy().mean())
""",
    )

    def check(self, event: ToNumpy, source: Source) -> Iterable[Finding]:
        if not (event.tensor.grad.yes and event.mode.grad.yes) or event.guarded:
            return
        what = f"the tensors in `{event.subject}` require grad" if event.element else f"`{event.subject}` requires grad"
        via = str(event.via)
        via = f"{via} = ..." if via.endswith("]") else via if via.endswith(")") or " " in via else f"{via}(...)"
        yield Finding(
            self.code,
            f"`{via}` raises: {what}; insert `.detach()`",
            source.span(event.node),
            confidence(event.tensor.grad, event.mode.grad),
            fix=_detached(event, source),
        )


MOVES = frozenset({"cpu", "cuda", "to", "float", "double", "half", "contiguous"})
"""Methods between the tensor and the conversion; the detach goes before them, so that they record nothing."""


def _detached(event: ToNumpy, source: Source) -> Fix | None:
    """Insert `.detach()` behind the tensor, or behind each element of a list of tensors."""
    import libcst as cst

    node = event.tensor_node
    if node is event.node:
        return None
    if event.element:
        if isinstance(node, (cst.ListComp, cst.GeneratorExp)):
            return fixes.build.offer("detach each element", "safe", fixes.build.postfix(source, node.elt, ".detach()"))
        if isinstance(node, (cst.Name, cst.Attribute)):
            each = f"[t.detach() for t in {event.subject}]"
            return fixes.build.offer("detach each element", "safe", fixes.build.replace(source, node, each))
        return None
    while isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value in MOVES:
        node = node.func.value
    return fixes.build.offer("insert `.detach()`", "safe", fixes.build.postfix(source, node, ".detach()"))
