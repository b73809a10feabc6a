from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.flow.events import ContextNotCalled
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class GradModeNotCalled(Rule):
    """A grad mode is entered without being called.

    ## What it does
    Reports `with torch.no_grad:`, the same for the other modes and for autocast, `with torch.no_grad(flag):`,
    `@torch.set_grad_enabled` without its argument, and `if torch.is_grad_enabled:`. Also the use of `mode` in
    `with torch.no_grad() as mode:`.

    ## Why is this bad?
    Python raises "'type' object does not support the context manager protocol" when the block is entered, often the
    evaluation at the end of the first epoch. `no_grad` takes no flag: what it is given it decorates. A decorator that
    needs an argument takes the function for it and raises. What a grad mode binds is None.

    ## Known problems
    `@torch.no_grad` and `@torch.inference_mode` work without brackets and are not reported.

    ## Fix safety
    Safe: the brackets are added where no argument is needed; the program could not run without them.

    ## References
    - [torch.no_grad](https://pytorch.org/docs/stable/generated/torch.no_grad.html)
    """

    code = "AGD115"
    name = "context-not-called"
    offers = ("safe",)
    listens = (ContextNotCalled,)
    triggers = (
        frozenset({"no_grad&", "inference_mode&", "enable_grad&", "set_grad_enabled&", "autocast&", "dual_level&"})
        | frozenset({"set_detect_anomaly&", "detect_anomaly&", "@set_grad_enabled", "@autocast"})
        | frozenset({"no_grad(1)", "enable_grad(1)", "inference_mode(1)", "set_grad_enabled()"})
        | frozenset({"is_grad_enabled", "is_inference_mode_enabled"})
        | frozenset({"no_grad as", "inference_mode as", "enable_grad as", "set_grad_enabled as"}),
        frozenset({"torch"}),
    )
    example = Example(
        bad="""\
import torch

net = torch.nn.Linear(4, 1)
with torch.no_grad:
    print(net(torch.ones(4)))
""",
        good="""\
import torch

net = torch.nn.Linear(4, 1)
with torch.no_grad():
    print(net(torch.ones(4)))
""",
    )

    def check(self, event: ContextNotCalled, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        short = event.name.rpartition(".")[2]
        fix = None
        if event.what == "bound":
            short, _, bound = short.partition(":")
            message = f"`{short}` binds nothing: `{bound}` is None in the whole block"
        elif event.what == "condition":
            message = f"`{short}` is a function and always true: write `{short}()`"
        elif event.what == "decorator":
            message = f"`@{short}` takes the function for its argument and raises: write `@{short}(...)`"
        elif event.what == "flag":
            message = f"`{short}` takes True or False and raises: write `{short}(bool(...))`"
        elif event.what == "argument":
            message = f"`{short}(...)` takes no flag and raises here: use `torch.set_grad_enabled(...)`"
        elif short in NEEDS_ARGUMENT:
            message = f"`with {short}` raises: the context manager is not called; write `{short}(...)`"
        else:
            message = f"`with {short}` raises: the context manager is not called; write `{short}()`"
            fix = fixes.build.offer("call it", "safe", fixes.build.postfix(source, event.node, "()"))
        yield Finding(self.code, message, source.span(event.node), fix=fix)


NEEDS_ARGUMENT = frozenset({"set_grad_enabled", "autocast", "set_detect_anomaly"})
