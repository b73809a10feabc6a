"""torch.distributions: what sampling gives. Source: the classes' `has_rsample` and `support` in torch 2.13."""

from __future__ import annotations

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
