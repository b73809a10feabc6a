from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Vanished
from flake8_detach.rules._base import Example, Finding, Note, Rule, register
from flake8_detach.rules._evidence import confidence, trail
from flake8_detach.source import Source


@register
class ZeroDerivative(Rule):
    """A function that is differentiated returns what does not hang on its inputs: the derivative is zero everywhere.

    ## What it does
    Runs the function that is handed to torch.func.grad, `vjp`, `jacrev`, `hessian` or to torch.autograd.functional with
    inputs that require grad, and reports if nothing that it returns has a gradient: it was computed under `no_grad`,
    detached, cast to integers, rounded, or made of something else than the inputs.

    ## Why is this bad?
    Where `backward()` would raise, these functions return zeros, silently.

    ## Known problems
    Derivatives that are zero in one entry, or only the second time, are not looked for; nor is forward mode.

    ## Fix safety
    None.

    ## References
    - [torch.func.grad](https://pytorch.org/docs/stable/generated/torch.func.grad.html)
    """

    code = "AGD220"
    name = "zero-derivative"
    listens = (Vanished,)
    triggers = (
        frozenset({"grad", "vjp", "jacrev", "hessian", "jacobian", "hvp", "vhp", "jvp", "grad_and_value"}),
        frozenset({"func", "functorch", "jacobian", "hessian", "vjp", "jvp", "hvp", "vhp"}),
    )
    example = Example(
        bad="""\
import torch


def accuracy(weights, x, label):
    return ((x @ weights).argmax(1) == label).float().mean()


weights, x, label = torch.randn(3, 2), torch.randn(8, 3), torch.randint(2, (8,))
slope = torch.func.grad(accuracy)(weights, x, label)
""",
        good="""\
import torch


def loss(weights, x, label):
    return torch.nn.functional.cross_entropy(x @ weights, label)


weights, x, label = torch.randn(3, 2), torch.randn(8, 3), torch.randint(2, (8,))
slope = torch.func.grad(loss)(weights, x, label)
""",
    )

    def check(self, event: Vanished, source: Source) -> Iterable[Finding]:
        if event.cause is None:
            why = "the function does not use what it is differentiated by"
            steps: tuple[Note, ...] = ()
        else:
            subject = str(event.cause.name or event.cause.subject)
            why = f"`{subject}` was {event.cause.what}" if subject else f"the value was {event.cause.what}"
            steps = trail(event.cause, source)
        here = event.at is event.node
        where = "" if here else f" (line {source.line(event.at)})"
        message = f"`{event.transform}`{where} returns zeros: {why}"
        yield Finding(self.code, message, source.span(event.node), confidence(event.sure), steps, cause=event.node)
