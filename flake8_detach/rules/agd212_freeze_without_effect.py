from __future__ import annotations

from collections.abc import Iterable

from flake8_detach.flow.events import AttributeMade, Dropped, FreezeUndone
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source

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
    Shown only: `module.requires_grad_(False)`, `p.requires_grad = False`.

    ## References
    - [torch.nn.Module.requires_grad_](https://pytorch.org/docs/stable/generated/torch.nn.Module.html)
    """

    code = "AGD212"
    name = "freeze-without-effect"
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
            yield Finding(self.code, message, source.span(event.node))

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
        if event.owner == "module" and event.name == "requires_grad":
            return f"`{event.subject}.requires_grad = ...` changes no parameter: call `.requires_grad_(...)`"
        if event.name == "requires_grad_":
            return f"`{event.subject}.requires_grad_ = ...` replaces the method: call it, or assign `.requires_grad`"
        if event.name in MISSPELT:
            return f"`.{event.name}` is no attribute of PyTorch and changes nothing: it is spelt `requires_grad`"
        return ""
