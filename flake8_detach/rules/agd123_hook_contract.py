from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import HookMisuse
from flake8_detach.rules._base import Example, Finding, Note, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source

MESSAGES = {
    "arguments": "raises: the {hook} hook{where} is called with {what}",
    "both kinds": "raises: the module has another kind of backward hook{where}; use full backward hooks only",
    "count": "raises: the {hook} hook{where} returns {what}",
    "disabled": "raises: hooks on saved tensors are disabled here ({what})",
    "gradients for nothing": "raises: no input requires grad, so the full backward hook{where} has to return None",
    "mode": "raises: there is no mode {what}; it is 'all' or 'any'",
    "module output": "warns, and the {hook} hook{where} never runs: the module returns a {what}; return a tensor or a "
    "tuple of tensors",
    "no arguments": "raises: the {hook} hook{where} returns a {what}; return None or a tuple (args, kwargs)",
    "no input grad": "warns: no input of the module requires grad, so its full backward hook{where} gets no grad_input",
    "no leaf": "raises: `{what}` is computed, and this hook is for leaves only; use `register_hook`",
    "no tensor": "raises: the hook{where} returns a {what}; return a tensor, or None to leave the gradient as it is",
    "no tuple": "raises: the hook on the graph node{where} returns a {what}; return a tuple, or None",
    "not nothing": "raises: the post-accumulate hook{where} returns a {what}; return nothing, change `.grad` in place",
    "pack writes": "changes the tensor that the pack hook{where} is given: the operation that saves it raises; "
    "return a new one",
    "regular": "warns: `register_backward_hook`{where} sees wrong gradients here, {what}; use "
    "`register_full_backward_hook`",
    "shape": "raises: the hook{where} returns a gradient of another shape",
    "unpacked": "raises: the unpack hook{where} returns a {what} instead of a tensor",
}
"""What breaks the contract of a hook, by `HookMisuse.kind`, and what comes of it."""


@register
class HookContract(Rule):
    """A hook that breaks the contract of what it is registered on.

    ## What it does
    Follows hooks on tensors, graph nodes and modules to where torch runs them, and reports those that cannot be called
    with what they are given, that return what is not taken (a number for a gradient, two gradients for one input, a
    value where none is due), and that torch does not take at all: a post-accumulate hook on a computed tensor, both
    kinds of backward hooks on one module. It also reports the backward hooks of modules that torch warns of: no input
    requires grad, the output is no tensor.

    ## Why is this bad?
    A hook is called long after it has been registered, by the backward of somebody else: the traceback does not show
    where it came from.

    ## Known problems
    Hooks that come from other files are not followed. Looked for only where the file registers a hook.

    ## Fix safety
    Shown only.

    ## References
    - [torch.Tensor.register_hook](https://pytorch.org/docs/stable/generated/torch.Tensor.register_hook.html)
    - [Hooks of nn.Module](https://pytorch.org/docs/stable/generated/torch.nn.Module.html)
    - [Backward hooks execution](https://pytorch.org/docs/stable/notes/autograd.html#backward-hooks-execution)
    """

    code = "AGD123"
    name = "hook-contract"
    listens = (HookMisuse,)
    triggers = (
        frozenset(
            {
                "register_hook",
                "register_prehook",
                "register_post_accumulate_grad_hook",
                "register_multi_grad_hook",
                "register_forward_hook",
                "register_forward_pre_hook",
                "register_backward_hook",
                "register_full_backward_hook",
                "register_full_backward_pre_hook",
                "register_module_backward_hook",
                "register_module_full_backward_hook",
                "saved_tensors_hooks",
            }
        ),
    )
    example = Example(
        bad="""\
import torch

x = torch.ones(3, requires_grad=True)
x.register_hook(lambda grad: grad.norm().item())
(x * 2).sum().backward()
""",
        good="""\
import torch

x = torch.ones(3, requires_grad=True)
x.register_hook(lambda grad: grad / grad.norm())
(x * 2).sum().backward()
""",
    )

    def check(self, event: HookMisuse, source: Source) -> Iterable[Finding]:
        if event.guarded or (event.sure.no and event.kind not in NEGATIVE):
            return
        where = f" (line {source.line(event.at)})" if event.at is not None else ""
        message = MESSAGES[event.kind].format(hook=event.hook, where=where, what=event.what)
        first = event.kind == "pack writes"  # whatever is saved, the hook is wrong
        trail = (Note(source.span(event.at), "registered here"),) if event.at is not None else ()
        yield Finding(
            self.code, message, source.span(event.node), confidence(event.sure), trail, cause=event.at, first_only=first
        )


NEGATIVE = ("no leaf", "no input grad", "gradients for nothing")
"""What rests on a fact that is not so."""
