"""Memory of one file: results that hold its trees, so they must go when the file is done."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

_CACHES: list[Callable[[], None]] = []


def per_file(function: F) -> F:
    """Decorator: what the function returns for an argument is remembered until `forget`.

    A cache that outlived the file would keep its trees alive, a million objects, and each full run of the garbage
    collector would go through all of them.
    """
    cached = lru_cache(maxsize=None)(function)
    _CACHES.append(cached.cache_clear)
    return cached  # type: ignore[return-value]


def forget() -> None:
    """Forget what has been remembered of the file."""
    for clear in _CACHES:
        clear()
