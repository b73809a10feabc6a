from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Requires
from flake8_detach.rules._base import Example, Finding, Rule, register
from flake8_detach.rules._evidence import confidence
from flake8_detach.source import Source, code


@register
class RequiresGradOnInteger(Rule):
    """An integer or bool tensor is asked to require grad.

    ## What it does
    Reports `requires_grad=True`, `requires_grad_()`, `.requires_grad = True` and `nn.Parameter` on a tensor whose dtype
    is an integer or bool: `torch.arange(3)`, `torch.tensor([1, 2])`, the result of a comparison.

    ## Why is this bad?
    PyTorch raises "Only Tensors of floating point and complex dtype can require gradients".

    ## Known problems
    Only dtypes that follow from the file are known.

    ## Fix safety
    Safe: `dtype=torch.float32` is added where the tensor is made, `.float()` where it is used; the program could not
    run without that. Unsafe where a statement switches `requires_grad` of a tensor that exists already: something else
    may need the integers. Not offered for a parameter or a loop variable, whose owner would keep them.

    ## References
    - [torch.Tensor.requires_grad](https://pytorch.org/docs/stable/generated/torch.Tensor.requires_grad.html)
    """

    code = "AGD109"
    name = "requires-grad-on-integer"
    offers = ("safe", "unsafe")
    listens = (Requires,)
    triggers = (frozenset({"requires_grad=True", "Parameter(?)"}),)
    or_triggers = ((frozenset({"Parameter(**)"}), frozenset({"dtype=int"})),)
    example = Example(
        bad="""\
import torch

w = torch.tensor([1, 2, 3], requires_grad=True)
(w * 2).sum().backward()
""",
        good="""\
import torch

w = torch.tensor([1.0, 2.0, 3.0], requires_grad=True)
(w * 2).sum().backward()
""",
    )

    def check(self, event: Requires, source: Source) -> Iterable[Finding]:
        kinds = {"int": "an integer", "bool": "a bool", "quantized": "a quantized"}
        kind = kinds.get(event.tensor.form or event.tensor.dtype or "")
        if event.guarded or not event.asked.yes or kind is None:
            return
        yield Finding(
            self.code,
            f"`{event.how}` raises: `{event.subject}` is {kind} tensor; only float tensors require grad",
            source.span(event.node),
            confidence(event.asked),
            fix=self._repair(event, source),
        )

    def _repair(self, event: Requires, source: Source) -> Fix | None:
        """A float dtype where the tensor is made, `.float()` where it is used."""
        import libcst as cst

        build, place = fixes.build, fixes.place
        node = event.node
        if isinstance(node, cst.Call):
            made = any(arg.keyword and arg.keyword.value == "requires_grad" for arg in node.args)
            if made and place.spelling(source, "torch.nn.Parameter", node) != code(node.func):
                dtype = place.spelling(source, "torch.float32", node)
                edits = build.add_argument(source, node, "dtype", dtype) if dtype else ()
                return build.offer(f"insert `dtype={dtype}`", "safe", edits)
        if isinstance(node, cst.Call) and code(node.func) == place.spelling(source, "torch.nn.Parameter", node):
            data = place.argument(node, 0, "data")
            return None if data is None else build.offer(FLOAT, "safe", build.postfix(source, data, ".float()"))
        target = node.func if isinstance(node, cst.Call) else node
        if not isinstance(target, cst.Attribute) or code(target.value) != str(event.subject):
            return None
        if isinstance(node, cst.Call) and not place.alone(source, node):
            return build.offer(FLOAT, "safe", build.postfix(source, target.value, ".float()"))
        if not place.rebindable(source, target.value):
            return None
        name = code(target.value)
        edits = build.replace_statement(source, node, f"{name} = {name}.float().requires_grad_()")
        return build.offer(FLOAT, "unsafe", edits)


FLOAT = "insert `.float()`"
