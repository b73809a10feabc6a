from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import LostTerm, Unspent
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence, reason, trail
from flake8_detach.rules._lost import unspent_term
from flake8_detach.rules._uncut import connected
from flake8_detach.source import Source


@register
class Overcut(Rule):
    """More was cut from the graph than should be: what an optimizer is there to train gets no gradient.

    ## What it does
    Reports a forward under `torch.no_grad()`, as a block, a decorator or a mode, of which parameters are made use of
    that an optimizer steps and that no backward in the file ever reaches. Reports a term of a loss that was cut from
    what the next optimizer steps, if the gradient that it does leave elsewhere is thrown away before any step: the
    generator's half of a GAN step that judges the detached sample. Reports a custom Function whose forward uses such
    parameters without being given them, as by a module.

    ## Why is this bad?
    The loss is computed, printed and backwarded, but what it should train keeps its initial weights, or is trained by
    the other terms only. PyTorch passes over parameters without a gradient in silence.

    ## Known problems
    A network that is frozen on purpose is silent if its parameters are not given to the optimizer, or do not require
    grad. So is what is trained elsewhere in the file, or updated by hand (a momentum teacher), and whatever unknown
    code has got hold of.

    ## Fix safety
    Unsafe: the grad mode is taken out, or the call that cuts, if its result is used in this term only. Whether the cut
    goes, or the parameters leave the optimizer, is for you to say.

    ## References
    - [torch.no_grad](https://pytorch.org/docs/stable/generated/torch.no_grad.html)
    - [DCGAN tutorial](https://pytorch.org/tutorials/beginner/dcgan_faces_tutorial.html)
    """

    code = "AGD211"
    name = "overcut"
    offers = ("unsafe",)
    listens = (LostTerm, Unspent)
    triggers = (frozenset({"backward", "manual_backward"}), frozenset({"step"}))
    example = Example(
        bad="""\
import torch
from torch import nn

encoder, head = nn.Linear(4, 8), nn.Linear(8, 2)
optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
for batch in torch.randn(10, 16, 4):
    with torch.no_grad():
        features = encoder(batch)
    loss = head(features).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
        good="""\
import torch
from torch import nn

encoder, head = nn.Linear(4, 8), nn.Linear(8, 2)
optimizer = torch.optim.SGD([*encoder.parameters(), *head.parameters()], lr=0.1)
for batch in torch.randn(10, 16, 4):
    features = encoder(batch)
    loss = head(features).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
""",
    )

    def check(self, event: LostTerm | Unspent, source: Source) -> Iterable[Finding]:
        cause, line = event.cause, source.line(event.backward)
        if event.guarded:
            return
        if isinstance(event, Unspent):
            if cause.kind == "op":
                return
            effect = unspent_term(event, source)
        elif event.constant or cause.kind != "mode":
            return
        else:
            effect = (
                f"parameters that an optimizer steps are used in it, and `{event.root}.backward()` (line {line}) "
                "brings them no gradient"
            )
        what = reason(cause, source, "a value was cut").removesuffix(f" (line {source.line(event.node)})")
        sure = confidence(cause.lost)
        message, span, fix = f"{what}: {effect}", source.span(event.node), _rejoined(event, source)
        yield Finding(self.code, message, span, sure, trail(cause, source), fix, cause=event.node)


def _rejoined(event: LostTerm | Unspent, source: Source) -> Fix | None:
    """Without the mode; without a cut that is written where its result is used, so that nothing else gets to see it."""
    if event.cause.kind == "mode":
        return fixes.build.offer("leave grad mode on", "unsafe", fixes.blocks.leave_mode(source, event.node))
    site = (event.cause.loss or event.cause).site
    return connected(source, event.cause) if fixes.place.argument_of(source, site) else None
