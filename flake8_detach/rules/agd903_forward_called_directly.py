from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import ForwardCalled
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class ForwardCalledDirectly(Rule):
    """The `forward` of a module is called by hand.

    ## What it does
    Reports `module.forward(...)` of what is known to be an `nn.Module`. `super().forward(...)`, `Base.forward(self, x)`
    and what a `__call__` of the file does are not meant.

    ## Why is this bad?
    `module(...)` runs the hooks of the module around its `forward`; `module.forward(...)` runs none of them. Hooks are
    how pruning and the older weight_norm and spectral_norm compute the weight, how lazy layers get theirs, how features
    and gradients are recorded, and how wrappers such as FSDP gather parameters.

    ## Known problems
    Off by default: a module without hooks does the same either way. Who skips the hooks on purpose, say in a hook
    itself, has to say `noqa`. A module whose class defines `__call__` is not reported.

    ## Fix safety
    Unsafe: `.forward` is taken out. The hooks run then.

    ## References
    - [torch.nn.Module.forward](https://pytorch.org/docs/stable/generated/torch.nn.Module.html#torch.nn.Module.forward)
    """

    code = "AGD903"
    name = "forward-called-directly"
    default = False
    offers = ("unsafe",)
    listens = (ForwardCalled,)
    triggers = (frozenset({".forward"}), frozenset({"torch"}))
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
net.register_forward_hook(lambda module, args, output: print(output.shape))
print(net.forward(torch.randn(8, 4)))
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
net.register_forward_hook(lambda module, args, output: print(output.shape))
print(net(torch.randn(8, 4)))
""",
    )

    def check(self, event: ForwardCalled, source: Source) -> Iterable[Finding]:
        message = f"`{event.subject}.forward(...)` skips the hooks of the module: call `{event.subject}(...)`"
        yield Finding(self.code, message, source.span(event.node), fix=_called(event, source))


def _called(event: ForwardCalled, source: Source) -> Fix | None:
    return fixes.build.offer("call the module", "unsafe", fixes.build.delete_attribute(source, event.node.func))
