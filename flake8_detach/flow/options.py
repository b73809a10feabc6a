"""Command lines: what `argparse` makes of options is a Python value and never a tensor.

Source: the documentation of `add_argument` (https://docs.python.org/3/library/argparse.html).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import libcst as cst

from flake8_detach.flow.calls import Args, escape
from flake8_detach.flow.registry import model
from flake8_detach.flow.values import NONE, UNKNOWN, Const, External, Ref, Scalar, Thing, Tuple, Value

if TYPE_CHECKING:
    from flake8_detach.flow.machine import Machine

PARSER = "argparse.ArgumentParser"
SWITCHES = frozenset({"store_true", "store_false"})
GROUPS = frozenset({"add_argument_group", "add_mutually_exclusive_group"})
"""Their results take options for the parser."""


@model(PARSER)
def _parser(m: Machine, args: Args, node: cst.CSTNode) -> Value:
    escape(m, args.values())  # `parents` may bring options
    return m.new(Thing(PARSER))


def method(m: Machine, receiver: Value, name: str, args: Args) -> Value:
    """A method of a parser, or of a group of its options."""
    assert isinstance(receiver, Ref)
    parser = receiver.addresses[0]
    if name == "add_argument":
        named = _destination(args)
        if named is not None:
            known = parser not in m.escaped
            m.state.put(parser, named, _value(args) if known else UNKNOWN)
        return UNKNOWN
    if name in GROUPS:
        return receiver
    if name in ("parse_args", "parse_known_args") and parser not in m.escaped and "namespace" not in args.kw:
        made = m.new(Thing("types.SimpleNamespace"))
        for option in m.state.names(parser):
            m.state.put(made.addresses[0], option, m.state.get((parser, option), UNKNOWN))
        return made if name == "parse_args" else Tuple((made, UNKNOWN))
    if name not in ("print_help", "print_usage", "error", "format_help"):
        escape(m, [receiver, *args.values()])
    return UNKNOWN


def _destination(args: Args) -> str | None:
    """The attribute that holds the option: `--weight-decay` is `weight_decay`."""
    named = args.kw.get("dest")
    if isinstance(named, Const) and isinstance(named.value, str):
        return named.value
    flags = [flag.value for flag in args.pos if isinstance(flag, Const) and isinstance(flag.value, str)]
    if args.open or named is not None or not flags or len(flags) != len(args.pos):
        return None
    long = next((flag for flag in flags if flag.startswith("--")), flags[0])
    return long.lstrip("-").replace("-", "_")


def _value(args: Args) -> Value:
    """What the attribute holds: unknown if it may be None, a list, or what a function of the file makes of the text."""
    if args.open:
        return UNKNOWN
    action = args.kw.get("action")
    if isinstance(action, Const) and action.value in SWITCHES:
        return Scalar("bool") if args.kw.get("default", NONE) == NONE or _is_bool(args.kw["default"]) else UNKNOWN
    made_by, default = args.kw.get("type"), args.kw.get("default", NONE)
    if action is not None or "nargs" in args.kw or "const" in args.kw or not isinstance(made_by, External):
        return UNKNOWN
    positional = all(isinstance(flag, Const) and not str(flag.value).startswith("-") for flag in args.pos)
    given = positional or args.kw.get("required") == Const(True)
    if not given and (not isinstance(default, Const) or default.value is None or isinstance(default.value, bool)):
        return UNKNOWN
    if made_by.name == "builtins.float":
        return Scalar("number" if isinstance(default, Const) and isinstance(default.value, int) else "float")
    return Scalar("int") if made_by.name == "builtins.int" and _is_int(default) else UNKNOWN


def _is_bool(value: Value) -> bool:
    return isinstance(value, Const) and isinstance(value.value, bool)


def _is_int(value: Value) -> bool:
    return value == NONE or (isinstance(value, Const) and isinstance(value.value, int))
