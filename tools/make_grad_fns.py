"""Derive flake8_detach/knowledge/grad_fns.json from the installed torch: `python tools/make_grad_fns.py [--check]`.

What the program calls `linear` may be two nodes of autograd's graph, or four. Every public op is called as make_ops.py
calls it, with all that can require grad doing so and with each argument alone, and the classes of the nodes between its
result and its arguments are written down: one combination, or as many as there were. In the latter case also, for each
form of a call (which arguments, of how many dimensions, requiring grad or not), the combination that it always made.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import torch  # noqa: E402
from make_ops import every_op, isolated  # noqa: E402
from op_names import signatures  # noqa: E402
from op_probe import Call, differentiable, tensors  # noqa: E402
from op_recipes import recipes  # noqa: E402
from op_samples import Sample, opinfo, samples  # noqa: E402

from flake8_detach.knowledge.grad_fns import Argument, forms  # noqa: E402

TARGET = ROOT / "flake8_detach" / "knowledge" / "grad_fns.json"

MOST = 40
"""Calls of one op."""
MANY = 30
"""Of an op that is made of its nodes in more ways than this, no forms are written down."""


def nodes(call: Call) -> str:
    """The classes of the nodes that a call has made, sorted, without the word "Backward" that all have."""
    seen: set[Any] = set()
    todo = [x.grad_fn for x in call.connected()]
    while todo:
        node = todo.pop()
        if node is None or node in seen or type(node).__name__ == "AccumulateGrad" or _start(node):
            continue
        seen.add(node)
        todo.extend(after for after, _ in node.next_functions)
    return " ".join(sorted(type(node).__name__.replace("Backward", "") for node in seen))


def _start(node: Any) -> bool:
    """Is it the `+ 0` that `Call` puts between a leaf and an op that writes in place?"""
    after = [a for a, _ in node.next_functions if a is not None]
    return type(node).__name__ == "AddBackward0" and [type(a).__name__ for a in after] == ["AccumulateGrad"]


def arguments(sample: Sample, requiring: frozenset[str]) -> Iterator[Argument]:
    """What a program text may show of the call."""
    required = {p.name for p in sample.signature.params if p.required}
    for name, value in sample.values.items():
        if isinstance(value, torch.Tensor):
            yield Argument(name, value.dim(), name in requiring)
        elif value is not None or name in required:
            yield Argument(name, value=value)


def plain(sample: Sample) -> Sample:
    """The call without its options, as most people write it."""
    needed = {p.name for p in sample.signature.params if p.required}
    return sample._replace(values={n: v for n, v in sample.values.items() if n in needed or tensors(v)})


def requirements(params: list[str]) -> Iterator[frozenset[str]]:
    """Which arguments require grad: all combinations of few, else all, all but one, and one."""
    for count in range(1, len(params) + 1):
        if len(params) <= 3 or count in (1, len(params) - 1, len(params)):
            yield from map(frozenset, combinations(params, count))


def observe(name: str, op: Callable[..., Any]) -> tuple[list[str], dict[str, int]]:
    """All combinations of nodes that calls of the op have shown, the most frequent first, and which of them (by its
    index) the calls of one form always made."""
    recipes(), opinfo()
    torch.default_generator.manual_seed(0)
    random.seed(0)
    found: Counter[str] = Counter()
    seen: dict[tuple[str, str], set[str]] = {}
    in_place = (name.endswith("_") and not name.endswith("__")) or name.startswith("Tensor.__i")
    given = list(samples(name, signatures(name, op), MOST))
    for sample in [*given, *map(plain, given)]:
        params = [p for p, value in sample.values.items() if differentiable(value)]
        for requiring in requirements(params):
            try:
                made = nodes(Call(op, sample, requiring, leaf=not in_place))
            except Exception:  # whatever torch says: these are no arguments for this op
                continue
            if made:
                found[made] += 1
                seen.setdefault(forms(arguments(sample, requiring)), set()).add(made)
    most = sorted(found, key=lambda made: (-found[made], made))
    return most, telling(seen, most) if 1 < len(most) <= MANY else {}


def telling(seen: dict[tuple[str, str], set[str]], ways: list[str]) -> dict[str, int]:
    """Form -> way: the coarse forms of which all calls went the same way; the fine ones where these do not tell."""
    sure: dict[str, int] = {}
    for level in range(2):
        ways_of: dict[str, set[str]] = {}
        for form, made in seen.items():
            ways_of.setdefault(form[level], set()).update(made)
        sure |= {
            form[level]: ways.index(next(iter(ways_of[form[level]])))
            for form in seen
            if len(ways_of[form[level]]) == 1 and not any(coarse in sure for coarse in form[:level])
        }
    return dict(sorted(sure.items()))


def make() -> str:
    """The text of the file. What a Tensor method shares with the function of its name stands there once."""
    found = {name.rstrip(":"): made for name, made in isolated(observe, every_op()) if made and made[0]}
    kept = {
        name: {"ways": ways, "forms": known} if known else ways
        for name, (ways, known) in sorted(found.items())
        if name.startswith("torch.") or found.get(name.replace("Tensor.", "torch.", 1)) != (ways, known)
    }
    lines = [f"{json.dumps(name)}:{json.dumps(made, separators=(',', ':'))}" for name, made in kept.items()]
    return f'{{"torch":"{torch.__version__.split("+")[0]}","ops":{{\n' + ",\n".join(lines) + "\n}}\n"


def main() -> int:
    """Write the file, or compare it; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="exit 1 if the file is not what torch says")
    options = parser.parse_args()
    torch.set_num_threads(1)
    text = make()
    if options.check:
        return int(TARGET.read_text(encoding="utf-8") != text)
    TARGET.write_text(text, encoding="utf-8")
    print(f"{text.count(chr(10)) - 2} ops written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
