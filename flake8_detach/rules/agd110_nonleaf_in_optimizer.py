from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import OptimizerMade
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class NonleafInOptimizer(Rule):
    """An optimizer is given what it cannot optimise.

    ## What it does
    Reports an optimizer that is constructed with a tensor that is not a leaf (a moved, cast or scaled one), with an
    empty list or an exhausted generator, with a module, a bare tensor, or with `parameters` that is not called.

    ## Why is this bad?
    PyTorch raises "can't optimize a non-leaf Tensor" or "optimizer got an empty parameter list".

    ## Known problems
    A tensor that merely does not require grad is accepted by PyTorch and not reported here.

    ## Fix safety
    Unsafe: `parameters` is called, a module gives its `.parameters()`, a tensor is put into a list; whether these are
    all that is to be optimised, the program cannot tell. Of a tensor that is not a leaf nothing is offered: create the
    leaf with its final device and dtype, then `requires_grad_()`.

    ## References
    - [torch.optim](https://pytorch.org/docs/stable/optim.html)
    """

    code = "AGD110"
    name = "nonleaf-in-optimizer"
    offers = ("unsafe",)
    listens = (OptimizerMade,)
    triggers = (frozenset({"optim"}),)
    example = Example(
        bad="""\
import torch

image = torch.rand(3, 8, 8, requires_grad=True) * 255
optimizer = torch.optim.Adam([image], lr=1.0)
""",
        good="""\
import torch

image = (torch.rand(3, 8, 8) * 255).requires_grad_()
optimizer = torch.optim.Adam([image], lr=1.0)
""",
    )

    def check(self, event: OptimizerMade, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        name = event.kind.rpartition(".")[2]
        if event.problem:
            message = f"`{name}` is given {event.problem}"
            yield Finding(self.code, message, source.span(event.node), fix=_called(event, source))
        elif event.given == ():
            message = f"`{name}` gets an empty parameter list (nothing registered, or a generator that is used up)"
            yield Finding(self.code, message, source.span(event.node))
        for tensor in event.given or ():
            if tensor.leaf.no and tensor.grad.yes:
                maker = tensor.made.rpartition(".")[2].strip("_")
                message = f"`{name}` cannot optimise a tensor that is not a leaf (made by `{maker}`)"
                yield Finding(self.code, message, source.span(event.node), confidence(tensor.leaf, tensor.grad))
                return


def _called(event: OptimizerMade, source: Source) -> Fix | None:
    """Call `parameters`; put a tensor into a list."""
    build, given = fixes.build, fixes.place.argument(event.node, 0, "params")
    if given is None:
        return None
    if event.problem.startswith("the method"):
        return build.offer("call it", "unsafe", build.postfix(source, given, "()"))
    if event.problem.startswith("a module"):
        return build.offer("insert `.parameters()`", "unsafe", build.postfix(source, given, ".parameters()"))
    if event.problem.startswith("a tensor"):
        around = (build.insert_before(source, given, "["), build.insert_after(source, given, "]"))
        return build.offer("put it into a list", "unsafe", *around)
    return None
