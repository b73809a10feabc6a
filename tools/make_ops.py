"""Derive flake8_detach/knowledge/ops.json from the installed torch: `python tools/make_ops.py [--check] [NAME ...]`.

Every public op is called with many arguments (op_samples.py) and watched (op_probe.py). A record states what all calls
have in common; where they differ, conditions on the arguments are looked for that tell them apart (op_fit.py). What
remains contradictory is "unknown". So a record claims nothing that torch contradicted.
With NAMEs the records of these ops are printed and nothing is written; --check compares with the file.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import random
import signal
import sys
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import torch  # noqa: E402
from op_fit import About, Case, conditions, merged, named, record, telling  # noqa: E402
from op_names import Signature, attributes, public, signatures  # noqa: E402
from op_probe import Facts, cast, probe, result_kinds  # noqa: E402
from op_recipes import recipes  # noqa: E402
from op_samples import Sample, opinfo, samples  # noqa: E402

from flake8_detach.knowledge.ops import renamed  # noqa: E402

TARGET = ROOT / "flake8_detach" / "knowledge" / "ops.json"

Op = Callable[..., Any]


def observe(op: Op, name: str, overloads: list[Signature], params: tuple[str, ...], most: int) -> list[Case]:
    """All calls that succeed; few of a kind (at most `most` / 3), so that common ones do not outvote the others."""
    cases: list[Case] = []
    shapes: Counter[Any] = Counter()
    alike: Counter[frozenset[str]] = Counter()
    for sample in samples(name, overloads, most):
        given = conditions(sample.values)
        shape = (given, tuple(_outline(v) for v in sample.values.values()))
        if shapes[shape] >= 2 or alike[given] >= most / 3:
            continue
        returns = sample.signature.returns
        facts = probe(op, sample, listed="Tensor, ...]" in returns or "list[Tensor]" in returns)
        if facts is None:
            continue
        shapes[shape] += 1
        alike[given] += 1
        kinds = tuple(_kinds(op, sample)) if shapes[shape] == 1 else ()
        for style in named(sample, params):
            values = _renamed(sample.values, style)
            again = tuple((_renamed(v, style), found) for v, found in kinds)
            cases.append(Case(values, conditions(values), _relabelled(facts, style), again))
    return cases


def _outline(value: Any) -> Any:
    """What makes two arguments alike."""
    if isinstance(value, torch.Tensor):
        return value.dim(), value.dtype
    if isinstance(value, (list, tuple)):
        return (len(value), _outline(value[0])) if value else ()
    return type(value), str(getattr(value, "dtype", ""))


def _kinds(op: Op, sample: Sample) -> Iterator[tuple[dict[str, Any], tuple[str, ...]]]:
    """The sample once more with integer, bool and complex tensors."""
    for which in ("all", "first", "others"):
        for to in ("int", "bool", "complex"):
            other = cast(sample, which, to)
            found = result_kinds(op, other) if other else None
            if other and found:
                yield other.values, found


def _renamed(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(k, k): v for k, v in values.items()}


def _relabelled(facts: Facts, names: dict[str, str]) -> Facts:
    def many(found: Iterable[str]) -> frozenset[str]:
        return frozenset(names.get(n, n) for n in found)

    changes = {
        "writes": many(facts.writes),
        "alone": _renamed(facts.alone, names),
        "saved": {names.get(t, t): many(by) for t, by in facts.saved.items()},
        "together": many(facts.together),
    }
    return Facts(**{**facts.__dict__, **changes})


def cases_of(name: str, op: Op, seed: int = 0, most: int = 60) -> tuple[list[Case], tuple[str, ...], About]:
    """The watched calls of an op (none if torch tells no signature or refuses all), its parameters, and more.

    Another seed gives other numbers, a greater `most` more calls.
    """
    recipes(), opinfo()  # they draw numbers when they are first made: not after the seed is set
    torch.default_generator.manual_seed(zlib.crc32(name.encode()) + seed)
    random.seed(seed)
    overloads = signatures(name, op)
    params = merged(overloads)
    if not overloads:
        return [], (), About(name, False, frozenset(), ())
    taken = {p.name for s in overloads for p in s.params}
    about = About(name, "requires_grad" in taken, telling(overloads), ("like", "arg") if "dtype" in taken else ())
    return observe(op, name, overloads, params, most), params, about


def derive(name: str, op: Op) -> dict[str, Any] | None:
    """The record of one op, None if it could not be called."""
    cases, params, about = cases_of(name, op)
    if not cases:
        return None
    return {**record(cases, about), **({"params": " ".join(params)} if params else {})}


def isolated(work: Callable[[str, Op], Any], todo: list[tuple[str, Op]]) -> Iterator[tuple[str, Any]]:
    """`work` for each op in a child process; None for those that crash it, as some do on odd arguments."""
    todo = list(todo)
    while todo:
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            warnings.simplefilter("ignore")
            try:
                with os.fdopen(writer, "wb") as out:
                    for name, op in todo:
                        signal.alarm(60)  # an op that waits for input counts as one that crashes
                        pickle.dump((name, work(name, op)), out)
                        out.flush()
            finally:
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader, "rb") as results:
            try:
                while todo:
                    yield pickle.load(results)
                    todo.pop(0)
            except EOFError:
                yield todo.pop(0)[0], None
        os.waitpid(child, 0)


def every_op() -> list[tuple[str, Op]]:
    return [*public(), *attributes()]


# The file


def table(found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Records as they are stored: a method that is the function with `self` for `input` refers to it."""
    stored: dict[str, Any] = {}
    for name, facts in found.items():
        base = name.rpartition(".")[2]
        function = found.get(f"torch.{base}")
        text = json.dumps(facts)
        if function is None or name == f"torch.{base}" or len(text) < 60:
            stored[name] = facts
        elif facts == function:
            stored[name] = f"torch.{base}"
        elif name.startswith("Tensor.") and facts == renamed(function, "input", "self"):
            stored[name] = f"torch.{base} self"
        else:
            stored[name] = facts
    return stored


def render(found: dict[str, dict[str, Any]]) -> str:
    """The file: sorted, one op per line."""
    stored = sorted(table(found).items())
    lines = [f"{json.dumps(n)}:{json.dumps(r, sort_keys=True, separators=(',', ':'))}" for n, r in stored]
    return f'{{"torch":"{torch.__version__.split("+")[0]}","ops":{{\n' + ",\n".join(lines) + "\n}}\n"


def make() -> tuple[str, list[str]]:
    """The text of the file and the names of the ops that could not be called."""
    found = dict(isolated(derive, every_op()))
    # Moves between devices cannot be run here, where there is but one: that `cpu()` always gave the same object is due
    # to that. torch documents the others as `to(device)`, of which `cpu()` is a case.
    for name in ("cpu", "cuda", "xpu", "ipu", "mtia"):
        params = "self memory_format" if name == "cpu" else "self device non_blocking memory_format"
        found[f"Tensor.{name}"] = {"params": params, "same": "maybe"}
    return render({n: r for n, r in found.items() if r is not None}), sorted(n for n, r in found.items() if r is None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--check", action="store_true", help="exit 1 if the file is not what torch says")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.names:
        for name, op in every_op():
            if name in options.names:
                print(name, json.dumps(derive(name, op), indent=1))
        return 0
    text, missing = make()
    if options.check:
        return int(TARGET.read_text(encoding="utf-8") != text)
    TARGET.write_text(text, encoding="utf-8")
    print(f"{text.count(chr(10)) - 2} ops written; not callable: {' '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
