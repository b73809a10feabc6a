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

SAMPLE_DTYPE = {"Categorical": "int"}
"""Kind of dtype of a sample where it is not float."""
