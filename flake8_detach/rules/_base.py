"""What a rule is: a page (its docstring), a bad/good pair, and a function from events to findings.

A rule decides from the facts that an event carries; it holds no analysis, looks at no identifier and never imports
the interpreter.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from flake8_detach.config import Confidence
from flake8_detach.fixes.edits import Applicability, Fix
from flake8_detach.source import Source, Span

TRAINING = frozenset({"backward", "manual_backward", "autograd", "optim", "Optimizer", "zero_grad"})
"""One of these is mentioned where something is trained. For `Rule.triggers` of rules whose other words stand in every
file that defines a module: such a rule then looks only at what hangs together with training."""

DIFFERENTIABLE = frozenset(
    {"torch.", "torchvision.", "functorch.", "ignite.", "accelerate.", "deepspeed.", "transformers."}
    | {"lightning.", "lightning_fabric.", "pytorch_lightning.", "requires_grad", "requires_grad_"}
)
"""One of these is mentioned where anything is known to require grad."""

HANDED = frozenset({"training_step:", "compute_loss:"})
"""Methods whose result a framework backwards, so that no "backward" need stand in the file."""


class Note(NamedTuple):
    """One step of the evidence: where, and what happened there ("cut by `.detach()`")."""

    span: Span
    text: str


@dataclass(frozen=True)
class Finding:
    """A report: `message` is one line without the code; `trail` leads from the cause to the effect."""

    code: str
    message: str
    span: Span
    confidence: Confidence = "certain"
    trail: tuple[Note, ...] = ()
    fix: Fix | None = None
    cause: Any = None
    """What went wrong, if that is elsewhere: two rules that trace their finding to one cause report it once."""
    first_only: bool = False
    """Does Python stop here, so that further findings of the same cause would never be seen?"""


class Example(NamedTuple):
    """A whole program that misuses autograd and the same program put right; both run in the tests."""

    bad: str
    good: str


class Rule:
    """Base of all rules.

    code: `AGDnnn`. name: reads well after "allow". listens: the event classes of `flow.events` that `check` wants.
    offers: the kinds of fixes that its findings may have; `()` if none ever has one.
    default: off-by-default rules are added to flake8's `extend_default_ignore`.
    triggers: what must be mentioned for a finding of the rule to be possible: of every set at least one word. The
        first set names the action: the rule reports only inside top-level statements that hold one of its words
        elsewhere than in annotations and base classes. The other sets are looked for there and in whatever hangs
        together with it. A word is an identifier (variable, attribute, argument, keyword, part of an import, or in a
        short string; "numpy" also stands for `np` where that is its local name), or a form of the syntax:
        "torch." something imported from there; ".grad" an attribute; ".grad=" a store into one; "[]=" into an item;
        "+=" any augmented assignment; "._" an attribute whose name ends like those that write in place; "()" a call as
        a statement of the module, unless it can run nothing; "step;" a statement that only names it, "to();" that only
        calls it, "data;" that only calls a method of it, "requires_grad==;" that only compares it; "no_grad&" a mention
        of a grad mode without a call, "@autocast" as a decorator, "no_grad(1)" a call of it with an argument, "no_grad
        as" one whose `with` binds a name; "requires_grad=True" where it is, or may be, switched on, other than by
        making a Parameter; "=[" a container of objects in an attribute; "Parameter()" what is computed from one at
        once; "Parameter(?)" one of what may not be floating, "Parameter(**)" where that depends on keywords, for which
        "dtype=int" is put together; "Parameter=" another value for an attribute that was one, "Parameter+=" a write
        into one; ".weight=other" for one of that name; "forward:" a method of that name in a class with a base;
        "register_parameter(?)" with something that may be refused; "__init__ after =" an `__init__` that calls its
        base's late; "(for)" a generator expression that outlives its place; "yield" a generator; "async" a coroutine;
        "@class" a decorated class; "class Module" one that may be an nn.Module. See
        flake8_detach.gate.forms. `()`: always possible.
    or_triggers: other such lists; a finding is possible, too, where one of them is met.
    """

    code: ClassVar[str]
    name: ClassVar[str]
    listens: ClassVar[tuple[type[Any], ...]] = ()
    example: ClassVar[Example]
    offers: ClassVar[tuple[Applicability, ...]] = ()
    default: ClassVar[bool] = True
    triggers: ClassVar[tuple[frozenset[str], ...]] = ()
    or_triggers: ClassVar[tuple[tuple[frozenset[str], ...], ...]] = ()
    within: ClassVar[frozenset[str]] = frozenset()

    def check(self, event: Any, source: Source) -> Iterable[Finding]:
        """Yield what `event` (an instance of one of `listens`) gives reason to report."""
        raise NotImplementedError

    def summary(self) -> str:
        """The first line of the docstring, for tables."""
        return (self.__doc__ or "").strip().splitlines()[0]


RULES: dict[str, Rule] = {}


def register(rule: type[Rule]) -> type[Rule]:
    """Class decorator: make the rule known under its code. Raises ValueError when the code is taken."""
    if rule.code in RULES:
        raise ValueError(f"{rule.code} is registered twice")
    RULES[rule.code] = rule()
    return rule
