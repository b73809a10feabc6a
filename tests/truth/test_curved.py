"""Does a gradient with `create_graph=True` have a graph of its own? torch is asked about every op of the tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from flake8_detach.knowledge import linear  # noqa: E402

pytestmark = pytest.mark.truth

ARGUMENTS = {"celu": {}, "softmax": {"dim": -1}, "log_softmax": {"dim": -1}, "logsumexp": {"dim": 0}}


def function(name: str) -> Callable[..., Any]:
    places = (torch.nn.functional, torch, torch.special)
    found: Callable[..., Any] = next(getattr(place, name) for place in places if hasattr(place, name))
    return found


def gradient(result: Any, operand: Any) -> Any:
    return torch.autograd.grad(result.sum(), operand, create_graph=True)[0]


@pytest.mark.parametrize("shape", [(3,), (4, 3)], ids=str)
@pytest.mark.parametrize("name", sorted(linear.CURVED))
def test_the_gradient_of_what_is_curved_requires_grad(name: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = (torch.rand(shape) / 2 + (1.5 if name == "acosh" else 0.25)).requires_grad_()
    more = (torch.zeros(shape),) if name == "mse_loss" else ()
    assert gradient(function(name)(x, *more, **ARGUMENTS.get(name, {})), x).requires_grad


@pytest.mark.parametrize("name", sorted(n for n in linear.PRODUCTS))
def test_the_gradient_of_a_product_requires_grad_if_both_factors_do(name: str) -> None:
    shapes = {"mm": ((3, 3), (3, 3)), "mv": ((3, 3), (3,))}.get(name, ((3,), (3,)))
    a, b = (torch.rand(s) + 1 for s in shapes)
    call = getattr(torch, name, None) or getattr(torch.Tensor, name)
    a.requires_grad_()
    divides = name == "__rtruediv__"  # b / a: not linear in a
    assert gradient(call(a, b), a).requires_grad == divides
    b.requires_grad_()
    assert gradient(call(a, b), a).requires_grad
    assert gradient(call(a, b), b).requires_grad
    assert gradient(call(a, a) if name != "mv" else torch.mv(a, a[0]), a).requires_grad


@pytest.mark.parametrize("exponent", [2, 3, 0.5, -1])
def test_the_gradient_of_a_power_requires_grad(exponent: float) -> None:
    x = (torch.rand(3) + 1).requires_grad_()
    assert gradient(x**exponent, x).requires_grad
    assert gradient(x.pow(exponent), x).requires_grad


@pytest.mark.parametrize("name", sorted(linear.FACTORS))
def test_the_gradient_of_a_factor_depends_on_the_other_one(name: str) -> None:
    size = () if name == "linear" else (3,) * int(name[-2])
    for one, other in (linear.FACTORS[name], linear.FACTORS[name][::-1]):
        given = {n: torch.rand(2, 2, *size).requires_grad_() for n in linear.FACTORS[name]}
        of_one = gradient(function(name)(**given, bias=torch.rand(2, requires_grad=True)), given[one])
        assert torch.autograd.grad(of_one.sum(), given[other])[0].any()


TWICE = {
    "cdist": ((25, 3), (torch.rand(25, 3),)),
    "ctc_loss": ((5, 1, 4), (torch.ones(1, 2, dtype=torch.long), torch.tensor([5]), torch.tensor([2]))),
    "hardsigmoid": ((3,), ()),
    "multi_margin_loss": ((2, 3), (torch.tensor([0, 2]),)),
    "multilabel_margin_loss": ((2, 3), (torch.tensor([[0, -1, 0], [2, 1, -1]]),)),
    "pdist": ((4, 3), ()),
}


@pytest.mark.parametrize("name", sorted(linear.ONCE))
def test_what_has_no_second_derivative(name: str) -> None:
    shape, more = TWICE[name]
    x = torch.rand(shape).requires_grad_()
    of_x = gradient(function(name)(x, *more), x)
    with pytest.raises(RuntimeError, match=r"derivative for .* is not implemented"):
        of_x.sum().backward()


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("mode", [None, "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"], ids=str)
@pytest.mark.parametrize("rows", [linear.ROWS, linear.ROWS + 1])
def test_distances_have_a_second_derivative_as_matrix_products(p: float, mode: str | None, rows: int) -> None:
    x, how = torch.rand(rows, 3).requires_grad_(), {} if mode is None else {"compute_mode": mode}
    of_x = gradient(torch.cdist(x, torch.rand(4, 3), p=p, **how), x)
    if p == 2 and (mode == "use_mm_for_euclid_dist" or (mode is None and rows > linear.ROWS)):
        of_x.sum().backward()
    else:
        with pytest.raises(RuntimeError, match="_cdist_backward"):
            of_x.sum().backward()
