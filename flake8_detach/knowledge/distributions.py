"""torch.distributions: what sampling gives, and which derivatives are missing.

Source: the classes' `has_rsample` and `support` in torch 2.13; tests/truth/test_distributions.py asks torch.
"""

from __future__ import annotations

from collections.abc import Mapping

REPARAMETRIZED = frozenset(
    {
        "Normal",
        "Uniform",
        "LogNormal",
        "Gamma",
        "Beta",
        "Dirichlet",
        "Exponential",
        "Laplace",
        "Cauchy",
        "Gumbel",
        "StudentT",
        "MultivariateNormal",
        "LowRankMultivariateNormal",
        "HalfNormal",
        "HalfCauchy",
        "Weibull",
        "Pareto",
        "Chi2",
        "FisherSnedecor",
        "Kumaraswamy",
        "RelaxedBernoulli",
        "RelaxedOneHotCategorical",
        "ContinuousBernoulli",
        "OneHotCategoricalStraightThrough",
        "LogisticNormal",
        "InverseGamma",
        "Wishart",
    }
)
"""Distributions with `has_rsample = True`."""

DISCRETE = frozenset(
    {"Bernoulli", "Binomial", "Categorical", "Geometric", "Multinomial", "NegativeBinomial", "OneHotCategorical"}
    | {"Poisson"}
)
"""Distributions whose `rsample` raises NotImplementedError."""

ELEMENTWISE = frozenset(
    {"Bernoulli", "Beta", "Cauchy", "Exponential", "Gamma", "Gumbel", "Laplace", "LogNormal", "Normal", "Poisson"}
    | {"StudentT", "Uniform"}
)
"""Distributions over single numbers: a sample has the common shape of the parameters."""

SAMPLE_DTYPE = {"Categorical": "int"}
"""Kind of dtype of a sample where it is not float."""

UNDERIVED: Mapping[tuple[str, str], str] = {
    ("Gamma", "cdf"): "concentration",
    ("InverseGamma", "cdf"): "concentration",
    ("Chi2", "cdf"): "df",
}
"""Methods without a derivative with respect to the first parameter, which has this name: all of them call
torch.special.gammainc, and nothing is said before backward."""

UNUSED: Mapping[tuple[str, str], tuple[str, int]] = {
    ("Normal", "entropy"): ("loc", 0),
    ("Laplace", "entropy"): ("loc", 0),
    ("Cauchy", "entropy"): ("loc", 0),
    ("Gumbel", "entropy"): ("loc", 0),
    ("StudentT", "entropy"): ("loc", 1),
    ("GeneralizedPareto", "entropy"): ("loc", 0),
    ("MultivariateNormal", "entropy"): ("loc", 0),
    ("LowRankMultivariateNormal", "entropy"): ("loc", 0),
}
"""Methods whose result does not hang on a parameter: its name and position. How spread out it is does not depend on
where it is."""
