"""The words for number of dimensions and dtype, as functions of the arguments."""

from __future__ import annotations

import pytest

from flake8_detach.knowledge.meaning import UNKNOWN, Argument, kind_of, rank_of


def tensor(rank: int | None, kind: str | None = "float") -> Argument:
    return Argument(((rank, kind),))


def plain(value: object) -> Argument:
    return Argument(value=value)


X = tensor(3)


@pytest.mark.parametrize(
    ("word", "arguments", "rank"),
    [
        ("zero", {"input": X}, 0),
        ("2", {"input": tensor(None)}, 2),
        ("same", {"input": X}, 3),
        ("same", {"input": tensor(None)}, None),
        ("+1", {"input": X}, 4),
        ("-1", {"input": X}, 2),
        ("broadcast", {"input": tensor(1), "other": tensor(2)}, 2),
        ("broadcast", {"input": tensor(1), "other": tensor(None)}, None),
        ("broadcast", {"input": tensor(1), "other": plain(2.0)}, 1),
        ("reduce", {"input": X}, 0),
        ("reduce", {"input": X, "dim": plain(None)}, 0),
        ("reduce", {"input": X, "dim": plain(1)}, 2),
        ("reduce", {"input": X, "dim": plain((0, 1))}, 1),
        ("reduce", {"input": X, "dim": plain(1), "keepdim": plain(True)}, 3),
        ("reduce", {"input": X, "dim": plain(UNKNOWN)}, None),
        ("reduce", {"input": X, "keepdim": plain(UNKNOWN)}, None),
        ("reduce", {"input": tensor(None)}, 0),
        ("reduce", {"input": tensor(None), "dim": plain(0)}, None),
        ("reduction", {"input": X}, 0),
        ("reduction", {"input": X, "reduction": plain("none")}, 3),
        ("reduction", {"input": X, "reduction": plain("sum")}, 0),
        ("reduction", {"input": X, "reduction": plain(UNKNOWN)}, None),
        ("reduction", {"input": X, "reduce": plain(False)}, 3),
        ("reduction:-1", {"input": X, "reduction": plain("none")}, 2),
        ("reduction:broadcast", {"input": X, "target": tensor(4), "reduction": plain("none")}, 4),
        ("args", {"size": plain((2, 3))}, 2),
        ("args", {"size": plain(((2, 3),))}, 2),
        ("args", {"size": plain(())}, 0),
        ("args", {"size": plain(5)}, 1),
        ("args", {"size": plain((UNKNOWN,))}, None),
        ("args", {"size": plain((UNKNOWN, 3))}, 2),
        ("args", {}, None),
        ("matmul", {"input": tensor(1), "other": tensor(1)}, 0),
        ("matmul", {"input": tensor(2), "other": tensor(1)}, 1),
        ("matmul", {"input": tensor(2), "other": tensor(2)}, 2),
        ("matmul", {"input": tensor(2), "other": tensor(3)}, 3),
        ("matmul", {"input": tensor(2), "other": tensor(None)}, None),
        ("unknown", {"input": X}, None),
    ],
)
def test_rank(word: str, arguments: dict[str, Argument], rank: int | None) -> None:
    assert rank_of(word, arguments) == rank


INT, FLOAT = tensor(1, "int"), tensor(1, "float")


@pytest.mark.parametrize(
    ("word", "arguments", "kind"),
    [
        ("bool", {"input": FLOAT}, "bool"),
        ("same", {"input": INT}, "int"),
        ("same", {"input": INT, "dtype": plain("float")}, "float"),
        ("same", {"input": INT, "dtype": plain(UNKNOWN)}, None),
        ("arg", {"size": plain((2,))}, "float"),
        ("arg", {"size": plain((2,)), "dtype": plain("int")}, "int"),
        ("like", {"input": INT}, "int"),
        ("promote", {"input": INT, "other": FLOAT}, "float"),
        ("promote", {"input": INT, "other": plain(2.0)}, "float"),
        ("promote", {"input": INT, "alpha": plain(2.0)}, "int"),
        ("promote", {"input": INT, "other": plain(UNKNOWN)}, None),
        ("promote", {"input": INT, "other": tensor(1, None)}, None),
        ("float_of_int", {"input": INT, "other": INT}, "float"),
        ("float_of_int", {"input": tensor(1, "complex")}, "complex"),
        ("int_of_bool", {"input": tensor(1, "bool")}, "int"),
        ("int_of_bool", {"input": FLOAT}, "float"),
        ("real", {"input": tensor(1, "complex")}, "float"),
        ("real", {"input": INT}, "int"),
        ("to", {"self": FLOAT, "device": plain("int")}, "int"),
        ("to", {"self": FLOAT, "device": plain("cpu")}, "float"),
        ("to", {"self": FLOAT, "device": plain(UNKNOWN)}, None),
        ("to", {"self": FLOAT, "other": INT}, "int"),
        ("value:data", {"data": plain([1, 2])}, "int"),
        ("value:data", {"data": plain([[1, 2.0]])}, "float"),
        ("value:data", {"data": plain([])}, "float"),
        ("value:data", {"data": plain([True])}, "bool"),
        ("value:data", {"data": plain(UNKNOWN)}, None),
        ("value:start end step", {"start": plain(0), "end": plain(1.0)}, "float"),
        ("unknown", {"input": FLOAT}, None),
    ],
)
def test_kind(word: str, arguments: dict[str, Argument], kind: str | None) -> None:
    assert kind_of(word, arguments) == kind
