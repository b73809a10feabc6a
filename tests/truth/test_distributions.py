"""What knowledge/distributions.py says of missing derivatives is what torch does."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

pytestmark = pytest.mark.truth
torch = pytest.importorskip("torch")

from flake8_detach.knowledge import distributions as known  # noqa: E402

METHODS = ("cdf", "icdf", "log_prob", "entropy", "rsample")
MATRICES = {"covariance_matrix", "precision_matrix", "scale_tril"}
LEFT_OUT = {"validate_args", "dim", "logits", "covariance_matrix", "precision_matrix"}
"""Parameters that are no tensors, and those that stand for others."""
FAMILIES = sorted(known.REPARAMETRIZED | known.DISCRETE | {name for name, _ in (*known.UNDERIVED, *known.UNUSED)})


def cases() -> list[tuple[str, str, str]]:
    """Each distribution, method and parameter."""
    found = []
    for name in FAMILIES:
        parameters = inspect.signature(getattr(torch.distributions, name)).parameters
        numbers = LEFT_OUT | ({"total_count"} if name == "Multinomial" else set())
        found += [(name, method, p) for method in METHODS for p in parameters if p not in numbers]
    return found


def value(name: str, parameter: str) -> Any:
    """Something that the distribution takes for the parameter."""
    if parameter in MATRICES:
        return torch.eye(2)
    if parameter == "cov_factor":
        return torch.ones(2, 1)
    if parameter == "temperature":
        return torch.tensor(0.8)
    if name == "Wishart":
        return torch.tensor(4.0)
    fixed = {"probs": [0.3, 0.7], "low": [0.1, 0.2], "high": [1.5, 1.7]}
    return torch.tensor(fixed.get(parameter, [1.2, 2.3]))


@pytest.mark.filterwarnings("ignore:Singular sample")
@pytest.mark.parametrize(("name", "method", "parameter"), cases())
def test_a_method_has_a_derivative_unless_said_otherwise(name: str, method: str, parameter: str) -> None:
    made = getattr(torch.distributions, name)
    names = [p for p in inspect.signature(made).parameters if p not in LEFT_OUT]
    given = {p: 1 if (name, p) == ("Multinomial", "total_count") else value(name, p) for p in names}
    given[parameter].requires_grad_()
    distribution = made(**given, validate_args=False)
    try:
        point = (torch.full((2,), 0.4) if method == "icdf" else distribution.sample(),)
        result = getattr(distribution, method)(*point if method in ("cdf", "icdf", "log_prob") else ())
    except NotImplementedError:
        return  # torch has no such method for it
    if known.UNUSED.get((name, method)) == (parameter, names.index(parameter)):
        assert not result.requires_grad
        return
    assert result.requires_grad
    if known.UNDERIVED.get((name, method)) == parameter:
        assert names.index(parameter) == 0
        with pytest.raises(NotImplementedError, match="is not implemented"):
            result.sum().backward()
        return
    result.sum().backward()
    assert given[parameter].grad is not None
