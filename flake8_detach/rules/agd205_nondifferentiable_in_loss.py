from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import LostTerm, Poisoned, Unspent
from flake8_detach.knowledge.distributions import REPARAMETRIZED
from flake8_detach.rules._base import HANDED, Example, Finding, Note, Rule, register
from flake8_detach.rules._evidence import confidence, trail
from flake8_detach.rules._lost import lost_term, unspent_term
from flake8_detach.source import Source


@register
class NondifferentiableInLoss(Rule):
    """A part of a loss goes through something without a gradient, so that it trains nothing.

    ## What it does
    Reports `argmax`, comparisons, `one_hot`, `multinomial`, `sample()`, `round`, `sign`, `floor`, `bernoulli` and the
    like on the way from parameters to a loss that is backwarded, if they make a whole term of the loss constant, or if
    parameters that an optimizer steps are reached by no backward in the file because of them. So is a term that leaves
    its gradient only on a network that is not stepped with it, as the score that a critic gives to a sampled action in
    the actor's loss, or a discriminator to an `argmax`. So is a `sample()` that a decoder takes, if the loss also
    trains what it is drawn from by other terms (an ELBO), and the file never asks for a `log_prob`. So are sums that
    take away what they add (`torch.exp(logp - logp)`, `w + (q - w)`), where a `.detach()` is missing, and the distance
    of a parameter from its own `.detach()`, which shares its memory and goes along; and a softmax or cross entropy over
    the single output of a layer, or over the one that `topk(1)` picked, which is the same whatever goes in. So is a
    product with a number that `//` rounded down to 0, as `alpha // rank`. And the root, logarithm or quotient that
    `where` does not choose (`torch.where(x > 0, x.sqrt(), 0)`): its slope there is not finite, and 0 times that is NaN;
    the operand is to be made harmless before.

    ## Why is this bad?
    Such an op has no derivative, or one that is zero everywhere. The loss goes on falling because of its other terms;
    this one has no say.

    ## Known problems
    Masks, indices, weights and hard decisions are silent as long as what they were computed from is trained elsewhere.
    So are straight-through estimators.

    ## Fix safety
    Unsafe: `sample()` becomes `rsample()`, which draws the same values and passes their gradient on, for a distribution
    that has it. Elsewhere a soft version (softmax, sigmoid) and a straight-through estimator
    are different losses, between which only you can choose.

    ## References
    - [torch.argmax](https://pytorch.org/docs/stable/generated/torch.argmax.html)
    - [torch.distributions: pathwise derivative](https://pytorch.org/docs/stable/distributions.html#pathwise-derivative)
    """

    code = "AGD205"
    name = "nondifferentiable-in-loss"
    offers = ("unsafe",)
    listens = (LostTerm, Poisoned, Unspent)
    triggers = (frozenset({"backward", "manual_backward"}) | HANDED,)
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 3)
scores = net(torch.randn(8, 4))
label = torch.randint(3, (8,))
wrong = (scores.argmax(1) != label).float().mean()
loss = nn.functional.cross_entropy(scores, label) + wrong
loss.backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 3)
scores = net(torch.randn(8, 4))
label = torch.randint(3, (8,))
wrong = (1 - scores.softmax(1).gather(1, label[:, None])).mean()
loss = nn.functional.cross_entropy(scores, label) + wrong
loss.backward()
""",
    )

    def check(self, event: LostTerm | Poisoned | Unspent, source: Source) -> Iterable[Finding]:
        if isinstance(event, Poisoned):
            message = (
                f"where this does not choose `{event.what}` (line {source.line(event.at)}), the gradient is NaN: "
                "0 times a slope that is not finite; put a harmless number into the operand first"
            )
            notes = (Note(source.span(event.at), "its slope is not finite there"),)
            # whether a value comes to the place left out, only the run knows
            yield Finding(self.code, message, source.span(event.node), "likely", trail=notes, cause=event.node)
        elif isinstance(event, Unspent):
            if event.cause.kind == "op" and not event.guarded:
                message = f"the value was {event.cause.what}: {unspent_term(event, source)}"
                span, sure, fix = source.span(event.node), confidence(event.cause.lost), _reparametrized(event, source)
                yield Finding(self.code, message, span, sure, trail(event.cause, source), fix, cause=event.node)
        elif event.cause.kind == "cancelled":
            yield from lost_term(self.code, event, source, event.cause.what)
        elif event.cause.kind == "op" and not event.guarded:
            what = f"the value was {event.cause.what}"
            yield from lost_term(self.code, event, source, what, _reparametrized(event, source))


def _reparametrized(event: LostTerm | Unspent, source: Source) -> Fix | None:
    """`rsample()` for the `sample()` of a distribution."""
    import libcst as cst

    call = event.node
    if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Attribute) or call.func.attr.value != "sample":
        return None
    if event.cause.subject not in REPARAMETRIZED:
        return None
    return fixes.build.offer("use `rsample`", "unsafe", fixes.build.rename(source, call.func, "rsample"))
