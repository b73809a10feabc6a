"""Where the transfer functions of library calls register themselves, by canonical name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.calls import Args
from flake8_detach.flow.values import Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

Model = Callable[["Machine", Args, cst.CSTNode], Value]
MODELS: dict[str, Model] = {}
"""Imported functions that do more than an op."""
BUILTINS: dict[str, Model] = {}
"""Python's builtins."""


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
