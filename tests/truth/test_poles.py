"""Slopes that are not finite where a condition fails, and what hands the NaN on: torch is asked about each."""

from __future__ import annotations

import operator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from flake8_detach.knowledge import poles  # noqa: E402

pytestmark = pytest.mark.truth

SIGNS = {">": operator.gt, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, "<=": operator.le, "==": operator.eq}
POINTS = (-2.0, -1.0, 0.0, 1.0)


def of(name: str, x: Any) -> Any:
    if name == "pow":
        return x**0.5
    return 1 / x if name == "__rtruediv__" else getattr(torch, name)(x)


@pytest.mark.parametrize("name", [*sorted(poles.ZERO), "pow"])
@pytest.mark.parametrize("sign", sorted(SIGNS))
def test_the_gradient_is_nan_wherever_the_condition_fails(name: str, sign: str) -> None:
    x = torch.tensor(POINTS, requires_grad=True)
    chosen = SIGNS[sign](x, 0)
    torch.where(chosen, of(name, x), 0.0).sum().backward()
    nan = x.grad[~chosen].isnan()
    if sign in poles.ZERO.get(name, poles.ANY):
        assert nan.all()
    y = torch.tensor(POINTS, requires_grad=True)
    chosen = SIGNS[poles.NOT[sign]](y, 0)
    torch.where(chosen, 0.0, of(name, y)).sum().backward()
    assert y.grad[chosen].isnan().equal(nan)


@pytest.mark.parametrize("sign", sorted(SIGNS))
def test_a_sign_that_is_turned(sign: str) -> None:
    x = torch.tensor(POINTS)
    assert SIGNS[sign](x, 0).equal(SIGNS[poles.TURNED[sign]](torch.zeros(4), x))
    assert (~SIGNS[sign](x, 0)).equal(SIGNS[poles.NOT[sign]](x, 0))


UNARY = {
    "mean": lambda x: x.mean(),
    "sum": lambda x: x.sum(),
    "view": lambda x: x.view(4),
    "reshape": lambda x: x.reshape(4),
    "unsqueeze": lambda x: x.unsqueeze(0),
    "permute": lambda x: x.permute(1, 0),
    "transpose": lambda x: x.transpose(0, 1),
    "pow": lambda x: x.pow(2),
    "__pow__": lambda x: x**2,
    "div": lambda x: x.div(3),
    "softmax": lambda x: x.softmax(0),
    "expand": lambda x: x.expand(3, 2, 2),
    "__getitem__": lambda x: x[0],
}
TWO = {"add", "sub", "mul", "matmul", "mm", "bmm", "truediv", "radd", "rsub", "rmul", "linear"}
BATCHED = {"conv1d": (1, 2, 2), "conv2d": (1, 2, 2, 2), "conv3d": (1, 2, 2, 2, 2), "bmm": (2, 2, 2)}


def apply(name: str, x: Any) -> Any:
    if name in UNARY:
        return UNARY[name](x)
    place = torch.nn.functional if name == "linear" or name.startswith("conv") else torch.Tensor
    call = getattr(place, name)
    takes_two = name.strip("_") in TWO
    return call(x, torch.full(tuple(x.shape), 2.0)) if takes_two else call(x)


@pytest.mark.parametrize("name", sorted(poles.PASSING))
def test_nan_is_handed_on(name: str) -> None:
    shape = BATCHED.get(name, (2, 2))
    x = torch.zeros(shape, requires_grad=True)
    if name.startswith("conv"):
        result = getattr(torch.nn.functional, name)(x, torch.ones(1, 2, *(1,) * (len(shape) - 2)))
    else:
        result = apply(name, x)
    result.backward(torch.full_like(result, float("nan")))
    assert x.grad.isnan().any()
