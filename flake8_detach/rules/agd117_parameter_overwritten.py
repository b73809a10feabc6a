from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import KeptOut
from flake8_detach.rules._base import TRAINING, Example, Finding, Rule, register
from flake8_detach.source import Source, code

FORMS = frozenset({"__init__ after =", "Parameter=", ".weight=other", ".bias=other", "register_parameter(?)"})
"""What this looks like where nothing in the file trains."""


@register
class ParameterOverwritten(Rule):
    """A module is given an attribute that it refuses.

    ## What it does
    Reports a plain tensor, number or array that is assigned to an attribute which holds a Parameter (or anything but a
    module where a child module is), `register_parameter` with a plain tensor or a
    name that cannot be used, and a Parameter or module that is
    assigned before `super().__init__()` has run.

    ## Why is this bad?
    PyTorch raises "cannot assign 'torch.FloatTensor' as parameter 'weight'" or "cannot assign module before
    Module.__init__() call". The first often sits in an update that runs late (a moving average, a re-initialisation).

    ## Known problems
    Classes that define `__setattr__`, and modules that code outside of the file has had its hands on (pruning,
    parametrizations), are not reported.

    ## Fix safety
    Unsafe: the assignment becomes `with torch.no_grad(): self.weight.copy_(value)`, which keeps the Parameter that the
    optimizer knows, and its shape; a tensor that is registered is wrapped in `nn.Parameter`. What is assigned too early
    is left to you.

    ## References
    - [torch.nn.Parameter](https://pytorch.org/docs/stable/generated/torch.nn.parameter.Parameter.html)
    - [torch.nn.Module](https://pytorch.org/docs/stable/generated/torch.nn.Module.html)
    """

    code = "AGD117"
    name = "parameter-overwritten"
    offers = ("unsafe",)
    listens = (KeptOut,)
    triggers = (
        frozenset({"nn", "Module", "Parameter", "register_parameter", "LightningModule", ".weight=", ".bias="}),
        frozenset({"()", *TRAINING}),
    )
    or_triggers = ((FORMS, frozenset({"nn", "torch"})),)
    example = Example(
        bad="""\
import torch
from torch import nn

layer = nn.Linear(3, 3)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
layer.weight = torch.eye(3)
""",
        good="""\
import torch
from torch import nn

layer = nn.Linear(3, 3)
optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
layer.weight = nn.Parameter(torch.eye(3))
""",
    )

    def check(self, event: KeptOut, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        if event.what == "parameter":
            message = (
                f"raises: `{event.name}` is a Parameter and cannot become {event.kind}; "
                "write `.copy_(...)` under `no_grad`, or wrap it in `nn.Parameter`"
            )
        elif event.what == "module":
            message = f"raises: `{event.name}` is a child module and cannot become {event.kind}"
        elif event.what == "name":
            message = f"raises: `{event.name}` cannot be registered: it must be {event.kind}"
        elif event.what == "as buffer":
            message = f"raises: `{event.name}` is a buffer and cannot become {event.kind}"
        elif event.what == "buffer":
            message = f"the layer will raise when it is called: its buffer `{event.name}` becomes a Parameter"
        elif event.what == "register":
            message = f"raises: `{event.name}` is registered with {event.kind}; wrap it in `nn.Parameter`"
        else:
            message = f"raises: the {event.kind} `{event.name}` is assigned before `super().__init__()` has run"
        yield Finding(self.code, message, source.span(event.node), fix=_copied(event, source))


def _copied(event: KeptOut, source: Source) -> Fix | None:
    """Write the values into the Parameter that is there; wrap what is registered."""
    import libcst as cst

    build, place, node = fixes.build, fixes.place, event.node
    if event.what == "register" and isinstance(node, cst.Call):
        value, name = place.argument(node, 1, "param"), place.spelling(source, "torch.nn.Parameter", node)
        if value is None or not name:
            return None
        around = build.insert_before(source, value, f"{name}("), build.insert_after(source, value, ")")
        return build.offer(f"wrap it in `{name}`", "unsafe", *around)
    line, mode = place.statement(source, node), place.spelling(source, "torch.no_grad", node)
    if event.what != "parameter" or "tensor" not in event.kind or line is None or not mode:
        return None
    small = line.body[0]
    if not isinstance(small, cst.Assign) or len(small.targets) != 1:
        return None
    text, where = f"{code(node)}.copy_({code(small.value)})", ""
    if not place.entered(source, node, mode):
        text, where = f"with {mode}():\n{build.indent_unit(source)}{text}", f" under `{mode}()`"
    return build.offer(f"write it with `copy_`{where}", "unsafe", build.replace_statement(source, node, text))
