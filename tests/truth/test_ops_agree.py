"""Does every claim of ops.json agree with what torch does? Asked with more and other calls than it was made from."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the truth tests need torch (pip install flake8-detach[oracle])")

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))

import make_ops  # noqa: E402
from op_fit import Case, arguments  # noqa: E402

from flake8_detach.knowledge import ops  # noqa: E402
from flake8_detach.knowledge.meaning import kind_of, rank_of  # noqa: E402

pytestmark = pytest.mark.truth

Verdict = tuple[str, bool | None]
"""What was claimed, and is it so? None: the record says that it does not know."""


def claims(op: ops.Op, case: Case) -> Iterator[Verdict]:
    """Every claim that the record makes about this call, compared with what was seen."""
    known = op.given(lambda condition: condition in case.conditions)
    seen = case.facts
    if known.graph == "python":
        yield "python value", seen.shape == "python"
        return
    if seen.shape == "python":
        yield "tensor result", None if known.graph == "unknown" else False
        return
    if known.graph == "unknown" and not known.outputs:
        yield "graph", None
    else:
        yield "listed", known.listed == (seen.shape == "list" or _varies(known, seen.shape))
        yield (
            "outputs",
            (len(known.outputs) == len(seen.graph)) if known.outputs else (known.listed or len(seen.graph) == 1),
        )
        if known.fields or seen.fields:
            yield "fields", known.fields == seen.fields
        yield from _graph(known, seen.graph, bool(seen.alone))
    yield from _arguments(known, seen)
    yield from _saved(known, seen)
    given = arguments(case.values)
    rank = rank_of(known.rank, given)
    yield "rank", None if rank is None else all(r == rank for r in seen.ranks)
    for values, kinds in [(case.values, seen.kinds), *case.kinds]:
        kind = kind_of(known.dtype, arguments(values))
        yield "dtype", None if kind is None else not kinds or kind == kinds[0]
    yield (
        "writes",
        set(known.writes) == set(seen.writes)
        if known.bumps
        else None
        if not seen.writes
        else set(known.writes) >= set(seen.writes),
    )
    yield "same", None if known.same == "maybe" else (known.same == "always") == seen.same
    yield "view", None if "maybe" in (known.view, known.same) else known.view in ("view", "multi") or not seen.view
    if seen.multi:
        yield "multi", known.view == "multi"


def _varies(known: ops.Op, shape: str) -> bool:
    return known.listed and shape == "tuple"


def _graph(known: ops.Op, seen: tuple[str, ...], differentiable: bool) -> Iterator[Verdict]:
    """requires_grad of every output, the gradient, and whether backward raises."""
    classes = known.outputs or (known.graph,) * len(seen)
    for claimed, found in zip(classes, seen, strict=False):
        if claimed == "unknown" or not differentiable:
            yield "graph", None if claimed == "unknown" else found == "no" or claimed == found
        elif found == "unknown":  # with gradients the call raises: see the arguments
            continue
        elif "python" in (claimed, found):
            yield "no tensor", claimed == found
        elif claimed in ("no", "new"):
            yield "no graph", found == "no"
        elif claimed == "zero":
            yield "zero gradient", found in ("zero", "empty")
        elif claimed == "raises":
            yield "backward raises", found == "raises"
        else:
            yield "graph", found in ("yes", "zero", "empty") or found.startswith("error")


def _arguments(known: ops.Op, seen: Any) -> Iterator[Verdict]:
    """What happens if one argument alone requires grad."""
    for name, found in seen.alone.items():
        claimed = known.nodiff.get(name)
        if claimed == "maybe" or known.graph == "unknown":
            yield "argument", None
        elif claimed is not None:
            yield f"argument {claimed}", found in (claimed, "empty")
        elif known.graph in ("no", "new"):
            yield "argument without graph", found == "ignore"
        elif "raises" in (known.graph, *known.outputs):
            yield "argument of what raises", found in ("backward", "empty", "zero")
        else:
            yield "argument", found in ("yes", "zero", "empty") or found.startswith("error")


def _saved(known: ops.Op, seen: Any) -> Iterator[Verdict]:
    """Does backward raise after the version counter of an argument or of a result was bumped?"""
    for target, movers in seen.saved.items():
        for mover, verdict in seen.alone.items():
            if verdict not in ("yes", "zero", "empty"):
                continue
            needed = mover in movers
            if target in known.saves and mover in known.saves_if.get(target, (mover,)):
                yield f"saved {target}", needed
            elif target in known.may_save:
                yield "may be saved", None
            else:
                yield f"not saved {target}", not needed
        if target in seen.together:
            yield "saved together", target in known.saves or target in known.may_save


def judge(name: str, op: Any) -> list[tuple[str, str, bool | None]]:
    """(claim, about which call, is it so) for one op."""
    record = ops._op(name)
    found, _, _ = make_ops.cases_of(name, op, seed=1, most=120)
    if record is None:
        return []
    return [(claim, " & ".join(sorted(c.conditions)), verdict) for c in found for claim, verdict in claims(record, c)]


def test_every_claim_agrees_with_torch(capsys: pytest.CaptureFixture[str]) -> None:
    torch.set_num_threads(1)
    verdicts: Counter[bool | None] = Counter()
    wrong, unsure, agree = [], 0, 0
    for name, found in make_ops.isolated(judge, make_ops.every_op()):
        if not found:
            continue
        counts = Counter(verdict for _, _, verdict in found)
        verdicts.update(counts)
        wrong += [(name, claim, call) for claim, call, verdict in found if verdict is False]
        agree += not counts[False] and not counts[None]
        unsure += not counts[False] and bool(counts[None])
    with capsys.disabled():
        print(f"\nops: {agree} agree, {unsure} agree with some facts unknown, {len({w[0] for w in wrong})} wrong")
        print(f"claims: {verdicts[True]} agree, {verdicts[None]} unknown, {verdicts[False]} wrong")
    assert not wrong, "\n".join(map(str, sorted(set(wrong))))


@pytest.mark.skipif(not torch.__version__.startswith("2.13."), reason="ops.json describes torch 2.13")
def test_ops_json_is_what_torch_says() -> None:
    text, _ = make_ops.make()
    assert text == make_ops.TARGET.read_text(encoding="utf-8"), "run tools/make_ops.py"
