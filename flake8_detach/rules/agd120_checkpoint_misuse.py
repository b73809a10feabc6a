from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Checkpointed
from flake8_detach.rules._base import TRAINING, Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source

REFUSED = {
    "determinism": '`determinism_check` can only be "default" or "none"',
    "debug": "`debug=True` has a context of its own; leave `context_fn` away, or `debug`",
    "unknown keyword": "checkpoint_sequential takes no `{}`; only `use_reentrant` and `preserve_rng_state`",
}


@register
class CheckpointMisuse(Rule):
    """Activation checkpointing that loses the gradient, raises, or leaves its form open.

    ## What it does
    Reports `torch.utils.checkpoint` without `use_reentrant`; the reentrant form where none of the inputs requires grad
    although the function has parameters that do, where `autograd.grad` or `backward(inputs=...)` goes through it, and
    where it is given what only the other form takes, or a function whose result does not require grad; options that are
    not known; and a tensor in the place of the function.

    ## Why is this bad?
    The reentrant form runs the function under no_grad: if no input requires grad, the first layers of a model get no
    gradient at all, with a warning that is easily lost. `autograd.grad` through it raises. Left open, the form is the
    reentrant one, with a warning on every call.

    ## Known problems
    Looked for only in what hangs together with training: a backward, an optimizer or autograd in the same file.
    Inputs that come from unknown code may require grad and are not reported.

    ## Fix safety
    Unsafe: `use_reentrant=False` computes the same values and has none of these limits, but gradients come to where
    there were none. A result that is handed over instead of a function is left to you.

    ## References
    - [torch.utils.checkpoint](https://pytorch.org/docs/stable/checkpoint.html)
    """

    code = "AGD120"
    name = "checkpoint-misuse"
    offers = ("unsafe",)
    listens = (Checkpointed,)
    triggers = (frozenset({"checkpoint", "checkpoint_sequential"}), TRAINING)
    or_triggers = ((frozenset({"use_reentrant"}),),)
    example = Example(
        bad="""\
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

x = torch.ones(2, 4, requires_grad=True)
out = checkpoint(nn.Linear(4, 4), x, use_reentrant=True)
(slope,) = torch.autograd.grad(out.sum(), x)
""",
        good="""\
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

x = torch.ones(2, 4, requires_grad=True)
out = checkpoint(nn.Linear(4, 4), x, use_reentrant=False)
(slope,) = torch.autograd.grad(out.sum(), x)
""",
    )

    def check(self, event: Checkpointed, source: Source) -> Iterable[Finding]:
        if event.guarded:
            return
        if event.what == "unsaid":
            message = "warns: `use_reentrant` is not given, so the reentrant form is used; pass `use_reentrant=False`"
        elif event.what == "inputs":
            message = (
                f"`{event.subject}` gets no gradient: no input of this reentrant checkpoint requires grad; "
                "pass `use_reentrant=False`"
            )
        elif event.what == "grad" and event.at is not None:
            message = (
                f"raises: `{event.subject}` goes through a reentrant checkpoint (line {source.line(event.at)}), which "
                "takes no chosen inputs; pass `use_reentrant=False`"
            )
        elif event.what == "graphless" and event.at is not None:
            message = (
                f"raises: what the reentrant checkpoint of line {source.line(event.at)} returns does not require grad; "
                "call the function without a checkpoint"
            )
        elif event.what in REFUSED:
            message = f"raises: {REFUSED[event.what].format(event.subject)}"
        elif event.what == "keyword":
            message = f"raises: the reentrant form takes no `{event.subject}`; pass `use_reentrant=False`"
        else:
            message = f"raises: `{event.subject}` is a result, not a function; pass the module and its inputs apart"
        yield Finding(
            self.code,
            message,
            source.span(event.node),
            confidence(event.sure),
            fix=_repair(event, source),
            cause=event.node,
        )


def _repair(event: Checkpointed, source: Source) -> Fix | None:
    """Ask for the form without limits, where the checkpoint is made."""
    import libcst as cst

    node = event.at if event.what == "grad" else event.node
    if event.what == "value" or not isinstance(node, cst.Call):
        return None
    edits = fixes.build.add_argument(source, node, "use_reentrant", "False")
    return fixes.build.offer("pass `use_reentrant=False`", "unsafe", edits)
