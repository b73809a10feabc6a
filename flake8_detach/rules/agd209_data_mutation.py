from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes, trees
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import HiddenWrite
from flake8_detach.rules._base import Example, Finding, Note, Rule, register
from flake8_detach.source import Source


@register
class DataMutation(Rule):
    """Memory that backward needs is written through `.data` or numpy.

    ## What it does
    Reports a write through `.data` (`x.data.mul_(2)`, `w.data -= ...`, `x.data[0] = 1`) or through a numpy array that
    shares the memory (`x.detach().numpy()[:] = 0`), between the forward that saved the tensor and the backward that
    uses it. Also a write to what `detach()` made of a computed tensor, if a backward comes by what is computed from
    that tensor later on; through `.data`, only a write that scales (`h.data.mul_(mask)`) and does not round.

    ## Why is this bad?
    `.data` and numpy do not count the write as autograd counts others, so that it cannot refuse. Backward computes with
    the new values: the gradient is wrong, and nothing is said.

    ## Known problems
    Straight-through tricks do this on purpose: what rounds, clamps or adds through `.data` is left alone. What an
    assignment to `.data` replaces is not followed.

    ## Fix safety
    Unsafe: the write is moved behind the backward, if both stand in the same block and nothing between them uses what
    is written. Elsewhere it is left to you: write under `torch.no_grad()` and without `.data`, so that PyTorch tells
    when it is wrong; or copy first.

    ## References
    - [In-place operations with autograd](https://pytorch.org/docs/stable/notes/autograd.html)
    """

    code = "AGD209"
    name = "data-mutation"
    offers = ("unsafe",)
    listens = (HiddenWrite,)
    triggers = (
        frozenset({"._", "[]=", "+=", "out"}),
        frozenset({".data", "numpy", "detach"}),
        frozenset({"backward", "grad", "manual_backward"}),
    )
    example = Example(
        bad="""\
import torch

w = torch.ones(3, requires_grad=True)
loss = (w**2).sum()
w.data.mul_(10)
loss.backward()
""",
        good="""\
import torch

w = torch.ones(3, requires_grad=True)
loss = (w**2).sum()
loss.backward()
with torch.no_grad():
    w.mul_(10)
""",
    )

    def check(self, event: HiddenWrite, source: Source) -> Iterable[Finding]:
        op = event.op.rpartition(".")[2].strip("_")
        line = source.line(event.backward)
        if event.graph:
            message = f"`detach()` copies nothing: this also changes what the loss is made of (line {line}); clone it"
            if event.via == ".data":
                message = f"`.data` hides this from autograd: gradients come as if line {line} took the old values"
            yield Finding(self.code, message, source.span(event.node), "likely")
            return
        saved = f" (line {source.line(event.saved_at)})" if event.saved_at is not None else ""
        via = "`.data`" if event.via == ".data" else "numpy"
        message = (
            f"written through {via} unnoticed: `{op}`{saved} saved the old values, backward (line {line}) takes these"
        )
        yield Finding(
            self.code,
            message,
            source.span(event.node),
            trail=(Note(source.span(event.backward), "backward"),),
            fix=_after_backward(event, source),
        )


def _after_backward(event: HiddenWrite, source: Source) -> Fix | None:
    """The write behind the backward: only a statement that writes through `.data` by itself, as a name could be any."""
    import libcst as cst

    build, place = fixes.build, fixes.place
    line, goal = place.statement(source, event.node), place.statement(source, event.backward)
    if line is None or goal is None or source.line(line) > source.line(goal):
        return None
    written = (n for n in trees.walk(line.body[0]) if isinstance(n, cst.Attribute) and n.attr.value == "data")
    owners = [n.value for n in written]
    if not owners or any(place.mentioned_between(source, owner, line, goal) for owner in owners):
        return None
    return build.offer("move it behind the backward", "unsafe", build.move(source, line, goal, after=True))
