from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import HookIdle
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class HookWithoutEffect(Rule):
    """A hook that computes a new gradient and does not return it, or that is registered too late.

    ## What it does
    Reports, in a hook that returns nothing, what is computed from the gradient (or from the output, in a forward hook)
    and never looked at; and a hook on a tensor that is registered after the last backward that comes by. A tensor that
    is pickled or saved with a hook, and `torch.autograd.grad` with respect to all parameters of a module that
    `DistributedDataParallel` wraps.

    ## Why is this bad?
    Nothing is said, and the gradient stays as it is: what a hook computes takes effect only if it is returned. A copy
    that is read back has no hooks, of which PyTorch warns. The hooks with which `DistributedDataParallel` averages
    gradients run when `backward()` fills `.grad`; `autograd.grad` fills none, and each process goes its own way.

    ## Known problems
    Only hooks that run in the same file are looked at. A hook that also prints or stores something is reported only for
    an assignment that nothing reads.

    ## Fix safety
    Shown only.

    ## References
    - [torch.Tensor.register_hook](https://pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html)
    """

    code = "AGD217"
    name = "hook-without-effect"
    listens = (HookIdle,)
    triggers = (
        frozenset(
            {
                "register_hook",
                "register_post_accumulate_grad_hook",
                "register_forward_hook",
                "register_full_backward_hook",
                "register_full_backward_pre_hook",
            }
        ),
    )
    or_triggers = (
        (frozenset({"dumps", "dump", "save"}), frozenset({"register_hook"})),
        (frozenset({"grad"}), frozenset({"DistributedDataParallel"})),
    )
    example = Example(
        bad="""\
import torch


def clip(grad):
    grad = grad.clamp(-1, 1)


x = torch.ones(3, requires_grad=True)
x.register_hook(clip)
(x * 5).sum().backward()
""",
        good="""\
import torch


def clip(grad):
    return grad.clamp(-1, 1)


x = torch.ones(3, requires_grad=True)
x.register_hook(clip)
(x * 5).sum().backward()
""",
    )

    def check(self, event: HookIdle, source: Source) -> Iterable[Finding]:
        line = source.line(event.at)
        if event.what == "pickled":
            message = f"warns: `{event.subject}` is pickled without its backward hook (line {line})"
        elif event.what == "replicated":
            message = (
                f"DistributedDataParallel (line {line}) averages what `backward()` fills: these gradients stay local"
            )
        elif event.what == "late":
            message = f"`{event.subject}` comes too late: no backward runs after it, so the hook is never called"
        else:
            message = f"`{event.subject}` has no effect: the hook (registered in line {line}) does not return it"
        yield Finding(self.code, message, source.span(event.node), "certain", cause=event.node)
