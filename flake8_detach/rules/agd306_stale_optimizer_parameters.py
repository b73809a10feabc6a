from __future__ import annotations

from typing import ClassVar

from flake8_detach.rules._base import Example, register
from flake8_detach.rules._missteps import OrderRule


@register
class StaleOptimizerParameters(OrderRule):
    """An optimizer holds parameters that the loss is not made of.

    ## What it does
    Reports an optimizer that steps after a backward although no backward of the file ever reaches one of its
    parameters: the model was built again after it, or it was given those of another one, or the loss is made of
    detached copies of them. Reports a layer or
    parameter of an optimised module that is replaced by one which is trained on but which no optimizer steps (as
    weight norm replaces the weight of a layer), or that is added to it later; an optimizer that is given the very
    parameters of another one, while those of another network are trained by none; an optimizer of tensors that do
    not require grad, and never will (`state_dict().values()`, `p.data`); embeddings with a group of their own that
    `nn.Embedding.from_pretrained` has frozen, as it does unless told not to; parameters that are switched on only
    after an optimizer has been given those that required grad by then; and a loss module with parameters of its own
    (learned weights of tasks, class centers) that are given to no optimizer, or another module of nothing but its own
    parameters, where everything else that is trained is stepped.

    ## Why is this bad?
    The model that makes the loss keeps its initial weights. PyTorch says nothing: parameters without a gradient are
    passed over.

    ## Known problems
    Parameters that unknown code holds may be trained there, and are not reported.

    ## Fix safety
    Shown only: make the optimizer when the model is complete, or `optimizer.add_param_group(...)`.

    ## References
    - [torch.optim: constructing it](https://pytorch.org/docs/stable/optim.html#constructing-it)
    """

    code = "AGD306"
    name = "stale-optimizer-parameters"
    triggers = (
        frozenset({"optim", "Linear", "Parameter", "nn", "Sequential", "requires_grad", "requires_grad_"}),
        frozenset({"optim"}),
    )
    messages: ClassVar = {
        "unreached": "no backward ever reaches the parameters of this optimizer: its steps (line {at}) change nothing",
        "copied": "no backward ever reaches the parameters of this optimizer: it ends at copies that were {subject} "
        "(line {at})",
        "unfed": "the tensors of this optimizer do not require grad{subject}: it never changes them",
        "pretrained": "never trained, although the optimizer on line {at} is given it: `from_pretrained` freezes; "
        "pass `freeze=False`",
        "left-out": "switched on too late: the optimizer on line {at} was given what required grad by then",
        "unowned": "never stepped: no optimizer is given the parameters of `{subject}`, which the loss is made with "
        "(line {at})",
        "twice": "given what the optimizer on line {at} has; no optimizer steps other parameters that backward fills",
        "kinds": "given the weights and biases of all parts, but not `{subject}`: no optimizer steps it",
        "group": "not given the group `{subject}`, which is put together for it: no optimizer steps its parameters",
        "added": "added after an optimizer was given the parameters of this module: no optimizer steps the new ones",
        "replaced": "replaces parameters that an optimizer was given: no optimizer steps the new ones",
    }
    example = Example(
        bad="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
net = nn.Linear(4, 1)
for batch in torch.randn(10, 8, 4):
    optimizer.zero_grad()
    net(batch).pow(2).mean().backward()
    optimizer.step()
""",
        good="""\
import torch
from torch import nn

net = nn.Linear(4, 1)
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
for batch in torch.randn(10, 8, 4):
    optimizer.zero_grad()
    net(batch).pow(2).mean().backward()
    optimizer.step()
""",
    )
