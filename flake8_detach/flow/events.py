"""What the engine saw happen, in order. Rules decide from these; they ask the engine nothing else.

Every event carries the facts as they were at that moment on every path that reaches the place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from flake8_detach.flow.values import NO, YES, Cause, Label, Mode, Node, Tensor, Truth, Value

Site: TypeAlias = Any
"""A node of the syntax tree."""


@dataclass(frozen=True)
class Event:
    """node: the expression that does it. calls: the calls in the file that led here, outermost first.

    guarded: the code stands in a `try` (or `pytest.raises`) that catches what torch would raise.
    presumed: that the place is reached at all rests on a presumption (a loop of unknown length has a second iteration).
    """

    node: Site
    calls: tuple[Site, ...]
    guarded: bool
    presumed: bool


@dataclass(frozen=True)
class Write:
    """A tensor that backward needs was written in place after it had been saved.

    op: what saved it, at `saved_at`; role: which of its tensors ("result", or a parameter name); at: the write; sure:
    was the write made?
    """

    op: str
    role: str
    saved_at: Site
    at: Site | None
    sure: Truth = YES


@dataclass(frozen=True)
class Backward(Event):
    """`loss.backward()`, torch.autograd.backward, torch.autograd.grad, accelerator.backward.

    api: "backward" or "grad". root: the facts of one tensor that is backwarded; subject: its source text. value: what
    it is if it is no tensor, and `kind` what kind of object in words. freed: has its graph been freed by an earlier
    backward that a saved tensor is missed from (YES: torch raises), and where. written: a tensor that backward needs
    and that was changed in place. underived: an op on the way that has no derivative and says so in backward.
    misfit: why the gradient that is given for it is refused. by: what does it, if it is not called as a method.
    """

    api: str
    subject: Label
    root: Tensor | None
    value: Value
    freed: Truth
    freed_at: Site | None
    gradient: bool
    subject_node: Site
    written: Write | None
    kind: str = ""
    underived: Node | None = None
    misfit: str = ""
    by: Label = ""

    @property
    def told(self) -> str:
        """The backward, for messages."""
        return "`autograd.grad`" if self.api == "grad" else f"`{self.by or f'{self.subject}.backward()'}`"


@dataclass(frozen=True)
class ToNumpy(Event):
    """A tensor becomes a numpy array: `.numpy()`, np.asarray(t), plt.plot(t), `t + ndarray`.

    via: the source text of what converts ("np.asarray"). element: the tensor is an element of a list that is converted.
    tensor_node: the expression that is the tensor.
    """

    tensor: Tensor
    subject: Label
    tensor_node: Site
    via: Label
    element: bool
    mode: Mode


@dataclass(frozen=True)
class GradRead(Event):
    """`.grad` of a tensor is read; `value` is what the slot holds (NONE: it was never filled).

    tested: the read only asks whether there is a gradient (`x.grad is None`). kept: retain_grad() was called; late:
    after the backward. trained: has anything been backwarded before (told at the end)? empty: why it is None, if it is.
    made_at: where the tensor was computed, if it was. severed: what cut from it the leaf
    that backward came to instead.
    """

    tensor: Tensor
    subject: Label
    subject_node: Site
    value: Value
    kept: Truth
    tested: bool
    late: bool = False
    trained: bool = False
    empty: Cause | None = None
    severed: Cause | None = None
    made_at: Site | None = None


@dataclass(frozen=True)
class NoneUsed(Event):
    """A `.grad` that is None is used as if it were a tensor."""

    subject: Label
    why: Cause


@dataclass(frozen=True)
class InPlace(Event):
    """A tensor is written in place: `x.add_(1)`, `x += 1`, `x[0] = 1`, `out=x`, ReLU(inplace=True).

    base: the tensor that it is a view of. how: the source text of what writes. refusing: is it a view that, by how it
    was made, may not be written while grad mode is on (one of several, made under no_grad)? out: does what is called
    with `out=` refuse that, as something requires grad? frozen: is it an inference tensor that may not be written here?
    hook: the call that registered the full backward hook that made it a view.
    """

    tensor: Tensor
    subject: Label
    base: Tensor | None
    how: Label
    mode: Mode
    refusing: Truth
    out: Truth = NO
    frozen: bool = False
    hook: Any = None


@dataclass(frozen=True)
class StaleView(Event):
    """A view that torch has no grad_fn for any more is used: its memory was written at `at` since it was made."""

    tensor: Tensor
    subject: Label
    at: Site


@dataclass(frozen=True)
class Requires(Event):
    """`requires_grad` is switched: by `requires_grad_()`, an assignment, a factory argument or nn.Parameter.

    tensor: the facts before. asked: on or off (MAYBE: not known). how: the source text. assigned: by
    `x.requires_grad =`, which torch refuses for a computed tensor whatever the value (requires_grad_() does nothing).
    refused: why torch does not take the assignment at all, of this or of another attribute of autograd.
    """

    tensor: Tensor
    subject: Label
    asked: Truth
    how: Label
    mode: Mode
    assigned: bool = False
    refused: str = ""


@dataclass(frozen=True)
class DetachedInPlace(Event):
    """`x.detach_()`."""

    tensor: Tensor
    subject: Label


@dataclass(frozen=True)
class Hooked(Event):
    """`retain_grad()`, `register_hook()` on a tensor."""

    tensor: Tensor
    subject: Label
    method: str


@dataclass(frozen=True)
class HookMisuse(Event):
    """A hook breaks its contract, or is one that torch does not take; `node` is where torch says so.

    kind: a key of the rule's table of messages. hook: its kind. what: fills the message. at: where it was registered.
    sure: how well that is known.
    """

    kind: str
    hook: str
    what: Label
    at: Site | None
    sure: Truth


@dataclass(frozen=True)
class HookIdle(Event):
    """A hook has no effect.

    what: "unreturned" (`node` computes a new gradient that is dropped), "late" (`node` registers it, and no backward
    comes after that), "pickled" (the tensor is pickled without it), "replicated" (those of
    DistributedDataParallel, which `autograd.grad` does not run). subject: the source text. at: where it was registered.
    """

    what: str
    subject: Label
    at: Site


@dataclass(frozen=True)
class OptimizerMade(Event):
    """An optimizer is constructed with these parameters; None: they are not all known.

    given: facts of each parameter. problem: why it is no list of tensors at all ("a module", "the method itself").
    """

    kind: str
    given: tuple[Tensor, ...] | None
    problem: str


@dataclass(frozen=True)
class GradOf(Event):
    """torch.autograd.grad with respect to `tensor`: is it in the graph of the outputs?

    problem: why the inputs are refused altogether, without a look at the tensor. at: the call, where the event is that
    of the expression which made the tensor after the outputs.
    """

    tensor: Tensor
    subject: Label
    reached: Truth
    unused: Truth
    problem: str = ""
    at: Site | None = None


@dataclass(frozen=True)
class Copied(Event):
    """A tensor is deep-copied, pickled or sent to another process: `how` is the source text of what does it.

    handed: a function of the file only passes on what its caller gave it. inside: it is a part of what is copied.
    """

    tensor: Tensor
    subject: Label
    how: Label
    handed: bool = False
    inside: bool = False


@dataclass(frozen=True)
class Refused(Event):
    """An op raises when it is called, because of what it is handed for `parameter`; or drops its graph.

    why: "number" (it must be a Python number, or a tensor that does not require grad), "argument" (the op has no
    derivative with respect to it), "input" (the same, for what the op is about), "rsample" (the distribution `op`
    cannot be sampled with a gradient); "bound", "smooth" (it is taken without its graph: the bound of a grid, the input
    of a function that torch has no derivative for). place: where `parameter` stands among the op's.
    """

    tensor: Tensor
    subject: Label
    op: str
    parameter: str
    why: Literal["number", "argument", "input", "rsample", "bound", "smooth"]
    place: int = -1


@dataclass(frozen=True)
class Unconvertible(Event):
    """A tensor is to become what it cannot be: one number of several elements, a numpy array of bfloat16.

    subject: its source text. how: the source text of what converts ("": the subject itself). problem: why torch or
    Python refuses.
    """

    tensor: Tensor
    subject: Label
    how: Label
    problem: str


@dataclass(frozen=True)
class Missing(Event):
    """Something is asked of PyTorch that it does not have: an attribute, a function, a keyword.

    subject: its source text. problem: what is wrong with it, and what there is instead. raises: does Python say so, or
    is it taken and ignored?
    """

    subject: Label
    problem: str
    raises: bool = True


@dataclass(frozen=True)
class Recopied(Event):
    """A tensor is copied by a function that is meant for numbers, and torch warns: `torch.tensor(x)`.

    subject: its source text. how: the source text of what copies. asked: is the copy to require grad? inside: it is one
    of several in a list.
    """

    tensor: Tensor
    subject: Label
    how: Label
    asked: Truth
    inside: bool = False


@dataclass(frozen=True)
class InferenceSaved(Event):
    """An op must save a tensor that was made in inference mode."""

    tensor: Tensor
    subject: Label
    op: str


class Item(NamedTuple):
    """An input of a custom Function, or a gradient that its backward returns.

    kind: "tensor", "None", the name of a Python type, or "?" if it is not known. grad: does it require grad?
    """

    kind: str
    grad: Truth
    name: str


@dataclass(frozen=True)
class GradientsReturned(Event):
    """`backward` of a torch.autograd.Function of the file returns; `node` is the `return`, or the function if it ends.

    least, most: how many inputs forward is given. inputs: these, as far as they are known; gradients: what is
    returned. used: does an input require grad, and is grad mode on? applied: the call of `apply`, None if the file has
    none. implicit: backward ends without `return`. at: the place in the class, if `node` is the backward that comes to
    it. misfit: which gradient has a shape that its input refuses, in words.
    """

    function: str
    least: int
    most: int
    inputs: tuple[Item, ...]
    gradients: tuple[Item, ...]
    implicit: bool
    used: Truth
    applied: Site | None
    at: Site | None = None
    misfit: str = ""


@dataclass(frozen=True)
class CustomMisuse(Event):
    """The contract of torch.autograd.Function is broken at `node` in a way that needs no more facts.

    kind: a key of the rule's table of messages. function: the class. what: fills the message. used: how sure it is that
    autograd is at work. at: the other place that has part in it.
    """

    kind: str
    function: str
    what: Label
    used: Truth
    at: Site | None


@dataclass(frozen=True)
class Retained(Event):
    """A loop keeps the graphs of all of its iterations; asked at the end: no backward needs them any more.

    how: "sum" (a variable is added to), "state" (its next value is computed from it), "container" (`node` puts it into
    one). subject: the variable, or the source text of what puts it there. tensor: what is kept. freed: has backward
    gone through its graph already, so that only the nodes are held, not the saved tensors; and where. whole: is the
    tensor itself what is kept, not a part of it?
    """

    how: str
    subject: Label
    tensor: Tensor
    freed: Truth
    freed_at: Site | None
    loop: Site
    whole: bool = False


@dataclass(frozen=True)
class LeafBackwarded(Event):
    """Backward starts from a leaf that was made of computed numbers: there is nothing behind it. node: where it was
    made; root: the source text of what is backwarded; backward: the call."""

    root: Label
    backward: Site


@dataclass(frozen=True)
class LostTerm(Event):
    """Backward does not see what `cause` cut, although the value of the loss depends on it; node: the place of the cut.

    constant: it is a term of the loss on its own, to which only sums and constant factors lead; else parameters that an
    optimizer steps lie behind the cut, and nothing in the file ever trains them; drifts: or one of them is only added
    to the loss; partly: or they are trained by other terms of the loss, and were to be by this sample, too. root: the
    source text of the loss; backward: the call.
    """

    cause: Cause
    constant: bool
    root: Label
    backward: Site
    drifts: bool = False
    partly: bool = False


@dataclass(frozen=True)
class Poisoned(Event):
    """A `where` that is backwarded leaves out the points at which the slope of `what`, at `at`, is not finite: zero
    times that is NaN."""

    what: Label
    at: Site


@dataclass(frozen=True)
class Unspent(Event):
    """A term of a loss trains nothing; node: the cut. Asked at the end: no optimizer steps with its gradient.

    cause: what cut it from parameters that the next optimizer steps. term: the expression that is the term. root: the
    source text of the loss; backward: the call.
    """

    cause: Cause
    root: Label
    term: Site
    backward: Site


@dataclass(frozen=True)
class Evaluated(Event):
    """A loop calls a module in evaluation mode with grad mode on; asked at the end: its result is never backwarded.

    subject: the source text of the module. result: a tensor that it returns.
    """

    subject: Label
    result: Tensor
    loop: Site


@dataclass(frozen=True)
class NeedlesslyKept(Event):
    """A loop backwards with `retain_graph=True`; asked at the end: no other backward goes through that graph.

    created: it is `create_graph=True`, and nobody ever clears the gradients, which have graphs then.
    """

    subject: Label
    created: bool = False


@dataclass(frozen=True)
class Transformed(Event):
    """A function that differentiates or vectorizes another refuses its arguments, or what that other does.

    transform: how messages call it ("func.grad"). problem: what torch refuses, in words; remedy: what to do. at: the
    call of the transform, if `node` is inside of the function that it runs. sure: how well the facts are known.
    """

    transform: str
    problem: str
    remedy: str
    at: Site | None
    sure: Truth


@dataclass(frozen=True)
class Vanished(Event):
    """A function that is differentiated returns what does not hang on its inputs: the derivative is zero, silently.

    transform: how messages call what differentiates it, at `at`. cause: what lost the gradient, at `node`; None if the
    inputs are not used at all.
    """

    transform: str
    cause: Cause | None
    at: Site
    sure: Truth


@dataclass(frozen=True)
class Misstep(Event):
    """Something in the training step happens too early, too late or not at all; `node` is what does.

    what: which order is broken, a key of the rules' tables of messages. sure: how well the facts are known. at: the
    other place that has part in it. subject: fills the message. cause: what goes wrong there goes wrong here, too.
    inside: where it is done, if `node` is a call that leads there.
    """

    what: str
    sure: Truth
    at: Site | None
    subject: Label
    cause: Site | None = None
    inside: Site | None = None


@dataclass(frozen=True)
class Dropped(Event):
    """The value of a statement that is only an expression: nobody takes it.

    what: "method" (it is not called), "mode" (a grad mode, which nothing enters), "result" (a tensor that a method has
    made), "comparison" (`p.requires_grad == False`), "unrun" (a lazy loop that nothing asks for elements), "spent"
    (a loop over parameters, all of which a generator has given before), "restored"
    (a module is given the parameters that it has, which `state_dict()` has told at `at`), "itself" (the same, in one
    statement), "alias" (what `.data` or `detach()` has made is put back into the same memory at `at`, by `name`).
    owner: what `subject` is: "tensor", "module", "optimizer", "scheduler", "scaler", "temporary" (a tensor that nothing
    else holds), "written" (what a write in place gives back), "argument" (what a function of torch was handed).
    name: the method or function.
    """

    what: str
    owner: str
    subject: Label
    name: str
    at: Site = None


@dataclass(frozen=True)
class AttributeMade(Event):
    """A tensor or module gets an attribute that torch does not know; asked at the end: nobody in the file reads it.

    owner: "tensor", "module" or "temporary"; "state_dict" for a value of one that is switched off, to no effect. name:
    the attribute.
    """

    owner: str
    subject: Label
    name: str


@dataclass(frozen=True)
class FreezeUndone(Event):
    """All parameters that were frozen at `frozen_at` are switched on again by `node` before anything has used them."""

    frozen_at: Site


@dataclass(frozen=True)
class ModeIdle(Event):
    """A grad mode does not hold where it seems to.

    what: "async" (a decorated coroutine), "class" (a decorated class), "generator" (a generator expression that is
    consumed outside), "leak" (a function never switches it back), "inference" (inference mode is on, which it does not
    lift), "held" (a suspended generator holds it off for its consumer), "early" (`set_grad_enabled` is in force before
    it is entered). mode: its name.
    """

    what: str
    mode: str


@dataclass(frozen=True)
class Unregistered(Event):
    """A module keeps something that trains where `parameters()` does not find it; asked at the end: nobody else does.

    what: "modules", "parameters" (in a `container`), "objects" (plain ones with modules in them, in a `container`),
    "tensor" (a leaf that is no Parameter), "computed" (made from a Parameter that only it holds), "call" (a layer made
    anew in every forward). how: the op that made what is computed. moved: is it certainly no Parameter, or only if the
    move has anything to do? seen: how sure it is that it trains.
    """

    what: str
    container: str
    subject: Label
    how: str
    moved: Truth
    seen: Truth


@dataclass(frozen=True)
class HiddenWrite(Event):
    """Memory that backward needs is written so that autograd cannot notice; `node` is the write.

    via: ".data", "numpy" or "detach". op: what saved it, at `saved_at`. backward: the call that computes with it.
    graph: nothing saved it; `op` takes, at `backward`, the new values of a tensor whose graph is that of the old ones.
    """

    via: str
    op: str
    saved_at: Site | None
    backward: Site
    graph: bool = False


@dataclass(frozen=True)
class GraphDropped(Event):
    """A value with a graph is copied into a leaf, which has none, although that graph was to be differentiated.

    how: what copies it ("`.data =`"). why: "second" (it was made by a gradient with `create_graph=True`), "forward"
    (a forward does so in every call), "source" (an optimizer steps what it was made of, and no backward reaches that),
    "leaf" (the same, of what was told to require grad by hand).
    """

    how: str
    subject: Label
    why: str


@dataclass(frozen=True)
class KeptOut(Event):
    """A module refuses an attribute; `node` is the target of the assignment, or the call that registers.

    what: "parameter", "module" (the attribute `name` holds one, the new value, `kind`, is none), "early" (before
    `Module.__init__` has run), "register" (register_parameter gets `kind`), "name" (it must be `kind`), "as buffer" (a
    buffer cannot become `kind`), "buffer" (it can become a Parameter, but then the layer raises when it is called).
    """

    what: str
    name: str
    kind: str


@dataclass(frozen=True)
class ContextNotCalled(Event):
    """A context manager of torch is used where it has to be called first.

    what: "with" (the class itself), "decorator" (one that needs its argument), "argument" (what takes no argument gets
    one, so that it makes a function instead), "flag" (what takes a bool gets something else), "condition" (a function
    that tells the mode, asked whether it is true), "bound" (what it binds, None, is used). name: its canonical
    name, and what it binds.
    """

    what: str
    name: str


@dataclass(frozen=True)
class Checkpointed(Event):
    """A checkpoint is made, or differentiated, in a way that it refuses or that cuts the gradient.

    what: "inputs" (reentrant and no input requires grad, although the function has parameters that do: a warning, and
    no gradient), "grad" (autograd.grad or backward(inputs=...) through a reentrant one), "keyword" (an argument that
    only the other form takes), "unknown keyword", "determinism", "debug" (options that are refused), "value" (a result
    instead of a function), "unsaid" (use_reentrant is not given: a warning), "graphless" (backward through a reentrant
    one whose result does not require grad). at: where the checkpoint was made. subject: what the message is about.
    sure: how well that is known.
    """

    what: str
    at: Site | None
    subject: Label
    sure: Truth


@dataclass(frozen=True)
class LossForgotten(Event):
    """A scalar that carries a gradient of trained leaves never gets to a backward; node: the expression. Or another
    tensor does not, the only one made of leaves that an optimizer steps ("unread result", "overwritten result").

    how: "unread" (its name is not read), "overwritten" (its name is bound again at once), "late" (it is added to a loss
    that has been backwarded already), "anew" (each iteration of a loop sets it, and adds nothing), "cut short" (a loop
    returns it after one term), "=+" and "=-" (that was written for `+=`). subject: the name. before: where it was set
    to zero; what computed the value that is lost.
    """

    how: str
    subject: Label
    before: Site | None = None


@dataclass(frozen=True)
class AnomalyDetection(Event):
    """`torch.autograd.set_detect_anomaly(True)` is a statement that is always run, and nothing takes it back."""


@dataclass(frozen=True)
class Legacy(Event):
    """Something is called that PyTorch keeps for old code only; `old` is its entry in knowledge/legacy.py.

    name: its qualified name (`Tensor.resize` for a method). spelt: does the call itself name it, so that another name
    can be written there? open: `*args` or `**kwargs` hand it what is not known.
    """

    name: str
    old: Any
    spelt: bool
    open: bool


@dataclass(frozen=True)
class DataRead(Event):
    """`x.data` of a tensor is taken, to read or to write what it holds; `subject` is the source text of `x`."""

    tensor: Tensor
    subject: Label


@dataclass(frozen=True)
class ForwardCalled(Event):
    """`module.forward(...)` is called; `subject` is the source text of the module."""

    subject: Label
