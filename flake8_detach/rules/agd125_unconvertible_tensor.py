from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Unconvertible
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class UnconvertibleTensor(Rule):
    """A tensor is turned into something that it cannot become.

    ## What it does
    Reports a tensor of several elements where one number or one truth value is wanted (`float(x)`, `x.item()`,
    `if x:`, `max(a, b)`, `"%.2f" % x`, `torch.tensor([a, b])`); a format spec on anything but a plain 0-dim tensor;
    an index into, or a loop over, a tensor without dimensions; a float tensor as an index or in `range`; a numpy array
    of what numpy has not (bfloat16, sparse, quantized, lazily conjugated); `ndarray * tensor`; numbers in
    `torch.stack`; `json.dumps`; an in-place operation whose result does not fit (`counts /= 2` of integers); and an
    operation on numbers of the wrong kind (`(a == b).mean()`, float indices, `&` of floats).

    ## Why is this bad?
    PyTorch or Python raises when the line runs: "only one element tensors can be converted to Python scalars",
    "Boolean value of Tensor with more than one value is ambiguous", "invalid index of a 0-dim tensor". It mostly stands
    in the logging and evaluation code that runs late.

    ## Known problems
    Only files that mention `backward` or `autograd` are looked at, and only shapes and dtypes that follow from the file
    are known.

    ## Fix safety
    Shown only: which element, or which reduction, is meant cannot be told.

    ## References
    - [torch.Tensor.item](https://pytorch.org/docs/stable/generated/torch.Tensor.item.html)
    """

    code = "AGD125"
    name = "unconvertible-tensor"
    listens = (Unconvertible,)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 2)
loss = net(torch.randn(8, 4)).pow(2).mean(0)
loss.sum().backward()
print(f"loss {loss:.3f}")
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 2)
loss = net(torch.randn(8, 4)).pow(2).mean(0)
loss.sum().backward()
print(f"loss {loss.sum():.3f}")
""",
    )

    def check(self, event: Unconvertible, source: Source) -> Iterable[Finding]:
        if not event.guarded:
            how = str(event.how)
            what = f"`{how}` raises:" if how else f"`{event.subject}`"
            yield Finding(self.code, f"{what} {event.problem}", source.span(event.node))
