from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Applicability, Fix
from flake8_detach.flow.events import InPlace
from flake8_detach.rules._base import TRAINING, Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class InplaceOnLeaf(Rule):
    """A leaf that requires grad is changed in place while grad mode is on.

    ## What it does
    Reports in-place methods, augmented assignments, item assignments and in-place modules on a leaf that requires grad
    (a parameter, a tensor made with `requires_grad=True`) or on a view of one.

    ## Why is this bad?
    PyTorch raises "a leaf Variable that requires grad is being used in an in-place operation".

    ## Known problems
    Looked for only in what hangs together with training: a backward, an optimizer or autograd in the same file.
    Under `torch.no_grad()` this is how parameters are updated by hand, and legal. A function that nobody in the file
    calls is taken to run with grad mode on.

    ## Fix safety
    Safe: a statement that only writes is put under `with torch.no_grad():`; the program could not run without that, and
    the values are the same. Unsafe in a function that is handed the leaf, as other callers
    may hand it what carries a graph.

    ## References
    - [Locally disabling gradient computation](https://pytorch.org/docs/stable/notes/autograd.html#locally-disabling-grad-doc)
    """

    code = "AGD106"
    name = "inplace-on-leaf"
    offers = ("safe", "unsafe")
    listens = (InPlace,)
    triggers = (
        frozenset({"._", "[]=", "+=", "inplace", "out"}),
        frozenset({"()", "requires_grad=True", *TRAINING}),
    )
    or_triggers = ((frozenset({"Parameter+="}),),)
    example = Example(
        bad="""\
import torch

w = torch.ones(3, requires_grad=True)
(w * 2).sum().backward()
w -= 0.1 * w.grad
""",
        good="""\
import torch

w = torch.ones(3, requires_grad=True)
(w * 2).sum().backward()
with torch.no_grad():
    w -= 0.1 * w.grad
""",
    )

    def check(self, event: InPlace, source: Source) -> Iterable[Finding]:
        tensor, base = event.tensor, event.base
        if event.guarded or not event.mode.grad.yes:
            return
        if event.out.yes:
            message = f"`{event.how}` raises: `out=` makes no graph, and an argument requires grad; assign the result"
            yield Finding(self.code, message, source.span(event.node), confidence(event.out, event.mode.grad))
            return
        if not tensor.grad.yes:
            return
        if not event.mode.grad.proved and (tensor.parameter or (base is not None and base.parameter)):
            return  # parameters are written by methods that are called from elsewhere, most often under `no_grad`
        if tensor.leaf.yes:
            what, facts = f"`{event.subject}` is a leaf that requires grad", (tensor.grad, tensor.leaf)
        elif base is not None and tensor.view == "view" and base.leaf.yes and base.grad.yes:
            what, facts = f"`{event.subject}` is a view of a leaf that requires grad", (base.grad, base.leaf)
        else:
            return
        yield Finding(
            self.code,
            f"`{event.how}` raises: {what}; write it under `torch.no_grad()`",
            source.span(event.node),
            confidence(*facts, event.mode.grad),
            fix=self._repair(event, source),
        )

    def _repair(self, event: InPlace, source: Source) -> Fix | None:
        """Only where the statement writes and does nothing else: a value that is kept may be meant to carry a graph."""
        import libcst as cst

        build, place = fixes.build, fixes.place
        line = place.statement(source, event.node)
        if line is None or not (
            place.alone(source, event.node) or isinstance(line.body[0], (cst.AugAssign, cst.Assign))
        ):
            return None
        if isinstance(line.body[0], cst.Assign) and not all(t.target is event.node for t in line.body[0].targets):
            return None
        kind: Applicability = "unsafe" if event.calls and place.handed(source, line) else "safe"
        return build.offer("put it under `torch.no_grad()`", kind, build.under_no_grad(source, event.node))
