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
    """The loss of one network leaves gradients on another, whose optimizer then steps with them.

    ## What it does
    Reports a module that is given the output of another one without `.detach()`, if its loss puts gradients on the
    other's parameters, if the other's own loss adds to them without a clearing in between, and if an optimizer steps
    with the sum: the discriminator's half of a GAN step, where `zero_grad()` stands at the top of the iteration only.

    ## Why is this bad?
    The generator is trained to make the discriminator's work easier and harder at once. PyTorch says nothing.

    ## Known problems
    Nothing is reported where the gradients are cleared between the two losses: that wastes time but harms nobody.

    ## Fix safety
    Unsafe: `.detach()` is inserted for what is handed over. The other optimizer's gradients change, as they should. Not
    offered where several values are handed over, or where the backward stands in another function.

    ## References
    - [DCGAN tutorial](https://pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html)
    """

    code = "AGD210"
    name = "missing-detach"
    offers = ("unsafe",)
    triggers = (frozenset({"backward", "manual_backward", "autograd"}), frozenset({"step"}))
    messages: ClassVar = {
        "crossed": "not detached: backward on line {at} leaves gradients that `{subject}` steps with, too",
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
        """Detach the only value that is handed over."""
        import libcst as cst

        node = event.node
        if not isinstance(node, cst.Call) or len(node.args) != 1:
            return None
        value = fixes.place.argument(node, 0)
        edits = () if value is None else fixes.build.postfix(source, value, ".detach()")
        return fixes.build.offer("insert `.detach()`", "unsafe", edits)
