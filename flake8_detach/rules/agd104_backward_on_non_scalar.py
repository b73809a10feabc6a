from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.flow.events import Backward
from flake8_detach.rules._base import HANDED, Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class BackwardOnNonScalar(Rule):
    """Backward without a gradient argument on a tensor with several elements.

    ## What it does
    Reports `backward()` (and `autograd.grad`) on a tensor of which some dimension is known not to be 1, when no
    gradient is given: a loss with `reduction="none"`, an elementwise expression, a vector. Also a gradient that is
    given and does not fit: of another shape, complex for a real tensor, or no tensor at all.

    ## Why is this bad?
    PyTorch raises "grad can be implicitly created only for scalar outputs".

    ## Known problems
    Only shapes that follow from the file are known. A complex loss is reported as well: it needs a real scalar.

    ## Fix safety
    Shown only: `.mean()` is inserted in what is shown, but `.mean()` and `.sum()` train differently, and which one is
    meant the program cannot tell.

    ## References
    - [torch.Tensor.backward](https://pytorch.org/docs/stable/generated/torch.Tensor.backward.html)
    """

    code = "AGD104"
    name = "backward-on-non-scalar"
    offers = ("display",)
    listens = (Backward,)
    triggers = (frozenset({"backward", "autograd", "manual_backward"}) | HANDED,)
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 2)
loss = nn.functional.mse_loss(net(torch.randn(8, 4)), torch.zeros(8, 2), reduction="none")
loss.backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 2)
loss = nn.functional.mse_loss(net(torch.randn(8, 4)), torch.zeros(8, 2), reduction="none")
loss.mean().backward()
""",
    )

    def check(self, event: Backward, source: Source) -> Iterable[Finding]:
        root = event.root
        if root is None or not root.grad.yes or event.guarded:
            return
        if event.misfit:
            message = f"`{event.subject}` cannot be backwarded so: {event.misfit}"
            yield Finding(self.code, message, source.span(event.node), confidence(root.grad))
        if event.gradient:
            return
        what = event.told
        if root.several:
            shape = ", ".join("?" if d is None else str(d) for d in root.shape or ())
            problem = f"`{event.subject}` has the shape ({shape}); reduce it with `.mean()` or `.sum()`"
        elif root.rank == 0 and root.dtype == "complex":
            problem = f"`{event.subject}` is complex; take `.real` or `.abs()`"
        else:
            return
        mean = ".mean()" if root.several else ".abs()"
        yield Finding(
            self.code,
            f"{what} needs a real scalar: {problem}",
            source.span(event.node),
            confidence(root.grad),
            fix=fixes.build.offer(f"insert `{mean}`", "display", fixes.build.postfix(source, event.subject_node, mean)),
        )
