"""Writes a whole program from a seed."""

from __future__ import annotations

import ast
from collections import Counter
from dataclasses import dataclass, field

from fuzz import definitions, idioms  # noqa: F401  (they register their statements)
from fuzz.statements import leaf, write
from fuzz.writer import Writer

RANDOM = "rng = random.Random(7)"
HEADER = f"""\
import collections
import contextlib
import copy
import dataclasses
import functools
import random
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

{RANDOM}
"""


@dataclass(frozen=True)
class Program:
    """text: as `ast.unparse` writes it, one statement a line. defaults: harmless values of its variables and, under
    "name()", of its functions."""

    text: str
    defaults: dict[str, str] = field(default_factory=dict)


def program(seed: int) -> Program:
    """The program of that seed; the same in every run."""
    w = Writer(seed)
    for _ in range(w.pick(1, 2, 3)):
        leaf(w)
    while w.budget > 0:
        write(w)
    return Program(tidy(HEADER + "\n".join(w.lines) + "\n"), w.defaults)


def tidy(text: str) -> str:
    """Without redundant parentheses and unused imports, one statement a line."""
    tree = ast.parse(text)
    used = Counter(n.id for n in ast.walk(tree) if isinstance(n, ast.Name)) + Counter(["torch"])
    if used["rng"] < 2:
        tree.body = [n for n in tree.body if not (isinstance(n, ast.Assign) and ast.unparse(n) == RANDOM)]
        used["random"] -= 1
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            node.names = [a for a in node.names if used[a.asname or a.name]]
    tree.body = [n for n in tree.body if not isinstance(n, (ast.Import, ast.ImportFrom)) or n.names]
    return ast.unparse(tree) + "\n"


__all__ = ["HEADER", "Program", "program", "tidy"]
