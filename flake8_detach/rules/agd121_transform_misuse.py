from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import Transformed
from flake8_detach.rules._base import Example, Finding, Note, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class TransformMisuse(Rule):
    """A function transform refuses its arguments, or what the function does inside of it.

    ## What it does
    Runs the function that is handed to torch.func (`grad`, `vmap`, `vjp`, `jvp`, `jacrev`, `jacfwd`, `hessian`,
    `linearize`), torch.autograd.functional (`jacobian`, `hessian`, `vjp`, `jvp`, `hvp`, `vhp`) or `gradcheck` as the
    transform would, and reports what torch refuses: a result that is no scalar or no tensor, `argnums`, `in_dims` and
    `out_dims` that do not fit, options that exclude each other, `.item()`, an `if` or random numbers under `vmap`,
    in-place writes to captured tensors, `backward()` inside. Also `functional_call` and `stack_module_state` with
    modules or dicts that do not fit, dual tensors without a level, custom operators, and `torch.jit.trace` of a
    function that captures a tensor which requires grad.

    ## Why is this bad?
    Torch raises, in the middle of its own code, with a message about BatchedTensors, specs and levels that says little
    of the function that was written.

    ## Known problems
    Where a shape, a structure or the function is not known, nothing is said. The operators that lack a forward-mode
    derivative are known in part.

    ## Fix safety
    None.

    ## References
    - [torch.func](https://pytorch.org/docs/stable/func.html)
    - [UX limitations](https://pytorch.org/docs/stable/func.ux_limitations.html)
    """

    code = "AGD121"
    name = "transform-misuse"
    listens = (Transformed,)
    triggers = (
        frozenset(
            {"grad", "vmap", "vjp", "jvp", "jacrev", "jacfwd", "hessian", "jacobian", "hvp", "vhp", "grad_and_value"}
            | {"linearize", "functionalize", "gradcheck", "gradgradcheck", "functional_call", "stack_module_state"}
            | {"make_dual", "dual_level", "enter_dual_level", "exit_dual_level", "custom_op", "register_autograd"}
            | {"trace"}
        ),
        frozenset(
            {"func", "functorch", "vmap", "jacobian", "hessian", "vjp", "jvp", "hvp", "vhp", "gradcheck"}
            | {"gradgradcheck", "functional_call", "stack_module_state", "forward_ad", "custom_op", "jit"}
        ),
    )
    example = Example(
        bad="""\
import torch


def squared_error(weights, x, y):
    return (x @ weights - y).pow(2)


weights, x, y = torch.zeros(3), torch.randn(8, 3), torch.randn(8)
slope = torch.func.grad(squared_error)(weights, x, y)
""",
        good="""\
import torch


def squared_error(weights, x, y):
    return (x @ weights - y).pow(2).mean()


weights, x, y = torch.zeros(3), torch.randn(8, 3), torch.randn(8)
slope = torch.func.grad(squared_error)(weights, x, y)
""",
    )

    def check(self, event: Transformed, source: Source) -> Iterable[Finding]:
        if event.guarded or not event.sure.yes:
            return
        where = f" (line {source.line(event.at)})" if event.at is not None else ""
        remedy = f"; {event.remedy}" if event.remedy else ""
        message = f"`{event.transform}`{where} raises: {event.problem}{remedy}"
        trail = (Note(source.span(event.at), "transformed here"),) if event.at is not None else ()
        yield Finding(self.code, message, source.span(event.node), confidence(event.sure), trail)
