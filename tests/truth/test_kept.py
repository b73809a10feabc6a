"""Ops that keep a tensor nobody sees: a second backward raises, which torch is asked about for every one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from flake8_detach.knowledge import kept  # noqa: E402

pytestmark = pytest.mark.truth

PLACES = (torch, torch.Tensor, torch.nn.functional)


def function(name: str) -> Callable[..., Any]:
    names = [(place, n) for n in (name, f"__{name}__") for place in PLACES if hasattr(place, n)]
    found: Callable[..., Any] = getattr(*names[0])
    return found


@pytest.mark.parametrize("name", sorted(kept.FACTORS | kept.INNER))
def test_a_second_backward_raises(name: str) -> None:
    assert kept.inner(f"torch.{name}", numbers=True)
    x = (torch.rand(3) + 1).requires_grad_()
    given = () if name == "tanhshrink" else (torch.zeros(3),) if name == "l1_loss" else (2.0,)
    start = x.clone() if name in ("imul", "itruediv") else x
    loss = function(name)(start, *given).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


@pytest.mark.parametrize("name", ["add", "sub"])
def test_of_a_sum_it_does_not(name: str) -> None:
    assert not kept.inner(f"torch.{name}", numbers=True)
    x = torch.rand(3, requires_grad=True)
    loss = function(name)(x, 2.0).sum()
    loss.backward()
    loss.backward()
