from __future__ import annotations

from collections.abc import Iterable

from flake8_detach import fixes
from flake8_detach.fixes.edits import Fix
from flake8_detach.flow.events import Dropped
from flake8_detach.knowledge import contexts, idle
from flake8_detach.rules._base import TRAINING, Example, Finding, Rule, register
from flake8_detach.source import Source, code


@register
class NoEffectStatement(Rule):
    """A statement that looks as if it did something and does nothing.

    ## What it does
    Reports a method that is named but not called (`loss.backward`, `optimizer.step`, `model.eval`), the result of a
    method that makes a new tensor and is thrown away (`x.detach()`, `x.to(device)`, `p.data.clamp(-1, 1)`,
    `average.mul_(0.9).add(x)`, `torch.add(self.sum, x)`), a grad mode
    that nothing enters (`torch.no_grad()` as a statement), and `map(lambda p: p.requires_grad_(False), ...)` as a
    statement, which runs nothing; `load_state_dict()` of what `state_dict()` of the same module has given, which is
    the parameters themselves and no copy, or of its own state in one statement; and `p.data` or `p.detach()`, which is
    the memory of `p`, if it is kept to be put back when `p` has been written in place. So is `p = p - rate * p.grad` in
    a loop over parameters, where nothing reads the name again; and a loop over the generator that `parameters()` gives,
    if that is used up.

    ## Why is this bad?
    Python evaluates the expression and forgets it: no gradient is computed or cleared, no step is made, the tensor
    stays where and what it was, grad mode is on as before. Nothing is said.

    ## Known problems
    Looked for only in what hangs together with training: a backward, an optimizer or autograd in the same file.
    What is not known to be a tensor, module, optimizer, scheduler or scaler is not reported.

    ## Fix safety
    Unsafe: `()` is added to `zero_grad`, `step`, `backward`, `eval` and `train`, which then do what the name says. For
    a result that is thrown away the assignment is shown only. The rest is up to you: assign it, use the method with
    `_`, or `with torch.no_grad():`.

    ## References
    - [torch.Tensor.detach](https://pytorch.org/docs/stable/generated/torch.Tensor.detach.html)
    - [torch.no_grad](https://pytorch.org/docs/stable/generated/torch.no_grad.html)
    """

    code = "AGD213"
    name = "no-effect-statement"
    offers = ("unsafe", "display")
    listens = (Dropped,)
    triggers = (
        frozenset(f"{name};" for names in idle.ACTIONS.values() for name in names)
        | frozenset(f"{name}();" for name in (*idle.CONVERTS, "requires_grad_", "scale"))
        | frozenset({"data;", "grad;"}),
        frozenset({"()", *TRAINING}),
    )
    or_triggers = (
        (frozenset({"load_state_dict"}), frozenset({"state_dict"})),
        (frozenset({"parameters", "named_parameters", "Parameter", "requires_grad", "requires_grad_"}), TRAINING),
        (frozenset({"copy_", ".data="}), frozenset({"data", "detach"}), TRAINING),
        (frozenset(f"{mode}{end}" for mode in contexts.GRAD_MODES for end in (";", "();")),),
        (
            frozenset({"map();"}),
            frozenset({"requires_grad_", "zero_grad", "step", "detach_", "zero_", "eval", "train"}),
        ),
    )
    example = Example(
        bad="""\
import torch

w = torch.ones(3, requires_grad=True)
loss = (w * 2).sum()
loss.backward
""",
        good="""\
import torch

w = torch.ones(3, requires_grad=True)
loss = (w * 2).sum()
loss.backward()
""",
    )

    def check(self, event: Dropped, source: Source) -> Iterable[Finding]:
        span = source.span(event.node)
        shown = span.column == 0 and "# %%" in source.text  # the last line of a notebook's cell displays its value
        if event.guarded or shown or event.owner == "temporary":
            return
        short = event.name.rpartition(".")[2]
        if event.what == "method":
            fix = _call(event, source) if short in CALLED else None
            message = f"`{event.subject}.{event.name}` does nothing: the method is not called"
            yield Finding(self.code, message, span, fix=fix)
        elif event.what == "mode":
            message = f"`{short}` has no effect as a statement: use `with {event.name}():`"
            yield Finding(self.code, message, span)
        elif event.what == "unrun":
            yield Finding(self.code, f"never runs: {event.subject} does nothing until it is iterated; use `for`", span)
        elif event.what == "spent":
            message = f"this loop never runs: `{event.subject}` is a generator of parameters, and used up by now"
            yield Finding(self.code, f"{message}; make it a list", span)
        elif event.what == "restored":
            given = f"`state_dict()` (line {source.line(event.at)}) gives the parameters themselves, not their values"
            yield Finding(self.code, f"`{event.subject}` changes nothing: {given}; keep a `copy.deepcopy` of it", span)
        elif event.what == "itself":
            message = f"`{event.subject}` gives the module what it has already: no other module gets anything"
            yield Finding(self.code, f"{message}; name the one that it is to be copied from", span)
        elif event.what == "alias":
            back = f"putting it back (line {source.line(event.at)}) undoes nothing; keep `{event.subject}.clone()`"
            yield Finding(self.code, f"`{event.subject}` is the memory itself, which is written later: {back}", span)
        elif event.what == "rebound":
            message = f"binds the name `{event.subject}` and nothing reads it: the tensor of the loop stays as it was"
            yield Finding(self.code, f"{message}; write it in place under `torch.no_grad()`", span)
        elif event.what == "result" and event.owner == "scaler":
            yield Finding(self.code, "the scaled loss is thrown away: backward it instead of the unscaled one", span)
        elif event.what == "result" and event.owner == "function":
            message = f"what `{event.subject}.apply()` returns is thrown away: its `backward` never runs"
            yield Finding(self.code, message, span)
        elif event.what == "result" and event.owner == "argument":
            message = f"`torch.{short}` makes a new tensor, which is thrown away: `{event.subject}` stays as it was"
            yield Finding(self.code, f"{message}; use `.{short}_()`", span)
        elif event.what == "result" and event.owner == "written":
            message = f"`.{short}()` makes a new tensor, which is thrown away: what `{event.subject}` has written stays"
            yield Finding(self.code, f"{message} as it is; use `.{short}_()`", span)
        elif event.what == "result":
            message = f"`.{short}()` makes a new tensor, which is thrown away: `{event.subject}` stays as it was"
            import libcst as cst

            fix = None
            func = event.node.func if isinstance(event.node, cst.Call) else None
            if isinstance(func, cst.Attribute) and fixes.place.rebindable(source, func.value):
                target = f"{code(func.value)} = "
                edits = fixes.build.insert_before(source, event.node, target)
                fix = fixes.build.offer(f"write `{target}...`", "display", edits)
            yield Finding(self.code, message, span, fix=fix)


CALLED = frozenset({"zero_grad", "step", "backward", "eval", "train"})
"""Methods that can be called without arguments."""


def _call(event: Dropped, source: Source) -> Fix | None:
    if event.name == "step" and event.owner == "scaler":
        return None
    return fixes.build.offer("call it", "unsafe", fixes.build.postfix(source, event.node, "()"))
