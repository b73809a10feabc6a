from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Unregistered
from flake8_detach.rules._base import TRAINING, Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source, code


@register
class NonleafParameter(Rule):
    """A module keeps what was computed from a Parameter, and the Parameter itself is lost.

    ## What it does
    Reports `self.w = nn.Parameter(...).to(device)`, `.double()`, `* 0.1`, `.view(...)` and the like: what becomes the
    attribute of the module is the result of an operation, and nothing else holds the Parameter.

    ## Why is this bad?
    Only a Parameter is registered. The attribute is not in `parameters()` nor in `state_dict()`: no optimizer trains
    it, it is not saved, and a second backward through its graph may raise. Nothing is said.

    ## Known problems
    Looked for only in what hangs together with training: a backward, an optimizer or autograd in the same file.
    A move to a device returns the very same Parameter where there is nothing to move. So `.to(device)` works on the CPU
    and loses the parameter on a GPU; it is reported as likely.

    ## Fix safety
    Unsafe: what is done with the Parameter is moved into its brackets, where it is one expression. What is learned is
    then the moved, cast or scaled value.

    ## References
    - [torch.nn.parameter.Parameter](https://pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html)
    """

    code = "AGD207"
    name = "nonleaf-parameter"
    offers = ("unsafe",)
    listens = (Unregistered,)
    triggers = (frozenset({"__init__", "forward"}), frozenset({"Parameter"}), frozenset({"Parameter()", *TRAINING}))
    example = Example(
        bad="""\
import torch
from torch import nn


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(3)) * 0.1

    def forward(self, x):
        return x * self.factor
""",
        good="""\
import torch
from torch import nn


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.ones(3) * 0.1)

    def forward(self, x):
        return x * self.factor
""",
    )

    def check(self, event: Unregistered, source: Source) -> Iterable[Finding]:
        if event.what != "computed" or event.guarded:
            return
        op = written(event.how)
        message = f"`{event.subject}` is not trained: {op} makes a tensor of the Parameter, and only that is kept"
        if not event.moved.proved:
            message = f"`{event.subject}` is not trained where {op} moves it: what is kept is a copy, no Parameter"
        yield Finding(self.code, message, source.span(event.node), confidence(event.moved), fix=_inside(event, source))


def _inside(event: Unregistered, source: Source) -> Fix | None:
    """Move what is done with the Parameter into its brackets."""
    import libcst as cst

    build, place = fixes.build, fixes.place
    line = place.statement(source, event.node)
    if line is None or not isinstance(line.body[0], cst.Assign) or line.body[0].value.lpar:
        return None
    made: cst.BaseExpression = line.body[0].value
    name = place.spelling(source, "torch.nn.Parameter", event.node)
    while not (isinstance(made, cst.Call) and code(made.func) == name):
        if isinstance(made, cst.Call) and isinstance(made.func, cst.Attribute) and not made.lpar:
            made = made.func.value
        elif isinstance(made, cst.BinaryOperation) and not made.lpar:
            made = made.left
        else:
            return None
    data = place.argument(made, 0)
    if data is None or len(made.args) != 1 or made.lpar or made is line.body[0].value:
        return None
    edits = (build.delete_after(source, data, made), build.insert_after(source, line.body[0].value, ")"))
    return build.offer(f"move it into `{name}(...)`", "unsafe", *edits)


def written(op: str) -> str:
    """How the op is written in Python."""
    name = op.rpartition(".")[2]
    sign = {"__mul__": "*", "__add__": "+", "__sub__": "-", "__truediv__": "/", "__matmul__": "@", "__getitem__": "[]"}
    return f"`{sign[name]}`" if name in sign else f"`.{name}()`" if op.startswith("Tensor.") else f"`{name}`"
