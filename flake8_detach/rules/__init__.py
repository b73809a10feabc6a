"""The rules, one file each, found by name; and `check`, which runs them over a file in one pass."""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from flake8_detach.rules._base import RULES, Rule


@cache
def load() -> dict[str, Rule]:
    """All rules by code, sorted. Importing a rule's module registers it."""
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("agd"):
            importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(RULES.items()))
