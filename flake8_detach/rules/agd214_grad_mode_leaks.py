from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import ModeIdle
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class GradModeLeaks(Rule):
    """A grad mode holds where it should not, or not where it should.

    ## What it does
    Reports `no_grad` and its kin on an `async def` or a class, around a generator expression that is consumed outside
    of it, and `set_grad_enabled(False)` that a function never takes back, in a file that trains. A generator that
    `next` leaves inside of `with torch.no_grad():`, and a `set_grad_enabled(False)` that is entered later than it is
    called, if something that requires grad is used in between.

    ## Why is this bad?
    The decorator of a coroutine is left before its body runs; the decorator of a class covers the constructor only; a
    generator expression computes where it is consumed: all build graphs. A mode that was switched off by a call stays
    off: no graph is built any more, and nothing is trained.

    ## Known problems
    A `with torch.no_grad():` around a `yield` covers the code that consumes the generator, too; backward in a loop over
    it is reported as AGD101.

    ## Fix safety
    Shown only: put `with torch.no_grad():` around what computes, inside of the coroutine or generator.

    ## References
    - [Locally disabling gradient computation](https://pytorch.org/docs/stable/notes/autograd.html)
    """

    code = "AGD214"
    name = "grad-mode-leaks"
    listens = (ModeIdle,)
    triggers = (
        frozenset({"no_grad", "inference_mode", "set_grad_enabled", "enable_grad", "backward"}),
        frozenset({"no_grad", "inference_mode", "set_grad_enabled", "enable_grad"}),
        frozenset({"set_grad_enabled", "__enter__", "enter_context", "yield", "async", "(for)", "@class"}),
    )
    or_triggers = ((frozenset({"enable_grad", "set_grad_enabled"}), frozenset({"inference_mode"})),)
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)


@torch.no_grad()
async def predict(x):
    return net(x)
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)


async def predict(x):
    with torch.no_grad():
        return net(x)
""",
    )

    def check(self, event: ModeIdle, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        mode = event.mode.rpartition(".")[2]
        message = MESSAGES[event.what].format(mode=mode)
        yield Finding(self.code, message, source.span(event.node), "likely" if event.what == "leak" else "certain")


MESSAGES = {
    "held": "the generator rests inside of `{mode}`: after `next`, nothing builds a graph; decorate it instead",
    "early": "`{mode}` takes effect where it is called, before the `with` is entered: call it in the `with`",
    "async": "`{mode}` has no effect on a coroutine: it is left before the body runs; put `with` inside",
    "class": "`{mode}` on a class covers its constructor only, its methods build graphs; decorate the method",
    "generator": "this runs where it is consumed, outside of `{mode}`, and builds a graph; make it a list",
    "inference": "`{mode}` does not lift inference mode: nothing here builds a graph; use `inference_mode(False)`",
    "leak": "`{mode}` is never taken back: after this function, nothing is trained; use `with torch.no_grad():`",
}
