from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Requires
from flake8_detach.rules._base import TRAINING, Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class RequiresGradOnInteger(Rule):
    """An integer or bool tensor is asked to require grad.

    ## What it does
    Reports `requires_grad=True`, `requires_grad_()`, `.requires_grad = True` and `nn.Parameter` on a tensor whose dtype
    is an integer or bool: `torch.arange(3)`, `torch.tensor([1, 2])`, the result of a comparison.

    ## Why is this bad?
    PyTorch raises "Only Tensors of floating point and complex dtype can require gradients".

    ## Known problems
    Only dtypes that follow from the file are known.

    ## Fix safety
    Shown only: write the numbers as floats (`1.0`), or give `dtype=torch.float32`.

    ## References
    - [torch.Tensor.requires_grad](https://pytorch.org/docs/stable/generated/torch.Tensor.requires_grad.html)
    """

    code = "AGD109"
    name = "requires-grad-on-integer"
    listens = (Requires,)
    triggers = (
        frozenset({"requires_grad=True", "Parameter"}),
        frozenset({"requires_grad=True", *TRAINING}),
    )
    example = Example(
        bad="""\
import torch

w = torch.tensor([1, 2, 3], requires_grad=True)
(w * 2).sum().backward()
""",
        good="""\
import torch

w = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
(w * 2).sum().backward()
""",
    )

    def check(self, event: Requires, source: Source) -> Iterable[Finding]:
        if event.guarded or not event.asked.yes or event.tensor.dtype not in ("int", "bool"):
            return
        kind = "an integer" if event.tensor.dtype == "int" else "a bool"
        yield Finding(
            self.code,
            f"`{event.how}` raises: `{event.subject}` is {kind} tensor; only float tensors require grad",
            source.span(event.node),
            confidence(event.asked),
        )
