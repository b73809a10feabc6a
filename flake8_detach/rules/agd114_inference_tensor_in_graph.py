from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import InferenceSaved, InPlace, Requires
from flake8_detach.flow.values import Cause
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class InferenceTensorInGraph(Rule):
    """A tensor made in inference mode is needed by backward.

    ## What it does
    Reports an operation that must save a tensor which was created under `torch.inference_mode()`: the target of a loss,
    the input of a layer that trains, a factor. Also reports such a tensor that is changed in place, or asked to require
    grad, outside of inference mode.

    ## Why is this bad?
    PyTorch raises "Inference tensors cannot be saved for backward" or "Inplace update to inference tensor outside
    InferenceMode is not allowed".

    ## Known problems
    `.detach()` does not help, `.clone()` outside of the block does.

    ## Fix safety
    Unsafe: the mode in which the tensor was made becomes `torch.no_grad()`, if it is entered by name in this file. All
    that the block makes can enter a graph then, and code that asks for an inference tensor gets none.

    ## References
    - [torch.inference_mode](https://pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html)
    """

    code = "AGD114"
    name = "inference-tensor-in-graph"
    offers = ("unsafe",)
    listens = (InferenceSaved, InPlace, Requires)
    triggers = (frozenset({"inference_mode"}), frozenset({"torch"}))
    example = Example(
        bad="""\
import torch
from torch import nn

teacher, student = nn.Linear(4, 2), nn.Linear(4, 2)
x = torch.randn(8, 4)
with torch.inference_mode():
    target = teacher(x)
loss = nn.functional.mse_loss(student(x), target)
""",
        good="""\
import torch
from torch import nn

teacher, student = nn.Linear(4, 2), nn.Linear(4, 2)
x = torch.randn(8, 4)
with torch.no_grad():
    target = teacher(x)
loss = nn.functional.mse_loss(student(x), target)
""",
    )

    def check(self, event: InferenceSaved | InPlace | Requires, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        if isinstance(event, InferenceSaved) and event.op == "_version":
            problem = f"`{event.subject}` is not counted for a tensor"
        elif isinstance(event, InferenceSaved):
            problem = f"`{event.subject}` must save a tensor"
        elif not event.tensor.inference.yes or not event.mode.inference.no:
            return
        elif isinstance(event, InPlace):
            if not event.frozen:
                return
            problem = f"`{event.how}` changes a tensor"
        elif event.asked.yes:
            problem = f"`{event.subject}` cannot require grad: it is a tensor"
        else:
            return
        yield Finding(
            self.code,
            f"{problem} made in inference mode; use `torch.no_grad()` there",
            source.span(event.node),
            confidence(event.tensor.inference),
            fix=_without_gradient_only(event.tensor.why, source),
        )


def _without_gradient_only(why: Cause | None, source: Source) -> Fix | None:
    """`torch.no_grad()` for the `torch.inference_mode()` that the tensor was made under."""
    while why is not None and why.kind != "mode":
        why = why.before
    edits = fixes.blocks.exchange_mode(source, why.site, "torch.inference_mode", "torch.no_grad") if why else ()
    return fixes.build.offer("use `torch.no_grad` there", "unsafe", edits)
