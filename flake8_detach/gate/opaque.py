"""Functions that a decorator takes over of which the engine knows nothing: `@register_model def resnet18(...)`.

What such a name stands for is unknown, and the body is never run. Left out altogether, the name is unknown, too.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Sequence
from typing import Any

from flake8_detach.gate.links import foreigners
from flake8_detach.gate.reading import Facts, root
from flake8_detach.knowledge.contexts import TRANSPARENT_PACKAGES


def opaque(trees: Sequence[ast.Module], facts: Sequence[Facts]) -> frozenset[int]:
    """The indices of the chunks that only define such a function."""
    candidates: dict[int, Any] = {index: tree.body[0] for index, tree in enumerate(trees) if _is_decorated(tree.body)}
    if not candidates:
        return frozenset()
    imports = [binding for fact in facts for binding in fact.imports]
    unknown = foreigners(facts) - {name for name, parts in imports if parts[0] in KNOWN}
    unknown |= {name for name, parts in imports if parts == ("pytest",)}
    times = Counter(name for fact in facts for name in fact.binds | fact.late)
    return frozenset(
        index
        for index, function in candidates.items()
        if times[function.name] == 1 and not hasattr(builtins, function.name) and _is_taken_over(function, unknown)
    )


def _is_decorated(body: list[Any]) -> bool:
    return len(body) == 1 and isinstance(body[0], _FUNCTIONS) and bool(body[0].decorator_list)


def _is_taken_over(function: Any, unknown: set[str]) -> bool:
    """Does the definition bind an unknown value and do nothing else? What is computed for it might."""
    computed = [default for default in (*function.args.defaults, *function.args.kw_defaults) if default is not None]
    for decorator in function.decorator_list:
        if root(decorator) not in unknown:
            return False
        for part in ast.walk(decorator):
            if isinstance(part, ast.Call):
                computed += [*part.args, *(keyword.value for keyword in part.keywords)]
    return all(isinstance(part, _PLAIN) for value in computed for part in ast.walk(value))


KNOWN = TRANSPARENT_PACKAGES | {"typing"}
"""Packages of which the engine knows decorators, of typing not all."""
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_PLAIN = (ast.Constant, ast.Tuple, ast.List, ast.Dict, ast.UnaryOp, ast.unaryop, ast.expr_context)
