"""The words in which a framework's file says what the framework does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BATCH = "batch"
"""What a data loader yields."""
ANY = "any"


@dataclass(frozen=True)
class Loop:
    """What a framework does with a class that extends one of `classes`.

    name: of the framework, for messages. given: method -> what it is handed, in order: BATCH, or ANY other thing.
    complete: are these all arguments, so that the defaults of the others hold? without_grad: the methods that it runs
    under `no_grad`, as patterns.
    backwards: the method whose result it backwards; key, index: where in a dict or tuple the loss is (None: it takes
    none). reduces: does it take the mean of several losses itself? unless: the attribute that, when False, leaves the
    training step to the class. own: methods that, when overridden, may do anything else with the loss. manual: the
    method of the base that backwards its first argument. notes: methods of the base that only write things down.
    """

    name: str
    classes: frozenset[str]
    backwards: str
    given: Mapping[str, tuple[str, ...]]
    complete: bool = False
    without_grad: tuple[str, ...] = ()
    key: str | None = None
    index: int | None = None
    reduces: bool = False
    unless: str = ""
    own: tuple[str, ...] = ()
    manual: str = ""
    notes: tuple[str, ...] = ()


BACKWARD = "backward"
"""Backwards its first argument; other arguments go to `Tensor.backward`."""
SAME = "same"
"""Gives back what it is given, several things as a tuple: wrapped, with the same parameters."""
CONTEXT = "context"
"""A context manager that leaves grad mode as it is."""
PLAIN = "plain"
"""Changes no tensor and no gradient, and gives back nothing of what it is given."""
STIR = "stir"
"""May change any gradient."""
STEP = "step"
"""Steps the optimizer and clears the gradients."""


@dataclass(frozen=True)
class Launcher:
    """An object whose methods do what a plain script does itself.

    made_by: the callables that make it. first: what the first parameter of its `backward` is called. methods: name ->
    one of the words above, or the qualified name of a function of torch that takes the same arguments.
    """

    made_by: tuple[str, ...]
    first: str
    methods: Mapping[str, str] = field(default_factory=dict)
