"""Where the transfer functions of library calls register themselves, by canonical name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.calls import Args
from flake8_detach.flow.values import Ref, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

Model = Callable[["Machine", Args, cst.CSTNode], Value]
MODELS: dict[str, Model] = {}
"""Imported functions that do more than an op."""
BUILTINS: dict[str, Model] = {}
"""Python's builtins."""
TensorMethod = Callable[["Machine", cst.CSTNode, Ref, Args, cst.CSTNode], Value]
TENSOR_METHODS: dict[str, TensorMethod] = {}
"""Tensor methods that do more than an op."""


def model(*names: str) -> Callable[[Model], Model]:
    """Decorator: the function does what a call of these imported names does."""

    def add(function: Model) -> Model:
        MODELS.update(dict.fromkeys(names, function))
        return function

    return add


def builtin(*names: str) -> Callable[[Model], Model]:
    """Decorator: the function does what a call of these builtins does."""

    def add(function: Model) -> Model:
        BUILTINS.update(dict.fromkeys(names, function))
        return function

    return add


def tensor_method(*names: str) -> Callable[[TensorMethod], TensorMethod]:
    """Decorator: the function does what a call of these methods of a tensor does."""

    def add(function: TensorMethod) -> TensorMethod:
        TENSOR_METHODS.update(dict.fromkeys(names, function))
        return function

    return add
