from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Backward, InPlace, StaleView
from flake8_detach.rules._base import Example, Finding, Note, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source, code


@register
class InplaceOnSaved(Rule):
    """A tensor that backward needs was changed in place.

    ## What it does
    Knows for every operation what it saves for backward (`exp` its result, `mul` the operand that the other side
    needs), keeps a version for every storage as PyTorch does, and reports the backward that finds a newer version. A
    view that may not be written at all, because `chunk`, `split`, `unbind` or iteration made it together with others,
    because it was made under `no_grad`, or because it goes into or comes out of a module with a full backward hook, is
    reported where it is written; if its base or another part was written since it was made, where it is used.

    ## Why is this bad?
    PyTorch raises "one of the variables needed for gradient computation has been modified by an inplace operation",
    in backward, far from the line that is to blame. The message names that line.

    ## Known problems
    Operations whose saved tensors depend on values that the file does not show are left out.

    ## Fix safety
    Unsafe: the out-of-place form is written (`y = y + 1`, `y = y.add(1)`, no `inplace=True`) where a name of this
    function is written as a whole. Other names of the same tensor then keep the old values. A write to an item, a view
    or a parameter that is stepped is left to you.

    ## References
    - [In-place correctness checks](https://pytorch.org/docs/stable/notes/autograd.html#in-place-correctness-checks)
    """

    code = "AGD107"
    name = "inplace-on-saved"
    offers = ("unsafe",)
    listens = (Backward, InPlace, StaleView)
    within = frozenset({"backward", "autograd", "manual_backward"})
    example = Example(
        bad="""\
import torch

x = torch.ones(3, requires_grad=True)
y = torch.sigmoid(x)
y *= 2
y.sum().backward()
""",
        good="""\
import torch

x = torch.ones(3, requires_grad=True)
y = torch.sigmoid(x)
y = y * 2
y.sum().backward()
""",
    )

    def check(self, event: Backward | InPlace | StaleView, source: Source) -> Iterable[Finding]:
        if isinstance(event, StaleView):
            if not event.guarded:
                how = f"by `{_short(code(event.at))}` (line {source.line(event.at)})"
                message = (
                    f"`{event.subject}` needs {VIEWS[event.tensor.view]}, whose memory was changed {how}; write a copy"
                )
                yield Finding(self.code, message, source.span(event.node), cause=event.at)
            return
        if isinstance(event, InPlace):
            if event.refusing.yes and event.mode.grad.yes and not event.guarded:
                at = f" (line {source.line(event.hook)})" if event.hook is not None else ""
                what = f"`{event.subject}` is {VIEWS[event.tensor.view]}{at}"
                message = f"`{event.how}` raises: {what}; write a copy of it"
                yield Finding(self.code, message, source.span(event.node), confidence(event.refusing, event.mode.grad))
            return
        written = event.written
        if event.root is None or written is None or not event.root.grad.yes or event.guarded:
            return
        what = event.told
        needs = "the result" if written.role.startswith("result") else f"`{written.role}`"
        how = (
            f"by `{_short(code(written.at))}` (line {source.line(written.at)})"
            if written.at is not None
            else "in place"
        )
        trail = [Note(source.span(written.saved_at), "saved here")]
        if written.at is not None:
            trail.append(Note(source.span(written.at), "changed here"))
        yield Finding(
            self.code,
            f"{what} needs {needs} of `{_short(code(written.saved_at))}`, which was changed {how}",
            source.span(event.node),
            confidence(event.root.grad, written.sure),
            tuple(trail),
            _out_of_place(written.at, source),
            cause=written.at,
            first_only=True,
        )


def _out_of_place(write: Any, source: Source) -> Fix | None:
    """`y = y + 1` for `y += 1`, `y = y.add(1)` for `y.add_(1)`; no `inplace=True`."""
    import libcst as cst

    build, place = fixes.build, fixes.place
    line = None if write is None else place.statement(source, write)
    if line is None:
        return None
    small = line.body[0]
    if isinstance(small, cst.AugAssign):
        target, value = small.target, small.value
        if not isinstance(target, cst.Name) or not place.rebindable(source, target):
            return None
        name, sign = target.value, code(small.operator).removesuffix("=")
        right = (
            code(value) if value.lpar or isinstance(value, (cst.Name, cst.Call, cst.BaseNumber)) else f"({code(value)})"
        )
        text = f"{name} = {name} {sign} {right}"
        return build.offer(f"write `{_short(text)}`", "unsafe", build.replace_statement(source, write, text))
    if not isinstance(write, cst.Call):
        return None
    if any(arg.keyword and arg.keyword.value == "inplace" for arg in write.args):
        edits = () if place.alone(source, write) else build.remove_argument(source, write, "inplace")
        return build.offer("drop `inplace=True`", "unsafe", edits)
    owner = write.func.value if isinstance(write.func, cst.Attribute) else None
    if not isinstance(owner, cst.Name) or not place.alone(source, write) or not place.rebindable(source, owner):
        return None
    assert isinstance(write.func, cst.Attribute)
    plain = write.func.attr.value.removesuffix("_")
    edits = build.insert_before(source, write, f"{owner.value} = ") + build.rename(source, write.func, plain)
    return build.offer(f"write `{owner.value} = {owner.value}.{plain}(...)`", "unsafe", edits)


VIEWS = {
    "multi": "one of several views that one call has made",
    "no_grad": "a view of a graph tensor that was made under `no_grad`",
    "inference": "a view of a graph tensor that was made in inference mode",
    "hooked": "a view that a full backward hook of the module has made",
}


def _short(text: str) -> str:
    return text if len(text) <= 30 else text[:27] + "..."
