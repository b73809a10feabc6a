"""From the calls that were watched to one record: what they have in common, and conditions where they differ."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from op_names import Signature
from op_probe import Facts, kind, tensors
from op_samples import Sample

from flake8_detach.knowledge.meaning import UNKNOWN, Argument, kind_of, rank_of

RANKS = (
    *(
        "same",
        "zero",
        "broadcast",
        "reduce",
        "reduce:1",
        "reduction",
        "reduction:broadcast",
        "reduction:-1",
        "reduction:-2",
        "+1",
        "-1",
        "-2",
        "args",
    ),
    *("matmul", "1", "2", "3", "4"),
)
DTYPES = (
    *("same", "promote", "bool", "int", "float_of_int", "int_of_bool", "real", "float", "complex", "to"),
    *("value:data", "value:obj", "value:fill_value", "value:start end step", "value:end", "value:s", "value:value"),
)

DEFAULTS: dict[str, Any] = {
    "graph": "yes",
    "outputs": "",
    "fields": "",
    "listed": False,
    "writes": "",
    "inplace": False,
    "bumps": True,
    "leaf": False,
    "view": "",
    "same": "",
    "saves": "",
    "may_save": "",
    "saves_if": {},
    "nodiff": {},
    "rank": "same",
    "dtype": "same",
}

LEGACY = {"torch.LongTensor": torch.int64, "torch.FloatTensor": torch.float32, "torch.DoubleTensor": torch.float64}

IRRELEVANT = {
    "keepdim",
    "sorted",
    "requires_grad",
    "dtype",
    "equation",
    "driver",
    "mode",
    "approximate",
    "side",
    "right",
} | {"memory_format", "non_blocking", "copy"}
"""Parameters whose presence never decides: `rank` knows what keepdim does and `dtype` what dtype= does, the others
change numbers only. `dtype=<int>` does count."""

INPLACE = re.compile(r"[^_]_$|__i[a-z]+__$")
"""How torch names what works in place."""


class Case(NamedTuple):
    """One watched call: its arguments by the parameter names of the merged signature, and what was seen.

    kinds: the call again with other dtypes: (arguments, dtype kinds of the results).
    """

    values: dict[str, Any]
    conditions: frozenset[str]
    facts: Facts
    kinds: tuple[tuple[dict[str, Any], tuple[str, ...]], ...]


class About(NamedTuple):
    """What is known of the op beforehand.

    factory: it takes requires_grad=. telling: the parameters that tell its overloads apart. dtypes: words to try first.
    """

    name: str
    factory: bool
    telling: frozenset[str]
    dtypes: tuple[str, ...]


# Signatures and conditions


def merged(overloads: Sequence[Signature]) -> tuple[str, ...]:
    """One list of parameters for all overloads: the longest one's order, names of the others as keywords."""
    main = max(overloads, key=lambda s: (any(p.kind == "rest" for p in s.params), len(s.positional)))
    plain = [f"*{p.name}" if p.kind == "rest" else p.name for p in main.positional]
    known = {p.name for p in main.positional}
    extra = []
    for p in (p for s in (main, *overloads) for p in s.params):
        if p.name not in known and p.name not in ("out", "device", "layout", "pin_memory"):
            known.add(p.name)
            extra.append(p.name)
    return (*plain, *(["*", *extra] if extra else []))


def named(sample: Sample, params: tuple[str, ...]) -> list[dict[str, str]]:
    """How the parameters of the sample's overload are called in `params`: given by position, and given by keyword."""
    plain = params[: params.index("*")] if "*" in params else params
    by_keyword = {name: name for name in sample.values}
    by_position = dict(by_keyword)
    for p, main in zip(sample.signature.positional, plain, strict=False):
        if p.name not in sample.values or (main.startswith("*") and p.kind != "rest"):
            break
        by_position[p.name] = main.lstrip("*")
    usable = len(set(by_position.values())) == len(by_position)
    return [by_keyword] if by_position == by_keyword or not usable else [by_position, by_keyword]


def telling(overloads: Sequence[Signature]) -> frozenset[str]:
    """The parameters that some overloads demand and others do not."""
    demanded = [{p.name for p in s.params if p.required} for s in overloads]
    return frozenset().union(*demanded) - frozenset.intersection(*map(frozenset, demanded))


def conditions(values: dict[str, Any]) -> frozenset[str]:
    """All conditions, as `Op.given` knows them, that hold for these arguments."""
    found = set()
    for name, value in values.items():
        if value is None or (isinstance(value, (list, tuple)) and name in ("size", "shape", "sizes", "dims")):
            continue
        found.add(name)
        if isinstance(value, (bool, str)) or (name == "p" and isinstance(value, float) and value in (0.0, 1.0)):
            found.add(f"{name}={value!r}")
        if isinstance(value, torch.Tensor):
            found.add(f"{name}=<tensor>")
        dtype = (
            value.dtype if isinstance(value, torch.Tensor) else LEGACY.get(value) if isinstance(value, str) else value
        )
        if isinstance(dtype, torch.dtype) and kind(dtype) in ("int", "bool"):
            found.add(f"{name}=<int>")
    return frozenset(found)


def may_decide(condition: str, cases: list[Case], about: About) -> bool:
    """Is it plausible that this condition matters? Otherwise chance would find one for every odd sample."""
    name, _, wanted = condition.partition("=")
    if name in about.telling:
        return True
    if name in ("self", "input") or (wanted == "<int>" and name in ("other", "src", "the_template")):
        return False
    if name in IRRELEVANT:
        return wanted in ("<int>", "False", "True") and name in ("dtype", "mode")
    if wanted or name in ("dim", "axis", "rounding_mode", "max_norm"):
        return True
    values = [c.values[name] for c in cases if condition in c.conditions]
    return not all(isinstance(v, (int, float, bool, str)) for v in values)


def arguments(values: dict[str, Any]) -> dict[str, Argument]:
    """Arguments as flake8_detach.knowledge.meaning describes them."""
    found = {}
    for name, value in values.items():
        held = tuple((x.dim(), kind(x.dtype)) for x in tensors(value))
        dtype = LEGACY.get(value) if isinstance(value, str) else value
        found[name] = Argument(held, kind(dtype) if isinstance(dtype, torch.dtype) else UNKNOWN if held else value)
    return found


# One record for some calls


class Fit(NamedTuple):
    """A record, and how far the cases contradict each other (0: not at all)."""

    record: dict[str, Any]
    impurity: float


def fit(cases: list[Case], about: About) -> Fit:
    """What all the cases have in common."""
    record: dict[str, Any] = dict(DEFAULTS)
    cases = _listed(cases)
    informative = [c for c in cases if c.facts.shape == "python" or any(v != "raise" for v in c.facts.alone.values())]
    shapes = Counter(_structure(c) for c in informative or cases)
    bad = 3 * _gini(shapes)
    if len(shapes) > 1:
        record["graph"] = "unknown"
    else:
        bad += _outputs(record, informative, cases, about)
    bad += _aliases(record, cases, about)
    if record["graph"] != "python":
        bad += _word(record, "rank", RANKS, _rank_fits, cases)
        bad += _word(record, "dtype", (*about.dtypes, *DTYPES), _dtype_fits, cases)
        bad += _without(record, cases)
        bad += _saves(record, informative)
    return Fit(record, bad)


def _listed(cases: list[Case]) -> list[Case]:
    """A tuple that is now longer, now shorter, is a list."""
    plain = [c for c in cases if c.facts.shape == "tuple" and not c.facts.fields]
    if len({len(c.facts.ranks) for c in plain}) < 2 or any(c.facts.shape not in ("tuple", "list") for c in cases):
        return cases
    return [c._replace(facts=replace(c.facts, shape="list")) for c in cases]


def _gini(counts: Counter[Any]) -> float:
    total = sum(counts.values())
    return total - sum(n * n for n in counts.values()) / total if total else 0.0


def _structure(case: Case) -> tuple[str, ...]:
    """The shape of the result and, per output, whether it carries a graph."""
    graph = tuple(g if g in ("no", "raises", "python") else "yes" for g in case.facts.graph)
    if case.facts.shape == "list":
        return ("list", *sorted(set(graph)))
    return (case.facts.shape, *graph)


def _outputs(record: dict[str, Any], informative: list[Case], cases: list[Case], about: About) -> float:
    """Fill in graph, outputs, fields, listed."""
    shape = (informative or cases)[0].facts.shape
    if shape == "python":
        record["graph"] = "python"
        return 0.0
    record["listed"] = shape == "list"
    width = len((informative or cases)[0].facts.graph) if shape == "tuple" else 1
    if informative:
        seen = [
            {g for c in informative for g in c.facts.graph}
            if shape == "list"
            else {c.facts.graph[k] for c in informative}
            for k in range(width)
        ]
        classes = [_class(s) for s in seen]
    else:
        classes = ["no"] * width
    record["graph"] = next(c for c in ("yes", "raises", "unknown", "zero", "no", "python") if c in classes)
    if record["graph"] == "no" and about.factory:
        record["graph"] = "new"
    if shape == "tuple":
        record["outputs"] = " ".join(classes)
        record["fields"] = " ".join(cases[0].facts.fields)
    return 0.5 * _gini(
        Counter(tuple(g == "zero" for g in c.facts.graph) for c in informative if "empty" not in c.facts.graph)
    )


def _class(found: set[str]) -> str:
    """One class for what several calls showed of an output; a gradient may happen to be zero."""
    found = {"error" if f.startswith("error") else f for f in found} - {"empty"}
    if len(found) == 1 and found <= {"no", "raises", "zero", "yes", "python"}:
        return next(iter(found))
    return "yes" if found and found <= {"yes", "zero", "error"} and "yes" in found else "unknown"


def _aliases(record: dict[str, Any], cases: list[Case], about: About) -> float:
    """Fill in view, same, writes, inplace, bumps, leaf."""
    sameness = {c.facts.same for c in cases}
    views = {
        c.facts.view
        for c in cases
        if not c.facts.same and all(x.numel() for v in c.values.values() for x in tensors(v))
    }
    common = frozenset.intersection(*(c.facts.writes for c in cases))
    record["same"] = "always" if sameness == {True} else "maybe" if True in sameness else ""
    if True in views:
        record["view"] = "view" if views == {True} and not record["same"] else "maybe"
    if record["view"] and any(c.facts.multi for c in cases):
        record["view"] = "multi"
    record["writes"] = " ".join(sorted(common))
    record["inplace"] = record["same"] == "always" and bool(common)
    record["bumps"] = all(c.facts.bumps for c in cases)
    record["leaf"] = bool(common) and all(c.facts.leaf for c in cases if c.facts.alone)
    if record["same"] == "always" and not common and INPLACE.search(about.name):
        # detach_, requires_grad_: they write flags, no memory
        record.update(writes=next(iter(cases[0].values)), inplace=True, bumps=False, leaf=True)
    soft = _gini(Counter(c.facts.same for c in cases)) + _gini(Counter(c.facts.view for c in cases))
    return _gini(Counter(c.facts.writes for c in cases)) + soft / 4


def _word(
    record: dict[str, Any], field: str, words: Iterable[str], fits: Callable[[str, Case], bool], cases: list[Case]
) -> float:
    """Choose the first word that no case contradicts."""
    record[field] = next((w for w in words if all(fits(w, c) for c in cases)), "unknown")
    return float(len(cases)) if record[field] == "unknown" else 0.0


def _rank_fits(word: str, case: Case) -> bool:
    wanted = rank_of(word, arguments(case.values))
    return wanted is not None and all(rank == wanted for rank in case.facts.ranks)


def _dtype_fits(word: str, case: Case) -> bool:
    seen = [(case.values, case.facts.kinds), *case.kinds]
    return all(kind_of(word, arguments(values)) == kinds[0] for values, kinds in seen if kinds)


def _without(record: dict[str, Any], cases: list[Case]) -> float:
    """Fill in nodiff: parameters without derivative."""
    bad = 0.0
    classes = set(record["outputs"].split()) or {record["graph"]}
    for name in sorted({name for c in cases for name in c.facts.alone}):
        verdicts = Counter(
            "yes" if c.facts.alone[name].startswith("error") else c.facts.alone[name]
            for c in cases
            if name in c.facts.alone
        )
        verdicts.pop("empty", None)
        if not verdicts:
            continue
        only = next(iter(verdicts)) if len(verdicts) == 1 else ""
        if only == "yes":
            continue
        if (only == "ignore" and classes <= {"no", "new"}) or (only == "backward" and "raises" in classes):
            continue
        if only == "zero" and "zero" in classes:
            continue
        if only:
            record["nodiff"] = {**record["nodiff"], name: only}
        elif set(verdicts) - {"yes", "zero"}:
            record["nodiff"] = {**record["nodiff"], name: "maybe"}
            bad += _gini(verdicts)
    return bad


def _saves(record: dict[str, Any], cases: list[Case]) -> float:
    """Fill in saves, saves_if, may_save."""
    movers = sorted({n for c in cases for n, v in c.facts.alone.items() if v in ("yes", "zero", "empty")})
    saves, may, only = [], [], {}
    bad = 0.0
    for target in sorted({t for c in cases for t in c.facts.saved}):
        about = [c for c in cases if target in c.facts.saved]
        always, asked = [], []
        for mover in movers:
            votes = Counter(
                mover in c.facts.saved[target] for c in about if c.facts.alone.get(mover) in ("yes", "zero", "empty")
            )
            if votes:
                asked.append(mover)
            if set(votes) == {True}:
                always.append(mover)
            elif votes[True]:
                may.append(target)
                bad += _gini(votes) / 4
        if always:
            saves.append(target)
            if always != asked:
                only[target] = " ".join(always)
        if any(target in c.facts.together for c in about):
            may.append(target)
    record["saves"], record["may_save"] = " ".join(saves), " ".join(dict.fromkeys(may))
    record["saves_if"] = only
    return bad


# Conditions


def decisions(cases: list[Case], about: About, depth: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """(condition, record) in the order in which they are tried; the last one has no condition."""
    whole = fit(cases, about)
    best: tuple[float, int, str] | None = None
    if whole.impurity >= 0.3 and depth < 4:
        for condition in sorted({x for c in cases for x in c.conditions}):
            yes, no = divided(cases, condition)
            if no and may_decide(condition, cases, about):
                rest = fit(yes, about).impurity + fit(no, about).impurity
                best = min(best or (rest, len(condition), condition), (rest, len(condition), condition))
    if best is None or best[0] > whole.impurity * 0.9 - 0.2:
        return [("", whole.record)]
    yes, no = divided(cases, best[2])
    inner = decisions(yes, about, depth + 1)
    return [*((_both(best[2], c), r) for c, r in inner), *decisions(no, about, depth + 1)]


def divided(cases: list[Case], condition: str) -> tuple[list[Case], list[Case]]:
    return [c for c in cases if condition in c.conditions], [c for c in cases if condition not in c.conditions]


def _both(a: str, b: str) -> str:
    """The conjunction; "dim" goes without saying beside "dim=True"."""
    parts = list(dict.fromkeys([a, *(b.split(" & ") if b else [])]))
    return " & ".join(p for p in parts if not any(q.startswith(f"{p}=") for q in parts))


def _implies(a: str, b: str) -> bool:
    """Does the second condition hold wherever the first does?"""
    parts = a.split(" & ")
    return not b or all(any(p == q or p.startswith(f"{q}=") for p in parts) for q in b.split(" & "))


def record(cases: list[Case], about: About) -> dict[str, Any]:
    """The record of an op without its params, as it stands in the file: what equals the default is left out."""
    *special, (_, base) = decisions(cases, about)
    found = {k: v for k, v in base.items() if v != DEFAULTS[k]}
    when: list[tuple[str, dict[str, Any]]] = [("", {})]
    for condition, other in reversed(special):
        changes = {k: v for k, v in other.items() if v != base[k]}
        if changes != when[0][1] or not _implies(
            condition, when[0][0]
        ):  # else the next one, or the base, says the same
            when.insert(0, (condition, changes))
    return {**found, "when": when[:-1]} if len(when) > 1 else found
