from __future__ import annotations

from typing import ClassVar

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Misstep
from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule
from flake8_detach.source import Source


@register
class ClipMisplaced(OrderRule):
    """Gradients are clipped where that has no effect, or the wrong one.

    ## What it does
    Reports `clip_grad_norm_` and `clip_grad_value_` before the backward whose gradients they are meant for, after the
    step that used them, on those of other parameters than are stepped next (of the other network, say), on gradients
    that a GradScaler has scaled, on the gradients instead of the parameters, and on an iterator that is used up.

    ## Why is this bad?
    The step uses gradients that were never clipped, silently. Clipped while they are scaled by 65536 they all but
    vanish.

    ## Known problems
    Clipping to infinity, or to a number beyond 1e5, only measures the norm and may stand anywhere.

    ## Fix safety
    Unsafe: the clipping is moved to before the step or behind the backward, where both stand in one block. Then it has
    an effect, so the values change. Where it is missing `scaler.unscale_(optimizer)`, that is left to you.

    ## References
    - [torch.nn.utils.clip_grad_norm_](https://pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html)
    - [Gradient clipping with GradScaler](https://pytorch.org/docs/stable/notes/amp_examples.html#gradient-clipping)
    """

    code = "AGD305"
    name = "clip-misplaced"
    offers = ("unsafe",)
    triggers = (frozenset({"clip_grad_norm_", "clip_grad_value_", "clip_grad_norm"}),)
    messages: ClassVar = {
        "clip-early": "clips nothing{inside}: the gradients that are stepped with come from the backward on line {at}, "
        "later",
        "clip-late": "clips too late{inside}: the step on line {at} has used the gradients already",
        "clip-scaled": "clips gradients that the GradScaler has scaled (line {at}): call `scaler.unscale_()` before",
        "clip-gradient": "clips the gradients of gradients: give it the parameters, not their `.grad`",
        "clip-refused": "raises: {subject}",
        "clip-empty": "clips nothing: no backward has run yet, so no parameter has a gradient",
        "clip-other": "clips gradients that no step uses; those of the backward on line {at} are stepped "
        "with unclipped",
        "clip-nothing": "clips nothing: the iterator of parameters is used up (an optimizer or a loop went through it)",
    }
    raising = frozenset({"clip-refused"})
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for batch in torch.randn(10, 8, 4):
    optimizer.zero_grad()
    net(batch).pow(2).mean().backward()
    optimizer.step()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for batch in torch.randn(10, 8, 4):
    optimizer.zero_grad()
    net(batch).pow(2).mean().backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
""",
    )

    def repair(self, event: Misstep, source: Source) -> Fix | None:
        """Clip between backward and step."""
        if event.at is None or event.inside is not None or event.what not in ("clip-late", "clip-early"):
            return None
        early = event.what == "clip-early"
        where = "behind the backward" if early else "before the step"
        return fixes.build.offer(
            f"move it {where}", "unsafe", fixes.build.move(source, event.node, event.at, after=early)
        )
