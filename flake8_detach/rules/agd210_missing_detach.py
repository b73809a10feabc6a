from __future__ import annotations

from typing import ClassVar

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Misstep
from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule
from flake8_detach.source import Source


@register
class MissingDetach(OrderRule):
    """A gradient goes on into parameters where the method wants a constant, and an optimizer steps with it.

    ## What it does
    Reports a module that is given the output of another one without `.detach()`, if its loss puts gradients on the
    other's parameters, if the other's own loss adds to them without a clearing in between, and if an optimizer steps
    with the sum: the discriminator's half of a GAN step, where `zero_grad()` stands at the top of the iteration only.
    Reports what the `log_prob` of a sample is multiplied with, if it carries a gradient that an optimizer steps with:
    the advantage of an actor-critic. Reports a target `r + gamma * net(next).max(1)` that the same net is regressed on.

    ## Why is this bad?
    The generator is trained to make the discriminator's work easier and harder at once; the critic is pushed by the
    actor's loss, which is no measure of it; the net of Q-learning meets its targets by lowering them. PyTorch says
    nothing.

    ## Known problems
    Nothing is reported where the gradients are cleared before a step: that wastes time but harms nobody. A sample that
    comes from a buffer is not known to be drawn from the distribution that judges it.

    ## Fix safety
    Unsafe: `.detach()` is inserted for the value, or for what is handed over. The other gradients change, as they
    should. Not offered where several values are handed over, or where the backward stands in another function.

    ## References
    - [DCGAN tutorial](https://pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html)
    """

    code = "AGD210"
    name = "missing-detach"
    offers = ("unsafe",)
    triggers = (frozenset({"backward", "manual_backward", "autograd"}), frozenset({"step"}))
    messages: ClassVar = {
        "crossed": "not detached: backward on line {at} leaves gradients that `{subject}` steps with, too",
        "score": "`{subject}` is not detached: what a sample's `log_prob` is multiplied with has to be a constant, but "
        "the step on line {at} trains it",
        "bootstrap": "`{subject}` is not detached: the net that is trained (line {at}) makes its own target, and would "
        "move that, too",
    }
    example = Example(
        bad="""\
import torch
from torch import nn

generator, discriminator = nn.Linear(2, 3), nn.Linear(3, 1)
g_opt = torch.optim.SGD(generator.parameters(), lr=0.1)
d_opt = torch.optim.SGD(discriminator.parameters(), lr=0.1)
for real in torch.randn(4, 8, 3):
    g_opt.zero_grad()
    d_opt.zero_grad()
    fake = generator(torch.randn(8, 2))
    d_loss = discriminator(fake).mean() - discriminator(real).mean()
    d_loss.backward()
    d_opt.step()
    g_loss = -discriminator(generator(torch.randn(8, 2))).mean()
    g_loss.backward()
    g_opt.step()
""",
        good="""\
import torch
from torch import nn

generator, discriminator = nn.Linear(2, 3), nn.Linear(3, 1)
g_opt = torch.optim.SGD(generator.parameters(), lr=0.1)
d_opt = torch.optim.SGD(discriminator.parameters(), lr=0.1)
for real in torch.randn(4, 8, 3):
    g_opt.zero_grad()
    d_opt.zero_grad()
    fake = generator(torch.randn(8, 2))
    d_loss = discriminator(fake.detach()).mean() - discriminator(real).mean()
    d_loss.backward()
    d_opt.step()
    g_loss = -discriminator(generator(torch.randn(8, 2))).mean()
    g_loss.backward()
    g_opt.step()
""",
    )

    def repair(self, event: Misstep, source: Source) -> Fix | None:
        """Detach the value, or the only one that is handed over."""
        import libcst as cst

        value = event.node
        if event.what not in ("score", "bootstrap"):
            one = isinstance(value, cst.Call) and len(value.args) == 1
            value = fixes.place.argument(value, 0) if one else None
        edits = () if value is None else fixes.build.postfix(source, value, ".detach()")
        return fixes.build.offer("insert `.detach()`", "unsafe", edits)
