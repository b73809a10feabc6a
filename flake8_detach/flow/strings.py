"""Strings that are put together: what is known of their text where a part of it is not."""

from __future__ import annotations

import re
from collections.abc import Sequence as Seq

from flake8_detach.flow.values import HOLE, Const, Scalar, Tuple, Value

PLACES = re.compile(r"%[-+ #0-9.]*[a-zA-Z]|%%")
"""What `%` fills in."""
FIELDS = re.compile(r"\{[^{}]*\}")
"""What `.format()` fills in."""


def joined(parts: Seq[Value]) -> Value:
    """The string that the values make when they are written one after the other: the name of a layer in a loop."""
    if all(isinstance(p, Const) and isinstance(p.value, (str, int)) for p in parts):
        return Const("".join(str(p.value) for p in parts if isinstance(p, Const)))
    return shaped("".join(_text(p) for p in parts))


def shaped(form: str) -> Scalar:
    """A string of this form; of one that is all holes nothing is known."""
    form = re.sub(f"{HOLE}+", HOLE, form)
    return Scalar("str", form="" if form == HOLE else form)


def _text(part: Value) -> str:
    if isinstance(part, Const) and isinstance(part.value, (str, int)):
        return str(part.value)
    return part.form or HOLE if isinstance(part, Scalar) and part.kind == "str" else HOLE


def percent(pattern: str, values: Seq[Value] | None) -> Value:
    """`pattern % values`; None: it is not known what they are."""
    return _filled(PLACES, pattern, values)


def braces(pattern: str, values: Seq[Value] | None) -> Value:
    """`pattern.format(*values)`."""
    return _filled(FIELDS, pattern, values)


def _filled(places: re.Pattern[str], pattern: str, values: Seq[Value] | None) -> Value:
    found = places.findall(pattern)
    texts = places.split(pattern)
    simple = values is not None and len(values) == len(found) and all(f in ("%d", "%s", "%i", "{}") for f in found)
    if any("%%" in f for f in found) or "{{" in pattern or "}}" in pattern:
        return Scalar("str")
    parts: list[Value] = [Const(texts[0])]
    for at, text in enumerate(texts[1:]):
        parts += [values[at] if simple and values is not None else Scalar("str"), Const(text)]
    return joined(parts)


ASKED = frozenset({"startswith", "endswith", "isdigit", "lower", "upper", "strip", "replace", "title", "removeprefix"})
"""Methods of str that are worked out where text and arguments are known: names of parameters are sorted by them."""


def method(text: str, name: str, given: Seq[Value]) -> Value | None:
    """What the method returns, None where that is not worked out."""
    arguments = [_constant(value) for value in given]
    if name not in ASKED or any(argument is None for argument in arguments):
        return None
    try:
        return Const(getattr(text, name)(*arguments))
    except TypeError:
        return None


def _constant(value: Value) -> str | tuple[str, ...] | None:
    if isinstance(value, Tuple):
        parts = [part.value for part in value.items if isinstance(part, Const) and isinstance(part.value, str)]
        return tuple(parts) if len(parts) == len(value.items) else None
    return value.value if isinstance(value, Const) and isinstance(value.value, str) else None


def matches(form: str, text: str) -> bool:
    """May a string of that form be this text?"""
    return re.fullmatch(".*".join(map(re.escape, form.split(HOLE))), text, re.DOTALL) is not None


def apart(one: str, other: str) -> bool:
    """Can strings of the two forms never be the same, as their beginnings or their ends differ?"""
    heads, tails = (one.split(HOLE)[0], other.split(HOLE)[0]), (one.split(HOLE)[-1], other.split(HOLE)[-1])
    if min(heads, key=len) != max(heads, key=len)[: len(min(heads, key=len))]:
        return True
    short, long = sorted(tails, key=len)
    return not long.endswith(short)
