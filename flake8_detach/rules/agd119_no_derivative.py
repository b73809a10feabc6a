from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Backward, Event, Refused
from flake8_detach.flow.values import TWICE
from flake8_detach.rules._base import Example, Finding, Note, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source, code


@register
class NoDerivative(Rule):
    """Backward comes to an operation that has no derivative and raises.

    ## What it does
    Reports a backward on whose way stands an operation that torch has no derivative for: `//`, `torch.heaviside`,
    `torch.histogram`, `torch.unique`, `torch.geqrf`; or none with respect to the operand that is trained: the first
    of `torch.special.gammainc`, and so the concentration in the `cdf` of a `Gamma` distribution. Likewise what has no
    second derivative (`cdist`, `pdist`, `hardsigmoid`, `ctc_loss`, what is marked `once_differentiable`), where a
    gradient that was computed with `create_graph=True` is differentiated. Also operations that
    refuse a tensor which requires grad at once: `sum(dtype=torch.int64)`, `rsample()` of a discrete distribution. And
    functions of `torch.special` that are smooth but have no derivative in PyTorch (`airy_ai`, `bessel_j0`), of a
    tensor that requires grad.

    ## Why is this bad?
    PyTorch raises "derivative for aten::floor_divide is not implemented", in backward, far from the line that is to
    blame. The message names that line. `airy_ai` and its kin raise nothing: their result does not require grad.

    ## Known problems
    Operations whose gradient is merely zero (`round`, `sign`) raise nothing; that is another rule.

    ## Fix safety
    Shown only: compute that part under `no_grad`, or use an operation that has a derivative.

    ## References
    - [Gradients for non-differentiable functions](https://pytorch.org/docs/stable/notes/autograd.html#gradients-for-non-differentiable-functions)
    """

    code = "AGD119"
    name = "no-derivative"
    listens = (Backward, Refused)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch

seconds = torch.tensor([90.0, 200.0], requires_grad=True)
minutes = seconds // 60
minutes.sum().backward()
""",
        good="""\
import torch

seconds = torch.tensor([90.0, 200.0], requires_grad=True)
minutes = seconds / 60
minutes.sum().backward()
""",
    )

    def check(self, event: Event, source: Source) -> Iterable[Finding]:
        if isinstance(event, Refused) and event.why == "smooth":
            message = f"`{event.subject}` has no graph: PyTorch has no derivative of it; what is behind learns nothing"
            sure = confidence(event.tensor.grad)
            yield Finding(self.code, message, source.span(event.node), sure, cause=event.node)
        if event.guarded:
            return
        if isinstance(event, Refused):
            if event.why == "rsample":
                problem = f"a sample of `{event.op}` is discrete and has no gradient; use `log_prob` of a `sample()`"
                yield Finding(self.code, f"`{event.subject}` raises: {problem}", source.span(event.node))
            elif event.why == "input":
                problem = "it has no derivative, and its input requires grad; `.detach()` it first"
                sure = confidence(event.tensor.grad)
                yield Finding(self.code, f"`{event.subject}` raises: {problem}", source.span(event.node), sure)
        elif isinstance(event, Backward) and event.root is not None and event.underived is not None:
            what = event.told
            site = event.underived.site
            text = code(site)
            text = text if len(text) <= 40 else text[:37] + "..."
            lacking = dict(event.underived.lacking)
            of = f" with respect to {' and '.join(f'`{name}`' for name in lacking)}" if lacking else ""
            lacks = f"has no {TWICE if event.underived.op == TWICE else 'derivative'}{of}"
            yield Finding(
                self.code,
                f"{what} raises: it comes to `{text}` (line {source.line(site)}), which {lacks}",
                source.span(event.node),
                confidence(event.root.grad),
                (Note(source.span(site), lacks),),
                cause=site,
                first_only=True,
            )
