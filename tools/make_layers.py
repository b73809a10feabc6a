"""Derive flake8_detach/knowledge/layers.json from the installed torch: `python tools/make_layers.py [NAME ...]`.

Every class of torch.nn is made with small constructor arguments and run on inputs for which it works. The op that
forward applies is seen by a TorchFunctionMode. With NAMEs the records are printed, and nothing is written.
"""

from __future__ import annotations

import argparse
import inspect
import itertools
import json
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]

import torch  # noqa: E402
from op_fit import DTYPES, RANKS, arguments  # noqa: E402
from op_probe import kind  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.overrides import TorchFunctionMode, resolve_name  # noqa: E402

from flake8_detach.knowledge.meaning import kind_of, rank_of  # noqa: E402
from flake8_detach.knowledge.ops import function  # noqa: E402

TARGET = ROOT / "flake8_detach" / "knowledge" / "layers.json"

CONTAINERS = {
    nn.Sequential: "sequential",
    nn.ModuleList: "modulelist",
    nn.ModuleDict: "moduledict",
    nn.ParameterList: "parameterlist",
    nn.ParameterDict: "parameterdict",
}

LEFT_OUT = {"Module", "Container", "DataParallel", "CrossMapLRN2d", "NLLLoss2d", "RNNBase", "RNNCellBase"}
"""No layers of their own, or deprecated, or (CrossMapLRN2d) an autograd.Function of its own."""

NUMBERS = {
    "kernel_size": 2,
    "num_heads": 2,
    "nhead": 2,
    "num_groups": 2,
    "groups": 1,
    "num_layers": 1,
    "upscale_factor": 2,
    "downscale_factor": 2,
    "padding": 1,
    "negative_slope": 0.1,
    "cutoffs": [2],
    "n_classes": 4,
    "output_size": 2,
    "p": 0.5,
    "lower": 0.1,
    "upper": 0.3,
    "norm_type": 2,
    "threshold": 0.1,
    "value": 0.2,
    "dim": 1,
    "unflattened_size": (2, 2),
    "min_val": -1.0,
    "max_val": 1.0,
    "scale_factor": 2,
}


def layers() -> Iterator[tuple[str, type[nn.Module]]]:
    """The public classes of torch.nn, sorted."""
    for name, cls in sorted(vars(nn).items()):
        if isinstance(cls, type) and issubclass(cls, nn.Module) and not name.startswith("_") and name not in LEFT_OUT:
            yield name, cls


def constructor(cls: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """Its parameters; LSTM, GRU and RNN hand theirs on to RNNBase, whose first one is their name."""
    recurrent = issubclass(cls, nn.RNNBase)
    parameters = dict(inspect.signature((nn.RNNBase if recurrent else cls).__init__).parameters)
    for name in ("self", "mode") if recurrent else ("self",):
        parameters.pop(name)
    return {n: p for n, p in parameters.items() if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def required(cls: type[nn.Module]) -> dict[str, Any]:
    """Values for the constructor arguments that have no default."""
    found: dict[str, Any] = {}
    for name, p in constructor(cls).items():
        if p.default is p.empty:
            found[name] = NUMBERS.get(name, 4)
    if cls in (nn.TransformerEncoder, nn.TransformerDecoder):
        kind_ = "Encoder" if cls is nn.TransformerEncoder else "Decoder"
        inner = getattr(nn, f"Transformer{kind_}Layer")(4, 2, 4)
        found[f"{kind_.lower()}_layer"] = inner
    if cls is nn.Transformer:
        found.update(d_model=4, nhead=2, num_encoder_layers=1, num_decoder_layers=1, dim_feedforward=4)
    if cls is nn.Fold:
        found.update(output_size=(4, 4))
    if issubclass(cls, (nn.Upsample, nn.UpsamplingBilinear2d, nn.UpsamplingNearest2d)):
        found.update(scale_factor=2)
    if cls in (nn.FractionalMaxPool2d, nn.FractionalMaxPool3d):
        found.update(output_size=2)
    return found


def inputs(cls: type[nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Inputs to try, by forward's parameter names."""
    names = [
        n
        for n, p in inspect.signature(cls.forward).parameters.items()
        if n != "self" and p.default is p.empty and p.kind is not p.VAR_POSITIONAL and p.kind is not p.VAR_KEYWORD
    ]
    if cls is nn.AdaptiveLogSoftmaxWithLoss:
        names = ["input_", "target_"]
    shapes: tuple[tuple[int, ...], ...] = (
        (4, 4),
        (4, 4, 4),
        (4, 4, 4, 4),
        (4, 4, 4, 4, 4),
        (4,),
        (1, 16, 9),
        (2, 4),
        (4, 16),
        (4, 4, 16),
    )
    for shape in shapes:
        makers = [
            partial(_floats, shape),
            partial(torch.zeros, shape[:1] + shape[2:], dtype=torch.long),
            partial(torch.ones, shape[:1], dtype=torch.long),
            partial(torch.ones, shape[:1]),
            partial(_indices, shape),
        ]
        for chosen in itertools.islice(itertools.product(makers, repeat=len(names)), 200):
            yield {n: make() for n, make in zip(names, chosen, strict=True)}


def _floats(shape: tuple[int, ...]) -> Tensor:
    return torch.rand(shape) * 0.8 + 0.1


def _indices(shape: tuple[int, ...]) -> Tensor:
    return torch.arange(torch.Size(shape).numel()).reshape(shape) % 4


class Watch(TorchFunctionMode):
    """Records the outermost torch functions that are called, with what they return."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = resolve_name(func) or ""
        if not name.endswith((".__get__", ".dim", ".size", ".is_floating_point")):
            self.seen.append((name, args, kwargs or {}, result))
        return result


def structure(value: Any) -> str:
    """The shape of a result: "t", "(t,(t,t))"."""
    if isinstance(value, Tensor):
        return "t"
    if isinstance(value, (tuple, list)):
        return f"({','.join(structure(v) for v in value)})"
    return "t?" if value is None else "?"


def first(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value
    return (
        next((x for v in value for x in [first(v)] if x is not None), None)
        if isinstance(value, (tuple, list))
        else None
    )


def make(cls: type[nn.Module], **changes: Any) -> nn.Module:
    torch.manual_seed(0)
    return cls(**{**required(cls), **changes})


def derive(name: str, cls: type[nn.Module]) -> dict[str, Any] | None:
    """The record of one class, None if it could not be made or run."""
    record: dict[str, Any] = {"params": " ".join(constructor(cls))}
    if cls in CONTAINERS:
        return {**record, "container": CONTAINERS[cls], "inputs": "input" if cls is nn.Sequential else ""}
    given = next((x for x in inputs(cls) if _runs(cls, x)), None)
    if given is None:
        return None
    module = make(cls)
    record["lazy"] = isinstance(module, nn.modules.lazy.LazyModuleMixin)
    with Watch() as watch:
        result = module(*given.values())
    record["parameters"] = " ".join(_switches(cls, given, "named_parameters"))
    buffers = _switches(cls, given, "named_buffers")
    record["buffers"] = " ".join(n.partition(":")[0] for n in buffers if ":+" not in n)
    record["inputs"] = " ".join(given)
    record["result"] = _results(cls, given, result)
    record["trained"] = all(p.requires_grad for p in module.parameters())
    record.update(_op(module, cls, given, watch, result))
    record["same"] = result is next(iter(given.values())) and "op" not in record
    record.update(_shape(cls))
    record["graph"] = _graph(cls, given)
    return record


def _runs(cls: type[nn.Module], given: dict[str, Tensor]) -> bool:
    try:
        return first(make(cls)(*given.values())) is not None
    except Exception:
        return False


def _starred(name: str) -> str:
    return re.sub(r"\.\d+\.", ".*.", name)


def _switches(cls: type[nn.Module], given: dict[str, Tensor], what: str) -> list[str]:
    """Names of parameters or buffers, each with the constructor arguments that switch it off ("bias:affine,bias"), or
    on ("bias_k:+add_bias_kv")."""

    def names(**changes: Any) -> list[str] | None:
        try:
            module = make(cls, **changes)
            module(*given.values())
        except Exception:  # that combination is not allowed
            return None
        return list(dict.fromkeys(_starred(n) for n, _ in getattr(module, what)()))

    plain = names() or []
    found: dict[str, list[str]] = {n: [] for n in plain}
    for argument, p in constructor(cls).items():
        other = names(**{argument: p.default is False})
        if not isinstance(p.default, bool) or other is None:
            continue
        for n in [n for n in plain if p.default and n not in other]:
            found[n].append(argument)
        for n in [n for n in other if not p.default and n not in found]:
            found[n] = [f"+{argument}"]
    return [f"{n}:{','.join(switches)}" if switches else n for n, switches in found.items()]


def _results(cls: type[nn.Module], given: dict[str, Tensor], result: Any) -> str:
    """The structure of the result; "t?" is a tensor that forward leaves out when one of its options is off."""
    found = structure(result)
    for name, p in inspect.signature(cls.forward).parameters.items():
        if isinstance(p.default, bool):
            try:
                other = structure(make(cls)(*given.values(), **{name: not p.default}))
            except Exception:  # an option that needs others
                continue
            if other.replace("t?", "t") == found.replace("t?", "t") and "t?" in other:
                found = other
    return found


def _op(module: nn.Module, cls: type[nn.Module], given: dict[str, Tensor], watch: Watch, result: Any) -> dict[str, str]:
    """The op that forward applies, if it applies just one to its inputs and returns what that returns."""
    calls = [c for c in watch.seen if any(x is y for x in _flat(c[1], c[2]) for y in given.values())]
    if len(calls) != 1 or first(calls[0][3]) is not first(result):
        return {}
    name, args, kwargs, _ = calls[0]
    name = name.replace("torch._C._nn.", "torch.nn.functional.").replace("torch.Tensor.", "Tensor.")
    fact = function(name)
    if fact is None:
        return {}
    plain = [p.lstrip("*") for p in fact.params]
    bound = {**dict(zip(plain[: plain.index("")] if "" in plain else plain, args, strict=False)), **kwargs}
    sources = {**dict(module.named_buffers()), **dict(module.named_parameters()), **given}
    passes = {p: n for p, v in bound.items() for n, x in sources.items() if v is x and (p != n or n not in given)}
    passes = {p: n for p, n in passes.items() if p != n or n in dict(module.named_buffers())}
    if "training" in bound:
        passes["training"] = "training"
    same = [
        n for n in constructor(cls) if n in bound and n not in sources and _equal(bound[n], getattr(module, n, bound))
    ]
    return {"op": name, "forwards": " ".join(same), "passes": " ".join(f"{p}={n}" for p, n in passes.items())}


def _flat(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
    return [x for v in (*args, *kwargs.values()) for x in (v if isinstance(v, (tuple, list)) else [v])]


def _equal(a: Any, b: Any) -> bool:
    return a is b or (not isinstance(a, Tensor) and not isinstance(b, Tensor) and bool(a == b))


CHANGES: tuple[dict[str, Any], ...] = (
    {},
    *({"reduction": r} for r in ("none", "sum", "mean")),
    *({"keepdim": True}, {"start_dim": 0}, {"end_dim": 0}, {"unflattened_size": (1, 2, 2)}, {"dim": 0}),
)
"""Constructor arguments that may change the number of dimensions."""


def _shape(cls: type[nn.Module]) -> dict[str, str]:
    """rank and dtype over all inputs and constructor arguments that work."""
    seen: list[tuple[dict[str, Any], Tensor]] = []
    for change in CHANGES:
        tried: Counter[Any] = Counter()
        for x in inputs(cls) if set(change) <= set(constructor(cls)) else ():
            key = tuple((v.dim(), v.dtype) for v in x.values())
            if tried[key] >= 3:  # one that works is enough, and three that do not
                continue
            tried[key] += 1
            try:
                y = first(make(cls, **change)(*x.values()))
            except Exception:  # not these inputs
                continue
            if y is not None:
                tried[key] = 3
                seen.append(({**x, **change}, y))
    rank = next((r for r in RANKS if all(rank_of(r, arguments(v)) == y.dim() for v, y in seen)), "unknown")
    dtype = next((d for d in DTYPES if all(kind_of(d, arguments(v)) == kind(y.dtype) for v, y in seen)), "unknown")
    return {"rank": rank, "dtype": dtype}


def _graph(cls: type[nn.Module], given: dict[str, Tensor]) -> str:
    """Does the result require grad if the first input does, or a parameter?"""
    values = [x.clone() for x in given.values()]
    if values[0].is_floating_point():
        values[0] = values[0].requires_grad_() + 0  # no leaf: the layer may work in place
    y = first(make(cls)(*values))
    assert y is not None
    return "yes" if y.requires_grad else "no"


DEFAULTS = {
    **dict.fromkeys(("passes", "parameters", "buffers", "op", "forwards", "container"), ""),
    "inputs": "input",
    "result": "t",
    "rank": "same",
    "dtype": "same",
    "graph": "yes",
    "same": False,
    "lazy": False,
    "trained": True,
}


def found(names: list[str]) -> dict[str, dict[str, Any] | None]:
    """The records of these layers (all if none is named), without what equals the default."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    table = {n: derive(n, cls) for n, cls in layers() if not names or n in names}
    return {n: r and {k: v for k, v in r.items() if k not in DEFAULTS or v != DEFAULTS[k]} for n, r in table.items()}


def text() -> str:
    """The file: sorted, one layer per line."""
    records = [(n, r) for n, r in found([]).items() if r is not None]
    lines = [f"{json.dumps(n)}:{json.dumps(r, sort_keys=True, separators=(',', ':'))}" for n, r in records]
    return f'{{"torch":"{torch.__version__.split("+")[0]}","layers":{{\n' + ",\n".join(lines) + "\n}}\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--check", action="store_true", help="exit 1 if the file is not what torch says")
    options = parser.parse_args()
    if options.names:
        print(json.dumps(found(options.names), indent=1))
        return 0
    made = text()
    if options.check:
        return int(TARGET.read_text(encoding="utf-8") != made)
    TARGET.write_text(made, encoding="utf-8")
    print(f"{made.count(chr(10)) - 2} layers written")
    return 0


if __name__ == "__main__":
    sys.exit(main())
