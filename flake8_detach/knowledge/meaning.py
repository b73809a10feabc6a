"""What the words of `Op.rank` and `Op.dtype` mean, as functions of the arguments of a call.

tools/make_ops.py chooses the words with these functions, the engine applies them, and the agreement test compares
them with torch: one meaning for all three.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

UNKNOWN: Any = type("Unknown", (), {"__repr__": lambda _self: "UNKNOWN"})()
"""A Python value that is not known."""

ORDER = ("bool", "int", "float", "complex")
Kind: TypeAlias = Literal["float", "int", "bool", "complex"]
KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(
        ["float", "float16", "float32", "float64", "half", "double", "bfloat16", "float8_e4m3fn", "float8_e5m2"],
        "float",
    ),
    **dict.fromkeys(["int", "int8", "int16", "int32", "int64", "short", "long", "uint8", "qint8", "quint8"], "int"),
    "bool": "bool",
    **dict.fromkeys(["complex64", "complex128", "cfloat", "cdouble", "chalf", "complex32"], "complex"),
}
"""torch dtypes by name -> kind."""


class Argument(NamedTuple):
    """What a call passes to one parameter.

    tensors: (rank, dtype kind) of the tensor, or of each tensor of a list; None where not known. value: a Python
    constant, or UNKNOWN; tuples of known length hold UNKNOWN where an item is not known.
    """

    tensors: tuple[tuple[int | None, str | None], ...] = ()
    value: Any = None


Arguments = Mapping[str, Argument]
"""The arguments of a call by parameter, in positional order; those that the call leaves out are absent."""


def rank_of(word: str, arguments: Arguments) -> int | None:
    """The number of dimensions of the result, None if it is not known.

    zero, 1, 2 ...: always so many. same, +1, -1 ...: relative to the first tensor. broadcast: the greatest of all
    tensors. reduce: 0, or as many as `dim`/`axis` leaves (`keepdim` keeps them). reduction: 0 unless
    reduction='none' (or reduce=False), then as the first tensor, or as the word after the colon says
    (reduction:broadcast, reduction:-1). args: as many as sizes are given. matmul: as the operator @.
    """
    ranks = [rank for a in arguments.values() for rank, _ in a.tensors]
    first = ranks[0] if ranks else None
    if word == "zero" or word.isdigit():
        return 0 if word == "zero" else int(word)
    if word == "same":
        return first
    if word[0] in "+-":
        return None if first is None else max(0, first + int(word))
    if word == "broadcast":
        return None if None in ranks or not ranks else max(r for r in ranks if r is not None)
    if word.startswith("reduce"):
        return _reduced(first, arguments, whole=word == "reduce")
    if word.startswith("reduction"):
        each = rank_of(word[10:] or "same", arguments)
        reduction, legacy = _value(arguments, "reduction", "mean"), _value(arguments, "reduce", None)
        if UNKNOWN in (reduction, legacy):
            return 0 if each == 0 else None
        none = reduction in ("none", 0) if legacy is None else not legacy
        return each if none and (legacy is not None or _value(arguments, "size_average", None) is None) else 0
    if word == "args":
        return _sized(arguments)
    return _matmul(ranks) if word == "matmul" else None


def _value(arguments: Arguments, name: str, default: Any) -> Any:
    if name not in arguments:
        return default
    argument = arguments[name]
    return UNKNOWN if argument.tensors else argument.value


def _reduced(first: int | None, arguments: Arguments, whole: bool) -> int | None:
    dim = _value(arguments, "dim", _value(arguments, "axis", None))
    keep = _value(arguments, "keepdim", _value(arguments, "keepdims", False))
    if keep is UNKNOWN:
        return 0 if first == 0 else None
    if keep:
        return first
    if dim is UNKNOWN:
        return 0 if first == 0 else None
    if whole and (dim is None or isinstance(dim, bool) or dim == () or dim == []):
        return 0
    if first is None:
        return None
    return max(0, first - (len(dim) if isinstance(dim, (tuple, list)) else 1))


def _sized(arguments: Arguments) -> int | None:
    for name in ("size", "shape", "sizes"):
        size = _value(arguments, name, None)
        if isinstance(size, (tuple, list)):
            # `zeros(*size)` collects its sizes, `zeros((2, 3))` collects one tuple of sizes.
            if len(size) == 1 and isinstance(size[0], (tuple, list)):
                size = size[0]
            return None if len(size) == 1 and size[0] is UNKNOWN else len(size)
        if isinstance(size, int):
            return 1
    return None


def _matmul(ranks: list[int | None]) -> int | None:
    if len(ranks) != 2 or ranks[0] is None or ranks[1] is None:
        return None
    low, high = sorted((ranks[0], ranks[1]))
    if low == 0:
        return None
    return high if low > 1 else high - 1 if high > 1 else 0


NUMERIC = ("self", "input", "other", "exponent", "min", "max", "end", "weight", "value")
"""The parameters in which a Python number takes part in type promotion as a tensor would."""


def kind_of(word: str, arguments: Arguments) -> str | None:
    """The dtype kind of the result, None if it is not known.

    `dtype=` decides wherever it is given. bool, int, float, complex: always. arg: float unless dtype= says otherwise.
    same, like: as the first tensor (like: of an op that takes dtype=), unless that is a list of different kinds.
    int_of_bool: the same, but int for bool. promote: the widest of all tensors, and of numbers in their place.
    float_of_int: the same, but float for bool and int. to: as the dtype or tensor that is given beside the first
    tensor, else as that. value:x: as the number or data in parameter x (of several the widest).
    """
    given = _value(arguments, "dtype", None)
    if given is not None:
        return given if isinstance(given, str) and given in ORDER else None
    if word in ORDER or word == "arg":
        return "float" if word == "arg" else word
    kinds = [kind for a in arguments.values() for _, kind in a.tensors]
    leading = next(({kind for _, kind in a.tensors} for a in arguments.values() if a.tensors), set())
    first = kinds[0] if len(leading) == 1 else None  # of a list of different kinds, each op makes its own
    if word.startswith("value:"):
        named = [arguments[n] for n in word[6:].split() if n in arguments]
        return _widest([k for a in named for k in ([k for _, k in a.tensors] or [_of_data(a.value)])])
    if word == "to":
        beside = [a.tensors[0][1] if a.tensors else a.value for a in list(arguments.values())[1:]]
        kinds = [k for k in beside if isinstance(k, str) and k in ORDER]
        return kinds[0] if kinds else None if UNKNOWN in beside else first
    if word in ("same", "like"):
        return first
    if word == "int_of_bool":
        return "int" if first == "bool" else first
    if word in ("promote", "float_of_int", "real"):
        plain = [a.value for n, a in arguments.items() if n in NUMERIC and not a.tensors and a.value is not None]
        numbers = [_of_data(value) for value in plain]
        wide = _widest([*kinds, *numbers])
        return "float" if wide in {"float_of_int": ("bool", "int"), "real": ("complex",)}.get(word, ()) else wide
    return None


def _widest(kinds: list[str | None]) -> str | None:
    if not kinds or None in kinds:
        return "complex" if "complex" in kinds else None
    return max((k for k in kinds if k is not None), key=ORDER.index)


def _of_data(value: Any) -> str | None:
    """The kind of the tensor that a number or nested list of numbers becomes."""
    if isinstance(value, (list, tuple)):
        return _widest([_of_data(v) for v in value]) if value else "float"
    for kind, python in zip(ORDER, (bool, int, float, complex), strict=True):
        if isinstance(value, python):
            return kind
    return None
