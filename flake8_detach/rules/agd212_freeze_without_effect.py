from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import AttributeMade, Dropped, FreezeUndone
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source, code

MISSPELT = frozenset(
    {"require_grad", "require_grads", "requires_grads", "required_grad", "required_grads", "requiers_grad"}
    | {"requres_grad", "reqires_grad", "requries_grad", "requires_gard", "requires_gradient", "requires_gradients"}
    | {"require_gradient", "require_gradients", "require_grad_", "requires_grads_", "requires_garad", "requiresgrad"}
    | {"requries_grads", "requirs_grad", "requieres_grad", "reguires_grad", "require_gard"}
)
"""What is written where `requires_grad` is meant."""


@register
class FreezeWithoutEffect(Rule):
    """A parameter is frozen or unfrozen in a way that changes nothing.

    ## What it does
    Reports `module.requires_grad = False`, which sets an attribute that nobody reads; a misspelt flag of a tensor
    (`p.require_grad = False`); `p.requires_grad == False` as a statement; `p.requires_grad_ = False`, which replaces
    the method; a flag of a temporary (`p.data.requires_grad = False`); and a freeze that a later loop undoes
    before anything has used it.

    ## Why is this bad?
    The parameters keep the state that they had. What should stay as it is, is trained; nothing is said.

    ## Known problems
    An attribute of a module that the class or the file reads itself is taken for a flag of the program's own.

    ## Fix safety
    Unsafe: the statement is put right, so it has an effect: `module.requires_grad_(False)`, `p.requires_grad = False`.
    A freeze that is undone, or that goes to a copy, is left to you; `.data` alone is dropped.

    ## References
    - [torch.nn.Module.requires_grad_](https://pytorch.org/docs/stable/generated/torch.nn.Module.html)
    """

    code = "AGD212"
    name = "freeze-without-effect"
    offers = ("unsafe",)
    listens = (AttributeMade, Dropped, FreezeUndone)
    triggers = (
        frozenset({".requires_grad=", "requires_grad_", "requires_grad==;", *MISSPELT}),
        frozenset({"torch", "lightning"}),
    )
    example = Example(
        bad="""\
from torch import nn

encoder = nn.Linear(4, 4)
encoder.requires_grad = False
""",
        good="""\
from torch import nn

encoder = nn.Linear(4, 4)
encoder.requires_grad_(False)
""",
    )

    def check(self, event: AttributeMade | Dropped | FreezeUndone, source: Source) -> Iterable[Finding]:
        message = "" if event.guarded else self._message(event, source)
        if message:
            yield Finding(self.code, message, source.span(event.node), fix=_repair(event, source))

    def _message(self, event: AttributeMade | Dropped | FreezeUndone, source: Source) -> str:
        if isinstance(event, FreezeUndone):
            line = source.line(event.frozen_at)
            return f"all that was frozen on line {line} is switched on again here, before anything has used it"
        if isinstance(event, Dropped):
            if event.what == "comparison":
                return f"`{event.subject} == ...` only compares: assign with `=`"
            if event.owner == "temporary":
                return f"`.requires_grad_()` of `{event.subject}` switches a copy that nothing holds"
            return ""
        if event.owner == "temporary":
            return f"`{event.subject}` is a tensor of its own, gone at once: the original keeps its `requires_grad`"
        if event.owner == "state_dict":
            return f"`{event.subject}` is a tensor that `state_dict()` made: the parameter keeps its `requires_grad`"
        if event.owner == "module" and event.name == "requires_grad":
            return f"`{event.subject}.requires_grad = ...` changes no parameter: call `.requires_grad_(...)`"
        if event.name == "requires_grad_":
            return f"`{event.subject}.requires_grad_ = ...` replaces the method: call it, or assign `.requires_grad`"
        if event.name in MISSPELT:
            return f"`.{event.name}` is no attribute of PyTorch and changes nothing: it is spelt `requires_grad`"
        return ""


def _repair(event: AttributeMade | Dropped | FreezeUndone, source: Source) -> Fix | None:
    """Make the statement do what it says."""
    import libcst as cst

    build, node = fixes.build, event.node
    line = fixes.place.statement(source, node)
    if isinstance(event, FreezeUndone) or line is None:
        return None
    if isinstance(event, Dropped):
        if not isinstance(node, cst.Comparison) or len(node.comparisons) != 1:
            return None
        text = f"{code(node.left)} = {code(node.comparisons[0].comparator)}"
        return build.offer(f"write `{text}`", "unsafe", build.replace_statement(source, node, text))
    if not isinstance(node, cst.Attribute):
        return None
    if event.owner == "temporary":
        data = node.value
        edits = (
            build.delete_attribute(source, data)
            if isinstance(data, cst.Attribute) and data.attr.value == "data"
            else ()
        )
        return build.offer("drop `.data`", "unsafe", edits)
    if event.owner == "module" and isinstance(line.body[0], cst.Assign) and len(line.body[0].targets) == 1:
        text = f"{code(node.value)}.requires_grad_({code(line.body[0].value)})"
        return build.offer(f"write `{text}`", "unsafe", build.replace_statement(source, node, text))
    return build.offer("write `requires_grad`", "unsafe", build.rename(source, node, "requires_grad"))
