from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import InferenceSaved, InPlace, Requires
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
    Shown only: use `torch.no_grad()` where the result enters training.

    ## References
    - [torch.inference_mode](https://pytorch.org/docs/stable/generated/torch.autograd.grad_mode.inference_mode.html)
    """

    code = "AGD114"
    name = "inference-tensor-in-graph"
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
            if event.tensor.made == "detach":
                return  # `.detach()` of such a tensor may be written
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
        )
