from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.flow.events import AnomalyDetection
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.source import Source


@register
class AnomalyDetectionLeftOn(Rule):
    """Anomaly detection is switched on for the whole process.

    ## What it does
    Reports `torch.autograd.set_detect_anomaly(True)` as a statement, if every run of the file comes by it and nothing
    in the file switches it off.

    ## Why is this bad?
    From then on every operation notes its traceback, and backward looks for NaN in everything that it computes, which
    makes training several times slower. It is a help for debugging that is easily forgotten.

    ## Known problems
    Under a condition, or with a flag that the file does not know, it is taken to be wanted. So is one in a function
    that nobody in the file calls.

    ## Fix safety
    Unsafe: the statement is deleted. What is being debugged goes into `with torch.autograd.set_detect_anomaly(True):`.

    ## References
    - [torch.autograd.set_detect_anomaly](https://pytorch.org/docs/stable/autograd.html#anomaly-detection)
    """

    code = "AGD406"
    name = "anomaly-detection-left-on"
    offers = ("unsafe",)
    listens = (AnomalyDetection,)
    triggers = (frozenset({"set_detect_anomaly();"}), frozenset({"torch"}))
    example = Example(
        bad="""\
import torch
from torch import nn

torch.autograd.set_detect_anomaly(True)
net = nn.Linear(4, 1)
net(torch.randn(8, 4)).pow(2).mean().backward()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
with torch.autograd.set_detect_anomaly(True):
    net(torch.randn(8, 4)).pow(2).mean().backward()
""",
    )

    def check(self, event: AnomalyDetection, source: Source) -> Iterable[Finding]:
        message = "anomaly detection stays on and slows down every backward: drop it, or use it as a context manager"
        fix = fixes.build.offer("delete it", "unsafe", fixes.build.delete_statement(source, event.node))
        yield Finding(self.code, message, source.span(event.node), fix=fix)
