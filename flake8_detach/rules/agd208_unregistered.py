from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Unregistered
from flake8_detach.rules._base import TRAINING, Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class UnregisteredModule(Rule):
    """Layers or parameters that the module does not register, so that they are never trained.

    ## What it does
    Reports, in a class that extends `nn.Module`, layers or Parameters that are kept in a plain list, dict or tuple; a
    tensor with `requires_grad=True` that is an attribute of a module whose other parameters are optimized, or that is
    registered as a buffer; layers and Parameters that are attributes of the class, not of its objects; and layers that
    are made anew in every `forward`.

    ## Why is this bad?
    `parameters()`, `state_dict()`, `to()`, `train()` and `eval()` see only what is registered: attributes that are
    modules or Parameters, and what is in `nn.ModuleList`, `nn.ModuleDict`, `nn.ParameterList`. The rest stays as it was
    initialised, on the device where it was made. PyTorch says nothing.

    ## Known problems
    Looked for only in what hangs together with training: a backward, an optimizer or autograd in the same file.
    Silent for what is hidden on purpose: a list of one module (`[teacher]`), frozen modules, modules in evaluation
    mode, modules that are used under `no_grad` only, modules that the caller hands in; and where the class or the file
    registers or optimizes it by other means.

    ## Fix safety
    Unsafe: the list, dict or tuple is wrapped in `nn.ModuleList`, `nn.ModuleDict`, `nn.ParameterList`, a tensor in
    `nn.Parameter`, where it is written out in the assignment. The layers are trained and saved then.

    ## References
    - [torch.nn.ModuleList](https://pytorch.org/docs/stable/generated/torch.nn.ModuleList.html)
    - [torch.nn.ParameterList](https://pytorch.org/docs/stable/generated/torch.nn.ParameterList.html)
    """

    code = "AGD208"
    name = "unregistered"
    offers = ("unsafe",)
    listens = (Unregistered,)
    triggers = (frozenset({"__init__", "forward"}), TRAINING, frozenset({"class Module"}))
    or_triggers = ((frozenset({"=["}),),)
    example = Example(
        bad="""\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(8, 8) for _ in range(3)]
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)
""",
        good="""\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(8, 8) for _ in range(3)])
        self.head = nn.Linear(8, 1)

    def forward(self, x):
        for layer in self.layers:
            x = torch.relu(layer(x))
        return self.head(x)
""",
    )

    def check(self, event: Unregistered, source: Source) -> Iterable[Finding]:
        if event.what not in MESSAGES or event.guarded:
            return
        container = {"dict": ("ModuleDict", "ParameterDict")}.get(event.container, ("ModuleList", "ParameterList"))
        kind = container[event.what == "parameters"]
        what = "closure" if event.container == "function" else event.what
        message = MESSAGES[what].format(it=event.subject, held=event.container, kind=kind)
        yield Finding(
            self.code, message, source.span(event.node), confidence(event.seen), fix=_registered(event, kind, source)
        )


def _registered(event: Unregistered, kind: str, source: Source) -> Fix | None:
    """Wrap what is assigned."""
    import libcst as cst

    line = fixes.place.statement(source, event.node)
    if line is None or not isinstance(line.body[0], (cst.Assign, cst.AnnAssign)) or event.what in NOT_WRAPPED:
        return None
    value = line.body[0].value
    displays = (cst.List, cst.ListComp, cst.Tuple, cst.Dict, cst.DictComp)
    if value is None or (event.what != "tensor" and not isinstance(value, displays)):
        return None
    parts = [getattr(part, "value", part) for part in getattr(value, "elements", [getattr(value, "elt", value)])]
    if event.what != "tensor" and (
        not parts or any(part is not value and isinstance(part, displays) for part in parts)
    ):
        return None  # what is put in later, or a list of lists, nn.ModuleList may not take
    name = fixes.place.spelling(source, f"torch.nn.{'Parameter' if event.what == 'tensor' else kind}", line)
    if not name:
        return None
    around = fixes.build.insert_before(source, value, f"{name}("), fixes.build.insert_after(source, value, ")")
    return fixes.build.offer(f"wrap it in `{name}`", "unsafe", *around)


NOT_WRAPPED = ("call", "object", "objects", "declared", "buffer")
MESSAGES = {
    "declared": "`{it}` belongs to the class: no object registers it, nothing trains it; make it in `__init__`",
    "buffer": "`{it}` is a buffer: `parameters()` does not list it, nothing trains it; make it a Parameter attribute",
    "modules": "`{it}` is a plain {held}: its layers are not in `parameters()`, nothing trains them; use nn.{kind}",
    "closure": "`{it}` is a function with layers of its own: they are not in `parameters()`, nothing trains them",
    "objects": "`{it}` holds layers in plain objects: they are not in `parameters()`; make these modules, in nn.{kind}",
    "object": "`{it}` is no module: what it holds is not in `parameters()`, nothing trains it; make `{held}` one",
    "parameters": "`{it}` is a plain {held}: its Parameters are not in `parameters()`; use nn.{kind}",
    "tensor": "`{it}` is no Parameter: `parameters()` does not list it, the optimizer does not train it",
    "call": "`{it}` is made anew in every forward: random and never trained; make it in `__init__`",
}
