"""What a finding offers to change in the text, and how it is applied.

Rules write `fixes.build`, `fixes.blocks` and `fixes.place`, which are imported when the first asks for them: they
need libcst, and that only files that pass the gate can afford.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flake8_detach.fixes import blocks as blocks
    from flake8_detach.fixes import build as build
    from flake8_detach.fixes import place as place


def __getattr__(name: str) -> ModuleType:
    if name not in ("blocks", "build", "place"):
        raise AttributeError(name)
    return import_module(f"{__name__}.{name}")
