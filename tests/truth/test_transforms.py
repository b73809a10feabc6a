"""What knowledge/transforms.py says of the functions that differentiate functions is what torch does."""

from __future__ import annotations

import importlib
import inspect
import warnings
from typing import Any

import pytest

pytestmark = pytest.mark.truth
torch = pytest.importorskip("torch")

from flake8_detach.knowledge import transforms as known  # noqa: E402

with warnings.catch_warnings():  # forward mode loads this when it is first used; it uses torch.jit, which warns
    warnings.simplefilter("ignore")
    importlib.import_module("torch._decomp.decompositions_for_jvp")


def function(name: str) -> Any:
    """The object with that qualified name."""
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


SIGNATURES = {**known.MAKERS, **known.RUNNERS, **known.EAGER}


@pytest.mark.parametrize("name", SIGNATURES)
def test_the_parameters_are_those_of_the_function(name: str) -> None:
    own = [p for p in inspect.signature(function(name)).parameters if not p.startswith("_")]
    assert tuple(own[: len(SIGNATURES[name])]) == SIGNATURES[name]


def calls(name: str, **options: Any) -> Any:
    """Call the function as its options want it, on x -> (x * x).sum()."""

    def square(x: Any) -> Any:
        return (x * x).sum()

    made = function(name)
    if name in known.MAKERS:
        return made(square, **options)(torch.ones(2, 3))
    return made(square, torch.ones(3), **options)


@pytest.mark.parametrize(("name", "option"), known.CHOICES)
def test_an_option_takes_these_words_and_no_others(name: str, option: str) -> None:
    extra = {"vectorize": True} if name in known.EAGER else {}
    for word in known.choices(name, option):
        calls(name, **{option: word}, **extra)
    with pytest.raises((RuntimeError, AssertionError)):
        calls(name, **{option: "another"}, **extra)


@pytest.mark.parametrize(("name", "option"), sorted(known.POSITIVE))
def test_an_option_must_be_positive(name: str, option: str) -> None:
    calls(name, **{option: 1})
    with pytest.raises(ValueError, match="greater than 0"):
        calls(name, **{option: 0})


@pytest.mark.parametrize("conflict", known.CONFLICTS, ids=lambda c: f"{c.function} {dict(c.when)}")
def test_options_exclude_each_other(conflict: known.Conflict) -> None:
    with pytest.raises((RuntimeError, NotImplementedError)):
        calls(conflict.function, **conflict.when)


@pytest.mark.parametrize("name", sorted(n for n in known.NO_FORWARD if n.startswith("torch.")))
def test_an_op_has_no_forward_mode(name: str) -> None:
    one = torch.ones(3)
    with pytest.raises(NotImplementedError):
        torch.func.jvp(lambda x: function(name)(x, one), (one,), (one,))


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "rand": ((3,),),
    "randn": ((3,),),
    "randint": (2, (3,)),
    "randperm": (3,),
    "multinomial": (torch.ones(3), 1),
    "normal": (torch.zeros(3), 1.0),
    "gumbel_softmax": (torch.ones(3),),
}


@pytest.mark.parametrize("name", sorted(known.RANDOM | known.DROPOUTS))
def test_vmap_refuses_random_numbers(name: str) -> None:
    homes = (torch, torch.nn.functional)
    found = next((getattr(home, name) for home in homes if hasattr(home, name)), None)
    width = {
        "dropout1d": (3, 2),
        "dropout2d": (3, 2, 2, 2),
        "feature_alpha_dropout": (3, 2),
        "dropout3d": (3, 2, 2, 2),
    }.get(name, (3,))

    def draw(x: Any) -> Any:
        extra = {"training": True} if name in known.DROPOUTS else {}
        if name.endswith("_"):
            return getattr(x, name)(*([0.5] if name == "geometric_" else []))
        if name in ARGUMENTS:
            return found(*ARGUMENTS[name])
        return (
            getattr(torch.nn.functional, name)(x, p=0.5, **extra)
            if extra
            else found(x, *([2] if "randint" in name else []))
        )

    with pytest.raises(RuntimeError, match="randomness error mode"):
        torch.vmap(draw)(torch.full((4, *width), 0.5))


@pytest.mark.parametrize("name", sorted(known.DYNAMIC))
def test_vmap_refuses_what_has_another_size_for_each_sample(name: str) -> None:
    with pytest.raises(RuntimeError, match="vmap"):
        torch.vmap(lambda x: getattr(torch, name)(x, *([x > 0] if name == "masked_select" else [])))(torch.ones(4, 3))
