from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.flow.events import Copied
from flake8_detach.rules._base import DIFFERENTIABLE, Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source


@register
class DeepcopyOfNonleaf(Rule):
    """A tensor with a graph is deep-copied.

    ## What it does
    Reports `copy.deepcopy` of a tensor that is the result of an operation and carries a graph, also where it hangs on
    an object that is copied (a module that keeps its last activation), and of one that is sent to another process
    through a Pipe, a queue or a pool of (torch.)multiprocessing, or from the workers of a DataLoader.

    ## Why is this bad?
    PyTorch raises "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol", or
    "Cowardly refusing to serialize non-leaf tensor which requires_grad". A Queue raises in its own thread: the item
    never arrives, and who waits for it waits for ever.

    ## Known problems
    Pickling and `torch.save` cut the graph silently and are not reported here.

    ## Fix safety
    Safe: `.detach()` is inserted, which keeps the values; the program could not run without that. Not offered where the
    tensor is part of what is copied: store the detached tensor there.

    ## References
    - [copy.deepcopy](https://docs.python.org/3/library/copy.html)
    """

    code = "AGD113"
    name = "deepcopy-of-nonleaf"
    offers = ("safe",)
    listens = (Copied,)
    # ForkingPickler and copyreg: whoever registers a reduction decides what happens to a tensor that is sent
    triggers = (
        frozenset(
            {"deepcopy", "put", "send", "dumps", "Pool", "ForkingPickler", "copyreg", "asdict", "astuple"}
            | {"num_workers"}
        ),
        DIFFERENTIABLE,
    )
    example = Example(
        bad="""\
import copy

import torch

x = torch.ones(3, requires_grad=True)
best = copy.deepcopy(x * 2)
""",
        good="""\
import copy

import torch

x = torch.ones(3, requires_grad=True)
best = copy.deepcopy((x * 2).detach())
""",
    )

    def check(self, event: Copied, source: Source) -> Iterable[Finding]:
        if event.guarded or not (event.tensor.leaf.no and event.tensor.grad.yes):
            return
        sure = confidence(event.tensor.leaf, event.tensor.grad)
        if event.handed:
            where = f"`{event.how}` (line {source.line(event.node)})"
            message = f"this hands a tensor that carries a graph to {where}, which raises; detach it first"
            yield Finding(self.code, message, source.span(event.calls[-1]), sure)
            return
        message = f"`{event.how}` raises: `{event.subject}` carries a graph; detach it first"
        fix = None
        value = None if event.inside else fixes.place.argument(event.node, 0, "x")
        if value is not None:
            fix = fixes.build.offer("insert `.detach()`", "safe", fixes.build.postfix(source, value, ".detach()"))
        yield Finding(self.code, message, source.span(event.node), sure, fix=fix)
