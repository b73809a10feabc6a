from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flake8_detach import fixes
from flake8_detach.fixes.edits import Edit
from flake8_detach.flow.events import LostTerm
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._lost import lost_term
from flake8_detach.source import Source, code

OPTION = {"grad": 4, "jacobian": 2, "hessian": 2, "vjp": 3, "jvp": 3, "vhp": 3, "hvp": 3}
"""The position of `create_graph` among the arguments."""


@register
class GradientPenaltyWithoutCreateGraph(Rule):
    """A gradient enters a loss without a graph of its own.

    ## What it does
    Reports `torch.autograd.grad(...)` without `create_graph=True`, a derivative by torch.autograd.functional
    (`jacobian`, `hessian`, `vjp`, `jvp`, `hvp`, `vhp`) without it, and a `.grad` that `backward()` filled, when a term
    of a loss that is backwarded is made of it: a gradient penalty, the force term of a potential, a PDE residual.

    ## Why is this bad?
    The gradient is a constant, so the term is one, too: it changes the value of the loss and none of its gradients.

    ## Known problems
    A gradient that only scales or shifts something else (adversarial examples, loss weights, steps by hand) is silent,
    unless that is made of the function itself or of a derivative of it that does have a graph, as in the residual of a
    PDE, `u_t + u * u_x - u_xx`.

    ## Fix safety
    Unsafe: `create_graph=True` is passed, which keeps the graph in memory and changes the gradients, as it should. Not
    offered for `backward()`, which would leak.

    ## References
    - [torch.autograd.grad](https://pytorch.org/docs/stable/generated/torch.autograd.grad.html)
    - [torch.autograd.functional.jacobian](https://pytorch.org/docs/stable/generated/torch.autograd.functional.jacobian.html)
    """

    code = "AGD206"
    name = "gradient-penalty-without-create-graph"
    offers = ("unsafe",)
    listens = (LostTerm,)
    triggers = (frozenset({"backward", "manual_backward"}), frozenset(OPTION))
    example = Example(
        bad="""\
import torch
from torch import nn

critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
x = torch.randn(16, 4, requires_grad=True)
score = critic(x).sum()
(slope,) = torch.autograd.grad(score, x, retain_graph=True)
loss = score + 10 * (slope.norm(dim=1) - 1).pow(2).mean()
loss.backward()
""",
        good="""\
import torch
from torch import nn

critic = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
x = torch.randn(16, 4, requires_grad=True)
score = critic(x).sum()
(slope,) = torch.autograd.grad(score, x, create_graph=True)
loss = score + 10 * (slope.norm(dim=1) - 1).pow(2).mean()
loss.backward()
""",
    )

    def check(self, event: LostTerm, source: Source) -> Iterable[Finding]:
        if event.cause.kind == "gradient" and not event.guarded:
            edits = _second_order(source, event.node) if _takes_option(event.node) else ()
            fix = fixes.build.offer("pass `create_graph=True`", "unsafe", edits)
            yield from lost_term(self.code, event, source, f"the gradient was {event.cause.what}", fix)


def _second_order(source: Source, call: Any) -> tuple[Edit, ...]:
    """Pass `create_graph=True`, in the place of a `retain_graph=True`, which it implies."""
    build = fixes.build
    keywords = {arg.keyword.value: arg for arg in call.args if arg.keyword}
    retained = keywords.get("retain_graph")
    if retained is None or code(retained.value) != "True":
        return build.add_argument(source, call, "create_graph", "True")
    if "create_graph" not in keywords:
        return build.replace(source, retained.keyword, "create_graph")
    dropped = build.remove_argument(source, call, "retain_graph")
    return build.add_argument(source, call, "create_graph", "True") + dropped


def _takes_option(node: Any) -> bool:
    """Is it a call of `autograd.grad` or its like, without positional options? `backward(create_graph=True)` leaks."""
    import libcst as cst

    if not isinstance(node, cst.Call):
        return False
    places = OPTION.get(code(node.func).rpartition(".")[2], 0)
    return sum(not arg.keyword for arg in node.args) <= places and not any(arg.star for arg in node.args)
