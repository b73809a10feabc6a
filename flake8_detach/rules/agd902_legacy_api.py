from __future__ import annotations

from collections.abc import Iterable

import libcst as cst

from flake8_detach import fixes
from flake8_detach.fixes.edits import Applicability, Fix
from flake8_detach.flow.events import Legacy
from flake8_detach.knowledge.legacy import Old
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class LegacyApi(Rule):
    """A function, method or argument is used that PyTorch keeps for old code only.

    ## What it does
    Reports calls of `Variable`, of what stands in `torch.cuda.amp` and `torch.cpu.amp`, of `clip_grad_norm` without
    underscore and of `torch.nn.utils.stateless.functional_call`; `register_backward_hook` of a module; `resize`,
    `resize_as` and `storage` of a tensor; and the argument `grad_variables=`.

    ## Why is this bad?
    Most of them warn and will be removed. Some do not what they once did: `Variable(x)` cuts `x` from its graph, and a
    hook of `register_backward_hook` sees the gradients of the module's last operation in the place of those of its
    inputs.

    ## Known problems
    Off by default: code that supports old versions of PyTorch needs the old names. What has been removed altogether,
    such as `retain_variables=`, or is ignored, such as `volatile=`, is reported by AGD124. Methods are reported only of
    what is known to be a tensor or a module.

    ## Fix safety
    Safe for pure renames (`clip_grad_norm`, `functional_call`), if the file imports what the new name needs. Shown
    only for the others: `torch.amp` asks for PyTorch 2.3, `reshape` may give a view.

    ## References
    - [torch.amp](https://pytorch.org/docs/stable/amp.html)
    - [Variable (deprecated)](https://pytorch.org/docs/stable/autograd.html#variable-deprecated)
    """

    code = "AGD902"
    name = "legacy-api"
    default = False
    offers = ("safe", "display")
    listens = (Legacy,)
    triggers = (
        frozenset({"Variable", "clip_grad_norm", "functional_call", "grad_variables"})
        | frozenset({"register_backward_hook", "resize", "resize_as", "storage"}),
        frozenset({"torch"}),
    )
    or_triggers = ((frozenset({"autocast", "GradScaler", "custom_fwd", "custom_bwd"}), frozenset({"cuda", "cpu"})),)
    example = Example(
        bad="""\
import torch

net = torch.nn.Linear(4, 1)
net(torch.randn(8, 4)).pow(2).mean().backward()
torch.nn.utils.clip_grad_norm(net.parameters(), 1.0)
""",
        good="""\
import torch

net = torch.nn.Linear(4, 1)
net(torch.randn(8, 4)).pow(2).mean().backward()
torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
""",
    )

    def check(self, event: Legacy, source: Source) -> Iterable[Finding]:
        old: Old = event.old
        short = event.name.rpartition(".")[2] if event.name.startswith(("Tensor.", "Module.")) else event.name
        what = f"`{old.keyword}=` of `{short}`" if old.keyword else f"`{short}`"
        yield Finding(
            self.code, f"{what} {old.note}; use {old.instead}", source.span(event.node), fix=replacement(event, source)
        )


def replacement(event: Legacy, source: Source) -> Fix | None:
    """The call with the new name, and the device in front of its arguments."""
    old: Old = event.old
    if not old.name or not event.spelt:
        return None
    call = event.node
    given = {arg.keyword.value for arg in call.args if arg.keyword}
    if event.open or old.unless in given or (old.keywords and len(given) < len(call.args)):
        return None
    room, _, name = old.name.rpartition(".")
    dotted = isinstance(call.func, cst.Attribute)
    if dotted and (not room or event.name == f"{room}.{call.func.attr.value}"):  # another name in the same module
        edits = fixes.build.rename(source, call.func, name)
    else:
        spelt = fixes.place.spelling(source, old.name, call)
        edits = fixes.build.replace(source, call.func, spelt) if spelt else ()
    kind: Applicability = "safe" if old.same else "display"
    title = f"write `{old.name.removeprefix('torch.nn.utils.')}`"
    if not old.first:
        return fixes.build.offer(title, kind, edits)
    return fixes.build.offer(title, kind, edits, fixes.build.add_first_argument(source, call, f"'{old.first}'"))
