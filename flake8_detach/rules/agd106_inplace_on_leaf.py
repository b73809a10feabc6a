from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import InPlace
from flake8_detach.rules._base import TRAINING, Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class InplaceOnLeaf(Rule):
    """A leaf that requires grad is changed in place while grad mode is on.

    ## What it does
    Reports in-place methods, augmented assignments, item assignments and in-place modules on a leaf that requires grad
    (a parameter, a tensor made with `requires_grad=True`) or on a view of one.

    ## Why is this bad?
    PyTorch raises "a leaf Variable that requires grad is being used in an in-place operation".

    ## Known problems
    Looked for only in what hangs together with training: a backward, an optimizer or autograd in the same file.
    Under `torch.no_grad()` this is how parameters are updated by hand, and legal. A function that nobody in the file
    calls is taken to run with grad mode on.

    ## Fix safety
    Shown only: put the update under `with torch.no_grad():`, or use the out-of-place form.

    ## References
    - [Locally disabling gradient computation](https://pytorch.org/docs/stable/notes/autograd.html#locally-disabling-grad-doc)
    """

    code = "AGD106"
    name = "inplace-on-leaf"
    listens = (InPlace,)
    triggers = (
        frozenset({"._", "[]=", "+=", "inplace", "out"}),
        frozenset({"()", "requires_grad=True", *TRAINING}),
    )
    example = Example(
        bad="""\
import torch

w = torch.ones(3, requires_grad=True)
(w * 2).sum().backward()
w -= 0.1 * w.grad
""",
        good="""\
import torch

w = torch.ones(3, requires_grad=True)
(w * 2).sum().backward()
with torch.no_grad():
    w -= 0.1 * w.grad
""",
    )

    def check(self, event: InPlace, source: Source) -> Iterable[Finding]:
        tensor, base = event.tensor, event.base
        if event.guarded or not event.mode.grad.yes or not tensor.grad.yes:
            return
        if tensor.leaf.yes:
            what, facts = f"`{event.subject}` is a leaf that requires grad", (tensor.grad, tensor.leaf)
        elif base is not None and tensor.view == "view" and base.leaf.yes and base.grad.yes:
            what, facts = f"`{event.subject}` is a view of a leaf that requires grad", (base.grad, base.leaf)
        else:
            return
        yield Finding(
            self.code,
            f"`{event.how}` raises: {what}; write it under `torch.no_grad()`",
            source.span(event.node),
            confidence(*facts, event.mode.grad),
        )
