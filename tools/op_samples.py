"""Arguments to call every op with: synthesised from its signature, from recipes, and from torch's own OpInfo samples.

A sample holds no fact about the op, only arguments with which the call may succeed; calls that fail are dropped.
"""

from __future__ import annotations

import re
import sys
import types
import unittest
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import torch
from op_names import Param, Signature
from op_recipes import b, i, recipes, t
from torch import Tensor

SHAPES: tuple[tuple[int, ...], ...] = ((3, 3), (3,), (), (2, 3, 4), (2, 2, 6, 6), (2, 2, 6, 6, 6))

ABSENT = object()


class Sample(NamedTuple):
    """One call: the values of the parameters of one overload, in its order; tensors are templates without grad.

    by_keyword: pass optional arguments by keyword. Stub files do not always tell that they must be.
    """

    signature: Signature
    values: dict[str, Any]
    by_keyword: bool = False

    def arguments(self, values: dict[str, Any] | None = None) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments of the call."""
        values = self.values if values is None else values
        args: list[Any] = []
        kwargs: dict[str, Any] = {}
        for k, p in enumerate(self.signature.params):
            if p.name not in values:
                continue
            if p.kind == "rest":
                args += values[p.name]
            elif p.kind == "positional" and len(args) == k and (p.required or not self.by_keyword):
                args.append(values[p.name])
            else:
                kwargs[p.name] = values[p.name]
        return args, kwargs


NUMBERS: dict[str, Any] = {
    "n": 2,
    "k": 1,
    "p": 2,
    "chunks": 2,
    "sections": 3,
    "num_classes": 4,
    "groups": 1,
    "num_groups": 1,
    "kernel_size": 2,
    "upscale_factor": 1,
    "downscale_factor": 1,
    "num_samples": 1,
    "split_size": 1,
    "split_size_or_sections": 1,
    "size": 2,
    "step": 1,
    "length": 2,
    "repeats": 2,
    "end": 3,
    "steps": 3,
    "high": 4,
    "output_size": 2,
    "N": 3,
    "n_fft": 4,
    "window_length": 4,
    "dim1": 1,
    "axis1": 1,
    "dim2": 1,
    "bins": 4,
    "norm_type": 2,
    "q": 2,
    "destination": 0,
    "maxnorm": 0.5,
    "boundaries": 1,
    "to": 5,
    "prob": 0.5,
    "start": 1,
    "exponent": 3,
}
WORDS = {
    "reduce": "sum",
    "mode": "constant",
    "indexing": "ij",
    "ord": "fro",
    "driver": "gelsd",
    "dtype": "torch.DoubleTensor",
}
INDICES = {"index", "indices", "target", "offsets", "repeats", "input_indices", "tensor_indices_or_sections"}
MASKS = {"mask", "condition", "test_elements"}


def synthesise(p: Param, shape: tuple[int, ...]) -> list[Any]:
    """Values for a required parameter, [] if its type is not known."""
    kind, name = p.type.replace("'", ""), p.name
    tensor = kind.startswith(("Tensor", "Union[ForwardRef(Tensor")) or (
        kind == "Any" and name in ("self", "input", "other")
    )
    found: list[Any] = []
    if tensor:
        zeros, ones = i(*shape, high=1), i(*shape, high=1) + 1
        found += [b(*shape)] if name in MASKS else [zeros, ones, t(*shape)] if name in INDICES else [t(*shape)]
    if p.name in ("self", "input") and tensor:
        return found  # torch.mul(2, 3) is legal, but says nothing about gradients
    if "Number" in kind or kind in ("float", "_float", "int | float", "Tensor | float") or "float, bool" in kind:
        found.append(0.5 if name == "p" and kind == "_float" else NUMBERS.get(name, 0.5))
    elif re.match(r"(_int|int|IntLikeType|Tensor \| _int|Any)\b", kind) and name not in (
        "self",
        "input",
        "data",
        "obj",
    ):
        found.append(NUMBERS.get(name, 0))
    if "tuple[Tensor, ...]" in kind or "list[Tensor]" in kind or (p.kind == "rest" and kind in ("Tensor", "Any")):
        found = [[t(*shape), t(*shape)]]
    elif re.search(r"Sequence\[_int|_size|list\[int\]|tuple\[int", kind) or p.kind == "rest":
        found.append(_sizes(name, shape))
    elif re.search(r"Sequence\[Number", kind):
        found.append([0.5])
    if kind in ("_bool", "bool"):
        found += [False, True]
    if kind in ("str", "str | _dtype"):
        found.append(WORDS.get(name, "none"))
    if kind == "_dtype":
        found += [torch.float32, torch.int64, torch.complex128]
    if kind in ("None", "NoneType"):
        found.append([2] * max(1, len(shape) - 2) if name != "size" else list(shape))
    if name in ("data", "obj") and kind == "Any":
        found += [t(*shape), t(*shape).tolist(), i(*shape).tolist()]
    return found


def _sizes(name: str, shape: tuple[int, ...]) -> list[int]:
    if name in ("size", "shape", "sizes", "normalized_shape"):
        return list(shape)
    if name in ("dims", "dim", "axes", "dims_self"):
        return list(range(len(shape)))
    if name in ("kernel_size", "output_size", "stride"):
        return [2] * max(1, len(shape) - 2)
    if name in ("padding", "pad"):
        return [0] * max(2, 2 * (len(shape) - 2))
    return [1] * max(1, len(shape))


def switched(p: Param, shape: tuple[int, ...]) -> list[Any]:
    """Values that switch on what an optional parameter is for; numbers that only scale something are left out."""
    kind, name = p.type, p.name
    if name in (
        "out",
        "layout",
        "device",
        "pin_memory",
        "generator",
        "memory_format",
        "non_blocking",
        "size_average",
        "requires_grad",
    ):
        return []
    if name == "reduction":
        return ["none", "sum", "mean"] if "str" in kind else [0, 1, 2]
    if name == "rounding_mode":
        return ["floor", "trunc"]
    if name in ("dim", "axis"):
        return [0, -1, [0]]
    if name == "dtype":
        return [torch.float32, torch.int64]
    if "bool" in kind or name in ("keepdim", "return_inverse", "return_counts", "training", "inplace", "sorted"):
        return [False, True]
    if kind.startswith("Tensor | None") and name in ("other", "min", "max", "exponent"):
        return [t(*shape), t(2, *shape)]
    if name in ("min", "max"):
        return [0.4]
    if name in ("window", "sorter", "weight", "weights", "bias", "input_scale"):
        return [t(*shape)]
    if name in ("p", "ord", "correction", "prepend", "repeats", "reduce"):
        return [{"ord": 2, "correction": 0, "p": 0.5, "reduce": True}.get(name, 1)]
    return []


@cache
def opinfo() -> dict[str, list[Any]]:
    """torch's own test inputs: public name -> OpInfo objects."""
    if "expecttest" not in sys.modules:  # the testing package imports it, and only for its own assertions
        stub: Any = types.ModuleType("expecttest")
        stub.TestCase, stub.assert_expected_inline = unittest.TestCase, lambda *_a, **_k: None
        sys.modules["expecttest"] = stub
    from torch.testing._internal.common_methods_invocations import op_db

    found: dict[str, list[Any]] = {}
    for op in op_db:
        if torch.float64 not in op.dtypes:
            continue
        for name in [op.name, *(a.name for a in op.aliases)]:
            spaces = (
                ["torch." + name]
                if name.startswith(("nn.", "linalg.", "fft.", "special."))
                else [f"torch.{name}", f"Tensor.{name}"]
            )
            for space in spaces:
                found.setdefault(space, []).append(op)
            if op.inplace_variant is not None and name == op.name and len(spaces) == 2:
                found.setdefault(f"Tensor.{name}_", []).append(op)
    return found


def samples(name: str, signatures: list[Signature], most: int) -> Iterator[Sample]:
    """Calls to try, in a fixed order: recipes, synthesised ones, and OpInfo's (at most `most` per entry)."""
    shared = re.sub(r"^(torch\.nn\.functional|Tensor)\.(\w+?)_?$", r"torch.\2", name)
    found = recipes().get(name) or recipes().get(shared.replace("_consecutive", ""), [])
    for recipe in found:
        if bound := bind(recipe.args, recipe.kwargs, signatures):
            yield bound
    for signature in signatures:
        yield from _synthesised(signature)
    for op in opinfo().get(name, []):
        for count, found in enumerate(op.sample_inputs_func(op, "cpu", torch.float64, False)):
            if count >= most:
                break
            kwargs = {k: v for k, v in found.kwargs.items() if k != "out"}
            if all(
                _usable(k, v) for k, v in [("input", found.input), *((str(v), v) for v in found.args), *kwargs.items()]
            ):
                bound = bind((found.input, *found.args), kwargs, signatures)
                if bound is not None:
                    yield bound


def _usable(name: str, value: Any) -> bool:
    """Leave out big, empty and sparse tensors, and the 0.0 that makes an op do nothing (momentum=0.0, weight=0.0)."""
    if isinstance(value, Tensor):
        return 0 < value.numel() <= 4096 and value.layout == torch.strided
    if isinstance(value, float):
        return value != 0 or name in ("p", "0.0")
    return all(_usable(name, v) for v in value) if isinstance(value, (list, tuple)) else True


def _synthesised(signature: Signature) -> Iterator[Sample]:
    yield from _mixed(signature)
    yield from _integer(signature)
    yield from _unusual(signature)
    for shape in SHAPES:
        required = [p for p in signature.params if p.required or p.kind == "rest"]
        choices = {p.name: synthesise(p, shape) for p in required}
        if not all(choices.values()):
            return
        for k in range(max(map(len, choices.values()), default=1)):
            values = {name: found[min(k, len(found) - 1)] for name, found in choices.items()}
            yield Sample(signature, values)
            if shape in ((3, 3), (2, 2, 6, 6)) and k == 0:
                yield from _optional(signature, values, shape)


def _integer(signature: Signature) -> Iterator[Sample]:
    """Calls with integer tensors, for ops that accept no others."""
    for shape in ((3, 3), (3,)):
        required = [p for p in signature.params if p.required]
        choices = [synthesise(p, shape) for p in required]
        if choices and all(choices) and required[0].name in ("self", "input"):
            integers = [
                i(*shape, high=4) if isinstance(c[0], Tensor) else 1 if isinstance(c[0], float) else c[0]
                for c in choices
            ]
            yield Sample(signature, {p.name: c for p, c in zip(required, integers, strict=True)})


DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int32, torch.int16, torch.int8, torch.bool)
"""Without uint8, of which all() and any() give uint8 instead of bool, a leftover from before there was bool."""


def _unusual(signature: Signature) -> Iterator[Sample]:
    """Tensors that are not contiguous, and for ops of one tensor other dtypes: is a copy made or not?"""
    required = [p for p in signature.params if p.required]
    choices = [synthesise(p, (3, 3)) for p in required]
    if not choices or not all(choices) or not isinstance(choices[0][0], Tensor):
        return
    values = {p.name: c[0] for p, c in zip(required, choices, strict=True)}
    yield Sample(signature, {n: fresh(v, lambda x: x.t()) for n, v in values.items()})
    if len(required) == 1:
        for dtype in DTYPES:
            other = partial(_as, dtype)
            yield Sample(signature, {n: fresh(v, other) for n, v in values.items()})


def _as(dtype: torch.dtype, x: Tensor) -> Tensor:
    return (x * 3).to(dtype)


def _mixed(signature: Signature) -> Iterator[Sample]:
    """Calls whose tensors differ in their number of dimensions, for what broadcasts."""
    required = [p for p in signature.params if p.required]
    if sum("Tensor" in p.type for p in required) < 2:
        return
    for first, others in (((3,), (3, 3)), ((3, 3), (3,)), ((), (3,))):
        choices = [synthesise(p, first if k == 0 else others) for k, p in enumerate(required)]
        if all(choices):
            values = {p.name: c[0] for p, c in zip(required, choices, strict=True)}
            yield Sample(signature, values)
            yield from _optional(signature, values, others)


def _optional(signature: Signature, values: dict[str, Any], shape: tuple[int, ...]) -> Iterator[Sample]:
    """The call `values` with one optional parameter given, and pairs with keepdim=True and reduction="none"."""
    names = {p.name for p in signature.params}
    for p in signature.params:
        if p.required or p.name in values:
            continue
        for value in switched(p, shape):
            yield Sample(signature, {**values, p.name: value}, True)
            if p.name in ("dim", "axis") and "keepdim" in names:
                yield Sample(signature, {**values, p.name: value, "keepdim": True}, True)
            if p.name != "reduction" and "reduction" in names and not isinstance(value, bool):
                yield Sample(signature, {**values, p.name: value, "reduction": "none"}, True)


def bind(args: tuple[Any, ...], kwargs: dict[str, Any], signatures: list[Signature]) -> Sample | None:
    """The sample for a call, under the first overload that its arguments fit; None if they fit none."""
    for signature in signatures:
        values: dict[str, Any] = {}
        positional = list(signature.positional)
        rest = list(args)
        fits = True
        for p in positional:
            if p.kind == "rest":
                values[p.name], rest = rest, []
                fits = fits and all(_fits(v, p) for v in values[p.name])
            elif rest:
                values[p.name] = rest.pop(0)
                fits = fits and _fits(values[p.name], p)
        known = {p.name: p for p in signature.params}
        fits = (
            fits and not rest and all(k in known and k not in values and _fits(v, known[k]) for k, v in kwargs.items())
        )
        values.update(kwargs)
        if fits and all(p.name in values for p in signature.params if p.required):
            return Sample(signature, values, by_keyword=bool(kwargs))
    return None


def _fits(value: Any, p: Param) -> bool:
    """Could `value` be meant by a parameter of that type? Types that are not understood fit everything."""
    kind = p.type.replace("'", "")
    if re.search(r"Any|Callable|_Index", kind) or kind in ("object", "None", "NoneType"):
        return True
    if value is None:
        return "None" in kind
    if isinstance(value, Tensor):
        return "Tensor" in kind
    if isinstance(value, bool):
        return "bool" in kind or "Number" in kind
    if isinstance(value, int):
        return bool(re.search(r"int|float|Number|Size|_size|Device", kind)) or p.kind == "rest"
    if isinstance(value, float):
        return bool(re.search(r"float|Number", kind))
    if isinstance(value, complex):
        return "Number" in kind or "complex" in kind
    if isinstance(value, str):
        return "str" in kind or "Device" in kind
    if isinstance(value, torch.dtype):
        return "dtype" in kind
    if isinstance(value, torch.device):
        return "Device" in kind
    if isinstance(value, (list, tuple)):
        if any(isinstance(v, Tensor) for v in value):
            return "Tensor" in kind and ("tuple" in kind or "list" in kind or "Sequence" in kind)
        return bool(re.search(r"Sequence|_size|list|tuple|Size", kind))
    return True


def fresh(value: Any, wrap: Callable[[Tensor], Tensor]) -> Any:
    """A copy of an argument in which every tensor has gone through `wrap`."""
    if isinstance(value, Tensor):
        return wrap(value)
    if isinstance(value, (list, tuple)):
        return type(value)(fresh(v, wrap) for v in value)
    return value
